"""The objective of a mutual information estimator, and the critic that it leaves behind."""

import copy
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from skmi.bounds import Bound, dv, eta_dv, infonce, log_mean_exp, split_matrix, update_log_ema
from skmi.critics import Critic, GaussianCritic, SumCritic, first_tensor, map_embedding
from skmi.networks import mlp

#: Product pairs scored for one validation of a training, and for one final evaluation.
VALIDATION_PAIRS = 2**15
EVALUATION_PAIRS = 2**18
#: Number of y that stand for its marginal in `score_samples(X)`.
REFERENCE_ROWS = 512
#: Pairs scored at once, which bounds the memory of an evaluation.
CHUNK_PAIRS = 2**13


def shifted_scores(critic: Critic, x_embedding, y_embedding, n_shifts: int) -> Tensor:
    """Scores of each x with its own y and with those of the next rows.

    Returns shape (n, 1 + n_shifts): column 0 holds the true pairs, column k pairs row i with
    the y of row i + k. The rows must be in random order, so that these are product samples.
    """
    n_rows, device = len(first_tensor(y_embedding)), first_tensor(y_embedding).device
    shifts_at_once = max(1, CHUNK_PAIRS // n_rows)
    rows = torch.arange(n_rows, device=device)
    blocks = []
    for some_rows in rows.split(CHUNK_PAIRS):
        x_rows = x_embedding
        if len(some_rows) < n_rows:
            x_rows = map_embedding(lambda e, i=some_rows: e[i], x_embedding)
        columns = []
        for shifts in torch.arange(n_shifts + 1, device=device).split(shifts_at_once):
            partners = (some_rows + shifts[:, None]) % n_rows
            columns.append(critic.combine_partners(x_rows, y_embedding, partners))
        blocks.append(torch.cat(columns).T)
    return torch.cat(blocks)


class ScalarEta(nn.Module):
    """The scalar eta of eta-DV, starting at 0."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def forward(self, y: Tensor) -> Tensor:
        return self.value.expand(len(y))


class EtaNetwork(nn.Module):
    """The function eta(y) of a-DV, starting at 0."""

    def __init__(self, n_y: int, hidden_layer_sizes=(64, 64), activation="silu", layer_norm=False):
        super().__init__()
        sizes = [n_y, *hidden_layer_sizes, 1]
        self.net = mlp(sizes, activation=activation, layer_norm=layer_norm)
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, y: Tensor) -> Tensor:
        return self.net(y.flatten(1)).squeeze(1)


class NormalizedCritic(Critic):
    """``T(x, y) - eta(y)``, which estimates the log density ratio."""

    def __init__(self, critic: Critic, eta: nn.Module):
        super().__init__()
        self.critic, self.eta = critic, eta
        self.factorized = critic.factorized

    def embed_x(self, x):
        return self.critic.embed_x(x)

    def embed_y(self, y):
        return self.critic.embed_y(y), self.eta(y)

    def combine(self, x_embedding, y_embedding):
        return self.critic.combine(x_embedding, y_embedding[0]) - y_embedding[1]

    def combine_partners(self, x_embedding, y_embedding, partners):
        scores = self.critic.combine_partners(x_embedding, y_embedding[0], partners)
        return scores - y_embedding[1][partners]

    def all_pairs(self, x_embedding, y_embedding):
        return self.critic.all_pairs(x_embedding, y_embedding[0]) - y_embedding[1]

    def features(self, x_embedding, y_embedding):
        features = self.critic.features(x_embedding, y_embedding[0])
        return torch.cat([features, y_embedding[1][:, None]], dim=1)


def log_normalizer(product: Tensor, ceiling: Tensor) -> Tensor:
    """The constant c for which ``exp(product - c)``, cut off at ``exp(ceiling)``, has mean 1.

    It is log E_Q[e^T] for a critic whose log ratios end at the ceiling. No pair counts for more
    than a quarter of the mean, so that a few wild scores do not move it.
    """
    ceiling = ceiling.clamp(max=math.log(max(1, product.numel() / 4)))
    low, high = product.min(), log_mean_exp(product)
    for _ in range(48):  # bisection: the mean falls with c
        middle = (low + high) / 2
        above = log_mean_exp((product - middle).clamp(max=ceiling)) > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return (low + high) / 2


def grow_linearly(log_ratio: Tensor, ceiling: Tensor) -> Tensor:
    """Log ratios whose exponentials grow linearly beyond that of the ceiling.

    Without it a critic that overshoots is thrown further by its own exponential gradient.
    """
    return torch.minimum(log_ratio, ceiling + (log_ratio - ceiling).clamp(min=0).log1p())


class BoundObjective(nn.Module):
    """Minus a bound, as a function of joint and product scores; subclasses score a batch.

    Parameters
    ----------
    critic : nn.Module
        Its score plus the bound's offset is what enters the bound, so that it learns the log
        density ratio itself (up to a constant, where the bound is blind to one).
    bound : Bound
    eta : nn.Module or None
        The normaliser of eta-DV and a-DV. With r = T - eta both bounds read
        ``E_P[r] - E_Q[e^r] + 1``.
    moving_average_rate : float or None
        Weight of a batch in MINE's moving average of E_Q[e^T]; None leaves the gradient
        uncorrected.

    Attributes
    ----------
    gaussian : nn.Module or None
        What else estimates the log density ratio, besides the critic; it is added after
        training, with `weights` (see `stack`).
    ceiling : Tensor of shape ()
        Largest log ratio outside training: log n, the largest log density ratio of the
        empirical distribution of n training rows. Without it one wild score among the product
        samples of the held-out rows, which training never saw, decides the value of a bound.
    """

    def __init__(
        self,
        critic: nn.Module,
        bound: Bound,
        *,
        eta: nn.Module | None = None,
        moving_average_rate: float | None = None,
    ):
        super().__init__()
        self.critic, self.eta, self.bound = critic, eta, bound
        self.moving_average_rate = moving_average_rate
        self.gaussian = None
        self.register_buffer("weights", torch.ones(2))
        self.register_buffer("ceiling", torch.tensor(torch.inf))
        self.register_buffer("log_ema", torch.tensor(torch.nan))

    @property
    def needs_normalizer(self) -> bool:
        """Whether log ratios are known up to a constant only."""
        return self.bound.needs_normalizer or (
            self.gaussian is not None and not self.bound.contrastive
        )

    def stack(
        self, gaussian: nn.Module, value, joint: Tensor, product: Tensor, penalty: float = 1.0
    ) -> None:
        r"""Add a term to the critic, with the weights that suit some rows best.

        The weights maximise a bound, which is concave in them, at
        ``w_1 T(x, y) + w_2 G(x, y)`` on rows that neither has been fitted on; the penalty
        ``|w - 1/2|^2 / 2n`` decides where there are few rows.

        Parameters
        ----------
        gaussian : nn.Module
        value : callable
            The bound, a function of joint and product scores.
        joint : Tensor of shape (2, n)
        product : Tensor of shape (2, n, K) or (2, N)
            Scores of the critic and of the Gaussian term.
        penalty : float
            Factor of the penalty.
        """
        scores = (scores.detach().cpu().double().clamp(min=-1e3) for scores in (joint, product))
        self.gaussian = gaussian
        self.weights.copy_(_stacking_weights(value, *scores, penalty))

    def cut_off(self, log_ratio: Tensor) -> Tensor:
        """Log ratios no larger than the ceiling in size; InfoNCE fixes them up to c(x) only.

        Under P, p/q falls below 1/n with a probability of less than 1/n: a score below -log n on
        held-out rows is an error of the critic, and a few such would decide the value.
        """
        if self.bound.contrastive:
            return log_ratio
        return log_ratio.clamp(-self.ceiling, self.ceiling)

    def terms(self, joint: Tensor, product: Tensor) -> dict[str, Tensor]:
        """What the trainer records of a batch: the loss, and the bound in nats."""
        if self.training:
            joint, product = joint + self.bound.offset, product + self.bound.offset
            return {"loss": self._loss(joint, product), "mi": self.bound.nats(joint, product)}
        if self.bound.needs_normalizer:
            constant = log_normalizer(product, self.ceiling)
            joint, product = joint - constant, product - constant
        mi = bound_in_nats(self.bound, self.cut_off(joint), self.cut_off(product))
        return {"loss": -mi, "mi": mi}

    def _loss(self, joint: Tensor, product: Tensor) -> Tensor:
        if self.eta is not None:
            return -self.bound.nats(joint, grow_linearly(product, self.ceiling))
        if self.bound.name == "dv":
            if self.moving_average_rate is None:
                return -self.bound.value(joint, product)
            self.log_ema = update_log_ema(self.log_ema, product, self.moving_average_rate)
            return self.bound.loss(joint, product, self.log_ema)
        if self.bound.loss is not None:
            return self.bound.loss(joint, product)
        return -self.bound.value(joint, product)


class CriticObjective(BoundObjective):
    """Minus a bound, as a function of a batch of pairs.

    Product samples are other pairs of the batch: all of them where the critic scores all pairs
    by one matrix product, else each x with the y of the next `n_negatives` rows.

    Parameters
    ----------
    critic : Critic
    bound : Bound
    n_negatives : int
        Product pairs for each joint pair of a training batch, where they are scored one by
        one.
    **options
        See `BoundObjective`; eta is a function of y.
    """

    def __init__(self, critic: Critic, bound: Bound, *, n_negatives: int = 1, **options):
        super().__init__(critic, bound, **options)
        self.n_negatives = n_negatives

    @property
    def log_ratio(self) -> Critic:
        """The critic as an estimate of the log density ratio."""
        critic = self.critic if self.eta is None else NormalizedCritic(self.critic, self.eta)
        return critic if self.gaussian is None else SumCritic(critic, self.gaussian, self.weights)

    @torch.no_grad()
    def add_gaussian_term(self, gaussian: GaussianCritic, fit_data, stop_data) -> None:
        """Stack the critic and the log density ratio of Gaussian variables.

        The latter is fitted to the pairs ``fit_data``, the weights of both to ``stop_data``.
        """
        self.eval()
        self.gaussian = None
        gaussian.fit(*(tensor.flatten(1) for tensor in fit_data))
        x, y = stop_data
        n_shifts = count_shifts(self.bound, len(x), VALIDATION_PAIRS)
        scores = torch.stack(
            [
                shifted_scores(critic, critic.embed_x(x), critic.embed_y(y), n_shifts)
                for critic in (self.log_ratio, gaussian)
            ]
        )
        value = infonce if self.bound.contrastive else dv
        self.stack(gaussian, value, scores[..., 0], scores[..., 1:])

    def forward(self, x: Tensor, y: Tensor, player: str | None = None) -> dict[str, Tensor]:
        critic = self.log_ratio
        embeddings = critic.embed_x(x), critic.embed_y(y)
        if self.training and critic.factorized:
            return self.terms(*split_matrix(critic.all_pairs(*embeddings)))
        if self.training:
            n_shifts = min(self.n_negatives, len(x) - 1)
        else:
            n_shifts = count_shifts(self.bound, len(x), VALIDATION_PAIRS)
        scores = shifted_scores(critic, *embeddings, n_shifts)
        return self.terms(scores[:, 0], scores[:, 1:])


@torch.enable_grad()
def _stacking_weights(value, joint: Tensor, product: Tensor, penalty: float) -> Tensor:
    """Weights in [0, 2] that maximise ``value(joint, product)``, a bound concave in the scores.

    A constant is fitted beside them, for bounds that are not blind to one.

    Parameters
    ----------
    value : callable
    joint : Tensor of shape (n_critics, n)
    product : Tensor of shape (n_critics, n, K), or (n_critics, N) unless contrastive
    penalty : float
        Factor of the penalty ``|w - 1/2|^2 / 2n``.
    """
    n_critics, n_rows = joint.shape

    def loss(parameters):
        parameters = torch.tensor(parameters, requires_grad=True)
        weights, constant = parameters[:-1], parameters[-1]
        total = (torch.tensordot(weights, s, 1) + constant for s in (joint, product))
        loss = penalty * (weights - 0.5).square().sum() / (2 * n_rows) - value(*total)
        loss.backward()
        return loss.item(), parameters.grad.numpy()

    start = np.append(np.full(n_critics, 0.5), 0.0)
    bounds = [(0, 2)] * n_critics + [(None, None)]
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return torch.as_tensor(solution[:-1])


@dataclass
class FittedCritic:
    """One fold's critic with all that turns data into estimates of the log density ratio.

    Attributes
    ----------
    objective : CriticObjective
        The trained critic and its eta.
    x_margins, y_margins : transformer or None
        Margin transforms, fitted on the fold's training rows.
    log_normalizer : float
        ``log E_Q[e^T]`` on the training rows, where the bound leaves a constant free.
    y_reference : Tensor
        Transformed values of y that stand for its marginal distribution.
    training_state : dict
        What the trainer needs to go on.
    """

    objective: CriticObjective
    x_margins: object
    y_margins: object
    log_normalizer: float = 0.0
    y_reference: Tensor | None = None
    training_state: dict | None = field(default=None, repr=False)

    def __getstate__(self):
        return vars(self) | {
            "objective": copy.deepcopy(self.objective).cpu(),
            "y_reference": _on_cpu(self.y_reference),
            "training_state": _on_cpu(self.training_state),
        }

    def tensors(self, X, Y, device: str) -> tuple[Tensor, Tensor]:
        """X and Y with transformed margins, as float32 tensors on the device."""
        return (
            _to_tensor(transform_margins(self.x_margins, X), device),
            _to_tensor(transform_margins(self.y_margins, Y), device),
        )

    def split_tensors(self, data, n_stop: int, device: str):
        """Tensors of the rows to fit, and of the first `n_stop`, which tell when to stop."""
        fit_data = self.tensors(*(values[n_stop:] for values in data), device)
        stop_data = self.tensors(*(v[:n_stop] for v in data), device) if n_stop else None
        return fit_data, stop_data

    def keep_reference(self, y: Tensor) -> None:
        """Keep some training values of y for `reference_scores`."""
        self.y_reference = y[:REFERENCE_ROWS].clone()

    @torch.no_grad()
    def raw_scores(self, x: Tensor, y: Tensor, n_shifts: int | None = None) -> Tensor:
        """Critic scores less eta of all rows, in the layout of `shifted_scores`."""
        if n_shifts is None:
            n_shifts = count_shifts(self.objective.bound, len(x), EVALUATION_PAIRS)
        critic = self.objective.eval().to(x.device).log_ratio
        return shifted_scores(critic, critic.embed_x(x), critic.embed_y(y), n_shifts)

    def normalize(self, x: Tensor, y: Tensor) -> Tensor:
        """Find the normaliser on training rows; returns their `scores`."""
        raw = self.raw_scores(x, y)
        if self.objective.needs_normalizer:
            self.log_normalizer = float(log_normalizer(raw[:, 1:], self.objective.ceiling))
        return self.objective.cut_off(raw - self.log_normalizer)

    def scores(self, x: Tensor, y: Tensor, n_shifts: int | None = None) -> Tensor:
        """Estimates of the log density ratio, in the layout of `shifted_scores`."""
        raw = self.raw_scores(x, y, n_shifts)
        return self.objective.cut_off(raw - self.log_normalizer)

    def value(self, scores: Tensor) -> float:
        """The bound in nats at such estimates."""
        return float(bound_in_nats(self.objective.bound, scores[:, 0], scores[:, 1:]))

    def standard_error(self, scores: Tensor) -> float:
        """Standard error of the `value`."""
        return standard_error(self.objective.bound, scores[:, 0], scores[:, 1:])

    def pointwise(self, X, Y, device: str) -> Tensor:
        """Estimates of the log density ratio of the pairs, shape (n,)."""
        x, y = self.tensors(X, Y, device)
        joint = self.scores(x, y, n_shifts=0)[:, 0]
        if self.objective.bound.contrastive:  # free up to a function of x: normalise each row
            references = self.reference_scores(x)
            joint = joint - (references.logsumexp(1) - math.log(references.shape[1]))
        return joint

    @torch.no_grad()
    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """Estimates of the log density ratio of every x with every y, shape (n_x, n_y)."""
        critic = self.objective.eval().to(x.device).log_ratio
        y_embedding = critic.embed_y(y)
        chunks = [
            critic.all_pairs(critic.embed_x(chunk), y_embedding)
            for chunk in x.split(max(1, CHUNK_PAIRS // len(y)))
        ]
        return self.objective.cut_off(torch.cat(chunks) - self.log_normalizer)

    def reference_scores(self, x: Tensor) -> Tensor:
        """Log-ratio estimates of every row of x with every reference y, shape (n, K)."""
        return self.matrix(x, self.y_reference.to(x.device))


def specific_information(log_ratios: Tensor) -> Tensor:
    """KL(p(y|x) || p(y)) for each x, from log ratios of x with a sample of y in its row."""
    log_weights = log_ratios.log_softmax(1)
    return (log_weights.exp() * (log_weights + math.log(log_ratios.shape[1]))).sum(1)


def transform_margins(margins, values: np.ndarray) -> np.ndarray:
    """Apply a fitted margin transform to the columns of numbers, which come first."""
    if margins is None:
        return values
    flat = values.reshape(len(values), -1)
    n_numbers = getattr(margins, "n_features_in_", flat.shape[1])
    numbers = margins.transform(flat[:, :n_numbers])
    return np.hstack([numbers, flat[:, n_numbers:]]).reshape(values.shape)


def take_rows(data, rows) -> list:
    """The given rows of each array."""
    return [values[rows] for values in data]


def log_ratio_scores(critics, data, device: str) -> Tensor:
    """Average the log-ratio estimates of several critics on the same pairs.

    Rows are shuffled by a fixed permutation (data in time order would pair neighbours), so
    that the result is repeatable.

    Parameters
    ----------
    critics : list of FittedCritic
    data : sequence of ndarray
        X, Y and whatever else the critics' `tensors` takes.
    device : str

    Returns
    -------
    scores : Tensor of shape (n, 1 + K)
        As from `FittedCritic.scores`, in the shuffled order.
    """
    data = take_rows(data, np.random.default_rng(0).permutation(len(data[0])))
    return sum(critic.scores(*critic.tensors(*data, device)) for critic in critics) / len(critics)


def count_shifts(bound: Bound, n_rows: int, n_pairs: int) -> int:
    """How often to shift the rows for about `n_pairs` product pairs.

    InfoNCE is a bound for a given number of candidates (and at most its logarithm), so there
    that number must not depend on the rows: it is a thousandth of the pairs.
    """
    wanted = n_pairs // 1024 - 1 if bound.contrastive else n_pairs // n_rows
    return min(max(1, wanted), n_rows - 1)


def bound_in_nats(bound: Bound, joint: Tensor, product: Tensor) -> Tensor:
    """The bound at estimates of the log density ratio.

    Donsker-Varadhan is read as eta-DV at the normaliser of the training rows, which the
    estimates carry already. The two agree where the normaliser fits; but this one is unbiased,
    and where the product samples miss the support of e^T it stays below log n + 1, while
    log mean e^T can fall without limit.
    """
    if bound.needs_normalizer:
        return eta_dv(joint, product, 0.0)
    return bound.nats(joint + bound.offset, product + bound.offset)


def standard_error(bound: Bound, joint: Tensor, product: Tensor) -> float:
    """Standard error of a bound at its optimum, from the spread of its terms over the pairs.

    The joint term is a mean of n values. The product term is a mean of density ratios, whose
    projections on x and y alone are constant at the optimum, so that its N pairs count as if
    independent. InfoNCE is one mean, of rows.
    """
    if bound.contrastive:
        rows = joint - torch.cat([joint[:, None], product], dim=1).logsumexp(1)
        return float((rows.var() / rows.numel()).sqrt())
    ratios = (product - log_mean_exp(product)).exp()
    return float((joint.var() / joint.numel() + ratios.var() / ratios.numel()).sqrt())


def _on_cpu(tree):
    """A nest of dicts and lists with its tensors on the CPU, so that any machine can load it."""
    if isinstance(tree, dict):
        return {key: _on_cpu(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_on_cpu(value) for value in tree]
    return tree.cpu() if isinstance(tree, Tensor) else tree


def _to_tensor(values: np.ndarray, device: str) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float32), device=device)
