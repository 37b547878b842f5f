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
from torch import Tensor

__all__ = ["Levels", "fit_tables"]

#: Widths of the hidden layer and of the embeddings.
HIDDEN, WIDTH = 32, 16
#: Scale of the first weights: how fast the functions may vary at the start.
FREQUENCY = 4.0
#: Share of a level's own embedding where levels have an order.
OWN_SHARE = 0.1
#: Steps of Adam, its step size, and how often the stop rows are looked at.
MAX_STEPS, LEARNING_RATE, CHECK_EVERY = 600, 1e-2, 5
#: Looks without improvement (in nats) after which a critic is done.
PATIENCE, TOLERANCE = 12, 1e-4
#: Normal score of the outermost edges of bins.
REACH = 2.75


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


def draw_network(scores: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights of M perceptrons from levels to embeddings; all start from the same.

    Parameters
    ----------
    scores : Tensor of shape (M, n_levels, n_inputs)
    generator : torch.Generator
    """
    n_models, n_levels, n_inputs = scores.shape

    def weight(*shape, scale):
        values = torch.randn(shape, generator=generator) * scale
        return values.to(scores.device).expand(n_models, *shape).clone()

    return {
        "first": weight(n_inputs, HIDDEN, scale=FREQUENCY * n_inputs**-0.5),
        "bias": weight(1, HIDDEN, scale=FREQUENCY),
        "own": weight(n_levels, HIDDEN, scale=1.0),
        "last": weight(HIDDEN, WIDTH, scale=HIDDEN**-0.5),
        "linear": weight(n_inputs, WIDTH, scale=n_inputs**-0.5),
    }


def embed(weights: dict[str, Tensor], scores: Tensor, categorical: Tensor) -> Tensor:
    """Embeddings of all levels, shape (M, n_levels, width).

    Beside its place, every level has a little of an embedding of its own: much of it where
    levels have no order, and enough for a step elsewhere.
    """
    own = torch.where(categorical[:, None, None], 1.0, OWN_SHARE) * weights["own"]
    hidden = torch.baddbmm(weights["bias"], scores, weights["first"]) + own
    return torch.bmm(torch.nn.functional.silu(hidden), weights["last"]) + torch.bmm(
        scores, weights["linear"]
    )


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


def fit_tables(x_levels, y_levels, fit, stop, *, seed) -> Tensor:
    """Train critics of tables; returns log ratio estimates, shape (M, x levels, y levels).

    Parameters
    ----------
    x_levels, y_levels : tuple (scores, categorical)
        Of shapes (M, n_levels, n_inputs) and (M,), as in `Levels`.
    fit, stop : Tensor of shape (M, x levels, y levels)
        Joint probabilities among the rows to fit and those that tell when to stop.
    seed : int

    Returns
    -------
    Tensor
        The critics that were best on the stop rows, of which the untrained one, 0, is one; less
        their normalisers.
    """
    generator = torch.Generator().manual_seed(seed)
    data = {"x": x_levels[0], "x_free": x_levels[1], "y": y_levels[0], "y_free": y_levels[1]}
    data |= {"fit": fit, "stop": stop, "fit_q": log_product(fit), "stop_q": log_product(stop)}
    data |= {"value": fit.new_zeros(len(fit)), "waited": fit.new_zeros(len(fit))}
    weights = {f"x_{k}": w for k, w in draw_network(x_levels[0], generator).items()}
    weights |= {f"y_{k}": w for k, w in draw_network(y_levels[0], generator).items()}
    weights["gain"] = fit.new_zeros(len(fit), 1, WIDTH)
    best, running = torch.zeros_like(fit), torch.arange(len(fit), device=fit.device)
    optimizer = _Adam(weights)

    for step in range(MAX_STEPS):
        scores = _scores(optimizer.weights, data)
        if step % CHECK_EVERY == 0:
            _look(scores.detach(), data, best, running)
            done = data["waited"] > PATIENCE
            if done.all():
                break
            if done.float().mean() > 0.25:  # the rest goes on alone
                keep = ~done
                running, data = running[keep], {k: v[keep] for k, v in data.items()}
                optimizer.keep(keep)
                scores = _scores(optimizer.weights, data)
        optimizer.step(-bound_of_tables(scores, data["fit"], data["fit_q"]).sum())
    normalizer = (best.expm1() * log_product(fit).exp()).sum((1, 2), keepdim=True).log1p()
    return best - normalizer  # exactly 0 where nothing was learned


def _scores(weights, data) -> Tensor:
    """Scores of all cells, shape (M, x levels, y levels); 0 before training."""
    nets = ({k[2:]: w for k, w in weights.items() if k.startswith(v)} for v in ("x_", "y_"))
    x, y = (embed(net, data[v], data[f"{v}_free"]) for net, v in zip(nets, "xy", strict=True))
    return torch.bmm(x * weights["gain"], y.transpose(1, 2))


def _look(scores, data, best, running) -> None:
    """Keep the critics that are better on the stop rows than ever before."""
    value = bound_of_tables(scores, data["stop"], data["stop_q"])
    better = value > data["value"] + TOLERANCE
    data["value"] = torch.where(better, value, data["value"])
    data["waited"] = torch.where(better, 0, data["waited"] + 1)
    best[running[better]] = scores[better]


class _Adam:
    """torch's Adam over weights with a leading model axis, of which models can be dropped."""

    def __init__(self, weights):
        self._reset({name: w.requires_grad_() for name, w in weights.items()})

    def _reset(self, weights):
        self.weights = weights
        self.optimizer = torch.optim.Adam(weights.values(), lr=LEARNING_RATE)

    def step(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def keep(self, mask):
        states = [self.optimizer.state[w] for w in self.weights.values()]
        self._reset({n: w.detach()[mask].requires_grad_() for n, w in self.weights.items()})
        for weight, state in zip(self.weights.values(), states, strict=True):
            self.optimizer.state[weight] = {k: v[mask] if v.ndim else v for k, v in state.items()}
