r"""One batched network of critics for the tables of many pairs of variables.

Two variables that are cut into levels are a table of counts, however many rows there are, and
the bound over all pairs of rows is an exact sum over its cells,

.. math:: \sum_{a, b} p(a, b)\, T(a, b) - \log \sum_{a, b} p(a)\, p(b)\, e^{T(a, b)}, \qquad
          T(a, b) = \langle \phi(a), \psi(b) \rangle .

The critics of all tables are trained together: every tensor has a leading axis M of models.
"""

from collections import defaultdict

import numpy as np
import torch
from scipy.stats import norm
from threadpoolctl import threadpool_limits
from torch import Tensor

from skmi.information._levels import Levels

__all__ = ["TableCritics", "fit_tables"]

#: Widths of the hidden layer and of the embeddings.
HIDDEN, WIDTH = 32, 16
#: Scale of the first weights: how fast the functions may vary at the start.
FREQUENCY = 4.0
#: Steps of Adam, its step size, and how often the stop rows are looked at.
MAX_STEPS, LEARNING_RATE, CHECK_EVERY = 600, 1e-2, 5
#: Looks without improvement (in nats) after which a critic is done.
PATIENCE, TOLERANCE = 12, 1e-4
#: Folds, and the part of the training rows of each that tells when to stop.
N_FOLDS, STOP_FRACTION = 2, 0.2
#: Most numbers in one array of a batch of several tables (32 MB), and most models in a batch.
MAX_NUMBERS, MAX_MODELS = 2**23, 128
#: Most groups of levels of one variable in the test of what a critic has missed.
MAX_GROUPS = 28


class TableCritics:
    """Cross-fitted critics of many pairs of variables with the same rows.

    Parameters
    ----------
    n_samples : int
    device : torch.device
    seed : int
        Of the folds and of the weights, which are the same for all pairs. So the result for a
        pair does not depend on the others.
    """

    def __init__(self, n_samples: int, *, device: torch.device, seed: int):
        self.device, self.seed = device, seed
        order = np.random.default_rng(seed).permutation(n_samples).astype(np.int32)
        folds = np.array_split(order, N_FOLDS)
        self.parts = []  # for each fold the rows to fit, to stop, and held out
        for k, test in enumerate(folds):
            train = np.concatenate([fold for i, fold in enumerate(folds) if i != k])
            n_stop = max(1, round(STOP_FRACTION * len(train)))
            self.parts.append((train[n_stop:], train[:n_stop], test))

    def information(self, x: list[Levels], y: list[Levels]) -> tuple[np.ndarray, np.ndarray]:
        """Mutual information of pairs of variables, in nats, and p-values of independence.

        The mean of the bound on training rows and on the held-out ones, plus estimates of what
        it misses: of what cutting loses, and of what the critic has not learned. 0 where nothing
        was learned.
        """
        values, pvalues = np.zeros(len(x)), np.ones(len(x))
        n_test = len(self.parts[0][2])
        n_groups = int(np.clip(n_test**0.5 / 5, 1, MAX_GROUPS))
        for pairs, ratios, (train, test) in self._fit(x, y):
            halves, groups = (
                [
                    _one_hot([group(v[i]) for i in pairs], ratios.shape[axis], self.device)
                    for v, axis in ((x, 1), (y, 2))
                ]
                for group in (Levels.halves, lambda levels: levels.groups(n_groups))
            )
            value = (
                _value(ratios, train)
                + _value(ratios, test)
                + lost_by_cutting(ratios, train, *halves)
                + lost_by_cutting(ratios, test, *halves)
            ) / 2 + missed_by_critic(ratios, test, *groups, n_test)
            value = torch.where(ratios.flatten(1).any(1), value, 0.0)
            values[pairs] = _mean_of_folds(value).clip(min=0)
            of_folds = pvalues_of(ratios, test, n_test).reshape(-1, N_FOLDS)
            pvalues[pairs] = (N_FOLDS * of_folds.min(1)).clip(max=1)
        return values, pvalues

    def gains(self, x: list[Levels], y: list[Levels]) -> np.ndarray:
        """What x say about y beyond their known log ratios, in nats."""
        gains = np.zeros(len(x))
        for pairs, ratios, (train, test) in self._fit(x, y):
            known = self._known(x, pairs, ratios.shape)
            value = sum(_value(ratios, part) - _value(known, part) for part in (train, test)) / 2
            gains[pairs] = _mean_of_folds(value).clip(min=0)
        return gains

    def log_ratios(self, x: Levels, y: Levels) -> np.ndarray:
        """Log ratios of all cells of one pair, shape (n_folds, x levels, y levels)."""
        ((_, ratios, _),) = self._fit([x], [y])
        return ratios[:, : x.n_levels, : y.n_levels].cpu().numpy()

    def _fit(self, x, y):
        """Fit the pairs in batches of the same shape.

        Yields the pairs, and of their models, fold by fold, the log ratios and the joint
        probabilities among the training rows and the held-out ones.
        """
        batches = defaultdict(list)
        for i, (a, b) in enumerate(zip(x, y, strict=True)):
            shape = _round_up(a.n_levels), _round_up(b.n_levels)
            batches[shape, a.inputs.shape[1], b.inputs.shape[1], a.own > 0].append(i)
        with threadpool_limits(1, user_api="openmp"):
            for (shape, *_), pairs in batches.items():
                largest = max(np.prod(shape), sum(shape) * HIDDEN)
                size = int(np.clip(MAX_NUMBERS // largest, N_FOLDS, MAX_MODELS)) // N_FOLDS
                for batch in (pairs[k : k + size] for k in range(0, len(pairs), size)):
                    yield batch, *self._fit_batch(x, y, batch, shape)

    def _fit_batch(self, x, y, batch, shape):
        fit, stop, test = self._tables(x, y, batch, shape)
        ratios = fit_tables(
            self._inputs(x, batch, shape[0]),
            self._inputs(y, batch, shape[1]),
            fit,
            stop,
            known=self._known(x, batch, fit.shape),
            seed=self.seed,
        )
        return ratios, ((1 - STOP_FRACTION) * fit + STOP_FRACTION * stop, test)

    def _tables(self, x, y, pairs, shape) -> Tensor:
        """Joint probabilities, shape (3, M, x levels, y levels)."""
        tables = np.empty((3, len(pairs), N_FOLDS, np.prod(shape)), dtype=np.float32)
        for m, i in enumerate(pairs):
            cells = x[i].codes.astype(np.int32) * shape[1] + y[i].codes
            for k, parts in enumerate(self.parts):
                for part, rows in enumerate(parts):
                    counts = np.bincount(cells[rows], minlength=tables.shape[3])
                    tables[part, m, k] = counts / len(rows)
        return torch.as_tensor(tables, device=self.device).view(3, -1, *shape)

    def _inputs(self, variables, pairs, n_levels) -> tuple[Tensor, Tensor]:
        inputs = np.zeros((len(pairs), n_levels, variables[pairs[0]].inputs.shape[1]), np.float32)
        for values, i in zip(inputs, pairs, strict=True):
            values[: variables[i].n_levels] = variables[i].inputs
        own = np.array([variables[i].own for i in pairs], dtype=np.float32)
        return self._models(inputs), self._models(own)

    def _known(self, x, pairs, shape) -> Tensor:
        known = np.zeros((len(pairs), N_FOLDS, *shape[1:]), dtype=np.float32)
        for values, i in zip(known, pairs, strict=True):
            if x[i].known is not None:
                values[:, : x[i].n_levels, : x[i].known.shape[2]] = x[i].known
        return torch.as_tensor(known, device=self.device).flatten(0, 1)

    def _models(self, values) -> Tensor:
        """A model for each fold of each pair."""
        return torch.as_tensor(values, device=self.device).repeat_interleave(N_FOLDS, dim=0)


def _round_up(n: int) -> int:
    """A multiple of 8 with few significant bits, so that few shapes occur."""
    step = max(8, 2 ** (int(n - 1).bit_length() - 3))
    return -(-n // step) * step


def _mean_of_folds(values: Tensor) -> np.ndarray:
    return values.view(-1, N_FOLDS).mean(1).double().cpu().numpy()


# ------------------------------------------------------------------------- estimates


def product_and_model(ratios, joint) -> tuple[Tensor, Tensor]:
    """The product of the marginals, and its product with the ratios; 0 in empty lines."""
    product = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    return product, torch.where(product > 0, product * ratios.exp(), 0.0)


def _value(ratios, joint) -> Tensor:
    return bound_of_tables(ratios, joint, log_product(joint))


def _one_hot(groups: list[np.ndarray], n_levels: int, device) -> Tensor:
    """Which level belongs to which group, shape (M, n_levels, n_groups), for each fold alike."""
    n_groups = max(group.max() for group in groups) + 1
    one_hot = np.zeros((len(groups), n_levels, n_groups), dtype=np.float32)
    for values, group in zip(one_hot, groups, strict=True):
        values[np.arange(len(group)), group] = 1
    return torch.as_tensor(one_hot, device=device).repeat_interleave(N_FOLDS, dim=0)


def _merge(tables, x_groups, y_groups) -> Tensor:
    return x_groups.transpose(1, 2) @ tables @ y_groups


def lost_by_cutting(ratios, joint, x_halves, y_halves) -> Tensor:
    """What cutting into levels has lost, extrapolated from levels of twice the width.

    For smooth densities the loss grows with the square of the width, so that it is a third of
    what is lost by merging every two levels (Richardson's extrapolation).
    """
    product, model = product_and_model(ratios, joint)
    merged, merged_joint, merged_product = (
        _merge(table, x_halves, y_halves) for table in (model, joint, product)
    )
    coarse = (merged.clamp(min=1e-30) / merged_product.clamp(min=1e-30)).log()
    return (_value(ratios, joint) - _value(coarse, merged_joint)) / 3


def missed_by_critic(ratios, joint, x_groups, y_groups, n_rows: int) -> Tensor:
    r"""What the critic has not learned, from rows that it has not seen.

    With the ratio :math:`r` of the critic the bound falls short by
    :math:`KL(p \| q r) \approx \chi^2 / 2`. It is estimated on groups of levels, with what chance
    adds to it in `n_rows` rows taken off.
    """
    _, model = product_and_model(ratios, joint)
    model = model / model.sum((1, 2), keepdim=True)
    joint, model = (_merge(table, x_groups, y_groups) for table in (joint, model))
    n_x, n_y = (groups.any(1).sum(1) for groups in (x_groups, y_groups))
    freedom = ((n_x - 1) * (n_y - 1) / (n_x * n_y))[:, None, None]
    scale = model + 2 / n_rows
    return (((joint - model).square() - freedom * joint / n_rows) / scale).sum((1, 2)) / 2


def pvalues_of(ratios, joint, n_rows: int) -> np.ndarray:
    """How likely a sum of scores is over random pairings of the same rows, by its moments."""
    p, q = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True)
    row_mean = (q * ratios).sum(2, keepdim=True)
    column_mean = (p * ratios).sum(1, keepdim=True)
    mean = (p * row_mean).sum((1, 2), keepdim=True)
    centred = ratios - row_mean - column_mean + mean
    variance = (p * q * centred.square()).sum((1, 2)) * n_rows**2 / (n_rows - 1)
    statistic = n_rows * ((joint - p * q) * ratios).sum((1, 2))
    z = torch.where(variance > 1e-12, statistic / variance.clamp(min=1e-12).sqrt(), -torch.inf)
    return norm.sf(z.double().cpu().numpy())


# -------------------------------------------------------------------------- training


def draw_network(inputs: Tensor, n_own: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights of M perceptrons from levels to embeddings; all start from the same.

    Parameters
    ----------
    inputs : Tensor of shape (M, n_levels, n_inputs)
    n_own : int
        How many levels have embeddings of their own.
    generator : torch.Generator
    """
    n_models, _, n_inputs = inputs.shape

    def weight(*shape, scale):
        values = torch.randn(shape, generator=generator) * scale
        return values.to(inputs.device).expand(n_models, *shape).clone()

    return {
        "first": weight(n_inputs, HIDDEN, scale=FREQUENCY * max(n_inputs, 1) ** -0.5),
        "bias": weight(1, HIDDEN, scale=FREQUENCY),
        "last": weight(HIDDEN, WIDTH, scale=HIDDEN**-0.5),
        "linear": weight(n_inputs, WIDTH, scale=max(n_inputs, 1) ** -0.5),
        "own": weight(n_own, HIDDEN, scale=1.0),
    }


def embed(weights: dict[str, Tensor], inputs: Tensor, own: Tensor) -> Tensor:
    """Embeddings of all levels, shape (M, n_levels, width).

    Beside its place, a level can have an embedding of its own: categories much of it, and bins
    enough for a step.
    """
    hidden = torch.baddbmm(weights["bias"], inputs, weights["first"])
    if weights["own"].shape[1]:
        hidden = hidden + own[:, None, None] * weights["own"]
    return torch.bmm(torch.nn.functional.silu(hidden), weights["last"]) + torch.bmm(
        inputs, weights["linear"]
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


def fit_tables(x_levels, y_levels, fit, stop, *, known, seed) -> Tensor:
    """Train critics of tables; returns log ratio estimates, shape (M, x levels, y levels).

    Parameters
    ----------
    x_levels, y_levels : tuple (inputs, own)
        Of shapes (M, n_levels, n_inputs) and (M,), as in `Levels`.
    fit, stop : Tensor of shape (M, x levels, y levels)
        Joint probabilities among the rows to fit and those that tell when to stop.
    known : Tensor of shape (M, x levels, y levels)
        Log ratios that the critics start from and add to.
    seed : int

    Returns
    -------
    Tensor
        The critics that were best on the stop rows, of which the untrained one, `known`, is
        one; less their normalisers.
    """
    generator = torch.Generator().manual_seed(seed)
    data = {"x": x_levels[0], "x_own": x_levels[1], "y": y_levels[0], "y_own": y_levels[1]}
    data |= {"fit": fit, "stop": stop, "fit_q": log_product(fit), "stop_q": log_product(stop)}
    data |= {"known": known, "value": bound_of_tables(known, stop, log_product(stop))}
    data |= {"waited": fit.new_zeros(len(fit))}
    weights = {}
    for side, (inputs, own) in (("x", x_levels), ("y", y_levels)):
        n_own = inputs.shape[1] if own.any() else 0
        drawn = draw_network(inputs, n_own, generator)
        weights |= {f"{side}_{name}": weight for name, weight in drawn.items()}
    weights["gain"] = fit.new_zeros(len(fit), 1, WIDTH)
    best, running = known.clone(), torch.arange(len(fit), device=fit.device)
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
    log_q = log_product(fit)
    normalizer = (best + log_q).logsumexp((1, 2), keepdim=True)
    return best - (normalizer - log_q.logsumexp((1, 2), keepdim=True))  # 0 if nothing is learned


def _scores(weights, data) -> Tensor:
    """Scores of all cells, shape (M, x levels, y levels); what is known before training."""
    nets = ({k[2:]: w for k, w in weights.items() if k.startswith(v)} for v in ("x_", "y_"))
    x, y = (embed(net, data[v], data[f"{v}_own"]) for net, v in zip(nets, "xy", strict=True))
    return torch.baddbmm(data["known"], x * weights["gain"], y.transpose(1, 2))


def _look(scores, data, best, running) -> None:
    """Keep the critics that are better on the stop rows than ever before."""
    value = bound_of_tables(scores, data["stop"], data["stop_q"])
    better = (value > data["value"] + TOLERANCE) & (data["waited"] <= PATIENCE)
    data["value"] = torch.where(better, value, data["value"])
    data["waited"] = torch.where(better, 0, data["waited"] + 1)
    best[running[better]] = scores[better]


class _Adam:
    """torch's Adam over weights with a leading model axis, of which models can be dropped."""

    def __init__(self, weights):
        self._reset({name: w.requires_grad_() for name, w in weights.items()})

    def _reset(self, weights):
        self.weights = weights
        self.optimizer = torch.optim.Adam(weights.values(), lr=LEARNING_RATE, fused=True)

    def step(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def keep(self, mask):
        states = [self.optimizer.state[w] for w in self.weights.values()]
        self._reset({n: w.detach()[mask].requires_grad_() for n, w in self.weights.items()})
        for weight, state in zip(self.weights.values(), states, strict=True):
            self.optimizer.state[weight] = {k: v[mask] if v.ndim else v for k, v in state.items()}
