"""Product samples given Z, and the critics that compare with them."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches
from torch import Tensor

from skmi._persistence import savable
from skmi.bounds import dv, log_mean_exp
from skmi.critics import Critic, GaussianCritic
from skmi.information._objective import (
    CHUNK_PAIRS,
    BoundObjective,
    FittedCritic,
    _to_tensor,
    bound_in_nats,
    log_normalizer,
    transform_margins,
)

#: The regression on z: penalties to choose from, bumps, the rows it is fitted to, and the
#: columns of z beyond which there is none.
PENALTIES = np.logspace(-2, 4, 7)
N_CENTRES = 100
REGRESSION_ROWS = 2**14
REGRESSION_COLUMNS = 1000


# ------------------------------------------------------------------ rows with the same z


def find_classes(z: np.ndarray, n_numbers: int) -> np.ndarray:
    """The class of each row: the combination of its categories, which follow the numbers."""
    if z.shape[1] == n_numbers:
        return np.zeros(len(z), dtype=int)
    return np.unique(z[:, n_numbers:], axis=0, return_inverse=True)[1].ravel()


def find_partners(z: np.ndarray, n_numbers: int, n_partners: int) -> tuple[np.ndarray, np.ndarray]:
    """Other rows with the same z, or nearly.

    They are of the same class; where z has numbers too, they are the nearest of it, and
    otherwise random ones. Ties between numbers are broken at random.

    Parameters
    ----------
    z : ndarray of shape (n, n_columns)
        Numbers, then indicators of categories.
    n_numbers : int
    n_partners : int

    Returns
    -------
    rows : ndarray of shape (m,)
        The rows that are not alone in their class.
    partners : ndarray of shape (m, n_partners)
        Their partners, in random order; repeated where the class is smaller.
    """
    rng = np.random.default_rng(0)  # so that all critics meet the same pairs
    numbers, classes = z[:, :n_numbers], find_classes(z, n_numbers)
    partners = np.full((len(z), n_partners), -1)
    by_class = np.argsort(classes, kind="stable")
    for members in np.split(by_class, np.flatnonzero(np.diff(classes[by_class])) + 1):
        k = min(n_partners, len(members) - 1)
        if k == 0:
            continue
        if n_numbers:
            spread = numbers.std(axis=0)
            jitter = 1e-6 * spread * rng.standard_normal((len(members), n_numbers))
            search = NearestNeighbors(n_neighbors=k).fit(numbers[members] + jitter)
            nearest = search.kneighbors(return_distance=False)
        else:
            members = rng.permutation(members)
            nearest = (np.arange(len(members))[:, None] + np.arange(1, k + 1)) % len(members)
        partners[members] = members[nearest[:, np.arange(n_partners) % k]]
    rows = np.flatnonzero(partners[:, 0] >= 0)
    return rows, rng.permuted(partners[rows], axis=1)


# ------------------------------------------------------------------------- the objective


def candidate_scores(critic: Critic, x: Tensor, y: Tensor) -> Tensor:
    """Scores of each x with each of its K candidates.

    Parameters
    ----------
    critic : Critic
    x : Tensor of shape (n, ...)
    y : Tensor of shape (n, K, ...)

    Returns
    -------
    Tensor of shape (n, K)
    """
    blocks = []
    size = max(1, CHUNK_PAIRS // y.shape[1])
    for x_rows, y_rows in zip(x.split(size), y.split(size), strict=True):
        shape = y_rows.shape[:2]
        pairs = torch.arange(shape.numel(), device=y.device).view(shape)
        embeddings = critic.embed_x(x_rows), critic.embed_y(y_rows.flatten(0, 1))
        blocks.append(critic.combine_partners(*embeddings, pairs.T).T)
    return torch.cat(blocks)


class ConditionalObjective(BoundObjective):
    r"""Minus a bound on I(X; Y | Z), as a function of rows and their candidates.

    With y' from rows whose z is near, product samples follow :math:`\tilde p(y|z)` in place of
    p(y|z). The critic f(x, z, y) then estimates

    .. math:: \log \frac{p(y | x, z)}{\tilde p(y | z)}, \qquad\text{and the bound on it}\quad
              I(X; Y | Z) + KL(p(y, z) \,\|\, \tilde p(y | z) p(z)) .

    A second critic, the control g(z, y), estimates the excess on the same pairs, and is
    subtracted: f - g is free of :math:`\tilde p`.

    Parameters
    ----------
    critic : Critic
        Of ``[x, z]`` and y.
    control : Critic or None
        Of z and y. None: there is no excess, because partners have the very same z.
    bound : Bound
    n_z : int
        How many of the last columns of ``[x, z]`` are z.
    n_negatives : int
        How many of the partners of a row stand in a training batch; they take turns.
    eta : nn.Module or None
        The normaliser of eta-DV, a function of z.
    """

    def __init__(self, critic, control, bound, *, n_z, n_negatives, eta=None):
        super().__init__(torch.nn.ModuleList([critic]), bound, eta=eta)
        if control is not None:
            self.critic.append(control)
        self.n_z, self.n_negatives = n_z, n_negatives
        self.n_batches = 0

    def critic_scores(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores f - eta(z) of the candidates, shape (n, K)."""
        scores = candidate_scores(self.critic[0], x, y)
        if self.eta is not None:
            scores = scores - self.eta(x[:, -self.n_z :])[:, None]
        if self.gaussian is not None:
            gaussian = candidate_scores(self.gaussian, x, y)
            scores = self.weights[0] * scores + self.weights[1] * gaussian
        return scores

    def control_scores(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores g of the candidates, shape (n, K)."""
        if len(self.critic) == 1:
            return torch.zeros(y.shape[:2], device=y.device)
        return candidate_scores(self.critic[1], x[:, -self.n_z :], y)

    def forward(self, x: Tensor, y: Tensor, player: str | None = None) -> dict[str, Tensor]:
        if self.training:
            n_partners = y.shape[1] - 1
            turn = self.n_batches * self.n_negatives + np.arange(self.n_negatives)
            y = y[:, [0, *(1 + turn[:n_partners] % n_partners)]]
            self.n_batches += 1
        scores = self.critic_scores(x, y), self.control_scores(x, y)
        critic, control = (self.terms(s[:, 0], s[:, 1:]) for s in scores)
        return {"loss": critic["loss"] + control["loss"], "mi": critic["mi"] - control["mi"]}

    @torch.no_grad()
    def add_gaussian_term(self, gaussian: GaussianCritic, fit_data, stop_data) -> None:
        """Stack the critic and the log density ratio of Gaussian variables.

        The latter is fitted to the pairs ``fit_data``, the weights of both to ``stop_data``.
        """
        self.eval()
        self.gaussian = None
        x, y = fit_data
        gaussian.fit(x, y[:, 0].flatten(1))
        scores = torch.stack(
            [self.critic_scores(*stop_data), candidate_scores(gaussian, *stop_data)]
        )
        self.stack(gaussian, dv, scores[..., 0], scores[..., 1:])


# ------------------------------------------------------------------------ fitted critics


@savable
@dataclass
class Regression:
    """Ridge regression of columns on z: linear, plus Gaussian bumps at some rows of z.

    Columns with repeated values are left alone: a difference would move their atoms, so that
    partners could be told from the row itself.

    Attributes
    ----------
    scale : ndarray of shape (n_z,)
        Standard deviations of z, which is divided by them.
    centres : ndarray of shape (n_centres, n_z)
        After the division.
    coefficients : ndarray of shape (1 + n_z + n_centres, n_columns)
    """

    scale: np.ndarray
    centres: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, z: np.ndarray) -> "Regression":
        rows = np.random.default_rng(0).permutation(len(z))[:REGRESSION_ROWS]
        values, z = values[rows], z[rows]
        scale = z.std(axis=0)
        scale[scale == 0] = 1
        fitted = cls(scale, z[:N_CENTRES] / scale, np.zeros((1, values.shape[1])))
        free = [j for j, column in enumerate(values.T) if len(np.unique(column)) > 0.95 * len(z)]
        if free and z.shape[1] <= REGRESSION_COLUMNS:
            features = fitted._features(z)
            ridge = RidgeCV(PENALTIES, alpha_per_target=True).fit(features, values[:, free])
            slopes = ridge.coef_.reshape(len(free), -1).T
            fitted.coefficients = np.zeros((1 + len(slopes), values.shape[1]))
            fitted.coefficients[:, free] = np.vstack([ridge.intercept_, slopes])
        return fitted

    def _features(self, z: np.ndarray) -> np.ndarray:
        z = z / self.scale
        return np.hstack([z, rbf_kernel(z, self.centres)])

    def predict(self, z: np.ndarray) -> np.ndarray:
        """The regression at z, shape (n, n_columns)."""
        intercept, slopes = self.coefficients[0], self.coefficients[1:]
        predicted = np.tile(intercept, (len(z), 1))
        if len(slopes):
            for rows in gen_batches(len(z), REGRESSION_ROWS):
                predicted[rows] += self._features(z[rows]) @ slopes
        return predicted


@savable
@dataclass
class GivenZ:
    """A variable less its regression on z; images and the like stay what they are.

    Given z that is one-to-one, so I(X; Y | Z) does not change. But the residuals of rows with
    near z are distributed more alike, and what x and y have in common beyond z lies open.

    Attributes
    ----------
    margins, residual_margins : transformer or None
        Margin transforms before and after.
    regression : Regression or None
    """

    margins: object
    regression: Regression | None = None
    residual_margins: object = None

    @classmethod
    def fit(cls, values, z, margins, make_margins) -> "GivenZ":
        fitted = cls(margins)
        if values.ndim == 2:
            fitted.regression = Regression.fit(transform_margins(margins, values), z)
            fitted.residual_margins = make_margins(fitted.transform(values, z))
        return fitted

    def transform(self, values, z) -> np.ndarray:
        values = transform_margins(self.margins, values)
        if self.regression is None:
            return values
        return transform_margins(self.residual_margins, values - self.regression.predict(z))


@dataclass
class FittedConditionalCritic(FittedCritic):
    """One fold's critics of x and y given z.

    Attributes
    ----------
    z_margins : transformer or None
        Margin transform of z, fitted on all rows and shared by the critics: it only sets the
        distances, and all critics must meet the same partners.
    x_given_z, y_given_z : GivenZ
        What turns x and y into columns for the critics.
    n_numbers : int
        How many of the columns of z hold numbers.
    n_partners : int
        Product pairs of each row.
    control_normalizer : float
        `log_normalizer` of the control.
    """

    z_margins: object = None
    x_given_z: GivenZ | None = None
    y_given_z: GivenZ | None = None
    n_numbers: int = 0
    n_partners: int = 1
    control_normalizer: float = 0.0

    def _columns(self, X, Y, Z):
        """``[x, z]``, y and z after all transforms."""
        z = transform_margins(self.z_margins, Z)
        x, y = self.x_given_z.transform(X, z), self.y_given_z.transform(Y, z)
        return np.hstack([x.reshape(len(x), -1), z]), y, z

    def tensors(self, X, Y, Z, device: str) -> tuple[Tensor, Tensor]:
        """``[x, z]`` of the rows with partners, and their candidates: own y, then partners'."""
        return self._tensors((X, Y, Z), len(X), device)

    def split_tensors(self, data, n_stop: int, device: str):
        """As in `FittedCritic`; partners of the stop rows are sought among all rows."""
        fit_data = self.tensors(*(values[n_stop:] for values in data), device)
        stop_data = self._tensors(data, n_stop, device) if n_stop else None
        return fit_data, stop_data if stop_data and len(stop_data[0]) else None

    def _tensors(self, data, n_rows: int, device: str) -> tuple[Tensor, Tensor]:
        """The first `n_rows` as tensors, with partners among all rows."""
        x, y, z = self._columns(*data)
        rows, partners = find_partners(z, self.n_numbers, self.n_partners)
        if len(rows) == 0:
            raise ValueError(
                f"None of {len(z)} rows shares its class of Z with another one, so that there is "
                "nothing to compare. Use more rows, merge classes of Z, or set "
                "z_type='continuous' if Z is a measurement."
            )
        rows, partners = rows[rows < n_rows], partners[rows < n_rows]
        candidates = np.column_stack([rows, partners])
        return _to_tensor(x[rows], device), _to_tensor(y, device)[_on(candidates, device)]

    def keep_reference(self, y: Tensor) -> None:
        """Nothing: no sample of y stands for its distribution given each z."""

    @torch.no_grad()
    def raw_scores(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores of critic and control, shape (2, n, 1 + n_partners)."""
        objective = self.objective.eval().to(x.device)
        return torch.stack([objective.critic_scores(x, y), objective.control_scores(x, y)])

    def normalize(self, x: Tensor, y: Tensor) -> Tensor:
        """Find the normalisers on training rows; returns their `scores`."""
        if self.objective.needs_normalizer:
            self.log_normalizer, self.control_normalizer = (
                float(log_normalizer(product, self.objective.ceiling))
                for product in self.raw_scores(x, y)[..., 1:]
            )
        return self.scores(x, y)

    def scores(self, x: Tensor, y: Tensor) -> Tensor:
        """Log-ratio estimates of critic and control, shape (2, n, 1 + n_partners)."""
        raw = self.raw_scores(x, y)
        constants = raw.new_tensor([self.log_normalizer, self.control_normalizer])
        return self.objective.cut_off(raw - constants[:, None, None])

    def value(self, scores: Tensor) -> float:
        """The bound of the critic less that of the control, in nats."""
        critic, control = (bound_in_nats(self.objective.bound, s[:, 0], s[:, 1:]) for s in scores)
        return float(critic - control)

    def standard_error(self, scores: Tensor) -> float:
        """Standard error of the `value`: critic and control are scored on the same pairs."""
        joint, product = scores[..., 0], scores[..., 1:]
        critic, control = ((ratios - log_mean_exp(ratios)).exp() for ratios in product)
        terms = joint[0] - joint[1], critic - control
        return float(sum(term.var() / term.numel() for term in terms).sqrt())

    def pointwise(self, X, Y, Z, device: str) -> Tensor:
        """Estimates of log p(x, y | z) / p(x | z) p(y | z) of the rows, shape (n,)."""
        x, y, _ = self._columns(X, Y, Z)
        critic, control = self.scores(_to_tensor(x, device), _to_tensor(y, device)[:, None])
        return (critic - control)[:, 0]


def _on(rows: np.ndarray, device: str) -> Tensor:
    return torch.as_tensor(rows, device=device)
