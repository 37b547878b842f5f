"""All measures of a representation, as a table."""

import copy

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_pandas_support
from sklearn.utils.validation import check_is_fitted

from skmi._rows import check_same_length, find_image_shape, read_rows
from skmi.base import split_rows
from skmi.evaluation._probes import knn_probe, linear_probe, mlp_probe, read_probe
from skmi.evaluation._reconstruction import reconstruction_decoder
from skmi.evaluation._similarity import WEIGHTS, count_scales, ms_ssim
from skmi.exceptions import warn
from skmi.information.mine import MINEEstimator

__all__ = ["representation_report"]

#: Measures that need labels.
PROBES = {"svm": linear_probe, "mlp": mlp_probe, "knn": knn_probe}
#: All measures, in the order of the columns.
MEASURES = (*PROBES, "r2", "ms-ssim", "mi", "ndm")
#: What `feature_layer` selects, from the first layer to the last.
LAYERS = ("conv", "fc", "global")
#: What takes keyword arguments.
OPTIONS = (*PROBES, "decoder", "ms-ssim", "mi", "ndm")
#: Side of the window of MS-SSIM in pixels.
WINDOW_SIZE = 11


def representation_report(
    transformer,
    X,
    y=None,
    *,
    layers=LAYERS,
    measures=None,
    cv=3,
    options=None,
    n_jobs=None,
    device="auto",
    random_state=None,
):
    r"""Measure what a fitted transformer's representation holds, as a table.

    The table has the columns of [1]_, table 4, with one row for each layer of the encoder. The
    transformer is held fixed: it is neither fitted nor changed.

    Parameters
    ----------
    transformer : transformer
        Fitted. Where it has a parameter ``feature_layer``, as `DIMTransformer` has, its layers
        are measured one by one.
    X : array-like of shape (n, p), (n, h, w) or (n, c, h, w)
        Rows as its ``transform`` takes them. Rows that it was not fitted on tell what a
        representation is worth on new data; the paper takes those that it was fitted on for
        the classifiers' training.
    y : array-like of shape (n,) or None, default=None
        Class labels, for the accuracies.
    layers : sequence of {"conv", "fc", "global"}, default=("conv", "fc", "global")
        Values of ``feature_layer`` to measure: the last map, the hidden layer after it, and the
        representation Y. Ignored for a transformer without that parameter.
    measures : sequence of str or None, default=None
        Columns of the table; None is every one that X and y allow.

        - ``"svm"``, ``"mlp"``, ``"knn"``: accuracy of `linear_probe`, `mlp_probe` and
          `knn_probe`, the mean over the folds;
        - ``"r2"``, ``"ms-ssim"``: part of the variance, and similarity from 0 to 1, of what
          `reconstruction_decoder` reconstructs of held-out rows;
        - ``"mi"``: information :math:`I(X; Y)` between the rows and their representation in
          nats, the held-out ``mi_`` of `MINEEstimator`;
        - ``"ndm"``: dependence of the columns of the representation in nats, the ``ndm_`` of
          `skmi.dependence.NeuralDependencyMeasure`.
    cv : int, splitter or list of splits, default=3
        Folds of all but the decoder, which is trained and judged on the first split. A
        number of folds is shuffled, and stratified by y where an accuracy is asked for.
    options : dict of dict or None, default=None
        Further keyword arguments, by what takes them: ``"svm"``, ``"mlp"``, ``"knn"``,
        ``"decoder"``, ``"ms-ssim"``, ``"mi"`` or ``"ndm"``. For instance
        ``{"decoder": {"max_epochs": 50}}``.
    n_jobs : int or None, default=None
        Folds fitted at once.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    random_state : int, RandomState or None, default=None
        Seed of folds and networks.

    Returns
    -------
    DataFrame
        The number of columns of the representation, ``"n_features"``, and the measures for
        each layer; the one row of a transformer without layers is named ``"transform"``.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.
    NotFittedError
        If the transformer is not fitted.
    ImportError
        If pandas is not installed.

    Warns
    -----
    SaturationWarning
        If ``"mi"`` is close to log n, the most that n rows can certify.
    UserWarning
        If ``"ms-ssim"`` is asked for rows that are no images, or too small ones; it is NaN.

    See Also
    --------
    linear_probe, mlp_probe, knn_probe, reconstruction_decoder, ms_ssim : The measures.

    Notes
    -----
    Where the encoder is a deterministic map to continuous values, :math:`I(X; Y)` is infinite,
    and ``"mi"`` tells how much of it a critic finds with so many rows: compare values of the
    same rows only. MS-SSIM has as many of its five scales as the images have room for with a
    window of 11 pixels; values for images of other sizes are not comparable. Its data range is
    that of the pixels of X, and 0 to 255 for the dtype uint8.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skmi.evaluation import representation_report
    >>> X, y = load_digits(return_X_y=True)
    >>> pca = PCA(8).fit(X[:900])
    >>> report = representation_report(
    ...     pca, X[900:], y[900:], measures=("svm", "knn"), random_state=0
    ... )
    >>> report.round(1)
               n_features  svm  knn
    layer
    transform           8  0.9  0.9
    """
    pd = check_pandas_support("representation_report")
    if not hasattr(transformer, "transform"):
        raise TypeError(
            f"transformer must have a method transform, got {type(transformer).__name__}."
        )
    check_is_fitted(transformer)
    options = {name: {} for name in OPTIONS} | (options or {})
    _check_names("options", options, OPTIONS)
    if hasattr(transformer, "feature_layer"):
        _check_names("layers", layers, LAYERS)
    rows = read_rows("X", X, fewest=4)
    if y is not None:
        check_same_length(X=rows, y=y)
    shape = find_image_shape(transformer, rows)
    target = rows.reshape(len(rows), *(shape or [-1]))
    n_scales = 0
    if shape is not None:
        window_size = options["ms-ssim"].get("window_size", WINDOW_SIZE)
        n_scales = min(count_scales(min(shape[1:]), window_size), len(WEIGHTS))
    if measures is None:
        measures = MEASURES if y is not None else [name for name in MEASURES if name not in PROBES]
        measures = [name for name in measures if n_scales or name != "ms-ssim"]
    _check_names("measures", measures, MEASURES)
    y, folds, seed = _read_folds(rows, y, measures, cv, random_state)
    if "ms-ssim" in measures and not n_scales:
        size = "no images" if shape is None else f"images of {shape[1]} x {shape[2]} pixels"
        warn(
            f"The rows of X are {size}: measure 'ms-ssim' needs images with at least the "
            f"{WINDOW_SIZE} pixels of its window on both sides, and is NaN. Use 'r2'.",
            UserWarning,
        )
    on_device = {"device": device, "random_state": seed}
    in_folds = {"cv": folds, "n_jobs": n_jobs, "random_state": seed}
    pixels = (0, 255) if np.asarray(X).dtype == np.uint8 else (rows.min(), rows.max())
    defaults = {
        "svm": in_folds,
        "mlp": in_folds | on_device,
        "knn": in_folds,
        "decoder": on_device,
        "ms-ssim": {"data_range": pixels, "n_scales": n_scales},
        "mi": in_folds | on_device,
        "ndm": in_folds | on_device,
    }
    options = {name: default | options[name] for name, default in defaults.items()}
    features = _encode(transformer, X, layers)
    table = [_measure(Z, target, y, folds[0], measures, options) for Z in features.values()]
    index = pd.Index(features, name="layer")
    return pd.DataFrame(table, index=index, columns=["n_features", *measures])


def _check_names(argument: str, names, known) -> None:
    if isinstance(names, str) or (unknown := [name for name in names if name not in known]):
        got = repr(names) if isinstance(names, str) else f"{unknown} among them"
        raise ValueError(f"{argument} must be names out of {list(known)}, got {got}.")


def _read_folds(rows, y, measures, cv, random_state) -> tuple[np.ndarray | None, list, int]:
    """Labels if they are needed, the folds and a seed."""
    probes = [name for name in measures if name in PROBES]
    if not probes:
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        return None, split_rows(cv, len(rows), seed), seed
    if y is None:
        raise ValueError(
            f"y must be given for measures={probes}: they are accuracies. Pass class labels, or "
            "other measures."
        )
    return read_probe(rows, y, cv, random_state)[1:]


def _encode(transformer, X, layers) -> dict:
    """The representations to measure, by the names of their layers."""
    if not hasattr(transformer, "feature_layer"):
        return {"transform": transformer.transform(X)}
    if hasattr(transformer, "_transform_layers"):  # one pass of the rows for all layers
        return transformer._transform_layers(X, layers)
    views = {name: copy.copy(transformer) for name in layers}
    for name, view in views.items():
        view.feature_layer = name
    return {name: view.transform(X) for name, view in views.items()}


def _measure(Z, target, y, split, measures, options) -> dict:
    """The row of one layer."""
    Z = read_rows("Z", Z)
    Z = Z.reshape(len(Z), -1)
    values = {"n_features": Z.shape[1]}
    for name in set(measures) & set(PROBES):
        values[name] = PROBES[name](Z, y, **options[name]).mean()
    similar = "ms-ssim" in measures and options["ms-ssim"]["n_scales"]
    if "r2" in measures or similar:
        train, test = split
        decoder = reconstruction_decoder(Z[train], target[train], **options["decoder"])
        values["r2"] = decoder.score(Z[test], target[test])
        if similar:
            X_hat = decoder.predict(Z[test])
            values["ms-ssim"] = ms_ssim(target[test], X_hat, **options["ms-ssim"]).mean()
    if "mi" in measures:
        flat = target.reshape(len(target), -1)
        values["mi"] = MINEEstimator(**options["mi"]).fit(flat, Z).mi_
    if "ndm" in measures:
        from skmi.dependence import NeuralDependencyMeasure

        values["ndm"] = NeuralDependencyMeasure(**options["ndm"]).fit(Z).ndm_
    return values
