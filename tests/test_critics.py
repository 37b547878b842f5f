"""Critics against explicit loops over pairs, plain networks and Gaussian closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from skmi.bounds import dv, log_mean_exp, split_matrix
from skmi.critics import (
    CRITICS,
    BilinearCritic,
    ConcatCritic,
    Critic,
    GaussianCritic,
    HybridCritic,
    InnerProductCritic,
    ModuleCritic,
    SeparableCritic,
    SumCritic,
    as_critic,
    first_tensor,
    make_critic,
    map_embedding,
)
from skmi.networks import ACTIVATIONS

torch.set_num_threads(1)

N_X, N_Y = 4, 3
ACTIVATION_MODULES = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky-relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class PlainNet(nn.Module):
    """A user's critic: no `Critic`, scores of shape (B, 1)."""

    def __init__(self, n_x=N_X, n_y=N_Y):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_x + n_y, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x, y):
        return self.layers(torch.cat([x.flatten(1), y.flatten(1)], dim=1))


class DistanceCritic(Critic):
    """A subclass that relies on what `Critic` derives."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Linear(N_X, N_Y)

    def embed_x(self, x):
        return self.centres(x.flatten(1))

    def embed_y(self, y):
        return y.flatten(1)

    def combine(self, x_embedding, y_embedding):
        return -(x_embedding - y_embedding).square().sum(-1)


@pytest.fixture(autouse=True)
def fixed_seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def randomized(critic, seed=0):
    """In double precision, with no parameter left at zero."""
    generator = torch.Generator().manual_seed(seed)
    critic = critic.double()
    with torch.no_grad():
        for parameter in critic.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.3 * noise)
    return critic


def well_conditioned(size, rng, low=0.5, high=2.0):
    """A random matrix of the given extreme singular values."""
    u, _, vt = np.linalg.svd(rng.normal(size=(size, size)))
    return u * np.geomspace(low, high, size) @ vt


class MixedGaussian:
    """Canonical variates of given correlations, mixed by linear maps and shifted."""

    def __init__(self, correlations, n_x, n_y, seed=0):
        rng = np.random.default_rng(seed)
        self.rho = np.zeros(min(n_x, n_y))
        self.rho[: len(correlations)] = correlations
        self.x_map, self.y_map = well_conditioned(n_x, rng), well_conditioned(n_y, rng)
        self.mi = -0.5 * np.log1p(-(self.rho**2)).sum()

    def sample(self, n, seed):
        """X, y and the true log ratios log p(y | x) / p(y)."""
        rng = np.random.default_rng(seed)
        u = rng.normal(size=(n, len(self.x_map)))
        v = rng.normal(size=(n, len(self.y_map)))
        k, variance = len(self.rho), 1 - self.rho**2
        v[:, :k] = self.rho * u[:, :k] + np.sqrt(variance) * v[:, :k]
        residual = (v[:, :k] - self.rho * u[:, :k]) ** 2 / variance
        log_ratio = (-(residual + np.log(variance)) + v[:, :k] ** 2).sum(1) / 2
        return u @ self.x_map + 1.5, v @ self.y_map - 0.5, log_ratio


def correlated_rows(n, n_x, n_y, seed=0):
    correlations = (0.8, 0.6)[: min(n_x, n_y)]
    return MixedGaussian(correlations, n_x, n_y).sample(n, seed)[:2]


def fitted_gaussian(n_x=N_X, n_y=N_Y):
    critic = GaussianCritic(n_x, n_y).double().fit(*correlated_rows(500, n_x, n_y))
    assert (critic.correlations > 0.4).sum() == 2
    return critic


MAKERS = {
    "concat": lambda: make_critic("concat", N_X, N_Y, hidden_layer_sizes=(7, 5)),
    "concat, one layer": lambda: make_critic("concat", N_X, N_Y, hidden_layer_sizes=(5,)),
    "concat, norm": lambda: make_critic(
        "concat", N_X, N_Y, hidden_layer_sizes=[7, 5], activation="tanh", layer_norm=True
    ),
    "hybrid": lambda: make_critic("hybrid", N_X, N_Y, hidden_layer_sizes=(7, 5)),
    "hybrid, norm": lambda: make_critic(
        "hybrid", N_X, N_Y, hidden_layer_sizes=(7,), activation="elu", layer_norm=True
    ),
    "separable": lambda: make_critic("separable", N_X, N_Y, hidden_layer_sizes=(7, 5)),
    "separable, norm": lambda: make_critic(
        "separable", N_X, N_Y, hidden_layer_sizes=(7, 5), activation="gelu", layer_norm=True
    ),
    "bilinear": lambda: make_critic("bilinear", N_X, N_Y),
    "inner-product": lambda: make_critic("inner-product", N_Y, N_Y),
    "gaussian": fitted_gaussian,
    "module": lambda: ModuleCritic(PlainNet()),
    "subclass": DistanceCritic,
    "sum": lambda: SumCritic(
        make_critic("concat", N_X, N_Y, hidden_layer_sizes=(5,)), fitted_gaussian()
    ),
    "sum, factorized": lambda: SumCritic(BilinearCritic(N_X, N_Y), fitted_gaussian()),
    "sum with a module": lambda: SumCritic(ModuleCritic(PlainNet()), DistanceCritic()),
    "sum of a sum": lambda: SumCritic(
        SumCritic(BilinearCritic(N_X, N_Y), make_critic("separable", N_X, N_Y)),
        make_critic("concat", N_X, N_Y),
    ),
}
FACTORIZED = {
    "separable",
    "separable, norm",
    "bilinear",
    "inner-product",
    "gaussian",
    "sum, factorized",
}


@pytest.fixture(params=MAKERS)
def case(request):
    """Name, critic, and five rows of x and of y."""
    generator = torch.Generator().manual_seed(1)
    n_x = N_Y if request.param == "inner-product" else N_X
    x = torch.randn(5, n_x, generator=generator, dtype=torch.float64)
    y = torch.randn(5, N_Y, generator=generator, dtype=torch.float64)
    return request.param, randomized(MAKERS[request.param]()), x, y


def assert_close(actual, expected, tol=1e-12):
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, rtol=tol, atol=tol)


# --------------------------------------------------------- pairs and all pairs agree


def test_forward_is_the_diagonal_of_the_matrix(case):
    _, critic, x, y = case
    scores, matrix = critic(x, y), critic.matrix(x, y)
    assert_close(scores, matrix.diagonal())
    # A constant critic would pass with any pairing.
    assert matrix.std(0).min() > 1e-6 and matrix.std(1).min() > 1e-6


def test_matrix_is_the_explicit_tiling_of_all_pairs(case):
    _, critic, x, y = case
    x = x[:3]  # rectangular: rows are x and columns y
    pairs = [[critic(x[i : i + 1], y[j : j + 1]) for j in range(5)] for i in range(3)]
    expected = torch.stack([torch.cat(row) for row in pairs])
    assert_close(critic.matrix(x, y), expected)
    assert_close(critic(x.repeat_interleave(5, 0), y.repeat(3, 1)).view(3, 5), expected)


def test_combine_partners_scores_several_y_for_each_x(case):
    _, critic, x, y = case
    partners = (torch.arange(5) + torch.arange(3)[:, None]) % 5
    scores = critic.combine_partners(critic.embed_x(x), critic.embed_y(y), partners)
    assert_close(scores, torch.stack([critic(x, y[rows]) for rows in partners]))


def test_factorized_all_pairs_is_combine_of_the_broadcast(case):
    name, critic, x, y = case
    assert critic.factorized == (name in FACTORIZED)
    if critic.factorized:
        x_embedding, y_embedding = critic.embed_x(x), critic.embed_y(y)
        broadcast = critic.combine(
            map_embedding(lambda e: e[:, None], x_embedding),
            map_embedding(lambda e: e[None], y_embedding),
        )
        assert_close(critic.all_pairs(x_embedding, y_embedding), broadcast)


def test_rows_of_embeddings_are_embeddings_of_rows(case):
    _, critic, x, y = case
    rows = torch.tensor([3, 0, 3])
    x_rows = map_embedding(lambda e: e[rows], critic.embed_x(x))
    y_rows = map_embedding(lambda e: e[rows], critic.embed_y(y))
    assert_close(critic.combine(x_rows, y_rows), critic(x, y)[rows])
    assert_close(critic.all_pairs(x_rows, y_rows), critic.matrix(x, y)[rows][:, rows])


def test_gradients_reach_every_parameter(case):
    name, critic, x, y = case
    assert bool(list(critic.parameters())) == (name not in {"gaussian", "inner-product"})
    if name in {"gaussian", "inner-product"}:
        return
    names, parameters = zip(*critic.named_parameters(), strict=True)
    gradients = torch.autograd.grad(critic(x, y).square().sum(), parameters)
    for name, gradient in zip(names, gradients, strict=True):
        assert gradient.isfinite().all() and (gradient != 0).all(), name
    # Both forms send back the same gradient.
    by_matrix = torch.autograd.grad(critic.matrix(x, y).diagonal().square().sum(), parameters)
    for a, b in zip(gradients, by_matrix, strict=True):
        assert_close(a, b)


def test_gradients_reach_the_inputs(case):
    _, critic, x, y = case
    x.requires_grad_()
    y.requires_grad_()
    gradients = torch.autograd.grad(critic(x, y).sum(), (x, y))
    assert all((g.abs().amax(1) > 0).all() for g in gradients)
    assert torch.autograd.gradcheck(lambda *pair: critic(*pair), (x, y))


def test_images_are_flattened(case):
    name, critic, _, _ = case
    generator = torch.Generator().manual_seed(2)
    n_x = N_Y if name == "inner-product" else N_X
    shape = (5, 3, 1, 1) if n_x == N_Y else (5, 2, 1, 2)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    y = torch.randn(5, 1, 1, N_Y, generator=generator, dtype=torch.float64)
    assert_close(critic(x, y), critic(x.flatten(1), y.flatten(1)))
    assert_close(critic.matrix(x, y), critic.matrix(x.flatten(1), y.flatten(1)))


def test_half_of_a_batch_scores_alike(case):
    _, critic, x, y = case
    assert_close(critic(x, y)[:2], critic(x[:2], y[:2]))
    assert critic(x[:1], y[:1]).shape == (1,)
    assert critic.matrix(x[:1], y[:1]).shape == (1, 1)


# ------------------------------------------------------------------- the built-in ones


def explicit_mlp(sizes, activation, layer_norm):
    layers = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers.append(nn.Linear(n_in, n_out))
        if layer_norm:
            layers.append(nn.LayerNorm(n_out))
        layers.append(
            nn.LeakyReLU(0.2) if activation == "leaky-relu" else ACTIVATION_MODULES[activation]()
        )
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:])).double()


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("sizes", [(6,), (7, 5), (4, 6, 3)])
def test_concat_critic_is_an_mlp_on_the_concatenation(sizes, activation, layer_norm):
    critic = randomized(ConcatCritic(N_X, N_Y, sizes, activation, layer_norm))
    plain = explicit_mlp([N_X + N_Y, *sizes, 1], activation, layer_norm)
    own = list(critic.parameters())
    # x_layer.weight, x_layer.bias, y_layer.weight, then the head in order.
    first = torch.cat([critic.x_layer.weight, critic.y_layer.weight], dim=1)
    others = [
        p
        for p in own
        if not any(
            p is q for q in (critic.x_layer.weight, critic.y_layer.weight, critic.x_layer.bias)
        )
    ]
    copied = [first, critic.x_layer.bias, *others]
    with torch.no_grad():
        for target, source in zip(plain.parameters(), copied, strict=True):
            assert target.shape == source.shape
            target.copy_(source)
    x, y = torch.randn(9, N_X).double(), torch.randn(9, N_Y).double()
    assert_close(critic(x, y), plain(torch.cat([x, y], dim=1)).squeeze(1))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", [ConcatCritic, HybridCritic])
def test_critics_with_a_head_start_at_zero(kind, layer_norm):
    for seed in range(3):
        torch.manual_seed(seed)
        critic = kind(N_X, N_Y, (16, 8), layer_norm=layer_norm)
        matrix = critic.matrix(100 * torch.randn(20, N_X), torch.randn(20, N_Y))
        assert (matrix == 0).all()
        # It is the last layer alone that is silent: the first steps of training wake it.
        (critic.matrix(torch.randn(20, N_X), torch.randn(20, N_Y)) - 1).square().sum().backward()
        assert (critic.head[-1].weight.grad != 0).all()


def test_concat_critic_starts_at_the_scale_of_the_joint_layer():
    """Weights uniform on +-1 / sqrt(n_x + n_y), as if the two halves were one layer."""
    n_x, n_y, width = 10, 90, 400
    critic = ConcatCritic(n_x, n_y, (width,))
    limit = 1 / math.sqrt(n_x + n_y)
    for weight in (critic.x_layer.weight, critic.y_layer.weight):
        assert weight.abs().max() <= limit
        # Uniform on [-a, a]: E w^2 = a^2 / 3 and sd(w^2) = a^2 sqrt(4 / 45).
        error = limit**2 * math.sqrt(4 / 45 / weight.numel())
        assert abs(weight.square().mean() - limit**2 / 3) < 5 * error
    # The halves are drawn apart: their shared columns are uncorrelated.
    halves = critic.x_layer.weight.flatten(), critic.y_layer.weight[:, :n_x].flatten()
    correlation = torch.corrcoef(torch.stack(halves))[0, 1]
    assert abs(correlation) < 5 / math.sqrt(width * n_x)


def embedding_inputs(x):
    """What a hybrid critic's embeddings see of x: its columns, radius and peak."""
    squares = (x**2).numpy()
    radius = np.sqrt(2 * squares.shape[1]) * np.log((1 + squares.mean(1)) / 2)
    peak = np.log(np.exp(np.minimum(squares, 32) / 2).mean(1))
    return torch.cat([x, torch.from_numpy(np.stack([radius, peak], axis=1))], dim=1)


def test_hybrid_critic_is_a_perceptron_on_the_sum_of_embeddings():
    sizes, activation = (7, 5), "gelu"
    critic = randomized(HybridCritic(N_X, N_Y, sizes, activation))
    x, y = 3 * torch.randn(6, N_X).double(), torch.randn(6, N_Y).double()
    total = 0
    for embedding, values in [(critic.x_net, x), (critic.y_net, y)]:
        inputs = embedding_inputs(values)
        plain = explicit_mlp([inputs.shape[1], *sizes, sizes[0]], activation, layer_norm=False)
        plain.load_state_dict(embedding.net.state_dict())
        total = total + plain(inputs) + embedding.linear(inputs)
    head = explicit_mlp([*sizes, 1], activation, layer_norm=False)
    head.load_state_dict(
        dict(zip(head.state_dict(), critic.head.state_dict().values(), strict=True))
    )
    assert_close(critic(x, y), head(ACTIVATION_MODULES[activation]()(total)).squeeze(1))


def test_radius_of_normal_scores_is_standardised():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(4000, 30)))
    radius = embedding_inputs(x)[:, -2]
    assert abs(radius.mean()) < 0.2 and 0.8 < radius.std() < 1.2


def test_hybrid_critic_stands_wild_inputs():
    critic = HybridCritic(2, 2)
    nn.init.ones_(critic.head[-1].weight)
    x = torch.tensor([[1e6, -1e6], [0.0, 0.0], [1e-30, 50.0]])
    assert critic.matrix(x, x).isfinite().all()


def test_separable_critic_is_a_scaled_inner_product_of_two_mlps():
    sizes, activation = (7, 5), "elu"
    critic = randomized(SeparableCritic(N_X, N_Y, sizes, activation, layer_norm=True))
    x, y = torch.randn(6, N_X).double(), torch.randn(6, N_Y).double()
    embedded = []
    for net, values in [(critic.x_net, x), (critic.y_net, y)]:
        plain = explicit_mlp([values.shape[1], *sizes, sizes[-1]], activation, layer_norm=True)
        plain.load_state_dict(net.state_dict())
        embedded.append(plain(values))
    assert_close(critic.matrix(x, y), embedded[0] @ embedded[1].T / math.sqrt(5))


def test_bilinear_and_inner_product_are_what_they_say():
    x, y = torch.randn(6, N_X).double(), torch.randn(6, N_Y).double()
    critic = randomized(BilinearCritic(N_X, N_Y))
    (weight,) = critic.parameters()
    assert weight.shape == (N_Y, N_X)
    assert_close(critic(x, y), torch.einsum("bi,ji,bj->b", x, weight, y))
    # Linear in each argument.
    assert_close(critic(2 * x - 3 * x.flip(0), y), 2 * critic(x, y) - 3 * critic(x.flip(0), y))
    product = InnerProductCritic()
    assert not list(product.parameters())
    assert_close(product.matrix(y, y), torch.einsum("ik,jk->ij", y, y))


def layers_of(module, kind):
    return [m for m in module.modules() if isinstance(m, kind)]


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATION_MODULES))
@pytest.mark.parametrize("sizes", [(9,), (7, 5, 3)])
def test_options_shape_the_layers(sizes, activation, layer_norm):
    options = {"hidden_layer_sizes": sizes, "activation": activation, "layer_norm": layer_norm}
    concat = make_critic("concat", N_X, N_Y, **options)
    hidden = [(b, a) for a, b in pairwise(sizes)]
    shapes = [tuple(layer.weight.shape) for layer in layers_of(concat, nn.Linear)]
    assert shapes == [(sizes[0], N_X), (sizes[0], N_Y), *hidden, (1, sizes[-1])]
    separable = make_critic("separable", N_X, N_Y, **options)
    for net, n_in in [(separable.x_net, N_X), (separable.y_net, N_Y)]:
        shapes = [tuple(layer.weight.shape) for layer in layers_of(net, nn.Linear)]
        assert shapes == [(sizes[0], n_in), *hidden, (sizes[-1], sizes[-1])]
    for net in (concat.head, separable.x_net, separable.y_net):
        activations = layers_of(net, tuple(ACTIVATION_MODULES.values()))
        assert [type(a) for a in activations] == [ACTIVATION_MODULES[activation]] * len(sizes)
        norms = [layer.normalized_shape for layer in layers_of(net, nn.LayerNorm)]
        assert norms == [(size,) for size in sizes if layer_norm]
        assert isinstance(net[-1], nn.Linear)
        if layer_norm:  # before its activation
            kinds = [type(layer) for layer in net]
            first = kinds.index(nn.LayerNorm)
            assert kinds[first + 1] is ACTIVATION_MODULES[activation]


def test_every_activation_is_tested():
    assert set(ACTIVATIONS) == set(ACTIVATION_MODULES)


def test_registry_builds_its_classes():
    names = "bilinear concat encode-and-dot hybrid inner-product separable"
    assert set(CRITICS) == set(names.split())
    for name, kind in CRITICS.items():
        assert type(make_critic(name, N_Y, N_Y)) is kind


def test_inner_product_of_different_widths_names_the_remedy():
    with pytest.raises(ValueError, match=r"got 4 and 3.*critic='bilinear'"):
        make_critic("inner-product", 4, 3)
    assert make_critic("bilinear", 4, 3)(torch.zeros(2, 4), torch.zeros(2, 3)).shape == (2,)


def test_unknown_critic_lists_the_names_and_the_remedy():
    with pytest.raises(ValueError, match=r"Unknown critic 'mlp'.*torch module") as error:
        make_critic("mlp", 2, 2)
    assert all(repr(name) in str(error.value) for name in CRITICS)


def test_base_critic_needs_combine():
    with pytest.raises(NotImplementedError):
        Critic()(torch.zeros(2, 1), torch.zeros(2, 1))


# ------------------------------------------------------------------------ composition


def test_sum_critic_is_the_sum():
    x, y = torch.randn(6, N_X).double(), torch.randn(6, N_Y).double()
    first, second = randomized(ModuleCritic(PlainNet())), randomized(BilinearCritic(N_X, N_Y))
    total = SumCritic(first, second)
    assert_close(total(x, y), first(x, y) + second(x, y))
    assert_close(total.matrix(x, y), first.matrix(x, y) + second.matrix(x, y))
    assert len(list(total.parameters())) == 5
    weighted = SumCritic(first, second, torch.tensor([0.5, -2.0]).double())
    assert_close(weighted(x, y), 0.5 * first(x, y) - 2 * second(x, y))
    assert_close(weighted.matrix(x, y), 0.5 * first.matrix(x, y) - 2 * second.matrix(x, y))


def test_sum_critic_is_factorized_if_both_are():
    yes, no = BilinearCritic(2, 2), DistanceCritic()
    flags = [SumCritic(a, b).factorized for a in (yes, no) for b in (yes, no)]
    assert flags == [True, False, False, False]


def test_map_embedding_keeps_the_structure():
    a, b, c = torch.arange(3.0), torch.ones(3, 2), torch.zeros(3)
    nested = (a, ((b,), c))
    mapped = map_embedding(lambda e: e[1:] + 1, nested)
    assert isinstance(mapped, tuple) and isinstance(mapped[1][0], tuple)
    assert torch.equal(mapped[0], a[1:] + 1)
    assert torch.equal(mapped[1][0][0], b[1:] + 1)
    assert torch.equal(mapped[1][1], c[1:] + 1)
    assert len(mapped) == 2 and len(mapped[1]) == 2 and len(mapped[1][0]) == 1
    assert torch.equal(map_embedding(torch.neg, a), -a)
    assert first_tensor(a) is first_tensor(nested) is a
    assert first_tensor((((b,), c), a)) is b


class Returning(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, y):
        return self.function(x, y)


def test_as_critic_wraps_plain_modules_only():
    own = DistanceCritic()
    assert as_critic(own) is own
    plain = PlainNet()
    wrapped = as_critic(plain)
    assert isinstance(wrapped, ModuleCritic) and wrapped.module is plain
    assert not wrapped.factorized


def test_module_scores_of_either_shape_are_accepted():
    x, y = torch.randn(5, N_Y), torch.randn(5, N_Y)
    expected = (x * y).sum(1)
    flat = as_critic(Returning(lambda x, y: (x * y).sum(1)))
    column = as_critic(Returning(lambda x, y: (x * y).sum(1, keepdim=True)))
    for critic in (flat, column):
        assert_close(critic(x, y), expected)
        assert_close(critic.matrix(x, y), x @ y.T, 1e-5)
        assert critic(x[:1], y[:1]).shape == (1,)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x, y: x, "(5, 3)"),
        (lambda x, y: x @ y.T, "(5, 5)"),
        (lambda x, y: (x * y).sum(), "()"),
        (lambda x, y: (x * y).sum(1)[None], "(1, 5)"),
        (lambda x, y: (x * y).sum(1)[:4], "(4,)"),
        (lambda x, y: (x * y).sum(1)[:, None, None], "(5, 1, 1)"),
    ],
)
def test_module_scores_of_another_shape_are_rejected(function, shape):
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    with pytest.raises(ValueError, match="one score per pair") as error:
        as_critic(Returning(function))(x, y)
    message = str(error.value)
    assert "(5,)" in message and f"Returning returned shape {shape}" in message


@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [
        ((3,), (2,)),
        ((1, 4, 4), (1, 2, 2)),
        ((1, 4, 4), (2,)),
        ((2,), (1, 4, 4)),
    ],
    ids=["rows", "images", "image and row", "row and image"],
)
def test_modules_see_the_shapes_of_their_inputs(x_shape, y_shape):
    seen = []

    def score(x, y):
        seen.append((tuple(x.shape[1:]), tuple(y.shape[1:])))
        return (x.flatten(1).sum(1) - 2 * y.flatten(1).sum(1)).tanh()

    x, y = torch.randn(6, *x_shape), torch.randn(6, *y_shape)
    critic = as_critic(Returning(score))
    expected = (x.flatten(1).sum(1)[:, None] - 2 * y.flatten(1).sum(1)).tanh()
    assert_close(critic(x, y), expected.diagonal(), 1e-5)
    assert_close(critic.matrix(x, y), expected, 1e-5)
    assert set(seen) == {(x_shape, y_shape)}


def test_modules_take_several_rows_for_each_image():
    x, y = torch.randn(6, 1, 2, 2), torch.randn(6, N_Y)
    critic = as_critic(PlainNet(4, N_Y))
    partners = (torch.arange(6) + torch.arange(3)[:, None]) % 6
    scores = critic.combine_partners(critic.embed_x(x), critic.embed_y(y), partners)
    assert_close(scores, torch.stack([critic(x, y[rows]) for rows in partners]), 1e-5)


# --------------------------------------------------------------------- GaussianCritic


def score(critic, x, y):
    return critic(torch.from_numpy(x), torch.from_numpy(y)).numpy()


@pytest.mark.parametrize(
    ("correlations", "n_x", "n_y"),
    [((0.6, 0.6, 0.6), 3, 3), ((0.9, -0.5), 2, 2), ((0.7, 0.3), 5, 2), ((0.8,), 1, 4)],
)
def test_gaussian_critic_is_the_log_ratio_of_gaussians(correlations, n_x, n_y):
    truth = MixedGaussian(correlations, n_x, n_y)
    n, n_fresh = 100_000, 50_000
    critic = GaussianCritic(n_x, n_y).double().fit(*truth.sample(n, seed=1)[:2])
    x, y, log_ratio = truth.sample(n_fresh, seed=2)
    scores = score(critic, x, y)
    # The log-likelihood of a fitted model with p parameters is off by a random variable whose
    # mean square under the model is chi^2_p / n; the ratio takes one model from two others.
    n_both = n_x + n_y
    p = [d + d * (d + 1) / 2 for d in (n_both, n_x, n_y)]
    error = sum(math.sqrt(k) + 4 for k in p) / math.sqrt(n)
    assert np.sqrt(np.mean((scores - log_ratio) ** 2)) < error < log_ratio.std() / 4
    # The variance of the log ratio of Gaussians is the sum of the rho^2; what the fit loses
    # in the mean is p / 2n for p fitted parameters (n_x n_y for the cross-covariance).
    spread = math.sqrt((truth.rho**2).sum() / n_fresh)
    assert abs(scores.mean() - truth.mi) < 5 * spread + 3 * sum(p) / n
    # A log ratio has E_Q[e^T] = 1; the variance of e^T is prod 1 / (1 - rho^2) - 1.
    product = torch.from_numpy(score(critic, x, np.roll(y, 1, axis=0)))
    spread = math.sqrt((np.prod(1 / (1 - truth.rho**2)) - 1) / n_fresh)
    assert abs(float(log_mean_exp(product))) < 6 * spread + 3 * sum(p) / n


def test_gaussian_critic_in_closed_form_on_its_own_sample():
    """One column each: the textbook formula with the sample moments and the shrunken rho."""
    n = 60
    x, y = correlated_rows(n, 1, 1, seed=3)
    r = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    edge = 4 / n * (1 - 1 / n)
    rho = np.sign(r) * math.sqrt((r**2 - edge) / (1 - edge))
    u, v = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    quadratic = (rho**2 * (u**2 + v**2) - 2 * rho * u * v) / (2 * (1 - rho**2))
    expected = -0.5 * math.log(1 - rho**2) - quadratic[:, 0]
    assert abs(r) > 0.5
    critic = GaussianCritic(1, 1).double().fit(x, y)
    np.testing.assert_allclose(score(critic, x, y), expected, rtol=1e-10, atol=1e-10)


def test_gaussian_critic_shrinks_by_wachters_edge():
    n, p, q = 400, 6, 9
    x, y = correlated_rows(n, p, q, seed=4)
    qx, qy = (np.linalg.qr(z - z.mean(0))[0] for z in (x, y))
    squared = np.linalg.svd(qx.T @ qy, compute_uv=False) ** 2
    a, b = p / n, q / n
    edge = (math.sqrt(a * (1 - b)) + math.sqrt(b * (1 - a))) ** 2
    expected = np.sqrt(((squared - edge) / (1 - edge)).clip(0))
    actual = GaussianCritic(p, q).double().fit(x, y).correlations.numpy()
    np.testing.assert_allclose(np.sort(actual), np.sort(expected), atol=1e-8)
    # The two real ones stand out; some of the rest is cut to zero.
    assert (expected[:2] > 0.4).all() and (expected[2:] < 0.3).all() and expected[-1] == 0


@pytest.mark.parametrize("seed", range(4))
def test_gaussian_critic_ignores_invertible_maps(seed):
    x, y = correlated_rows(300, N_X, N_Y, seed)
    rng = np.random.default_rng(seed + 10)
    a, b = well_conditioned(N_X, rng, 0.2, 30), well_conditioned(N_Y, rng, 0.2, 30)
    plain = GaussianCritic(N_X, N_Y).double().fit(x, y)
    mapped = GaussianCritic(N_X, N_Y).double().fit(x @ a + 7, y @ b - 3)
    expected = score(plain, x, y)
    assert expected.std() > 0.3
    np.testing.assert_allclose(score(mapped, x @ a + 7, y @ b - 3), expected, atol=1e-7)


@pytest.mark.parametrize(
    "scale",
    [
        1e-2,
        1e-4,
        1e6,
    ],
)
def test_gaussian_critic_ignores_the_units_of_columns(scale):
    x, y = correlated_rows(300, N_X, N_Y)
    units = np.array([scale] + [1.0] * (N_X - 1))
    plain = GaussianCritic(N_X, N_Y).double().fit(x, y)
    rescaled = GaussianCritic(N_X, N_Y).double().fit(x * units, y)
    np.testing.assert_allclose(score(rescaled, x * units, y), score(plain, x, y), atol=1e-6)


def test_gaussian_critic_is_symmetric():
    x, y = correlated_rows(300, N_X, N_Y)
    forth = GaussianCritic(N_X, N_Y).double().fit(x, y)
    back = GaussianCritic(N_Y, N_X).double().fit(y, x)
    np.testing.assert_allclose(score(forth, x, y), score(back, y, x), atol=1e-10)


def test_gaussian_critic_keeps_next_to_nothing_of_independent_data():
    """Twenty draws of 5,000 independent rows of 20 x 20 dimensions.

    The edge is where the largest squared correlation concentrates. It fluctuates around it by
    Tracy and Widom's law, to fall above it in about one sample out of eight, by a hair.
    """
    n, d, n_draws = 5_000, 20, 20
    zero, left = 0, []
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, n, d))
        critic = GaussianCritic(d, d).double().fit(x, y)
        rho = critic.correlations.numpy()
        left.append(-0.5 * np.log1p(-(rho**2)).sum())
        if not rho.any():
            zero += 1
            assert not score(critic, x, y).any(), "exactly zero"
    # Binomial(20, 1/8) exceeds 10 with probability 2e-6.
    assert zero >= n_draws // 2
    # Unshrunk, chance alone makes d^2 / 2n = 0.04 nats.
    assert max(left) < 0.005


def test_gaussian_critic_of_uncorrelated_rows_is_exactly_zero():
    rng = np.random.default_rng(0)
    columns = np.linalg.qr(np.column_stack([np.ones(200), rng.normal(size=(200, 6))]))[0]
    x, y = columns[:, 1:4], columns[:, 4:]
    critic = GaussianCritic(3, 3).fit(x, y)
    fresh = torch.from_numpy(rng.normal(size=(2, 50, 3))).float()
    assert not critic.matrix(*fresh).any()


def test_gaussian_critic_is_zero_before_it_is_fitted():
    critic = GaussianCritic(N_X, N_Y)
    assert not critic.matrix(torch.randn(5, N_X), torch.randn(5, N_Y)).any()
    assert not list(critic.parameters())


def test_redundant_columns_change_nothing():
    x, y = correlated_rows(300, N_X, N_Y)
    wide_x = np.column_stack([x, x[:, 0], np.full(300, 7.0), x[:, 1] - 2 * x[:, 2]])
    wide_y = np.column_stack([np.zeros(300), y, y[:, 1]])
    plain = GaussianCritic(N_X, N_Y).double().fit(x, y)
    wide = GaussianCritic(N_X + 3, N_Y + 2).double().fit(wide_x, wide_y)
    np.testing.assert_allclose(score(wide, wide_x, wide_y), score(plain, x, y), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_degenerate_data_give_finite_scores(dtype):
    rng = np.random.default_rng(0)
    x, y = correlated_rows(50, N_X, N_Y)
    constant = np.full((50, N_X), 3.0)
    cases = {
        "constant x": (constant, y),
        "constant both": (constant, constant),
        "identical": (x, x),
        "y a linear map of x": (x, x @ rng.normal(size=(N_X, 2))),
        "more columns than rows": (rng.normal(size=(10, 30)), rng.normal(size=(10, 20))),
        "together more columns than rows": (rng.normal(size=(10, 6)), rng.normal(size=(10, 6))),
        "one row": (x[:1], y[:1]),
        "two rows": (x[:2], y[:2]),
        "one wide": (rng.normal(size=(40, 60)), y[:40]),
        "labels": ((x > 0).astype(int), (x > 0).astype(int)[:, :2]),
    }
    for name, (a, b) in cases.items():
        critic = GaussianCritic(a.shape[1], b.shape[1]).to(dtype).fit(a, b)
        scores = critic.matrix(torch.tensor(a, dtype=dtype), torch.tensor(b, dtype=dtype))
        assert scores.isfinite().all() and scores.dtype == dtype, name
        uninformative = ("constant", "more", "together", "one", "two")
        assert bool(scores.any()) != name.startswith(uninformative), name


@pytest.mark.parametrize("case", ["no correlation to estimate", "fewer correlations"])
def test_gaussian_critic_forgets_an_earlier_fit(case):
    x, y = correlated_rows(300, N_X, N_Y)
    if case == "fewer correlations":
        other = np.column_stack([x[:, 0], np.zeros((300, N_X - 1))]), y
    else:
        other = x[:5], y[:5]
    twice = GaussianCritic(N_X, N_Y).double().fit(x, y).fit(*other)
    once = GaussianCritic(N_X, N_Y).double().fit(*other)
    np.testing.assert_allclose(score(twice, x, y), score(once, x, y), atol=1e-10)


def test_gaussian_critic_in_single_precision():
    x, y = correlated_rows(300, N_X, N_Y)
    full = score(fitted_gaussian(), x, y)
    single = fitted_gaussian().float()
    scores = single(torch.from_numpy(x).float(), torch.from_numpy(y).float())
    np.testing.assert_allclose(scores.numpy(), full, rtol=1e-3, atol=1e-4)


def test_gaussian_critic_saves_its_fit():
    x, y = correlated_rows(300, N_X, N_Y)
    fitted, fresh = fitted_gaussian(), GaussianCritic(N_X, N_Y).double()
    fresh.load_state_dict(fitted.state_dict())
    np.testing.assert_array_equal(score(fresh, x, y), score(fitted, x, y))


def test_gaussian_term_takes_the_linear_relation_off_a_network():
    """At its start a concat critic plus the Gaussian term is the Gaussian term and a constant."""
    x, y = (torch.from_numpy(z) for z in correlated_rows(100, N_X, N_Y))
    term = fitted_gaussian()
    total = SumCritic(ConcatCritic(N_X, N_Y, (8,)).double(), term)
    difference = total.matrix(x, y) - term.matrix(x, y)
    assert (difference - difference[0, 0]).abs().max() < 1e-10
    matrices = split_matrix(total.matrix(x, y)), split_matrix(term.matrix(x, y))
    assert_close(dv(*matrices[0]), dv(*matrices[1]))
