r"""One batched network of critics for many pairs of single columns.

A column is cut into a few *levels*: its categories, or quantile bins of its numbers. Two columns
are then a table of counts, however many rows there are, and the bound over all pairs of rows is
an exact sum over the cells of the table,

.. math:: \sum_{a, b} p(a, b)\, T(a, b) - \log \sum_{a, b} p(a)\, p(b)\, e^{T(a, b)}, \qquad
          T(a, b) = \langle \phi(a), \psi(b) \rangle .

Binning loses a little information and adds none (data processing), so this stays a lower bound.
The critics of all columns are trained together: every tensor has a leading axis M of models.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

__all__ = ["Levels", "fit_tables"]

#: Steps of Adam, its step size, and how often the stop rows are looked at.
MAX_STEPS, LEARNING_RATE, CHECK_EVERY = 300, 2e-2, 5
#: Normal score of the outermost edges.
REACH = 2.75
#: Looks without improvement (in nats) after which a critic is done.
PATIENCE, TOLERANCE = 6, 1e-4


@dataclass(frozen=True)
class Levels:
    """A column cut into levels.

    Attributes
    ----------
    codes : ndarray of int of shape (n,)
    scores : ndarray of shape (n_levels, n_inputs)
        What the network sees of a level: the normal score of its middle rank, or, of several
        columns, where it lies.
    categorical : bool
        Whether a level also has an embedding of its own.
    """

    codes: np.ndarray
    scores: np.ndarray
    categorical: bool

    @classmethod
    def of_numbers(cls, values: np.ndarray, n_levels: int) -> "Levels":
        """Bins of equal width on the scale of normal scores; equal values share one."""
        edges = np.unique(np.quantile(values, ndtr(np.linspace(-REACH, REACH, n_levels - 1))))
        codes = np.searchsorted(edges, values, side="right")
        return cls._of_codes(codes, len(edges) + 1, categorical=False)

    @classmethod
    def of_categories(cls, values: np.ndarray, n_levels: int) -> "Levels":
        """Categories, in the order of their values; the rarest share the last level."""
        categories, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
        if len(categories) > n_levels:
            rank = np.empty(len(categories), dtype=int)
            rank[np.argsort(-counts, kind="stable")] = np.arange(len(categories))
            codes = np.minimum(rank, n_levels - 1)[codes]
        return cls._of_codes(codes.ravel(), min(len(categories), n_levels), categorical=True)

    @classmethod
    def _of_codes(cls, codes, n_levels, *, categorical) -> "Levels":
        shares = np.bincount(codes, minlength=n_levels) / len(codes)
        middle = np.cumsum(shares) - shares / 2
        scores = ndtri(middle.clip(1e-6, 1 - 1e-6))
        return cls(codes, scores[:, None].astype(np.float32), categorical)

    @property
    def n_levels(self) -> int:
        return len(self.scores)


class LevelNetwork(nn.Module):
    """M perceptrons from levels to embeddings; all start from the same weights.

    Parameters
    ----------
    scores : Tensor of shape (M, n_levels, n_inputs)
    categorical : Tensor of bool of shape (M,)
    hidden, width : int
        Widths of the hidden layer and of the embedding.
    generator : torch.Generator
    """

    def __init__(self, scores: Tensor, categorical: Tensor, hidden, width, generator):
        super().__init__()
        n_models, n_levels, n_inputs = scores.shape
        self.register_buffer("scores", scores)
        self.register_buffer("free", categorical.float()[:, None, None])

        def weight(*shape, scale):
            values = torch.randn(shape, generator=generator) * scale
            return nn.Parameter(values.expand(n_models, *shape).clone())

        self.first = weight(n_inputs, hidden, scale=n_inputs**-0.5)
        self.bias = weight(1, hidden, scale=1.0)
        self.own = weight(n_levels, hidden, scale=1.0)
        self.last = weight(hidden, width, scale=hidden**-0.5)
        self.linear = weight(n_inputs, width, scale=n_inputs**-0.5)

    def forward(self) -> Tensor:
        """Embeddings of all levels, shape (M, n_levels, width)."""
        hidden = torch.baddbmm(self.bias, self.scores, self.first) + self.free * self.own
        return torch.bmm(nn.functional.silu(hidden), self.last) + self.scores @ self.linear


class TableCritics(nn.Module):
    """M critics of a level of x and a level of y; untrained they score 0."""

    def __init__(self, x_net: LevelNetwork, y_net: LevelNetwork):
        super().__init__()
        self.x_net, self.y_net = x_net, y_net
        width = x_net.last.shape[2]
        self.gain = nn.Parameter(torch.zeros(len(x_net.scores), 1, width))

    def forward(self) -> Tensor:
        """Scores of all cells, shape (M, x levels, y levels)."""
        return torch.bmm(self.x_net() * self.gain, self.y_net().transpose(1, 2))


def bound_of_tables(scores: Tensor, joint: Tensor, log_product: Tensor) -> Tensor:
    """Donsker-Varadhan's bound of M tables in nats, shape (M,).

    Parameters
    ----------
    scores, joint, log_product : Tensor of shape (M, x levels, y levels)
        Critic, joint probabilities, logarithms of the products of the marginals.
    """
    return (joint * scores).sum((1, 2)) - (scores + log_product).flatten(1).logsumexp(1)


def log_product(joint: Tensor) -> Tensor:
    """Logarithm of the product of the marginals of tables."""
    marginals = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    return marginals.clamp(min=1e-30).log()


def fit_tables(x_levels, y_levels, fit, stop, *, device, seed, hidden=32, width=16) -> Tensor:
    """Train critics of tables; returns log ratio estimates, shape (M, x levels, y levels).

    Parameters
    ----------
    x_levels, y_levels : tuple (scores, categorical)
        As in `LevelNetwork`, for the M tables.
    fit, stop : Tensor of shape (M, x levels, y levels)
        Joint probabilities among the rows to fit and those that tell when to stop.
    device : str
    seed : int
    hidden, width : int

    Returns
    -------
    Tensor
        Cut off at no value: a table has no pair that training has not seen the margins of.
    """
    generator = torch.Generator().manual_seed(seed)
    nets = (LevelNetwork(*levels, hidden, width, generator) for levels in (x_levels, y_levels))
    critics = TableCritics(*nets).to(device)
    optimizer = torch.optim.Adam(critics.parameters(), lr=LEARNING_RATE)
    fit_product, stop_product = log_product(fit), log_product(stop)
    best = torch.zeros_like(fit)
    best_value = torch.zeros(len(fit), device=fit.device)
    waited = torch.zeros(len(fit), device=fit.device)
    for step in range(MAX_STEPS):
        scores = critics()
        if step % CHECK_EVERY == 0:
            with torch.no_grad():
                value = bound_of_tables(scores, stop, stop_product)
                better = value > best_value + TOLERANCE
                best_value = torch.where(better, value, best_value)
                best[better] = scores[better].detach()
                waited = torch.where(better, 0, waited + 1)
                if (waited > PATIENCE).all():
                    break
        loss = -bound_of_tables(scores, fit, fit_product).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    normalizer = (best + fit_product).flatten(1).logsumexp(1)
    return best - normalizer[:, None, None]
