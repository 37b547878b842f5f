"""The log density ratio of two samples of rows, as `kl_divergence` learns it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from skmi.bounds import jsd
from skmi.critics import _Embedding, _head, _whitening
from skmi.information._objective import (
    BoundObjective,
    _to_tensor,
    log_normalizer,
    transform_margins,
)
from skmi.preprocessing import NormalScores

#: Rows scored at once, which bounds the memory of an evaluation.
CHUNK_ROWS = 2**16
#: Factor of the penalty on the weights of critic and Gaussian term: with 1, those of some 20 stop
#: rows were so uncertain that errors at n = 200 to 400 were 1.2 to 1.6 times as large.
STACKING_PENALTY = 8.0


class RowCritic(nn.Module):
    """A perceptron that scores rows, from a score of zero at the start."""

    def __init__(self, n_columns: int, hidden_layer_sizes):
        super().__init__()
        width = hidden_layer_sizes[0]
        self.embedding = _Embedding(n_columns, hidden_layer_sizes, width)
        self.head = _head(hidden_layer_sizes)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.embedding(rows)).squeeze(1)


class GaussianLogRatio(nn.Module):
    r"""The log density ratio of two Gaussian distributions, fitted to a sample of each.

    In coordinates v in which Q is standard normal and the columns of P are uncorrelated, with
    means :math:`\delta_k` and variances :math:`\lambda_k`,

    .. math::
        T(x) = \tfrac12 \sum_k v_k^2 - \frac{(v_k - \delta_k)^2}{\lambda_k} - \log \lambda_k .

    Parameters
    ----------
    origin, weights : Tensor of shape (n_columns,), (n_columns, n_coordinates)
        The coordinates are ``(x - origin) @ weights``.
    means, variances : Tensor of shape (n_coordinates,)
        Those of P.
    """

    def __init__(self, origin: Tensor, weights: Tensor, means: Tensor, variances: Tensor):
        super().__init__()
        self.register_buffer("origin", origin.float())
        self.register_buffer("weights", weights.float())
        self.register_buffer("means", means.float())
        self.register_buffer("variances", variances.float())

    @classmethod
    def fit(cls, p: Tensor, q: Tensor):
        """The log density ratio for a sample of P and one of Q, tensors of rows."""
        p, q = (rows.detach().cpu().double() for rows in (p, q))
        whitening = _whitening(torch.cat([p, q]))
        p_mean, p_covariance = _shrunk_moments(p @ whitening)
        q_mean, q_covariance = _shrunk_moments(q @ whitening)
        to_q = torch.linalg.inv(torch.linalg.cholesky(q_covariance)).T
        variances, directions = torch.linalg.eigh(to_q.T @ p_covariance @ to_q)
        rotation = to_q @ directions
        means = (p_mean - q_mean) @ rotation
        return cls(q.mean(0), whitening @ rotation, means, variances)

    def forward(self, rows: Tensor) -> Tensor:
        v = (rows - self.origin) @ self.weights
        squares = v.square() - (v - self.means).square() / self.variances
        return (squares - self.variances.log()).sum(1) / 2


def _shrunk_moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance, the latter with k rows' worth of the identity for k columns.

    The rows were whitened by the pooled sample, so this shrinks the two samples towards one
    another, and leaves no direction without variance.
    """
    n_rows, n_columns = rows.shape
    mean = rows.mean(0)
    scatter = (rows - mean).T @ (rows - mean)
    identity = torch.eye(n_columns, dtype=rows.dtype)
    return mean, (scatter + n_columns * identity) / (n_rows + n_columns)


class DivergenceObjective(BoundObjective):
    """Minus a bound on KL(P || Q), as a function of rows of P and rows of Q.

    Validation uses the Jensen-Shannon objective whatever the bound. There are as few product
    scores as rows of Q, not one for each pair of rows, so that a few large e^T decide the value
    of a bound in nats: the epoch with the best one would be the luckiest, not the best.
    """

    def scores(self, rows: Tensor) -> Tensor:
        """Estimates of log p/q up to a constant, shape (n,)."""
        scores = self.critic(rows)
        if self.eta is not None:
            scores = scores - self.eta(rows)
        if self.gaussian is not None:
            scores = self.weights[0] * scores + self.weights[1] * self.gaussian(rows)
        return scores

    def forward(self, p: Tensor, q: Tensor, player: str | None = None) -> dict[str, Tensor]:
        joint, product = self.scores(p), self.scores(q)
        if self.training:
            return self.terms(joint, product)
        constant = log_normalizer(product, self.ceiling)
        return {"loss": -jsd(joint - constant, product - constant)}

    @torch.no_grad()
    def add_gaussian_term(self, gaussian: GaussianLogRatio, p: Tensor, q: Tensor) -> None:
        """Stack the critic and the log density ratio of Gaussian variables on these rows."""
        self.eval()
        p_scores, q_scores = (torch.stack([self.scores(x), gaussian(x)]) for x in (p, q))
        self.stack(gaussian, jsd, p_scores, q_scores, penalty=STACKING_PENALTY)


@dataclass
class FittedRatio:
    """The estimate of the log density ratio of one fold.

    Attributes
    ----------
    objective : DivergenceObjective
        The trained critic.
    margins : NormalScores or None
        The transform of the columns of numbers.
    log_normalizer : float
        ``log E_Q[e^T]`` on the training rows.
    """

    objective: DivergenceObjective
    margins: NormalScores | None
    log_normalizer: float = 0.0

    def to_tree(self) -> dict:
        """All that `from_tree` needs, as tensors, numbers and margins."""
        return vars(self) | {"objective": dict(self.objective.state_dict())}

    @classmethod
    def from_tree(cls, tree: dict, objective: DivergenceObjective):
        """A ratio from its tree, and an untrained objective that takes over the weights."""
        state, prefix = tree["objective"], "gaussian."
        gaussian = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        objective.gaussian = GaussianLogRatio(**gaussian) if gaussian else None
        objective.load_state_dict(state)
        return cls(**tree | {"objective": objective.eval()})

    def tensor(self, rows: np.ndarray, device: str = "cpu") -> Tensor:
        """Encoded rows as the critic takes them."""
        return _to_tensor(transform_margins(self.margins, rows), device)

    @torch.no_grad()
    def scores(self, rows: Tensor) -> Tensor:
        """Estimates of log p/q up to a constant."""
        return torch.cat([self.objective.scores(chunk) for chunk in rows.split(CHUNK_ROWS)])

    def __call__(self, rows: Tensor) -> Tensor:
        """Estimates of log p/q, no larger than the ceiling."""
        return self.objective.cut_off(self.scores(rows) - self.log_normalizer)
