r"""Critics: torch modules that score pairs.

A critic :math:`T(x, y)` is written as two embeddings and a way to combine them,

.. math:: T(x, y) = \mathrm{combine}(\mathrm{embed}_x(x), \mathrm{embed}_y(y)),

so that scoring the same x against many y embeds each of them once. From these three methods
`Critic` derives the two forms that the bounds consume: scores of pairs (``forward``, B pairs
in, ``(B,)`` out) and scores of all pairs (``matrix``, ``(B_x, B_y)`` out).

Any other `torch.nn.Module` whose ``forward(x, y)`` returns one score per pair serves as a
critic too: `as_critic` wraps it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skmi.networks import mlp

__all__ = [
    "CRITICS",
    "BilinearCritic",
    "ConcatCritic",
    "Critic",
    "EncodeAndDotCritic",
    "GaussianCritic",
    "HybridCritic",
    "InnerProductCritic",
    "ModuleCritic",
    "SeparableCritic",
    "SumCritic",
    "as_critic",
    "first_tensor",
    "make_critic",
    "map_embedding",
]


class Critic(nn.Module):
    """Base class of critics.

    Subclasses define `embed_x`, `embed_y` and `combine`. An embedding is a tensor whose first
    dimension runs over the rows, or a tuple of such (see `map_embedding`); one that is not a
    single tensor also needs `combine_partners` and `all_pairs` of its own.
    """

    #: Whether `matrix` costs one matrix product rather than one `combine` a pair.
    factorized = False

    def embed_x(self, x: Tensor) -> Tensor:
        """Embedding of x, shape ``(B, ...)``."""
        return x

    def embed_y(self, y: Tensor) -> Tensor:
        """Embedding of y, shape ``(B, ...)``."""
        return y

    def combine(self, x_embedding: Tensor, y_embedding: Tensor) -> Tensor:
        """Scores of embedded pairs; the leading dimensions broadcast."""
        raise NotImplementedError

    def combine_partners(self, x_embedding, y_embedding, partners: Tensor) -> Tensor:
        """Scores of embedded x i with embedded y ``partners[k, i]``, shape ``(K, B)``."""
        return self.combine(x_embedding, y_embedding[partners])

    def all_pairs(self, x_embedding: Tensor, y_embedding: Tensor) -> Tensor:
        """Scores of every embedded x with every embedded y, shape ``(B_x, B_y)``."""
        return self.combine(x_embedding[:, None], y_embedding[None])

    def features(self, x_embedding, y_embedding) -> Tensor:
        """The last hidden layer of embedded pairs, shape ``(B, D)``.

        The score is a linear function of it, up to a constant. Optional: only
        `skmi.KernelEtaDV` with a fitted estimator as its feature map asks for it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define features.")

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores of the pairs ``(x_i, y_i)``, shape ``(B,)``."""
        return self.combine(self.embed_x(x), self.embed_y(y))

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores of the pairs ``(x_i, y_j)``, shape ``(B_x, B_y)``."""
        return self.all_pairs(self.embed_x(x), self.embed_y(y))


class InnerProductCritic(Critic):
    """``x' y``: no parameters, for representations of equal size."""

    factorized = True

    def embed_x(self, x):
        return x.flatten(1)

    def embed_y(self, y):
        return y.flatten(1)

    def combine(self, x_embedding, y_embedding):
        return self.features(x_embedding, y_embedding).sum(-1)

    def features(self, x_embedding, y_embedding):
        return x_embedding * y_embedding

    def all_pairs(self, x_embedding, y_embedding):
        return x_embedding @ y_embedding.T


class BilinearCritic(InnerProductCritic):
    """``x' W y``, starting at W = 0."""

    def __init__(self, n_x: int, n_y: int):
        super().__init__()
        self.weight = nn.Linear(n_x, n_y, bias=False)
        nn.init.zeros_(self.weight.weight)

    def embed_x(self, x):
        return self.weight(x.flatten(1))


class SeparableCritic(InnerProductCritic):
    r"""``phi_x(x)' phi_y(y) / sqrt(d)`` with two perceptrons into d dimensions."""

    def __init__(self, n_x, n_y, hidden_layer_sizes=(64, 64), activation="silu", layer_norm=False):
        super().__init__()
        options = {"activation": activation, "layer_norm": layer_norm}
        n_embedding = hidden_layer_sizes[-1]
        self.x_net = mlp([n_x, *hidden_layer_sizes, n_embedding], **options)
        self.y_net = mlp([n_y, *hidden_layer_sizes, n_embedding], **options)
        self.scale = n_embedding**-0.25

    def embed_x(self, x):
        return self.x_net(x.flatten(1)) * self.scale

    def embed_y(self, y):
        return self.y_net(y.flatten(1)) * self.scale


class EncodeAndDotCritic(InnerProductCritic):
    """``phi_x(x)' phi_y(y)``, of nets with one wide hidden layer beside a linear map.

    The critic of Deep InfoMax for all pairs of a batch (Hjelm et al. 2019, App. A.2, Figure 6).
    As there the product is not divided by the square root of its width: the scores of new
    networks vary by less than 1 without that, and divided ones are learnt slowly.
    """

    def __init__(self, n_x, n_y, hidden_layer_sizes=(256,), activation="relu", layer_norm=False):
        super().__init__()
        options = {"activation": activation, "layer_norm": layer_norm}
        width = hidden_layer_sizes[0]
        self.x_linear, self.y_linear = nn.Linear(n_x, width), nn.Linear(n_y, width)
        self.x_net, self.y_net = (mlp([n, width, width], **options) for n in (n_x, n_y))
        for parameter in (*self.x_linear.parameters(), *self.y_linear.parameters()):
            nn.init.zeros_(parameter)  # the linear maps join in later: they learn faster

    def embed_x(self, x):
        return self.x_linear(x.flatten(1)) + self.x_net(x.flatten(1))

    def embed_y(self, y):
        return self.y_linear(y.flatten(1)) + self.y_net(y.flatten(1))


class ConcatCritic(Critic):
    """A perceptron on the concatenation ``[x, y]``.

    The first layer is kept as ``W_x x + W_y y + b``, which is the same function and lets all
    pairs share the two products. The last layer starts at zero: an untrained critic estimates
    a density ratio of 1 everywhere, which is 0 nats.
    """

    def __init__(self, n_x, n_y, hidden_layer_sizes=(64, 64), activation="silu", layer_norm=False):
        super().__init__()
        width = hidden_layer_sizes[0]
        first = nn.Linear(n_x + n_y, width)
        self.x_layer = nn.Linear(n_x, width)
        self.y_layer = nn.Linear(n_y, width, bias=False)
        with torch.no_grad():  # the initial scale of the layer that the two halves make up
            self.x_layer.weight.copy_(first.weight[:, :n_x])
            self.y_layer.weight.copy_(first.weight[:, n_x:])
            self.x_layer.bias.copy_(first.bias)
        self.head = _head(hidden_layer_sizes, activation=activation, layer_norm=layer_norm)

    def embed_x(self, x):
        return self.x_layer(x.flatten(1))

    def embed_y(self, y):
        return self.y_layer(y.flatten(1))

    def combine(self, x_embedding, y_embedding):
        return self.head[-1](self.features(x_embedding, y_embedding)).squeeze(-1)

    def features(self, x_embedding, y_embedding):
        return self.head[:-1](x_embedding + y_embedding)


class _Embedding(nn.Module):
    r"""A perceptron beside a linear map, on the columns and two summaries of their size.

    For p standard normal columns the radius :math:`\sqrt{2p} \log((1 + \overline{x^2}) / 2)` has
    mean near 0 and variance near 1, and the peak :math:`\log \overline{\exp(x^2 / 2)}` follows
    the largest column. What rotates or scales all columns together acts through them, and a
    small perceptron is slow to find a mean of squares or a maximum.
    """

    def __init__(self, n_features, hidden_layer_sizes, width, **options):
        super().__init__()
        self.linear = nn.Linear(n_features + 2, width)
        self.net = mlp([n_features + 2, *hidden_layer_sizes, width], **options)

    def forward(self, x):
        n_features, squares = x.shape[1], x.square()
        mean_square = squares.mean(1, keepdim=True)
        radius = math.sqrt(2 * n_features) * (mean_square.log1p() - math.log(2))
        exponents = squares.clamp(max=32) / 2  # normal scores end before; other inputs may not
        peak = exponents.logsumexp(1, keepdim=True) - math.log(n_features)
        x = torch.cat([x, radius, peak], dim=1)
        return self.linear(x) + self.net(x)


class HybridCritic(Critic):
    """A perceptron on the sum of two learned embeddings.

    Each variable has a network of its own, which every pair shares, as in a separable critic;
    a perceptron scores the pairs, as in a concat critic. What is a complicated function of x
    alone is learned from n rows rather than from pairs, and costs no time per pair. The last
    layer starts at zero, as in `ConcatCritic`.
    """

    def __init__(self, n_x, n_y, hidden_layer_sizes=(64, 64), activation="silu", layer_norm=False):
        super().__init__()
        options = {"activation": activation, "layer_norm": layer_norm}
        width = hidden_layer_sizes[0]
        self.x_net = _Embedding(n_x, hidden_layer_sizes, width, **options)
        self.y_net = _Embedding(n_y, hidden_layer_sizes, width, **options)
        self.head = _head(hidden_layer_sizes, **options)

    def embed_x(self, x):
        return self.x_net(x.flatten(1))

    def embed_y(self, y):
        return self.y_net(y.flatten(1))

    def combine(self, x_embedding, y_embedding):
        return self.head[-1](self.features(x_embedding, y_embedding)).squeeze(-1)

    def features(self, x_embedding, y_embedding):
        return self.head[:-1](x_embedding + y_embedding)


def _head(hidden_layer_sizes, **options) -> nn.Sequential:
    """A perceptron from the first hidden layer, before its activation, to a score of zero."""
    head = mlp([*hidden_layer_sizes, 1], activate_input=True, **options)
    nn.init.zeros_(head[-1].weight)
    nn.init.zeros_(head[-1].bias)
    return head


class GaussianCritic(InnerProductCritic):
    r"""The log density ratio of jointly Gaussian variables, fitted in closed form.

    With canonical correlations :math:`\rho_k` and canonical variates u, v,

    .. math::
        T(x, y) = \sum_k -\tfrac12 \log(1 - \rho_k^2)
                  - \frac{\rho_k^2 (u_k^2 + v_k^2) - 2 \rho_k u_k v_k}{2 (1 - \rho_k^2)} .

    It is exact for Gaussian data. It is an inner product of augmented variates, so it is a
    `factorized` critic. Nothing in it is trained.
    """

    def __init__(self, n_x: int, n_y: int):
        super().__init__()
        rank = min(n_x, n_y)
        self.register_buffer("x_mean", torch.zeros(n_x))
        self.register_buffer("y_mean", torch.zeros(n_y))
        self.register_buffer("x_weights", torch.zeros(n_x, rank))
        self.register_buffer("y_weights", torch.zeros(n_y, rank))
        self.register_buffer("correlations", torch.zeros(rank))

    def fit(self, x, y) -> "GaussianCritic":
        """Estimate the canonical correlations from rows of x and y.

        Sample correlations are inflated by chance: the largest squared canonical correlation
        of n independent rows tends to the edge of Wachter's law,
        ``edge = (sqrt(a (1 - b)) + sqrt(b (1 - a)))^2`` with ``a = p/n, b = q/n``. They are
        shrunk as ``(rho^2 - edge) / (1 - edge)``, so that independent data keep next to none.
        """
        x, y = (torch.as_tensor(v).detach().cpu().double() for v in (x, y))
        self.x_weights.zero_(), self.y_weights.zero_(), self.correlations.zero_()
        n_samples = len(x)
        x_mean, y_mean = x.mean(0), y.mean(0)
        x_whitening, y_whitening = _whitening(x), _whitening(y)
        a, b = x_whitening.shape[1] / n_samples, y_whitening.shape[1] / n_samples
        if a + b < 1 and a * b > 0:
            cross = x_whitening.T @ ((x - x_mean).T @ (y - y_mean) / n_samples) @ y_whitening
            u, rho, vt = torch.linalg.svd(cross, full_matrices=False)
            edge = (math.sqrt(a * (1 - b)) + math.sqrt(b * (1 - a))) ** 2
            rho = ((rho**2 - edge) / (1 - edge)).clamp(0, 1 - 1e-6).sqrt()
            rank = len(rho)
            for buffer, values in [
                (self.x_mean, x_mean),
                (self.y_mean, y_mean),
                (self.x_weights[:, :rank], x_whitening @ u),
                (self.y_weights[:, :rank], y_whitening @ vt.T),
                (self.correlations[:rank], rho),
            ]:
                buffer.copy_(values)
        return self

    def _augment(self, variates: Tensor, linear: Tensor, first: bool) -> Tensor:
        """Append the quadratic part of one side and the constant that meets the other's."""
        rho2 = self.correlations.square()
        quadratic = -(variates.square() * (rho2 / (2 - 2 * rho2))).sum(-1, keepdim=True)
        constant = torch.ones_like(quadratic)
        if first:
            quadratic = quadratic - 0.5 * torch.log1p(-rho2).sum()
        pair = [quadratic, constant] if first else [constant, quadratic]
        return torch.cat([variates * linear, *pair], dim=-1)

    def embed_x(self, x):
        variates = (x.flatten(1) - self.x_mean) @ self.x_weights
        linear = self.correlations / (1 - self.correlations.square())
        return self._augment(variates, linear, first=True)

    def embed_y(self, y):
        variates = (y.flatten(1) - self.y_mean) @ self.y_weights
        return self._augment(variates, torch.ones_like(self.correlations), first=False)


class SumCritic(Critic):
    """A weighted sum of two critics; its embeddings are pairs of theirs.

    Parameters
    ----------
    first, second : Critic
    weights : Tensor of shape (2,), optional
        Their weights, which are not trained; 1 and 1 if not given.
    """

    def __init__(self, first: Critic, second: Critic, weights: Tensor | None = None):
        super().__init__()
        self.first, self.second = first, second
        self.register_buffer("weights", torch.ones(2) if weights is None else weights)
        self.factorized = first.factorized and second.factorized

    def embed_x(self, x):
        return self.first.embed_x(x), self.second.embed_x(x)

    def embed_y(self, y):
        return self.first.embed_y(y), self.second.embed_y(y)

    def combine(self, x_embedding, y_embedding):
        return self._sum("combine", x_embedding, y_embedding)

    def combine_partners(self, x_embedding, y_embedding, partners):
        return self._sum("combine_partners", x_embedding, y_embedding, partners)

    def all_pairs(self, x_embedding, y_embedding):
        return self._sum("all_pairs", x_embedding, y_embedding)

    def features(self, x_embedding, y_embedding):
        first = self.first.features(x_embedding[0], y_embedding[0])
        return torch.cat([first, self.second.features(x_embedding[1], y_embedding[1])], dim=-1)

    def _sum(self, method, x_embedding, y_embedding, *args):
        first = getattr(self.first, method)(x_embedding[0], y_embedding[0], *args)
        second = getattr(self.second, method)(x_embedding[1], y_embedding[1], *args)
        return self.weights[0] * first + self.weights[1] * second


class ModuleCritic(Critic):
    """A plain `torch.nn.Module` that scores pairs, ``module(x, y) -> (B,)`` or ``(B, 1)``."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def combine(self, x_embedding, y_embedding):
        scores = self.module(x_embedding, y_embedding)
        n_pairs = len(x_embedding)
        if scores.shape not in [(n_pairs,), (n_pairs, 1)]:
            raise ValueError(
                f"critic must return one score per pair, a tensor of shape ({n_pairs},), but "
                f"{type(self.module).__name__} returned shape {tuple(scores.shape)}."
            )
        return scores.reshape(n_pairs)

    def combine_partners(self, x_embedding, y_embedding, partners):
        return torch.stack([self.combine(x_embedding, y_embedding[rows]) for rows in partners])

    def all_pairs(self, x_embedding, y_embedding):
        n_x, n_y = len(x_embedding), len(y_embedding)
        tiled_x = x_embedding.repeat_interleave(n_y, dim=0)
        tiled_y = y_embedding.repeat(n_x, *[1] * (y_embedding.ndim - 1))
        return self.combine(tiled_x, tiled_y).view(n_x, n_y)


def map_embedding(function, embedding):
    """Apply a function of a tensor to an embedding, which a `SumCritic` makes a tuple."""
    if isinstance(embedding, tuple):
        return tuple(map_embedding(function, part) for part in embedding)
    return function(embedding)


def first_tensor(embedding) -> Tensor:
    """The tensor that an embedding is, or begins with."""
    return first_tensor(embedding[0]) if isinstance(embedding, tuple) else embedding


def _whitening(values: Tensor) -> Tensor:
    """A matrix that whitens the columns, and drops directions without variance."""
    mean, scale = values.mean(0), values.std(0, correction=0)
    varying = scale > 1e-12 * mean.abs()
    scale = torch.where(varying, scale, 1)
    standardized = (values - mean) / scale * varying
    variances, directions = torch.linalg.eigh(standardized.T @ standardized / len(values))
    kept = variances > 1e-6
    return directions[:, kept] / variances[kept].sqrt() / scale[:, None] * varying[:, None]


# ------------------------------------------------------------------------- registry


CRITICS = {
    "bilinear": BilinearCritic,
    "concat": ConcatCritic,
    "encode-and-dot": EncodeAndDotCritic,
    "hybrid": HybridCritic,
    "inner-product": InnerProductCritic,
    "separable": SeparableCritic,
}


def as_critic(module: nn.Module) -> Critic:
    """The module itself if it is a `Critic`, else a `ModuleCritic` around it."""
    return module if isinstance(module, Critic) else ModuleCritic(module)


def make_critic(
    name: str,
    n_x: int,
    n_y: int,
    *,
    hidden_layer_sizes: Sequence[int] = (64, 64),
    activation: str = "silu",
    layer_norm: bool = False,
) -> Critic:
    """Build a registered critic for inputs of the given widths.

    Parameters
    ----------
    name : {"hybrid", "concat", "separable", "encode-and-dot", "bilinear", "inner-product"}
        The kind of critic.
    n_x, n_y : int
        Number of features of x and of y.
    hidden_layer_sizes, activation, layer_norm
        Options of the perceptrons inside the first four, of which ``"encode-and-dot"`` has one
        hidden layer, of the first width; the other two have no hidden layers and ignore them.

    Returns
    -------
    Critic

    Raises
    ------
    ValueError
        If the name is unknown, or ``"inner-product"`` meets inputs of different widths.
    """
    if name not in CRITICS:
        raise ValueError(
            f"Unknown critic {name!r}. Choose one of {sorted(CRITICS)}, or pass a torch module."
        )
    if name == "inner-product":
        if n_x != n_y:
            raise ValueError(
                f"critic='inner-product' needs as many features in X as in y, got {n_x} and "
                f"{n_y}. Use critic='bilinear' for different widths."
            )
        return InnerProductCritic()
    if name == "bilinear":
        return BilinearCritic(n_x, n_y)
    return CRITICS[name](n_x, n_y, tuple(hidden_layer_sizes), activation, layer_norm)
