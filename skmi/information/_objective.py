"""The objective of a mutual information estimator, and the critic that it leaves behind."""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from skmi.bounds import Bound, log_mean_exp, split_matrix, update_log_ema
from skmi.critics import Critic, map_embedding
from skmi.networks import mlp

#: Product pairs scored for one validation of a training, and for one final evaluation.
VALIDATION_PAIRS = 2**16
EVALUATION_PAIRS = 2**18
#: Rows scored at once outside training, which bounds the memory of an evaluation.
CHUNK_ROWS = 2**16


def shifted_scores(critic: Critic, x_embedding, y_embedding, n_shifts: int):
    """Scores of the true pairs, and of each x with the partners of the next rows.

    Returns ``joint_B`` and ``product_BK`` with K = n_shifts. The rows must be in random
    order; shifting them pairs no x with its own y.
    """
    joint_B = critic.combine(x_embedding, y_embedding)
    product_BK = [
        critic.combine(x_embedding, map_embedding(lambda e, k=k: e.roll(-k, 0), y_embedding))
        for k in range(1, n_shifts + 1)
    ]
    return joint_B, torch.stack(product_BK, dim=1)


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

    def all_pairs(self, x_embedding, y_embedding):
        return self.critic.all_pairs(x_embedding, y_embedding[0]) - y_embedding[1]


class CriticObjective(nn.Module):
    """Minus a bound, as a function of a batch of pairs.

    Product samples are the other pairs of the batch: all of them where the critic scores all
    pairs by one matrix product or the bound contrasts them, else the next row's y.

    Parameters
    ----------
    critic : Critic
        Its score plus the bound's offset is what enters the bound, so that it learns the log
        density ratio itself (up to a constant, where the bound is blind to one).
    bound : Bound
    eta : nn.Module or None
        The normaliser of eta-DV and a-DV, a function of y. With r = T - eta(y) both bounds
        read ``E_P[r] - E_Q[e^r] + 1``.
    moving_average_rate : float or None
        Weight of a batch in MINE's moving average of E_Q[e^T]; None leaves the gradient
        uncorrected.
    """

    def __init__(
        self,
        critic: Critic,
        bound: Bound,
        *,
        eta: nn.Module | None = None,
        moving_average_rate: float | None = None,
    ):
        super().__init__()
        self.critic, self.eta, self.bound = critic, eta, bound
        self.moving_average_rate = moving_average_rate
        self.register_buffer("log_ema", torch.tensor(torch.nan))

    @property
    def log_ratio(self) -> Critic:
        """The critic as an estimate of the log density ratio."""
        return self.critic if self.eta is None else NormalizedCritic(self.critic, self.eta)

    def forward(self, x: Tensor, y: Tensor, player: str | None = None) -> dict[str, Tensor]:
        critic = self.log_ratio
        embeddings = critic.embed_x(x), critic.embed_y(y)
        if self.training and (self.bound.contrastive or critic.factorized):
            joint, product = split_matrix(critic.all_pairs(*embeddings))
        else:
            n_shifts = 1 if self.training else min(max(1, VALIDATION_PAIRS // len(x)), len(x) - 1)
            joint, product = shifted_scores(critic, *embeddings, n_shifts)
        joint, product = joint + self.bound.offset, product + self.bound.offset
        mi = self.bound.nats(joint, product)
        return {"loss": self._loss(joint, product) if self.training else -mi, "mi": mi}

    def _loss(self, joint: Tensor, product: Tensor) -> Tensor:
        if self.eta is not None:
            return -self.bound.nats(joint, product)
        if self.bound.name == "dv":
            if self.moving_average_rate is None:
                return -self.bound.value(joint, product)
            self.log_ema = update_log_ema(self.log_ema, product, self.moving_average_rate)
            return self.bound.loss(joint, product, self.log_ema)
        if self.bound.loss is not None:
            return self.bound.loss(joint, product)
        return -self.bound.value(joint, product)


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
        state = dict(vars(self))
        state["objective"] = copy.deepcopy(self.objective).cpu()
        state["y_reference"] = self.y_reference.cpu()
        return state

    def tensors(self, X, Y, device: str) -> tuple[Tensor, Tensor]:
        """X and Y with transformed margins, as float32 tensors on the device."""
        return (
            _to_tensor(transform_margins(self.x_margins, X), device),
            _to_tensor(transform_margins(self.y_margins, Y), device),
        )

    @torch.no_grad()
    def scores(self, x: Tensor, y: Tensor, n_shifts: int) -> tuple[Tensor, Tensor]:
        """Log-ratio estimates ``joint_n`` and ``product_nK`` of all rows, in chunks."""
        critic = self.objective.eval().to(x.device).log_ratio
        x_embedding, y_embedding = critic.embed_x(x), critic.embed_y(y)

        def combine(shift):
            partner = map_embedding(lambda e: e.roll(-shift, 0), y_embedding)
            return torch.cat(
                [
                    critic.combine(
                        map_embedding(lambda e: e[rows], x_embedding),
                        map_embedding(lambda e: e[rows], partner),
                    )
                    for rows in _chunks(len(x))
                ]
            )

        scores = torch.stack([combine(k) for k in range(n_shifts + 1)], dim=1)
        scores = scores - self.log_normalizer
        return scores[:, 0], scores[:, 1:]

    @torch.no_grad()
    def reference_scores(self, x: Tensor) -> Tensor:
        """Log-ratio estimates of every row of x with every reference y, shape (n, K)."""
        critic = self.objective.eval().to(x.device).log_ratio
        reference = critic.embed_y(self.y_reference.to(x.device))
        chunks = [critic.all_pairs(critic.embed_x(chunk), reference) for chunk in x.split(512)]
        return torch.cat(chunks) - self.log_normalizer


def transform_margins(margins, values: np.ndarray) -> np.ndarray:
    """Apply a fitted margin transform to the columns of an array of any dimension."""
    if margins is None:
        return values
    flat = values.reshape(len(values), -1)
    return margins.transform(flat).reshape(values.shape)


def log_ratio_scores(critics, X, Y, device: str, n_pairs: int = EVALUATION_PAIRS):
    """Average the log-ratio estimates of several critics on the same pairs.

    Rows are shuffled by a fixed permutation (data in time order would pair neighbours), so
    that the result is repeatable.

    Returns
    -------
    joint_n : Tensor of shape (n,)
        In the order of the rows.
    product_nK : Tensor of shape (n, K)
        In the shuffled order.
    """
    order = np.random.default_rng(0).permutation(len(X))
    n_shifts = min(max(1, n_pairs // len(X)), len(X) - 1)
    joint = product = 0.0
    for critic in critics:
        x, y = critic.tensors(X[order], Y[order], device)
        critic_joint, critic_product = critic.scores(x, y, n_shifts)
        joint, product = joint + critic_joint, product + critic_product
    in_order = torch.empty_like(joint)
    in_order[torch.as_tensor(order, device=joint.device)] = joint / len(critics)
    return in_order, product / len(critics)


def bound_in_nats(bound: Bound, joint: Tensor, product: Tensor) -> float:
    """The bound at a critic that estimates the log density ratio."""
    return float(bound.nats(joint + bound.offset, product + bound.offset))


def standard_error(joint: Tensor, product: Tensor) -> float:
    """Standard error of a bound at its optimum, from the spread of the log ratios.

    The joint term is a mean of n values. The product term is a mean of density ratios, whose
    projections on x and y alone are constant at the optimum, so that its N pairs count as if
    independent.
    """
    ratios = (product - log_mean_exp(product)).exp()
    return float((joint.var() / joint.numel() + ratios.var() / ratios.numel()).sqrt())


def _chunks(n_rows: int):
    return [slice(start, start + CHUNK_ROWS) for start in range(0, n_rows, CHUNK_ROWS)]


def _to_tensor(values: np.ndarray, device: str) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float32), device=device)
