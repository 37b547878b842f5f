"""Selection of features that together say much about a target."""

from numbers import Integral, Real

import numpy as np
from scipy.special import xlogy
from scipy.stats import entropy
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, validate_data

from skmi.base import infer_device
from skmi.feature_selection._neural import CHUNK_FEATURES, score_columns
from skmi.information._levels import OWN_OF_BINS, ColumnReader, Levels, TargetReader
from skmi.information._tables import N_FOLDS, TableCritics

__all__ = ["MutualInfoSelector"]

#: Levels of a column alone, and where several columns are looked at together.
N_LEVELS, FEW_LEVELS = 56, 16
#: Levels of a column where all pairs are screened, largest arrays of this, and how many of the
#: pairs are kept and, in each step, looked at.
SCREEN_LEVELS, SCREEN_CELLS, SCREEN_KEPT, SCREEN_LOOKED = 4, 2**26, 1024, 16


class MutualInfoSelector(SelectorMixin, BaseEstimator):
    r"""Select features by their mutual information with the target, alone or together.

    With :math:`S` the features chosen so far, the next one has the largest

    ============= ============================================================ ===================
    criterion     value of feature j, in nats                                  finds
    ============= ============================================================ ===================
    ``relevance`` :math:`I(X_j; Y)`                                            informative features
    ``mrmr``      :math:`I(X_j; Y) - \frac{1}{|S|} \sum_{s \in S} I(X_j; X_s)` and drops copies
    ``jmi``       :math:`\frac{1}{|S|} \sum_{s \in S} I(X_j; Y | X_s)`         and pairs
    ``cmim``      :math:`\min_{s \in S} I(X_j; Y | X_s)`                       and drops copies
    ``joint``     :math:`I(X_j; Y | X_S) = I(X_{S \cup j}; Y) - I(X_S; Y)`     interactions
    ============= ============================================================ ===================

    ``jmi`` ranks features as :math:`\sum_s I(X_j, X_s; Y)` does. ``joint`` also looks at pairs of
    features, and takes one that adds more for each of its two features than the best single
    feature does; so it finds the inputs of an exclusive or, each of which says nothing alone.
    Where only one more feature is to be chosen, pairs are not looked at.

    Parameters
    ----------
    criterion : {"relevance", "mrmr", "jmi", "cmim", "joint"}, default="relevance"
        What a feature is chosen by.
    n_features_to_select : int, float or None, default=None
        How many features, or which share of them. None: half of them.
    discrete_features : "auto", bool or array-like, default="auto"
        Columns of X that hold categories: all or none, a mask, indices, or names. ``"auto"``:
        those of categorical, string or boolean dtype. Anything else replaces this rule.
    discrete_target : "auto" or bool, default="auto"
        Whether y holds labels. ``"auto"``: if it is no table of numbers, or whole numbers with
        few distinct values.
    max_samples : int or None, default=5_000
        Rows, drawn at random, that ``jmi``, ``cmim`` and ``joint`` use for several features
        together. None: all, which takes time and memory in proportion for ``joint``.
    n_jobs : int or None, default=None
        Chunks of features at once, through joblib.
    device : str, default="auto"
        Torch device.
    random_state : int, RandomState or None, default=None
        Seed of folds and weights.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features,)
        :math:`I(X_j; Y)` in nats.
    redundancy_ : ndarray of shape (n_features,)
        What the criterion took off the score for the sake of the features chosen before, in
        nats: for ``mrmr`` the mean of :math:`I(X_j; X_s)`; for the others what these have
        already said, which is negative where j says more together with them. It contains
        what coarser levels lose of the score. Of features that were not chosen, when the last
        one was.
    ranking_ : ndarray of int of shape (n_features,)
        1 for the feature that was chosen first. Those that were not chosen follow in the order
        of the criterion.
    support_ : ndarray of bool of shape (n_features,)
        Which features are selected.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had names.

    See Also
    --------
    mutual_info_neural : The scores alone.

    Notes
    -----
    The criteria are those of Peng et al. 2005 (mRMR, its difference form), Yang and Moody 1999
    (JMI) and Fleuret 2004 (CMIM). Scores are estimated as by `mutual_info_neural`; where several
    columns are looked at together, each is cut into at most 16 levels.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.feature_selection import MutualInfoSelector
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 5))
    >>> X = np.hstack([X, X[:, :1] + 0.01 * rng.normal(size=(1000, 1))])     # a copy of column 0
    >>> y = 2 * X[:, 0] + X[:, 1] + rng.normal(size=1000)
    >>> selector = MutualInfoSelector("mrmr", n_features_to_select=2, random_state=0).fit(X, y)
    >>> sorted(selector.get_support(indices=True)) in ([0, 1], [1, 5])
    True
    """

    _parameter_constraints = {
        "criterion": [StrOptions({"relevance", "mrmr", "jmi", "cmim", "joint"})],
        "n_features_to_select": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "discrete_features": [StrOptions({"auto"}), "boolean", "array-like"],
        "discrete_target": [StrOptions({"auto"}), "boolean"],
        "max_samples": [None, Interval(Integral, 8, None, closed="left")],
        "n_jobs": [None, Integral],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        criterion="relevance",
        *,
        n_features_to_select=None,
        discrete_features="auto",
        discrete_target="auto",
        max_samples=5_000,
        n_jobs=None,
        device="auto",
        random_state=None,
    ):
        self.criterion = criterion
        self.n_features_to_select = n_features_to_select
        self.discrete_features = discrete_features
        self.discrete_target = discrete_target
        self.max_samples = max_samples
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    def fit(self, X, y):
        """Select features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Numbers and categories.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers or labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For data that cannot be used, and for more features to select than there are.

        Warns
        -----
        UserWarning
            If y is constant: then no feature is better than another.
        """
        self._validate_params()
        plain = isinstance(X, np.ndarray)
        options = {"dtype": None, "ensure_all_finite": False, "skip_check_array": not plain}
        validated = validate_data(self, X, None if y is None else "no_validation", **options)
        n_selected = self._count()
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        device = infer_device(self.device)
        columns = ColumnReader(validated if plain else X, self.discrete_features)
        options = {"n_rows": columns.n_rows, "n_levels": N_LEVELS, "seed": seed}
        target = TargetReader(y, self.discrete_target, **options)
        critics = TableCritics(columns.n_rows, device=device, seed=seed)
        self.scores_, _ = score_columns(
            critics, columns, target.levels(N_LEVELS), N_LEVELS, n_jobs=self.n_jobs
        )
        rows = slice(None)
        if self.criterion in ("jmi", "cmim", "joint"):
            rows = np.random.default_rng(seed).permutation(columns.n_rows)[: self.max_samples]
            critics = TableCritics(len(rows), device=device, seed=seed)
        search = _Search(self.scores_, critics, columns, target, rows, self.n_jobs)
        order, values = search.run(self.criterion, n_selected)
        rest = np.setdiff1d(np.arange(columns.n_columns), order)
        order = np.r_[order, rest[np.argsort(-values[rest], kind="stable")]].astype(int)
        self.redundancy_ = self.scores_ - values
        self.ranking_ = np.empty(columns.n_columns, dtype=int)
        self.ranking_[order] = np.arange(1, columns.n_columns + 1)
        self.support_ = self.ranking_ <= n_selected
        return self

    def _count(self) -> int:
        n_selected, n_features = self.n_features_to_select, self.n_features_in_
        if n_selected is None:
            return max(1, n_features // 2)
        if not isinstance(n_selected, Integral):
            return max(1, int(n_selected * n_features))
        if n_selected > n_features:
            raise ValueError(
                f"n_features_to_select={n_selected} is more than the {n_features} features of X. "
                "Select fewer, or a share of them such as 0.5."
            )
        return n_selected

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.string = True
        tags.non_deterministic = self.random_state is None
        return tags


class _Search:
    """Forward selection; `rows` are those that are used for several features together."""

    def __init__(self, relevance, critics, columns, target, rows, n_jobs):
        self.relevance, self.critics, self.n_jobs = relevance, critics, n_jobs
        self.columns, self.rows = columns, rows
        self.target = target.levels(FEW_LEVELS, rows)

    def run(self, criterion: str, n_selected: int) -> tuple[list[int], np.ndarray]:
        """Choose features one after the other, or two at once.

        Returns
        -------
        order : list of int
            The features, in the order in which they were chosen.
        values : ndarray of shape (n_features,)
            The criterion of each feature when it was chosen, or when the last one was.
        """
        values = self.relevance.copy()
        if criterion == "relevance":
            return list(np.argsort(-values, kind="stable")[:n_selected]), values
        self.levels = self.columns.all_levels(FEW_LEVELS, self.rows, tell=False)
        step = {"mrmr": self._mrmr, "jmi": self._jmi, "cmim": self._cmim, "joint": self._joint}
        order, self.past = [], []
        self.given = Levels.of_nothing(len(self.target.codes), N_FOLDS, self.target.n_levels)
        pairs = self._screen_pairs() if criterion == "joint" and n_selected > 1 else []
        while len(order) < n_selected:
            rest = np.setdiff1d(np.arange(len(values)), order)
            if order:
                values[rest] = step[criterion](order[-1], rest)
            chosen = rest[[np.argmax(values[rest])]]
            pairs = [pair for pair in pairs if not set(pair) & set(order)]
            if pairs and n_selected - len(order) > 1:
                each = self._gains(pairs[:SCREEN_LOOKED]) / 2
                if each.max() > values[chosen[0]]:
                    chosen = np.array(pairs[np.argmax(each)])
                    values[chosen] = each.max()
            if criterion == "joint":
                self._add_to_given(chosen)
            order.extend(int(j) for j in chosen)
        return order, values

    # ------------------------------------------- criteria of the rest, given the last chosen

    def _mrmr(self, last, rest):
        self._remember(rest, self._information(last, rest))
        return self.relevance[rest] - np.mean(self.past, axis=0)[rest]

    def _jmi(self, last, rest):
        self._remember(rest, self._conditional_information(last, rest))
        return np.mean(self.past, axis=0)[rest]

    def _cmim(self, last, rest):
        self._remember(rest, self._conditional_information(last, rest))
        return np.min(self.past, axis=0)[rest]

    def _joint(self, last, rest):
        return self._gains([(j,) for j in rest])

    def _remember(self, rest, values):
        self.past.append(np.full(len(self.relevance), np.nan))
        self.past[-1][rest] = values

    # ------------------------------------------------------------ information of several

    def _information(self, last, rest):
        """I(X_j; X_last) of all j."""
        fixed = self.levels[last]
        return self._in_chunks(_information, [self.levels[j] for j in rest], fixed)

    def _conditional_information(self, last, rest):
        """I(X_j; Y | X_last) of all j."""
        self.given = Levels.of_nothing(len(self.target.codes), N_FOLDS, self.target.n_levels)
        self._add_to_given([last])
        return self._gains([(j,) for j in rest])

    def _gains(self, tuples):
        """What the features of each tuple say about the target beyond those given."""
        added = [[self.levels[j] for j in members] for members in tuples]
        return self._in_chunks(_gains, added, self.given, self.target)

    def _add_to_given(self, features):
        given = self.given.beside(*(self.levels[j] for j in features))
        self.given = given.knowing(self.critics.log_ratios(given, self.target))

    def _in_chunks(self, function, items, *fixed):
        chunks = Parallel(n_jobs=self.n_jobs)(
            delayed(function)(self.critics, items[chunk], *fixed)
            for chunk in gen_batches(len(items), CHUNK_FEATURES)
        )
        return np.concatenate(chunks)

    # ------------------------------------------------------------ pairs

    def _screen_pairs(self) -> list[tuple[int, int]]:
        """The pairs of features that say most together beyond what each says, best first.

        By counts of the rows, cut into few levels, with what chance adds to them taken off.
        """
        coarse = [_coarse(column) for column in self.levels]
        target = _coarse(self.target) if self.target.own == OWN_OF_BINS else self.target.codes
        size = int(np.clip(SCREEN_CELLS // (SCREEN_LEVELS * len(target)), 4, 256))
        blocks = list(gen_batches(len(coarse), size))
        found = Parallel(n_jobs=self.n_jobs)(
            delayed(_screen_block)(coarse[a], coarse[b], target, a.start, b.start)
            for i, a in enumerate(blocks)
            for b in blocks[i:]
        )
        synergies, pairs = (np.concatenate(values) for values in zip(*found, strict=True))
        best = np.argsort(-synergies, kind="stable")[:SCREEN_KEPT]
        return [(int(i), int(j)) for i, j in pairs[best]]


def _information(critics, levels, fixed):
    return critics.information(levels, [fixed] * len(levels))[0]


def _gains(critics, added, given, target):
    return critics.gains([given.beside(*levels) for levels in added], [target] * len(added))


def _coarse(column: Levels) -> np.ndarray:
    return column.groups(SCREEN_LEVELS)[column.codes]


def _screen_block(first, second, target, i, j) -> tuple[np.ndarray, np.ndarray]:
    """The largest of I(X_a, X_b; Y) - I(X_a; Y) - I(X_b; Y) in nats, by counts, and their pairs.

    Parameters
    ----------
    first, second : list of ndarray of int
        Codes of columns, of which those of `first` start at position `i` of all and those of
        `second` at `j`.
    target : ndarray of int
    """
    n, n_target = len(target), target.max() + 1

    def indicators(columns):
        hot = np.zeros((n, len(columns), SCREEN_LEVELS), dtype=np.float32)
        for k, codes in enumerate(columns):
            hot[np.arange(n), k, codes] = 1
        return hot.reshape(n, -1)

    def cells(values, axes):  # sums over the levels of a column
        for axis in axes:
            shape = (*values.shape[:axis], -1, SCREEN_LEVELS, *values.shape[axis + 1 :])
            values = values.reshape(shape).sum(axis + 1)
        return values

    a, b = indicators(first), indicators(second)
    counts = np.stack([a[target == c].T @ b[target == c] for c in range(n_target)])
    together = counts.sum(0)
    # I(X_a, X_b; Y) - I(X_a; Y) - I(X_b; Y) with I(X; Y) = H(Y) - H(Y | X)
    information = cells(xlogy(counts, counts).sum(0) - xlogy(together, together), (0, 1)) / n
    for hot, shape in ((a, (-1, 1)), (b, (1, -1))):
        with_target = np.stack([hot[target == c].sum(0) for c in range(n_target)])
        alone = with_target.sum(0)
        entropies = xlogy(with_target, with_target).sum(0) - xlogy(alone, alone)
        information -= (cells(entropies, (0,)) / n).reshape(shape)
    information -= entropy(np.bincount(target))
    n_levels = [np.array([codes.max() for codes in columns]) for columns in (first, second)]
    information -= np.multiply.outer(*n_levels) * (n_target - 1) / (2 * n)
    information = np.where(
        np.arange(i, i + len(first))[:, None] < np.arange(j, j + len(second)), information, -np.inf
    )
    flat = np.argsort(-information, axis=None, kind="stable")[:SCREEN_KEPT]
    pairs = np.column_stack(np.unravel_index(flat, information.shape)) + np.array([i, j])
    real = np.isfinite(information.flat[flat])
    return information.flat[flat][real], pairs[real]
