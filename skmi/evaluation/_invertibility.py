"""How hard an encoder is to invert, and encoders that can be inverted and are of little use."""

import copy
import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.func import jacrev, vmap
from torch.nn.functional import cross_entropy

from skmi._rows import check_same_length, read_rows
from skmi.base import infer_device, seeded_initialization
from skmi.networks import Layers, RealNVP
from skmi.training import Player, Trainer

__all__ = ["fit_adversarial_invertible", "jacobian_condition_numbers"]

#: Rows whose Jacobians are held at once.
JACOBIAN_ROWS = 16


@validate_params(
    {"percentiles": [None, "array-like"]},
    prefer_skip_nested_validation=True,
)
def jacobian_condition_numbers(transformer, X, *, percentiles=(0, 20, 40, 60, 80, 100)):
    r"""Condition numbers of the Jacobian of an encoder, at rows of data.

    The ratio :math:`\sigma_\max / \sigma_\min` of the singular values of
    :math:`\partial g(x) / \partial x`. It is finite where g can be inverted locally, and the
    larger, the more some directions are attenuated against others, so that inversion is
    numerically hard ([1]_, section 3.1). An encoder into fewer dimensions loses directions in
    any case: the singular values are then those of the map onto its range.

    Parameters
    ----------
    transformer : transformer of `skmi.representation`, or nn.Module
        Fitted. The encoder's input are rows scaled as for training; of a
        `TwoViewInfoMaxTransformer` it is the encoder of the first view. A module takes the rows
        as they are.
    X : array-like
        Rows as in ``transform``. The Jacobian of each has (width of the representation) x
        (width of a row) entries, so a few hundred rows will do.
    percentiles : array-like or None, default=(0, 20, 40, 60, 80, 100)
        Which percentiles of the rows' numbers to return; None: all numbers.

    Returns
    -------
    ndarray of shape (n_percentiles,) or (n_samples,)
        Infinite where the Jacobian is singular.

    Raises
    ------
    TypeError
        If `transformer` has no encoder.

    References
    ----------
    .. [1] M. Tschannen, J. Djolonga, P. K. Rubenstein, S. Gelly, M. Lucic, "On mutual information
       maximization for representation learning", ICLR 2020.

    Examples
    --------
    >>> import torch
    >>> from skmi.evaluation import jacobian_condition_numbers
    >>> scale = torch.nn.Linear(2, 2, bias=False)
    >>> _ = scale.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    >>> jacobian_condition_numbers(scale, [[1.0, 2.0], [0.0, 1.0]], percentiles=None)
    array([3., 3.])
    """
    encoder, rows = _encoder_and_rows(transformer, X)

    def representation(row: Tensor) -> Tensor:
        output = encoder(row[None])
        return (output.y if isinstance(output, Layers) else output).flatten()

    jacobians = vmap(jacrev(representation), chunk_size=JACOBIAN_ROWS)(rows).flatten(2)
    singular = torch.linalg.svdvals(jacobians.double()).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = singular[:, 0] / singular[:, -1]
    numbers = np.where(np.isnan(numbers), np.inf, numbers)
    return (
        numbers
        if percentiles is None
        else np.percentile(numbers, percentiles, method="inverted_cdf")
    )


def _encoder_and_rows(transformer, X) -> tuple[nn.Module, Tensor]:
    if isinstance(transformer, nn.Module):
        encoder, rows = transformer, torch.from_numpy(read_rows("X", X)).float()
    else:
        check_is_fitted(transformer)
        if not hasattr(transformer, "encoder_"):
            raise TypeError(
                f"{type(transformer).__name__} has no encoder_. Pass a transformer of "
                "skmi.representation, or a torch module."
            )
        encoder, rows = transformer.encoder_, transformer.encoder_rows(X)
    return copy.deepcopy(encoder).cpu().eval().requires_grad_(False), rows


@validate_params(
    {
        "encoder": [None, nn.Module],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "n_warm_up": [Interval(Integral, 0, None, closed="left")],
        "every": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "encoder_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "classifier_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "device": [str, torch.device],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def fit_adversarial_invertible(
    X,
    y,
    *,
    encoder=None,
    n_steps=10_000,
    n_warm_up=1000,
    every=10,
    batch_size=128,
    encoder_learning_rate=1e-6,
    classifier_learning_rate=1e-4,
    device="auto",
    random_state=None,
):
    r"""An invertible encoder that keeps all information and hides the classes.

    A linear classifier learns to tell the classes from :math:`g(x)`, while g learns to leave it
    at the uniform distribution over the k classes ([1]_, App. B):

    .. math::
        \min_{w} E[-\log p_w(y \mid g(x))], \qquad
        \min_{g} E\Bigl[-\tfrac1k \sum_c \log p_w(c \mid g(x))\Bigr] .

    Since g can be inverted, it maximises :math:`I(x; g(x))` all the while: high information does
    not make a representation useful.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows, best of a common scale.
    y : array-like of shape (n_samples,)
        Class labels.
    encoder : nn.Module or None, default=None
        Invertible; copied. None: `skmi.networks.RealNVP` of 30 layers, the identity at the
        start.
    n_steps : int, default=10000
        Steps of the classifier, of which every ``every``-th is followed by one of the encoder.
        A few more, if they make up several epochs.
    n_warm_up : int, default=1000
        Steps of the classifier alone, before these.
    every : int, default=10
        Steps of the classifier for one of the encoder.
    batch_size : int, default=128
        Rows of a batch.
    encoder_learning_rate, classifier_learning_rate : float, default=1e-6, 1e-4
        Step sizes of Adam.
    device : str, default="auto"
        Torch device; ``"auto"`` is a GPU where there is one.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    nn.Module
        The trained encoder, from tensors of rows to representations, on the CPU.

    Raises
    ------
    ValueError
        If `y` are no class labels, or all the same, or if there are fewer rows than a batch.

    References
    ----------
    .. [1] M. Tschannen, J. Djolonga, P. K. Rubenstein, S. Gelly, M. Lucic, "On mutual information
       maximization for representation learning", ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.evaluation import fit_adversarial_invertible
    >>> X, y = load_digits(return_X_y=True)
    >>> encoder = fit_adversarial_invertible(X / 16, y, n_steps=20, n_warm_up=20, random_state=0)
    >>> type(encoder).__name__
    'RealNVP'
    """
    rows = read_rows("X", X, fewest=batch_size)
    check_same_length(X=rows, y=np.asarray(y))
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has the one class {classes[0]}, so there is nothing to hide.")
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    x, codes = torch.from_numpy(rows).float().flatten(1), torch.from_numpy(codes)
    with seeded_initialization(seed):
        encoder = RealNVP(x.shape[1]) if encoder is None else copy.deepcopy(encoder)
        width = encoder(x[:2]).shape[1]
        objective = _HideClasses(encoder, nn.Linear(width, len(classes)))
    warm_up = [Player("classifier", classifier_learning_rate)]
    both = [*warm_up, Player("encoder", encoder_learning_rate, every=every)]
    for players, n in ((warm_up, n_warm_up), (both, n_steps)):
        encoder.requires_grad_(players is both)
        n_epochs = math.ceil(n / (len(x) // batch_size))
        Trainer(
            objective,
            players=players,
            max_epochs=n_epochs,
            epoch_rows=math.ceil(n / max(1, n_epochs)) * batch_size,
            batch_size=batch_size,
            seed=seed,
            device=infer_device(device),
        ).fit([x, codes])
    return encoder.cpu().eval()


class _HideClasses(nn.Module):
    """A classifier that tells classes, and an encoder that makes it guess."""

    def __init__(self, encoder: nn.Module, classifier: nn.Module):
        super().__init__()
        self.encoder, self.classifier = encoder, classifier

    def forward(self, x: Tensor, codes: Tensor, *, player: str) -> dict[str, Tensor]:
        if player == "classifier":
            with torch.no_grad():
                z = self.encoder(x)
            return {"loss": cross_entropy(self.classifier(z), codes)}
        log_p = self.classifier(self.encoder(x)).log_softmax(1)
        return {"loss": -log_p.mean()}
