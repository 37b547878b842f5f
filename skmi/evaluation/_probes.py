"""Classifiers trained on a fixed representation: how well, and how simply, it tells classes."""

from numbers import Integral, Real

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import VALID_METRICS, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.multiclass import type_of_target

from skmi._columns import _is_missing
from skmi._rows import check_same_length, read_rows
from skmi._supervised import NetClassifier
from skmi.base import split_rows

__all__ = ["knn_probe", "linear_probe", "mlp_probe"]

#: Distances between rows by name.
METRICS = set().union(*VALID_METRICS.values()) - {"precomputed"}

_parameters = {
    "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split"]), list],
    "n_jobs": [None, Integral],
    "random_state": ["random_state"],
}


# --------------------------------------------------------------------- what probes share


def read_probe(Z, y, cv, random_state) -> tuple[np.ndarray, np.ndarray, list, int]:
    """Flat rows, labels, the folds and a seed."""
    Z = read_rows("Z", Z)
    y = _read_labels(y)
    check_same_length(Z=Z, y=y)
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds the single class {classes[0]!r}; a probe needs at least two to tell apart."
        )
    rarest = counts.argmin()
    if isinstance(cv, Integral) and counts[rarest] < cv:
        raise ValueError(
            f"y has {counts[rarest]} row(s) of class {classes[rarest]!r}, too few for cv={cv}: "
            "every fold needs one. Leave the class out, merge it with another, or use "
            + (f"cv={counts[rarest]}." if counts[rarest] > 1 else "more data.")
        )
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return Z.reshape(len(Z), -1), y, split_rows(cv, len(Z), seed, codes), seed


def _read_labels(y) -> np.ndarray:
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(
            f"y must hold one class label a row, shape (n,), got shape {y.shape}."
            + (" Use y.argmax(axis=1) if its columns are indicators." if y.ndim == 2 else "")
        )
    missing = [i for i, label in enumerate(y.tolist()) if _is_missing(label)]
    if missing:
        raise ValueError(
            f"y has no label in {len(missing)} row(s), first in row {missing[0]}. Leave these rows "
            "out of Z and y."
        )
    if (kind := type_of_target(y, input_name="y")) not in ("binary", "multiclass"):
        raise ValueError(
            f"y must hold class labels, whole numbers or strings, but is of type {kind!r}. Cut "
            "numbers into classes first, with sklearn.preprocessing.KBinsDiscretizer for one."
        )
    return y


# ------------------------------------------------------------------------ linear, kNN


@validate_params(
    {
        "classifier": [StrOptions({"svm", "logistic"})],
        "C": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        **_parameters,
    },
    prefer_skip_nested_validation=True,
)
def linear_probe(
    Z,
    y,
    *,
    classifier="svm",
    C=1.0,
    max_iter=1000,
    cv=3,
    scoring=None,
    n_jobs=None,
    random_state=None,
):
    r"""Cross-validated accuracy of a linear classifier on a fixed representation.

    The classes are linearly separable as far as a linear support vector machine tells them
    apart ([1]_, section 4.1). For two classes, coded as :math:`y_i = \pm 1`, it solves

    .. math::
        \min_{w, b} \tfrac12 (\lVert w \rVert^2 + b^2)
        + C \sum_i \max(0, 1 - y_i (w^\top z_i + b))^2 ,

    one class against the rest where there are more; logistic regression has
    :math:`\log(1 + e^{-y_i (w^\top z_i + b)})` in place of the squared hinge. The columns are
    standardised with the training rows of each fold.

    Parameters
    ----------
    Z : array-like of shape (n, d) or (n, c, h, w)
        Representations, one a row; further dimensions are flattened.
    y : array-like of shape (n,)
        Class labels.
    classifier : {"svm", "logistic"}, default="svm"
        `sklearn.svm.LinearSVC` or `sklearn.linear_model.LogisticRegression`.
    C : float, default=1.0
        Weight of the loss against the penalty.
    max_iter : int, default=1000
        Largest number of iterations of the solver.
    cv : int, splitter or list of splits, default=3
        A number of folds is shuffled, and stratified by class.
    scoring : str, callable or None, default=None
        As in `sklearn.model_selection.cross_val_score`; None is the accuracy.
    n_jobs : int or None, default=None
        Folds fitted at once, through joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the solver.

    Returns
    -------
    ndarray of shape (n_folds,)
        The score on the rows that each fold holds out.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    Warns
    -----
    ConvergenceWarning
        If a solver runs out of iterations.

    See Also
    --------
    mlp_probe : What a small network tells apart.
    knn_probe : What the nearest neighbours tell.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.evaluation import linear_probe
    >>> Z, y = load_digits(return_X_y=True)
    >>> scores = linear_probe(Z, y, classifier="logistic", random_state=0)
    >>> scores.shape, bool(scores.mean() > 0.9)
    ((3,), True)
    """
    Z, y, folds, seed = read_probe(Z, y, cv, random_state)
    if classifier == "svm":
        model = LinearSVC(C=C, dual="auto", max_iter=max_iter, random_state=seed)
    else:
        model = LogisticRegression(C=C, max_iter=max_iter, random_state=seed)
    model = make_pipeline(StandardScaler(), model)
    return cross_val_score(
        model, Z, y, cv=folds, scoring=scoring, n_jobs=n_jobs, error_score="raise"
    )


@validate_params(
    {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(METRICS), callable],
        "weights": [StrOptions({"uniform", "distance"}), callable],
        "standardize": ["boolean"],
        **_parameters,
    },
    prefer_skip_nested_validation=True,
)
def knn_probe(
    Z,
    y,
    *,
    n_neighbors=5,
    metric="manhattan",
    weights="uniform",
    standardize=False,
    cv=3,
    scoring=None,
    n_jobs=None,
    random_state=None,
):
    r"""Cross-validated accuracy of the nearest neighbours in a fixed representation.

    A row takes the class of most of its k nearest training rows, which tells whether distance
    in the representation means anything. Deep InfoMax measures it by

    .. math:: d(z, z') = \sum_j |z_j - z'_j|

    ([1]_, appendix A.4), to go with a uniform prior on each coordinate.

    Parameters
    ----------
    Z : array-like of shape (n, d) or (n, c, h, w)
        Representations, one a row; further dimensions are flattened.
    y : array-like of shape (n,)
        Class labels.
    n_neighbors : int, default=5
        Number k of neighbours.
    metric : str or callable, default="manhattan"
        Distance, as in `sklearn.neighbors.KNeighborsClassifier`; ``"euclidean"`` and
        ``"cosine"`` are other common ones.
    weights : {"uniform", "distance"} or callable, default="uniform"
        How the neighbours' votes are weighted.
    standardize : bool, default=False
        Whether to standardise the columns with the training rows of each fold first. Distances
        as they are belong to what is measured.
    cv : int, splitter or list of splits, default=3
        A number of folds is shuffled, and stratified by class.
    scoring : str, callable or None, default=None
        As in `sklearn.model_selection.cross_val_score`; None is the accuracy.
    n_jobs : int or None, default=None
        Folds at once, through joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds.

    Returns
    -------
    ndarray of shape (n_folds,)
        The score on the rows that each fold holds out.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    linear_probe : What is linearly separable.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmi.evaluation import knn_probe
    >>> Z, y = load_digits(return_X_y=True)
    >>> bool(knn_probe(Z, y, random_state=0).mean() > 0.95)
    True
    """
    Z, y, folds, _ = read_probe(Z, y, cv, random_state)
    if n_neighbors > (smallest := min(len(train) for train, _ in folds)):
        raise ValueError(
            f"n_neighbors={n_neighbors} is more than the {smallest} training rows of a fold. Use "
            f"n_neighbors={smallest} or fewer."
        )
    model = KNeighborsClassifier(n_neighbors, metric=metric, weights=weights)
    if standardize:
        model = make_pipeline(StandardScaler(), model)
    return cross_val_score(
        model, Z, y, cv=folds, scoring=scoring, n_jobs=n_jobs, error_score="raise"
    )


# ---------------------------------------------------------------------------- network


@validate_params(
    {
        **{
            name: constraint
            for name, constraint in NetClassifier._parameter_constraints.items()
            if name != "verbose"
        },
        **_parameters,
    },
    prefer_skip_nested_validation=True,
)
def mlp_probe(
    Z,
    y,
    *,
    hidden=200,
    dropout=0.1,
    batch_norm=False,
    learning_rate=1e-3,
    max_epochs=200,
    patience=10,
    validation_fraction=0.1,
    cv=3,
    scoring=None,
    n_jobs=None,
    device="auto",
    random_state=None,
):
    r"""Cross-validated accuracy of a small network on a fixed representation.

    One hidden layer with dropout ([1]_, section 4.1, where it has 200 units) tells what of the
    classes the representation holds beyond what is linearly separable. It models

    .. math:: p(y \mid z) = \mathrm{softmax}(W_2 \, \max(0, W_1 z + b_1) + b_2)

    and is trained on the cross-entropy. The columns are standardised with the training rows of
    each fold. A part of these tells when to stop, so that the rows that are scored decide
    nothing.

    Parameters
    ----------
    Z : array-like of shape (n, d) or (n, c, h, w)
        Representations, one a row; further dimensions are flattened.
    y : array-like of shape (n,)
        Class labels.
    hidden : int or tuple of int, default=200
        Width of the hidden layer, or of each of several. InfoMax-VAE's classifier ([2]_, Table 7)
        has ``hidden=(1000, 500, 100)`` and ``dropout=0``.
    dropout : float, default=0.1
        Part of the hidden units that is dropped in each step.
    batch_norm : bool, default=False
        Whether to normalise the hidden layer over each batch.
    learning_rate : float, default=1e-3
        Step size of Adam.
    max_epochs : int, default=200
        Largest number of passes over the data.
    patience : int, default=10
        Epochs without improvement on held-out rows after which training stops.
    validation_fraction : float, default=0.1
        Part of the training rows of a fold that is held out to tell when to stop.
    cv : int, splitter or list of splits, default=3
        A number of folds is shuffled, and stratified by class.
    scoring : str, callable or None, default=None
        As in `sklearn.model_selection.cross_val_score`; None is the accuracy.
    n_jobs : int or None, default=None
        Folds fitted at once, through joblib. The result does not depend on it.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights, held-out rows, shuffles and dropout.

    Returns
    -------
    ndarray of shape (n_folds,)
        The score on the rows that each fold holds out.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.
    NonFiniteLossError
        If training diverges.

    Warns
    -----
    ConvergenceWarning
        If training ran out of epochs while the network was still improving.

    See Also
    --------
    linear_probe : What is linearly separable.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation
       and maximization", ICLR 2019.
    .. [2] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.evaluation import linear_probe, mlp_probe
    >>> Z = np.random.default_rng(0).normal(size=(600, 2))
    >>> y = (Z[:, 0] > 0) ^ (Z[:, 1] > 0)                     # exclusive or
    >>> bool(linear_probe(Z, y, random_state=0).mean() < 0.65)
    True
    >>> bool(mlp_probe(Z, y, learning_rate=0.01, random_state=0).mean() > 0.85)
    True
    """
    Z, y, folds, seed = read_probe(Z, y, cv, random_state)
    model = NetClassifier(
        hidden=hidden,
        dropout=dropout,
        batch_norm=batch_norm,
        learning_rate=learning_rate,
        max_epochs=max_epochs,
        patience=patience,
        validation_fraction=validation_fraction,
        device=device,
        random_state=seed,
    )
    return cross_val_score(
        model, Z, y, cv=folds, scoring=scoring, n_jobs=n_jobs, error_score="raise"
    )
