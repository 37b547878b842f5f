"""Features of pairs for the kernel estimator: kernels, their approximations, fitted critics.

A sample is a list of *blocks*, arrays of columns with the same rows: ``[x, y]`` for pairs, and
``[z]`` for samples of two distributions. A feature map is a function of such a list.
"""

import copy
import math

import numpy as np
import torch
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf
from scipy.spatial.distance import pdist
from scipy.special import softmax
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils import gen_batches

from skmi.information._objective import transform_margins

#: Kernels whose product over blocks is the same kernel of the columns side by side, with the
#: distance that they are a function of and the power that their scale enters it with.
STATIONARY = {"rbf": ("euclidean", 2), "laplacian": ("cityblock", 1)}
#: Largest memory of the arrays of an exact kernel problem.
MAX_KERNEL_BYTES = 4 * 2**30
#: Pivots of a kernel matrix below this part of its largest value count as zero.
RANK_TOLERANCE = 1e-10
#: Rows from which distances are drawn, and those that are transformed at once.
MEDIAN_ROWS = 500
CHUNK_ROWS = 2**12
#: Smallest number of rows whose pairs are candidates.
BLOCK_ROWS = 32


def take(blocks, rows) -> list:
    """The given rows of each block."""
    return [block[rows] for block in blocks]


def stack(*samples) -> list:
    """Samples under one another."""
    return [np.concatenate(blocks) for blocks in zip(*samples, strict=True)]


def in_chunks(function, blocks):
    """``function(blocks)``, computed and stacked chunk by chunk."""
    batches = gen_batches(len(blocks[0]), CHUNK_ROWS)
    return np.concatenate([function(take(blocks, rows)) for rows in batches])


def mean_in_chunks(function, blocks) -> np.ndarray:
    """Mean over the rows of ``function(blocks)``."""
    n_rows = len(blocks[0])
    batches = gen_batches(n_rows, CHUNK_ROWS)
    return sum(function(take(blocks, rows)).sum(0) for rows in batches) / n_rows


# ------------------------------------------------------ samples of the product distribution


def match_rows(pairs, rows) -> list:
    """The pairs that rows of x and rows of y make."""
    return [block[r] for block, r in zip(pairs, rows, strict=True)]


def shuffle_rows(n_rows: int, n_shuffles: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of x and of y that do not belong together; each is in as many pairs as shuffles."""
    n_shuffles = int(np.clip(n_shuffles, 1, n_rows - 1))
    order = np.random.default_rng(seed).permutation(n_rows)
    partners = np.concatenate([np.roll(order, shift + 1) for shift in range(n_shuffles)])
    return np.tile(order, n_shuffles), partners


def pair_blocks(n_rows: int, n_pairs: int, seed: int) -> list:
    """Rows in random blocks, in which all pairs are about as many as asked for."""
    order = np.random.default_rng(seed).permutation(n_rows)
    size = int(np.clip(n_pairs // n_rows, BLOCK_ROWS, n_rows)) if n_rows > BLOCK_ROWS else n_rows
    return np.array_split(order, n_rows // size)


def sample_by_ratio(log_ratios: np.ndarray, n_kept: int, seed: int):
    """Keep some of many samples, more of them where the density ratio is large.

    Half of the draws go to all samples alike, so that no weight is beyond 2, and half in
    proportion to the ratio. What is averaged with the weights has the mean over all samples as
    its expectation, whatever the ratios are: poor ones cost precision, not truth. (To first order,
    as the weights are scaled to the mean 1.) Draws are systematic in the order of the ratios.

    Returns
    -------
    kept : ndarray of int, shape (n_kept,)
    log_weights : ndarray of shape (n_kept,)
        Their weights have mean 1.
    """
    order = np.argsort(log_ratios, kind="stable")
    share = softmax(log_ratios[order]) / 2 + 0.5 / len(order)
    start = np.random.default_rng(seed).random()
    positions = (start + np.arange(n_kept)) / n_kept
    drawn = np.searchsorted(np.cumsum(share), positions).clip(max=len(order) - 1)
    weights = 1 / share[drawn]
    return order[drawn], np.log(weights / weights.mean())


# ------------------------------------------------------------------------------- kernels


def median_gamma(block: np.ndarray, kernel: str) -> float:
    """The coefficient with which the median distance s is one scale of the kernel.

    That is ``1 / 2 s^2`` for "rbf" and ``1 / s`` for "laplacian", over pairs of different rows.
    """
    metric, power = STATIONARY[kernel]
    rows = np.random.default_rng(0).permutation(len(block))[:MEDIAN_ROWS]
    distances = pdist(block[rows], metric)
    distances = distances[distances > 0]
    return 1.0 / (power * np.median(distances) ** power) if len(distances) else 1.0


class ProductKernel:
    """The product of a kernel over the blocks.

    Parameters
    ----------
    kernel : str, callable or Gaussian process kernel
        As in `sklearn.metrics.pairwise.pairwise_kernels`.
    gammas : list of float or None
        The coefficient of each block; None leaves it to scikit-learn.
    """

    def __init__(self, kernel, gammas):
        self.kernel, self.gammas = kernel, gammas

    def __call__(self, first, second) -> np.ndarray:
        return math.prod(self.factors(first, second))

    def factors(self, first, second):
        """The kernel of each block."""
        for a, b, gamma in zip(first, second, self.gammas, strict=True):
            options = {} if gamma is None else {"gamma": gamma, "filter_params": True}
            yield pairwise_kernels(a, b, metric=self.kernel, **options)

    def factorize(self, blocks) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates in the span of the kernel functions at some rows.

        Returns
        -------
        coordinates : ndarray of shape (n, r)
            Of these rows; their products are the kernel matrix.
        basis : ndarray of shape (n, r)
            ``kernel(z, rows) @ basis`` are the coordinates of any z. It is the inverse of a
            Cholesky factor at r pivotal rows, and zero elsewhere.
        """
        matrix = self(blocks, blocks)
        if not np.isfinite(matrix).all():
            raise ValueError(f"kernel={self.kernel!r} has values that are NaN or infinite.")
        n_rows, scale = len(matrix), np.abs(matrix).max()
        factor, pivots, rank, _ = dpstrf(matrix, lower=1, tol=RANK_TOLERANCE * scale)
        pivots, factor = pivots - 1, np.tril(factor)[:, :rank]
        coordinates = np.empty((n_rows, rank))
        coordinates[pivots] = factor
        probe = np.random.default_rng(0).standard_normal((n_rows, 4))
        rest = matrix @ probe - coordinates @ (coordinates.T @ probe)
        if np.abs(rest).max() > 1e-8 * n_rows * scale:
            raise ValueError(
                f"kernel={self.kernel!r} is not positive semi-definite: the matrix of {n_rows} "
                "rows has no Cholesky factor. Use a positive semi-definite kernel, such as 'rbf' "
                "or 'laplacian'."
            )
        basis = np.zeros((n_rows, rank))
        basis[pivots[:rank]] = solve_triangular(factor[:rank], np.eye(rank), lower=True).T
        return coordinates, basis


def check_memory(n_rows: int, n_samples: int) -> None:
    """Raise if kernel matrices of this many rows are too large."""
    needed = 8 * 4 * n_rows**2  # the matrix, its factor, the basis and a Hessian
    if needed > MAX_KERNEL_BYTES:
        raise ValueError(
            f"n_samples={n_samples} is too many for feature_map='exact': with {n_rows} samples of "
            f"the two distributions it would take {needed / 2**30:.1f} GiB. Use "
            "feature_map='nystroem' or 'fourier', whose memory grows in proportion to the rows, or "
            "n_shuffles='auto' if it is a large number."
        )


# -------------------------------------------------------------------------- feature maps


class PairFeatures:
    """Base class of feature maps: of blocks with the same rows, one row of features each."""

    def __call__(self, blocks) -> np.ndarray:
        raise NotImplementedError

    def expand(self, coef):
        """A function of these features in terms that are quick for many pairs."""
        return self, coef

    def table(self, coef, x, y) -> np.ndarray:
        """Values of a function at all pairs of the rows of x and y: shape (len(x), len(y))."""
        pairs = [np.repeat(x, len(y), axis=0), np.tile(y, (len(x), 1))]
        return in_chunks(lambda chunk: self(chunk) @ coef, pairs).reshape(len(x), len(y))


class KernelSections(PairFeatures):
    """Kernel values at given points; a linear function of them is a kernel expansion."""

    def __init__(self, kernel: ProductKernel, points):
        self.kernel, self.points = kernel, points

    def __call__(self, blocks) -> np.ndarray:
        return self.kernel(blocks, self.points)

    def table(self, coef, x, y) -> np.ndarray:
        x_values, y_values = self.kernel.factors([x, y], self.points)
        return (x_values * coef) @ y_values.T


class ColumnFeatures(PairFeatures):
    """A fitted transformer of all columns side by side, each block at its own scale."""

    def __init__(self, transformer, scales):
        self.transformer, self.scales = transformer, scales

    def _columns(self, blocks) -> np.ndarray:
        return np.hstack([s * block for s, block in zip(self.scales, blocks, strict=True)])

    def fit(self, blocks) -> "ColumnFeatures":
        self.transformer.fit(self._columns(blocks), None)
        return self

    def __call__(self, blocks) -> np.ndarray:
        features = self.transformer.transform(self._columns(blocks))
        features = features.toarray() if hasattr(features, "toarray") else np.asarray(features)
        n_rows = len(blocks[0])
        if features.ndim != 2 or len(features) != n_rows:
            raise ValueError(
                f"feature_map must make a table with a row for each of {n_rows} rows, but "
                f"{type(self.transformer).__name__} returned shape {features.shape}."
            )
        return features.astype(np.float64, copy=False)


class NystroemFeatures(ColumnFeatures):
    """Nystroem's approximation of a kernel; its functions are expansions at the landmarks."""

    def __init__(self, transformer, scales, kernel: ProductKernel):
        super().__init__(transformer, scales)
        self.kernel = kernel

    def fit(self, blocks) -> "NystroemFeatures":
        super().fit(blocks)
        self.landmarks = take(blocks, self.transformer.component_indices_)
        return self

    def expand(self, coef):
        """A function of these features in terms that are quick for many pairs."""
        return (
            KernelSections(self.kernel, self.landmarks),
            self.transformer.normalization_.T @ coef,
        )


def approximate_kernel(name, kernel, gammas, n_components, random_state) -> ColumnFeatures:
    """An unfitted approximation of a product kernel."""
    allowed = {"nystroem": list(STATIONARY), "fourier": ["rbf"]}[name]
    if not (isinstance(kernel, str) and kernel in allowed):
        raise ValueError(
            f"feature_map={name!r} approximates kernel {' or '.join(map(repr, allowed))}, got "
            f"kernel={kernel!r}. Use feature_map='exact', or a transformer as the feature map."
        )
    power = STATIONARY[kernel][1]
    scales = [gamma ** (1 / power) for gamma in gammas]
    options = {"gamma": 1.0, "n_components": n_components, "random_state": random_state}
    if name == "fourier":
        return ColumnFeatures(RBFSampler(**options), scales)
    return NystroemFeatures(Nystroem(kernel, **options), scales, ProductKernel(kernel, gammas))


class CriticFeatures(PairFeatures):
    """The last hidden layers of the critics of a fitted estimator, side by side.

    Where a critic was stacked with the Gaussian log ratio, or has a normaliser eta(y), these
    are features too, so that the log ratio of every fold is a linear function of all.
    """

    def __init__(self, estimator):
        self.critics = []
        for critic in estimator.critics_:
            objective = copy.deepcopy(critic.objective).cpu().double().eval()
            self.critics.append((objective.log_ratio, critic.x_margins, critic.y_margins))
        self.shapes = estimator.x_shape_, estimator.y_shape_

    @torch.no_grad()
    def __call__(self, blocks) -> np.ndarray:
        blocks = [b.reshape(len(b), *s) for b, s in zip(blocks, self.shapes, strict=True)]
        features = []
        for critic, *margins in self.critics:
            pairs = (transform_margins(m, b) for m, b in zip(margins, blocks, strict=True))
            x, y = (torch.as_tensor(np.ascontiguousarray(v, dtype=np.float64)) for v in pairs)
            features.append(critic.features(critic.embed_x(x), critic.embed_y(y)))
        return torch.cat(features, dim=1).numpy()


# -------------------------------------------------------------------------- regularisers


def gradient_features(features, blocks, steps):
    """Derivatives of a feature map in each column, by central differences; yields (n, d)."""
    for i, block in enumerate(blocks):
        for j, column in enumerate(block.T):
            moved = [b.copy() for b in blocks]
            moved[i][:, j] = column + steps[i][j]
            upper = features(moved)
            moved[i][:, j] = column - steps[i][j]
            yield (upper - features(moved)) / (2 * steps[i][j])


def difference_steps(block: np.ndarray) -> np.ndarray:
    """A small part of the spread of each column, heavy tails aside."""
    low, high = np.percentile(block, [25, 75], axis=0)
    spread = np.where(high > low, high - low, block.std(axis=0))
    return 1e-4 * np.where(spread > 0, spread, 1.0)


def second_moment(features, blocks, derivatives: bool, log_weights=0.0) -> np.ndarray:
    """Mean outer product of the features, or of their derivatives summed over the columns."""
    n_rows = len(blocks[0])
    roots = np.exp(np.broadcast_to(log_weights, n_rows) / 2)
    total, steps = 0.0, [difference_steps(block) for block in blocks]
    for rows in gen_batches(n_rows, CHUNK_ROWS):
        chunk = take(blocks, rows)
        parts = gradient_features(features, chunk, steps) if derivatives else [features(chunk)]
        parts = (part * roots[rows, None] for part in parts)
        total = total + sum(part.T @ part for part in parts)
    return total / n_rows
