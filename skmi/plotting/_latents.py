"""Displays of latent variables: where the data lie among them, and what is decoded from them."""

import math
from numbers import Integral

import numpy as np
from scipy.special import ndtr
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skmi._rows import check_same_length, find_image_shape, read_rows
from skmi.evaluation._latent import latent_traversal, read_moves, read_posteriors
from skmi.plotting._displays import _axes
from skmi.plotting._representations import _read_colors, _read_dims, _read_images, _scatter

__all__ = ["ImageGridDisplay", "LatentDisplay"]


class LatentDisplay:
    r"""Two latent variables: the density of the aggregated posterior, and the rows' codes.

    The density of two columns of the mixture :math:`q(z) = \frac1N \sum_i q(z | x_i)` is drawn
    with circles at 1, 2 and 3 standard deviations of the standard normal prior, which it should
    fill; beside or below it are the posterior means, coloured by label ([1]_, figures 2, 7 and
    8). Create one with `from_estimator` or `from_data`.

    Parameters
    ----------
    means, stds : ndarray of shape (n, 2)
        Means and standard deviations of the posteriors of the two columns.
    names : (str, str)
        Labels of the axes.
    y : ndarray of shape (n,) or None, default=None
        Labels or numbers to colour the codes by.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2,) or (1,)
        Of the density and of the codes, or of both in one.
    figure_ : matplotlib Figure
    density_ : ndarray of shape (n_cells, n_cells)
        The mean density in each cell of the picture, from the bottom to the top row.
    edges_ : ndarray of shape (n_cells + 1,)
        Where cells begin and end, in both columns.
    image_ : matplotlib QuadMesh
        The density.
    circles_ : list of matplotlib Circle
        The prior's, at 1, 2 and 3 standard deviations, for each of the axes.
    scatters_ : list of matplotlib PathCollection
        The codes of each label, or all of them.
    colorbar_ : matplotlib Colorbar or None
        Where y holds numbers.

    See Also
    --------
    RepresentationDisplay : Projects any number of columns to two dimensions.
    skmi.evaluation.aggregate_posterior_kl : How far the density is from the prior.

    References
    ----------
    .. [1] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.plotting import LatentDisplay
    >>> means = 0.8 * np.random.default_rng(0).normal(size=(500, 2))
    >>> display = LatentDisplay.from_data(means, np.full_like(means, 0.6), means[:, 0] > 0)
    >>> [ax.get_title() for ax in display.axes_]
    ['aggregated posterior', 'posterior means']
    """

    def __init__(self, *, means, stds, names, y=None):
        self.means = means
        self.stds = stds
        self.names = names
        self.y = y

    @classmethod
    def from_estimator(cls, vae, X, y=None, *, dims=(0, 1), ax=None, **options):
        """Display the posteriors of some rows by a fitted variational autoencoder.

        Parameters
        ----------
        vae : transformer
            Fitted, with ``posterior(X)``, which returns means and standard deviations.
        X : array-like
            Rows, as its ``posterior`` takes them.
        y : array-like of shape (n,) or None, default=None
            Labels, which get a legend, or numbers, which get a colour bar. More than 20
            different numbers are no labels.
        dims : (int, int), default=(0, 1)
            Latent variables to draw, counted from 0.
        ax : matplotlib Axes, pair of them or None, default=None
            Where to draw: density and codes beside each other on two axes, or one over the
            other. None makes two new ones.
        **options
            Passed to `plot`.

        Returns
        -------
        LatentDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(vae)
        return cls.from_data(*vae.posterior(X), y, dims=dims, ax=ax, **options)

    @classmethod
    def from_data(cls, means, stds, y=None, *, dims=(0, 1), ax=None, **options):
        """Display given posteriors.

        Parameters
        ----------
        means, stds : array-like of shape (n, n_components)
            Means and standard deviations of the posteriors.
        y, dims, ax, **options
            As in `from_estimator`.

        Returns
        -------
        LatentDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        """
        means, stds = read_posteriors(means, stds)
        if means.shape[1] < 2:
            raise ValueError("means has a single column; two dimensions take at least 2.")
        dims = _read_dims(dims, means.shape[1])
        y = _read_colors(y, means=means)
        names = [f"$z_{{{d}}}$" for d in dims]
        display = cls(means=means[:, dims], stds=stds[:, dims], names=names, y=y)
        return display.plot(ax=ax, **options)

    def plot(self, ax=None, *, n_cells=200, density_cmap=None, cmap=None, s=5, **scatter_options):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, pair of them or None, default=None
            Where to draw; None makes two new axes beside each other.
        n_cells : int, default=200
            Cells of the density along each side.
        density_cmap : str or None, default=None
            Colour map of the density; None is ``"viridis"``, or ``"Greys"`` below the codes.
        cmap : str or None, default=None
            Colour map of the codes, as in `RepresentationDisplay.plot`.
        s : float, default=5
            Area of the points in points squared.
        **scatter_options
            Passed to `matplotlib.axes.Axes.scatter`, such as ``alpha``.

        Returns
        -------
        LatentDisplay
        """
        check_matplotlib_support("LatentDisplay.plot")
        import matplotlib.pyplot as plt

        if not isinstance(n_cells, Integral) or n_cells < 2:
            raise ValueError(f"n_cells={n_cells!r} must be a whole number, at least 2.")
        if ax is None:
            ax = plt.subplots(1, 2, figsize=(9.2, 4.2), layout="constrained")[1]
        self.axes_ = np.array(ax, dtype=object).ravel()
        if len(self.axes_) > 2:
            raise ValueError(f"ax must be one or two matplotlib Axes, got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        shared = len(self.axes_) == 1
        style = {"cmap": "Greys", "alpha": 0.5} if shared else {"cmap": "viridis"}
        if density_cmap is not None:
            style["cmap"] = density_cmap
        self._draw_density(self.axes_[0], n_cells, style)
        options = {"s": s, "linewidths": 0} | scatter_options
        self.scatters_, self.colorbar_ = _scatter(self.axes_[-1], self.means, self.y, cmap, options)
        self.circles_ = []
        titles = ("aggregated posterior", "posterior means")[: len(self.axes_)]
        for panel, title in zip(self.axes_, titles, strict=True):
            self._draw_prior(panel, "white" if panel is self.axes_[0] and not shared else "0.35")
            limits = self.edges_[0], self.edges_[-1]
            panel.set(title=title, aspect="equal", xlim=limits, ylim=limits)
            panel.set(xlabel=self.names[0], ylabel=self.names[1])
        return self

    def _draw_density(self, ax, n_cells: int, style: dict) -> None:
        reach = max(3.2, float((abs(self.means) + self.stds).max()) * 1.02)
        self.edges_ = np.linspace(-reach, reach, n_cells + 1)
        parts = [
            np.diff(ndtr((self.edges_ - mean[:, None]) / std[:, None]), axis=1)
            for mean, std in zip(self.means.T, self.stds.T, strict=True)
        ]
        area = (2 * reach / n_cells) ** 2
        self.density_ = parts[1].T @ parts[0] / (len(self.means) * area)
        self.image_ = ax.pcolormesh(
            self.edges_, self.edges_, self.density_, vmin=0, rasterized=True, **style
        )

    def _draw_prior(self, ax, color: str) -> None:
        from matplotlib.patches import Circle

        for radius in (1, 2, 3):
            circle = Circle((0, 0), radius, fill=False, ls="--", lw=0.8, color=color)
            self.circles_.append(ax.add_patch(circle))


class ImageGridDisplay:
    """Images in rows and columns: samples, reconstructions or traversals.

    Create one with `from_samples`, `from_reconstructions`, `from_traversal` or, for any images,
    `from_data`.

    Parameters
    ----------
    images : ndarray of shape (n, c, h, w)
        Images of one channel (grey), three or four (colour), row by row of the grid.
    n_columns : int
        Columns of the grid; the last row may have fewer images.
    row_labels, column_labels : sequence of str or None, default=None
        What to write to the left of the rows and above the columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : ndarray of shape (n, c, h, w)
    image_ : matplotlib AxesImage
        All of them, side by side.

    See Also
    --------
    NearestNeighboursDisplay : Images with their nearest neighbours.
    skmi.evaluation.latent_traversal : The images of a traversal.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.plotting import ImageGridDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = ImageGridDisplay.from_data(X[:24], n_columns=8, image_shape=(8, 8))
    >>> display.images_.shape
    (24, 1, 8, 8)
    """

    def __init__(self, *, images, n_columns, row_labels=None, column_labels=None):
        self.images = images
        self.n_columns = n_columns
        self.row_labels = row_labels
        self.column_labels = column_labels

    @classmethod
    def from_samples(
        cls, vae, n=64, *, n_columns=None, image_shape=None, random_state=None, ax=None, **options
    ):
        """Display samples from a fitted model.

        Parameters
        ----------
        vae : object
            Fitted, with ``sample(n, random_state=...)``.
        n : int, default=64
            How many.
        n_columns : int or None, default=None
            Columns of the grid; None makes it about square.
        image_shape : (int, int) or (int, int, int), default=None
            Height and width, or channels, height and width, of flat rows. None is what the
            model was fitted with.
        random_state : int, RandomState or None, default=None
            Seed of the samples.
        ax : matplotlib Axes, default=None
            Where to draw.
        **options
            Passed to `plot`.

        Returns
        -------
        ImageGridDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(vae)
        images = _as_images("samples", vae.sample(n, random_state=random_state), vae, image_shape)
        return cls.from_data(images, n_columns=n_columns, ax=ax, **options)

    @classmethod
    def from_reconstructions(cls, vae, X, *, n_columns=10, image_shape=None, ax=None, **options):
        """Display images above their reconstructions by a fitted model.

        Parameters
        ----------
        vae : object
            Fitted, with ``reconstruct(X)``.
        X : array-like of shape (n, p), (n, h, w) or (n, c, h, w)
            Images, as its ``reconstruct`` takes them.
        n_columns : int, default=10
            Most images in a row; further ones follow below.
        image_shape, ax, **options
            As in `from_samples`. The range of the pixels is that of the originals.

        Returns
        -------
        ImageGridDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(vae)
        originals = _as_images("X", X, vae, image_shape)
        rebuilt = _as_images("reconstructions", vae.reconstruct(X), vae, originals.shape[1:])
        check_same_length(X=originals, reconstructions=rebuilt)
        n_columns = min(_read_columns(n_columns), len(originals))
        n_blocks = math.ceil(len(originals) / n_columns)
        images = np.full((n_blocks, 2, n_columns, *originals.shape[1:]), np.nan)
        for block in range(n_blocks):
            for row, source in enumerate((originals, rebuilt)):
                some = source[block * n_columns : (block + 1) * n_columns]
                images[block, row, : len(some)] = some
        images = images.reshape(-1, *originals.shape[1:])
        labels = ["original", "reconstruction"] * n_blocks
        display = cls(images=images, n_columns=n_columns, row_labels=labels)
        low, high = _pixel_range(originals)
        return display.plot(ax=ax, **({"vmin": low, "vmax": high} | options))

    @classmethod
    def from_traversal(
        cls, vae, x, *, components=None, values=None, image_shape=None, ax=None, **options
    ):
        """Display what is decoded as one latent variable at a time moves.

        Each row of the grid has a latent variable, each column a value; see
        `skmi.evaluation.latent_traversal`.

        Parameters
        ----------
        vae : transformer
            Fitted, with ``transform`` and ``inverse_transform``.
        x : array-like
            One image, ``X[0]`` or ``X[:1]``.
        components : int, sequence of int or None, default=None
            Which latent variables to move, counted from 0. None is all of them.
        values : array-like of shape (n_values,) or None, default=None
            Where to; None is 9 values from -4 to 4.
        image_shape, ax, **options
            As in `from_samples`.

        Returns
        -------
        ImageGridDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(vae)
        components, values = read_moves(components, values, vae.n_components)
        grid = latent_traversal(vae, x, components=components, values=values)
        rows = grid.reshape(-1, *grid.shape[2:])
        images = _as_images("decoded rows", rows, vae, image_shape)
        display = cls(
            images=images,
            n_columns=len(values),
            row_labels=[f"$z_{{{component}}}$" for component in components],
            column_labels=[f"{value:g}" for value in values],
        )
        return display.plot(ax=ax, **options)

    @classmethod
    def from_data(
        cls,
        images,
        *,
        n_columns=None,
        row_labels=None,
        column_labels=None,
        image_shape=None,
        ax=None,
        **options,
    ):
        """Display given images.

        Parameters
        ----------
        images : array-like of shape (n, p), (n, h, w) or (n, c, h, w)
            Images, row by row of the grid.
        n_columns : int or None, default=None
            Columns of the grid; None makes it about square.
        row_labels, column_labels : sequence of str or None, default=None
            What to write to the left of the rows and above the columns.
        image_shape, ax, **options
            As in `from_samples`.

        Returns
        -------
        ImageGridDisplay

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the message names the argument.
        """
        images = _as_images("images", images, None, image_shape)
        if n_columns is None:
            n_columns = math.ceil(math.sqrt(len(images)))
        n_columns = min(_read_columns(n_columns), len(images))
        sizes = {"row": math.ceil(len(images) / n_columns), "column": n_columns}
        for kind, labels in (("row", row_labels), ("column", column_labels)):
            if labels is not None and len(labels) != sizes[kind]:
                raise ValueError(
                    f"{kind}_labels must be one for each of the {sizes[kind]} {kind}s, got "
                    f"{len(labels)}."
                )
        display = cls(
            images=images, n_columns=n_columns, row_labels=row_labels, column_labels=column_labels
        )
        return display.plot(ax=ax, **options)

    def plot(self, ax=None, *, cmap="gray", vmin=None, vmax=None, gap=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new one.
        cmap : str, default="gray"
            Colour map of images with one channel.
        vmin, vmax : float or None, default=None
            Pixels that are darkest and brightest; what lies beyond is drawn like them. None is
            0 and 1 where all pixels are in between, else the least and the greatest.
        gap : int or None, default=None
            Pixels between images; None is a tenth of their width.

        Returns
        -------
        ImageGridDisplay
        """
        check_matplotlib_support("ImageGridDisplay.plot")
        import matplotlib
        import matplotlib.pyplot as plt

        self.images_ = self.images
        n, channels, height, width = self.images.shape
        low, high = _pixel_range(self.images)
        low, high = (low if vmin is None else vmin), (high if vmax is None else vmax)
        pixels = np.clip((self.images - low) / ((high - low) or 1.0), 0, 1)
        if channels == 1:
            colors = matplotlib.colormaps[cmap](pixels[:, 0])
        else:
            opaque = np.ones((n, 1, height, width))
            colors = np.concatenate([pixels, opaque], axis=1)[:, :4].transpose(0, 2, 3, 1)
        if gap is None:
            gap = max(1, round(width / 10))
        if not isinstance(gap, Integral) or gap < 0:
            raise ValueError(f"gap={gap!r} must be a whole number of pixels, at least 0.")
        n_rows = math.ceil(n / self.n_columns)
        mosaic = np.zeros((n_rows * (height + gap) - gap, self.n_columns * (width + gap) - gap, 4))
        for i, image in enumerate(colors):
            if not np.isnan(self.images[i]).any():  # NaN is an empty place
                row, column = divmod(i, self.n_columns)
                top, left = row * (height + gap), column * (width + gap)
                mosaic[top : top + height, left : left + width] = image
        if ax is None:
            size = 0.6 * self.n_columns + 1, 0.6 * n_rows * height / width + 0.5
            ax = plt.subplots(figsize=size, layout="constrained")[1]
        ax = _axes(self, ax)
        self.image_ = ax.imshow(mosaic, interpolation="nearest")
        ax.set(frame_on=False)
        ax.tick_params(length=0, labeltop=True, labelbottom=False, labelsize="small")
        rows, columns = (
            (np.arange(count) * (side + gap) + (side - 1) / 2, labels)
            for count, side, labels in (
                (n_rows, height, self.row_labels),
                (self.n_columns, width, self.column_labels),
            )
        )
        ax.set_yticks(*rows) if self.row_labels is not None else ax.set_yticks([])
        ax.set_xticks(*columns) if self.column_labels is not None else ax.set_xticks([])
        return self


def _as_images(name: str, values, vae, shape) -> np.ndarray:
    """Images of shape (n, c, h, w), what a model takes or gives."""
    rows = read_rows(name, values)
    if shape is None and vae is not None:
        shape = find_image_shape(vae, rows)
    return _read_images(name, rows, shape)


def _pixel_range(images: np.ndarray) -> tuple[float, float]:
    """What is drawn darkest and brightest."""
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _read_columns(n_columns) -> int:
    if not isinstance(n_columns, Integral) or n_columns < 1:
        raise ValueError(f"n_columns={n_columns!r} must be a whole number, at least 1.")
    return n_columns
