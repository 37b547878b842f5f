"""Displays of a representation: nearest neighbours, and the rows in two dimensions."""

from numbers import Integral

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skmi._rows import check_same_length, find_image_shape, read_rows
from skmi.plotting._displays import _axes

__all__ = ["NearestNeighboursDisplay", "RepresentationDisplay"]

#: Most distinct labels that have a legend; more numbers have a colour bar.
MOST_LABELS = 20


class NearestNeighboursDisplay:
    r"""Images with their nearest neighbours in a representation.

    Each row of the grid has a query at the far left and then the images whose representations
    are nearest, the nearest first, as in [1]_, figure 8. Create one with `from_estimator` or
    `from_data`.

    Parameters
    ----------
    images : ndarray of shape (n, c, h, w)
        Images of one channel (grey), three or four (colour).
    queries : ndarray of shape (n_queries,)
        Rows that are queries.
    indices, distances : ndarray of shape (n_queries, n_neighbors)
        Rows of the neighbours, and their distances in units of the representation.
    y : ndarray of shape (n,) or None, default=None
        Labels to write below the images.

    Attributes
    ----------
    queries_ : ndarray of shape (n_queries,)
    indices_, distances_ : ndarray of shape (n_queries, n_neighbors)
        As the parameters. A query is not its own neighbour.
    axes_ : ndarray of matplotlib Axes of shape (n_queries, 1 + n_neighbors)
    figure_ : matplotlib Figure or SubFigure

    See Also
    --------
    RepresentationDisplay : The rows in two dimensions.
    skmi.evaluation.knn_probe : What the nearest neighbours tell of the classes.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skmi.plotting import NearestNeighboursDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> pca = PCA(8).fit(X)
    >>> display = NearestNeighboursDisplay.from_estimator(
    ...     pca, X, y=y, queries=[0, 1, 3], image_shape=(8, 8)
    ... )
    >>> y[display.indices_]
    array([[0, 0, 0, 0],
           [1, 1, 1, 1],
           [3, 3, 3, 3]])
    """

    def __init__(self, *, images, queries, indices, distances, y=None):
        self.images = images
        self.queries = queries
        self.indices = indices
        self.distances = distances
        self.y = y

    @classmethod
    def from_estimator(
        cls,
        transformer,
        X,
        *,
        queries=5,
        n_neighbors=4,
        metric="manhattan",
        y=None,
        image_shape=None,
        random_state=None,
        figure=None,
        **options,
    ):
        """Display the neighbours of some rows by a fitted transformer's representation.

        Parameters
        ----------
        transformer : transformer
            Fitted.
        X : array-like of shape (n, p), (n, h, w) or (n, c, h, w)
            Images, as its ``transform`` takes them.
        queries : int or array-like of int, default=5
            Rows of X to find the neighbours of, or how many are drawn at random.
        n_neighbors : int, default=4
            Neighbours of each query.
        metric : str or callable, default="manhattan"
            Distance, as in `sklearn.metrics.pairwise_distances`.
        y : array-like of shape (n,) or None, default=None
            Labels to write below the images.
        image_shape : (int, int) or (int, int, int), default=None
            Height and width, or channels, height and width, of flat rows. None is what the
            transformer was fitted with.
        random_state : int, RandomState or None, default=None
            Seed of the random queries.
        figure : matplotlib Figure or SubFigure, default=None
            Where to draw.
        **options
            Passed to `plot`.

        Returns
        -------
        NearestNeighboursDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        NotFittedError
            If the transformer is not fitted.
        """
        check_is_fitted(transformer)
        if image_shape is None:
            image_shape = find_image_shape(transformer, read_rows("X", X))
        return cls.from_data(
            transformer.transform(X),
            X,
            queries=queries,
            n_neighbors=n_neighbors,
            metric=metric,
            y=y,
            image_shape=image_shape,
            random_state=random_state,
            figure=figure,
            **options,
        )

    @classmethod
    def from_data(
        cls,
        Z,
        X,
        *,
        queries=5,
        n_neighbors=4,
        metric="manhattan",
        y=None,
        image_shape=None,
        random_state=None,
        figure=None,
        **options,
    ):
        """Display the neighbours of some rows by a given representation.

        Parameters
        ----------
        Z : array-like of shape (n, d) or (n, ...)
            Representations; further dimensions are flattened.
        X : array-like of shape (n, p), (n, h, w) or (n, c, h, w)
            The images that they represent.
        queries, n_neighbors, metric, y, image_shape, random_state, figure, **options
            As in `from_estimator`.

        Returns
        -------
        NearestNeighboursDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        """
        Z, X = read_rows("Z", Z, fewest=2), read_rows("X", X)
        check_same_length(Z=Z, X=X)
        images = _read_images("X", X, image_shape)
        if y is not None:
            y = np.ravel(y)
            check_same_length(X=X, y=y)
        queries = _read_queries(queries, len(Z), random_state)
        if not isinstance(n_neighbors, Integral) or not 1 <= n_neighbors < len(Z):
            raise ValueError(
                f"n_neighbors={n_neighbors!r} must be a whole number from 1 to {len(Z) - 1}: of "
                f"{len(Z)} rows, all but the query can be neighbours."
            )
        flat = Z.reshape(len(Z), -1)
        distances = pairwise_distances(flat[queries], flat, metric=metric)
        distances[np.arange(len(queries)), queries] = np.inf
        indices = distances.argsort(axis=1, kind="stable")[:, :n_neighbors]
        distances = np.take_along_axis(distances, indices, axis=1)
        display = cls(images=images, queries=queries, indices=indices, distances=distances, y=y)
        return display.plot(figure=figure, **options)

    def plot(self, figure=None, *, values_format=".3g", cmap="gray"):
        """Draw.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, default=None
            Where to draw; None makes a new one.
        values_format : str or None, default=".3g"
            Format of the distances below the neighbours; None leaves them out.
        cmap : str, default="gray"
            Colour map of images with one channel.

        Returns
        -------
        NearestNeighboursDisplay
        """
        check_matplotlib_support("NearestNeighboursDisplay.plot")
        import matplotlib.pyplot as plt

        self.queries_, self.indices_, self.distances_ = self.queries, self.indices, self.distances
        rows = np.column_stack([self.queries, self.indices])
        if figure is None:
            height, width = rows.shape
            figure = plt.figure(figsize=(1.1 * width, 1.3 * height), layout="constrained")
        self.figure_ = figure
        self.axes_ = figure.subplots(*rows.shape, squeeze=False)
        low, high = float(self.images.min()), float(self.images.max())
        pixels = (self.images - low) / ((high - low) or 1.0)
        for (i, j), row in np.ndenumerate(rows):
            ax, image = self.axes_[i, j], pixels[row]
            image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            ax.imshow(image, cmap=cmap, vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            texts = [] if self.y is None else [str(self.y[row])]
            if j and values_format is not None:
                texts.append(f"({format(self.distances[i, j - 1], values_format)})")
            ax.set_xlabel(" ".join(texts), fontsize="small")
        self.axes_[0, 0].set_title("query", fontsize="small")
        self.axes_[0, 1].set_title("nearest", fontsize="small")
        return self


def _read_images(name: str, X: np.ndarray, shape) -> np.ndarray:
    """Images of shape (n, c, h, w)."""
    shape = X.shape[1:] if shape is None else tuple(shape)
    if len(shape) not in (2, 3):
        raise ValueError(
            f"{name} has rows of shape {X.shape[1:]}, which are no images. Give "
            "image_shape=(height, width) or (channels, height, width)."
        )
    shape = (1, *shape) if len(shape) == 2 else shape
    if np.prod(shape) != X[0].size:
        raise ValueError(
            f"image_shape={shape} has {np.prod(shape)} values, but the rows of {name} have "
            f"{X[0].size}: their products must agree."
        )
    if shape[0] not in (1, 3, 4):
        raise ValueError(
            f"Images of shape {shape} have {shape[0]} channels; those with 1 (grey), 3 or 4 "
            f"(colour) can be drawn. Use {name}.transpose(0, 3, 1, 2) if the channels come last."
        )
    return X.reshape(len(X), *shape)


def _read_queries(queries, n_rows: int, random_state) -> np.ndarray:
    if isinstance(queries, Integral):
        if not 1 <= queries <= n_rows:
            raise ValueError(f"queries={queries} must be from 1 to the {n_rows} rows of X.")
        return check_random_state(random_state).choice(n_rows, queries, replace=False)
    rows = np.asarray(queries)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise ValueError(f"queries must be a number or indices of rows, got {queries!r}.")
    if rows.min() < 0 or rows.max() >= n_rows:
        raise ValueError(
            f"queries must be indices from 0 to {n_rows - 1}, got {rows.min()} to {rows.max()}."
        )
    return rows


class RepresentationDisplay:
    """The rows of a representation as points in two dimensions.

    Create one with `from_estimator` or `from_data`.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Where the rows lie.
    names : (str, str)
        Labels of the axes.
    y : ndarray of shape (n,) or None, default=None
        Labels or numbers to colour the points by.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : ndarray of shape (n, 2)
    scatters_ : list of matplotlib PathCollection
        The points of each label, or all of them.
    colorbar_ : matplotlib Colorbar or None
        Where y holds numbers.

    See Also
    --------
    NearestNeighboursDisplay : Images with their nearest neighbours.
    LatentDisplay : Two latent variables, with the density of the aggregated posterior.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skmi.plotting import RepresentationDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = RepresentationDisplay.from_estimator(PCA(8).fit(X), X, y)
    >>> display.ax_.get_xlabel()
    'component 1 (22 % of the variance)'
    """

    def __init__(self, *, points, names, y=None):
        self.points = points
        self.names = names
        self.y = y

    @classmethod
    def from_estimator(
        cls,
        transformer,
        X,
        y=None,
        *,
        method="pca",
        dims=(0, 1),
        random_state=None,
        ax=None,
        **options,
    ):
        """Display rows by a fitted transformer's representation.

        Parameters
        ----------
        transformer : transformer
            Fitted.
        X : array-like
            Rows, as its ``transform`` takes them.
        y : array-like of shape (n,) or None, default=None
            Labels, which get a legend, or numbers, which get a colour bar. More than 20
            different numbers are no labels.
        method : {"pca", "tsne"} or None, default="pca"
            How more than two columns are projected: on principal components, whose part of the
            variance is written on the axes; by t-SNE, whose axes have no unit; or not at all.
            Two columns are shown as they are.
        dims : (int, int), default=(0, 1)
            Columns to draw where there is no projection, and principal components to draw
            with ``"pca"``, counted from 0.
        random_state : int, RandomState or None, default=None
            Seed of the projection.
        ax : matplotlib Axes, default=None
            Where to draw.
        **options
            Passed to `plot`.

        Returns
        -------
        RepresentationDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        NotFittedError
            If the transformer is not fitted.
        """
        check_is_fitted(transformer)
        return cls.from_data(
            transformer.transform(X),
            y,
            method=method,
            dims=dims,
            random_state=random_state,
            ax=ax,
            **options,
        )

    @classmethod
    def from_data(
        cls, Z, y=None, *, method="pca", dims=(0, 1), random_state=None, ax=None, **options
    ):
        """Display the rows of a given representation.

        Parameters
        ----------
        Z : array-like of shape (n, d) or (n, ...)
            Representations; further dimensions are flattened.
        y, method, dims, random_state, ax, **options
            As in `from_estimator`.

        Returns
        -------
        RepresentationDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        """
        Z = read_rows("Z", Z, fewest=2)
        Z = Z.reshape(len(Z), -1)
        y = _read_colors(y, Z=Z)
        points, names = _project(Z, method, dims, random_state)
        return cls(points=points, names=names, y=y).plot(ax=ax, **options)

    def plot(self, ax=None, *, cmap=None, s=10, **scatter_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        cmap : str or None, default=None
            Colour map; None is ``"tab10"`` or ``"tab20"`` for labels, ``"turbo"`` for more of
            them, and ``"viridis"`` for numbers.
        s : float, default=10
            Area of the points in points squared.
        **scatter_options
            Passed to `matplotlib.axes.Axes.scatter`, such as ``alpha``.

        Returns
        -------
        RepresentationDisplay
        """
        ax = _axes(self, ax)
        self.points_ = self.points
        options = {"s": s} | scatter_options
        self.scatters_, self.colorbar_ = _scatter(ax, self.points, self.y, cmap, options)
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        return self


def _read_colors(y, **rows) -> np.ndarray | None:
    """One label or number for each of the rows, given by name."""
    if y is None:
        return None
    y = np.ravel(y)
    check_same_length(**rows, y=y)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y has NaN or infinity. Leave these rows out.")
    return y


def _scatter(ax, points: np.ndarray, y: np.ndarray | None, cmap: str | None, options: dict):
    """Points coloured by label, with a legend, or by number, with a colour bar."""
    if y is None:
        return [ax.scatter(*points.T, **options)], None
    if not _are_labels(y):
        points = ax.scatter(*points.T, c=y.astype(float), cmap=cmap or "viridis", **options)
        return [points], ax.figure.colorbar(points, ax=ax, label="y")
    labels = np.unique(y)
    colors = _label_colors(len(labels), cmap)
    scatters = [
        ax.scatter(*points[y == label].T, color=color, label=str(label), **options)
        for label, color in zip(labels, colors, strict=True)
    ]
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return scatters, None


def _project(Z: np.ndarray, method, dims, random_state) -> tuple[np.ndarray, list[str]]:
    """Points in two dimensions, and what their coordinates are."""
    if method not in ("pca", "tsne", None):
        raise ValueError(f"method must be 'pca', 'tsne' or None, got {method!r}.")
    if Z.shape[1] < 2:
        raise ValueError("Z has a single column; two dimensions take at least 2.")
    if Z.shape[1] == 2:
        method = None
    if method == "tsne":
        return TSNE(random_state=random_state).fit_transform(Z), ["t-SNE 1", "t-SNE 2"]
    dims = _read_dims(dims, Z.shape[1] if method is None else min(Z.shape))
    if method is None:
        return Z[:, dims], [f"column {d}" for d in dims]
    pca = PCA(max(dims) + 1, random_state=random_state)
    points = pca.fit_transform(Z)[:, dims]
    parts = pca.explained_variance_ratio_
    return points, [f"component {d + 1} ({100 * parts[d]:.0f} % of the variance)" for d in dims]


def _read_dims(dims, most: int) -> list[int]:
    dims = list(dims)
    if len(dims) != 2 or not all(isinstance(d, Integral) and 0 <= d < most for d in dims):
        raise ValueError(f"dims must be two whole numbers from 0 to {most - 1}, got {dims}.")
    return dims


def _are_labels(y: np.ndarray) -> bool:
    """Whether y holds labels rather than numbers to be drawn on a scale."""
    if y.dtype.kind in "iuf":
        return type_of_target(y) != "continuous" and len(np.unique(y)) <= MOST_LABELS
    return True


def _label_colors(n_labels: int, cmap: str | None):
    import matplotlib

    if cmap is None:
        cmap = "tab10" if n_labels <= 10 else "tab20" if n_labels <= MOST_LABELS else "turbo"
    if cmap in ("tab10", "tab20"):
        return matplotlib.colormaps[cmap](np.arange(n_labels))
    return matplotlib.colormaps[cmap](np.linspace(0, 1, n_labels))
