"""The Kullback-Leibler divergence between two samples in one call."""

from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed

from skmi._columns import VariableEncoder, _columns, _holds_categories
from skmi.base import check_widths, infer_device, limit_threads, seeded_initialization
from skmi.bounds import get_bound
from skmi.exceptions import (
    ConvergenceWarning,
    GeneralizationGapWarning,
    SaturationWarning,
    warn,
)
from skmi.information._base import GAUSSIAN_TERM_COLUMNS, is_overfitted
from skmi.information._mutual_info import make_result
from skmi.information._objective import (
    ScalarEta,
    bound_in_nats,
    log_normalizer,
    standard_error,
)
from skmi.information._ratio import DivergenceObjective, FittedRatio, GaussianLogRatio, RowCritic
from skmi.information._result import MutualInfoResult
from skmi.information._units import UNITS, in_units
from skmi.preprocessing import NormalScores
from skmi.training import (
    EPOCH_ROWS,
    ETA_LEARNING_RATE,
    Player,
    Trainer,
    auto_batch_size,
    count_stop_rows,
)

__all__ = ["KLDivergenceResult", "kl_divergence"]

#: Part of the training rows that tells when to stop, and the epochs without improvement on them.
STOP_FRACTION, PATIENCE = 0.15, 15
#: Decay of the moving average of the weights.
AVERAGING = 0.99
#: Part of the rows of P beyond the ceiling from which the divergence may be any larger.
SATURATED_FRACTION = 0.1


# -------------------------------------------------------------------------------- result


@dataclass(frozen=True, eq=False, repr=False)
class KLDivergenceResult(MutualInfoResult):
    """What `kl_divergence` found.

    Attributes
    ----------
    estimate : float
        Best guess of KL(P || Q): the mean of the bound on held-out and on training rows.
    lower_bound : float
        The bound on held-out rows, averaged over the folds. Its expectation does not exceed
        KL(P || Q).
    stderr : float
        Standard error of both, from the spread over the rows.
    fold_values : ndarray of shape (n_folds,)
        The held-out bound of each fold.
    n_samples : tuple of int
        Number of rows of P and of Q.
    units : {"nats", "bits"}
        Of all the values above and of `log_ratio`.
    symbol : str
        What was estimated, for display.
    estimator : None
        Not used.
    encoder : VariableEncoder
        Turns rows into numbers.
    ratios : tuple of FittedRatio
        The log density ratio of each fold.
    """

    encoder: VariableEncoder = field(default=None)
    ratios: tuple = ()

    @limit_threads
    def log_ratio(self, X):
        r"""Estimate the log density ratio :math:`\log p(x) / q(x)` of rows.

        Its mean over P is KL(P || Q), and its exponential reweights a sample of Q into one of
        P (importance weights, covariate shift).

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Rows with the columns of the samples.

        Returns
        -------
        ndarray of shape (n_rows,)
            The mean over the critics of the folds, in `units`. None exceeds the logarithm of
            the number of rows of Q that a critic was trained on.
        """
        rows = self.encoder.transform(X)
        scores = [ratio(ratio.tensor(rows)).numpy() for ratio in self.ratios]
        return in_units(np.mean(scores, axis=0, dtype=np.float64), self.units)


# ------------------------------------------------------------------------------ the call


@validate_params(
    {
        "bound": [StrOptions({"jsd", "dv", "nwj", "eta-dv"})],
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split"])],
        "hidden_layer_sizes": ["array-like"],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "units": [StrOptions(set(UNITS))],
        "n_jobs": [None, Integral],
        "device": [str, torch.device],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def kl_divergence(
    P_samples,
    Q_samples,
    *,
    bound="jsd",
    cv=3,
    hidden_layer_sizes=(64, 64),
    learning_rate=2e-3,
    max_epochs=200,
    units="nats",
    n_jobs=None,
    device="auto",
    random_state=None,
):
    r"""Estimate the Kullback-Leibler divergence KL(P || Q) from a sample of each.

    The bounds on mutual information are bounds on the divergence of any two distributions
    ([1]_, section 4, remark 5). With a critic T(x) of one row and a normaliser :math:`\eta`,

    .. math::
        \mathrm{KL}(P \,\|\, Q) = E_P\left[\log \frac{p(x)}{q(x)}\right]
        \ge E_P[T] - e^{-\eta} E_Q[e^T] - \eta + 1 .

    Cross-fitted: one critic is trained for each fold of both samples and evaluated on the rows
    that it has not seen, with the normaliser of its training rows.

    Parameters
    ----------
    P_samples : array-like of shape (n_p, n_columns)
        Rows drawn from P: numbers, and categories in columns of categorical, string or boolean
        dtype. A vector is read as one column.
    Q_samples : array-like of shape (n_q, n_columns)
        Rows drawn from Q, with the same columns; n_q and n_p may differ.
    bound : {"jsd", "dv", "nwj", "eta-dv"}, default="jsd"
        What training climbs; the value is a bound on KL(P || Q) in nats in any case. ``"jsd"``
        trains a classifier of rows of P against rows of Q, whose gradient no single row
        decides. In the others a few rows of Q with large e^T do, so that heavy-tailed density
        ratios are learned less reliably.
    cv : int or splitter, default=3
        Folds; a splitter is applied to each sample.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the hidden layers of the critic.
    learning_rate : float, default=2e-3
        Step size of Adam.
    max_epochs : int, default=200
        Largest number of passes over the larger sample.
    units : {"nats", "bits"}, default="nats"
        Units of the result.
    n_jobs : int or None, default=None
        Folds fitted at once, through joblib.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else MPS, else the CPU.
    random_state : int, RandomState or None, default=None
        Seed of folds, weights and shuffles.

    Returns
    -------
    KLDivergenceResult
        With the estimate, its lower bound and standard error, and the method `log_ratio`.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.
    NonFiniteLossError
        If training diverges.

    Warns
    -----
    ConvergenceWarning
        If training ran out of epochs while the critics were still improving.
    SaturationWarning
        If P has many rows where Q has next to none, so that KL(P || Q) may be infinite.
    GeneralizationGapWarning
        If the bound is much lower on held-out than on training rows.

    See Also
    --------
    skmi.mutual_info : The divergence of a joint distribution from the product of its marginals.

    References
    ----------
    .. [1] Y. Mroueh et al., "Improved Mutual Information Estimation", AAAI 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi import kl_divergence
    >>> rng = np.random.default_rng(0)
    >>> P = rng.normal(loc=1, size=(2000, 1))
    >>> Q = rng.normal(size=(3000, 1))              # KL(P || Q) = 1/2 nats
    >>> result = kl_divergence(P, Q, random_state=0)
    >>> bool(abs(result.estimate - 0.5) < 0.1)
    True
    >>> bool(abs(result.log_ratio([[1.0]])[0] - 0.5) < 0.2)     # log p/q = x - 1/2
    True
    """
    widths = check_widths("hidden_layer_sizes", hidden_layer_sizes)
    encoder, samples = encode_samples(P_samples, Q_samples)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    folds = [split_sample(name, rows, cv, seed) for name, rows in samples.items()]
    seeds = np.random.SeedSequence(seed).generate_state(len(folds[0]))
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_fold)(
            list(samples.values()),
            fold,
            n_numbers=encoder.n_numbers_,
            bound=get_bound(bound),
            hidden_layer_sizes=widths,
            learning_rate=learning_rate,
            max_epochs=max_epochs,
            device=infer_device(device),
            seed=int(fold_seed),
        )
        for *fold, fold_seed in zip(*folds, seeds, strict=True)
    )
    ratios, evaluations = zip(*results, strict=True)
    means = average_folds(evaluations)
    warn_of_folds(evaluations, max_epochs, "P_samples", "Q_samples", "KL(P || Q)")
    result = make_result(
        means["held_out"],
        means["train"],
        means["stderr"],
        np.array([e["held_out"] for e in evaluations]),
        tuple(len(rows) for rows in samples.values()),
        symbol="KL(P || Q)",
        units=units,
    )
    return KLDivergenceResult(**vars(result), encoder=encoder, ratios=ratios)


# ------------------------------------------------------------------------------ the data


def encode_samples(P_samples, Q_samples):
    """The encoder of the pooled sample, and a dict of both samples as float arrays."""
    samples = {"P_samples": P_samples, "Q_samples": Q_samples}
    tables = [VariableEncoder(name)._as_table(values) for name, values in samples.items()]
    discrete = _same_columns(*tables)
    encoder = VariableEncoder("P_samples and Q_samples together", discrete)
    try:
        pooled = encoder.fit_transform(_concatenate(tables))
    except (ValueError, TypeError):
        for name, table in zip(samples, tables, strict=True):
            VariableEncoder(name, discrete).fit_transform(table)  # says which of the two is wrong
        raise
    encoder.name = "X"  # what `KLDivergenceResult.log_ratio` calls it
    rows = np.split(pooled.reshape(len(pooled), -1), [len(tables[0])])
    return encoder, dict(zip(samples, rows, strict=True))


def _same_columns(p_table, q_table):
    """Which columns hold categories, in both samples; "auto" for rows that are no columns."""
    p_shape, q_shape = p_table.shape[1:], q_table.shape[1:]
    p_names, q_names = (list(getattr(table, "columns", [])) for table in (p_table, q_table))
    if p_shape != q_shape or (p_names and q_names and p_names != q_names):
        raise ValueError(
            "P_samples and Q_samples must have the same columns in the same order, got rows of "
            f"shape {p_shape} and {q_shape}"
            + (f" with columns {p_names} and {q_names}." if p_names or q_names else ".")
        )
    if len(p_shape) > 1:
        return "auto"
    in_p, in_q = ([_holds_categories(c) for c in _columns(table)] for table in (p_table, q_table))
    if in_p != in_q:
        j = np.flatnonzero(np.not_equal(in_p, in_q))[0]
        kinds = [("numbers", "categories")[holds[j]] for holds in (in_p, in_q)]
        raise ValueError(
            f"Column {(p_names or q_names or range(j + 1))[j]!r} holds {kinds[0]} in P_samples "
            f"but {kinds[1]} in Q_samples. Give it the same dtype in both."
        )
    return in_p


def _concatenate(tables):
    if all(hasattr(table, "iloc") for table in tables):
        import pandas as pd

        return pd.concat(tables, ignore_index=True)
    return np.concatenate([np.asarray(table) for table in tables])


def split_sample(name: str, rows: np.ndarray, cv, seed: int) -> list:
    """Splits of one sample; those of samples of one size are the same, for rows that are paired."""
    if isinstance(cv, Integral):
        if len(rows) < max(8, 2 * cv):
            raise ValueError(
                f"{name} has n_samples={len(rows)}, too few for cv={cv}: it needs at least "
                f"{max(8, 2 * cv)}. Use more data" + (" or fewer folds." if cv > 4 else ".")
            )
        cv = KFold(cv, shuffle=True, random_state=seed)
    folds = list(check_cv(cv).split(rows))
    if min(len(train) for train, _ in folds) < 4 or min(len(test) for _, test in folds) < 2:
        raise ValueError(
            f"cv makes a split of {name} with fewer than 4 rows to train on or 2 to evaluate on. "
            "Use fewer folds or more data."
        )
    return folds


# ---------------------------------------------------------------------------- the fit


@limit_threads
def _fit_fold(samples, folds, *, seed, **options):
    """Train one critic on the training rows of both samples, evaluate it on these and the rest."""
    rng = np.random.default_rng(seed)
    stop, fit, test = [], [], []
    for rows, (train, held_out) in zip(samples, folds, strict=True):
        train = rng.permutation(train)
        n_stop = count_stop_rows(len(train), STOP_FRACTION)
        stop.append(rows[train[:n_stop]])
        fit.append(rows[train[n_stop:]])
        test.append(rows[held_out])
    return fit_ratio(stop, fit, test, seed=seed, **options)


def make_objective(n_columns, bound, hidden_layer_sizes, seed=0) -> DivergenceObjective:
    """An untrained critic with its bound."""
    with seeded_initialization(seed):
        critic = RowCritic(n_columns, hidden_layer_sizes)
    return DivergenceObjective(critic, bound, eta=ScalarEta() if bound.has_eta else None)


def fit_ratio(
    stop, fit, test, *, n_numbers, bound, hidden_layer_sizes, device, seed, **training
) -> tuple[FittedRatio, dict]:
    """Learn the log density ratio of two distributions and evaluate the bound.

    Parameters
    ----------
    stop, fit, test : sequence of two ndarray of shape (n_rows, n_columns)
        Rows of P and of Q: those that tell when to stop, those to fit, and held-out ones.
    n_numbers : int
        How many of the columns hold numbers; they come first.
    **training
        ``learning_rate``, ``max_epochs`` and further options of the trainer.

    Returns
    -------
    ratio : FittedRatio
    evaluation : dict
        The bound on held-out and on training rows, its standard error, the ceiling of log
        ratios, the part of the held-out rows of P beyond it, and whether training converged.
    """
    train = [np.concatenate(rows) for rows in zip(stop, fit, strict=True)]
    margins = NormalScores().fit(np.concatenate(train)[:, :n_numbers]) if n_numbers else None
    objective = make_objective(train[0].shape[1], bound, hidden_layer_sizes, seed)
    objective.ceiling.fill_(np.log(len(train[1])))
    ratio = FittedRatio(objective, margins)

    p, q = (ratio.tensor(rows, device) for rows in train)
    n_stop = [len(rows) for rows in stop]
    stop, fit = (p[: n_stop[0]], q[: n_stop[1]]), (p[n_stop[0] :], q[n_stop[1] :])
    converged = _train(objective, fit, stop, device=device, seed=seed, **training)
    if p.shape[1] <= GAUSSIAN_TERM_COLUMNS:
        objective.add_gaussian_term(GaussianLogRatio.fit(*fit).to(device), *stop)
    ratio.log_normalizer = float(log_normalizer(ratio.scores(q), objective.ceiling))

    joint, product = (ratio(ratio.tensor(rows, device)) for rows in test)
    evaluation = {
        "held_out": float(bound_in_nats(bound, joint, product)),
        "train": float(bound_in_nats(bound, ratio(p), ratio(q))),
        "stderr": standard_error(bound, joint, product),
        "ceiling": float(objective.ceiling),
        "cut_off": float((joint >= objective.ceiling).float().mean()),
        "converged": converged,
    }
    objective.cpu()
    return ratio, evaluation


def _train(objective, fit, stop, *, learning_rate, **options) -> bool:
    """Train until the stop rows say so; return whether they did.

    Every step takes as many rows of P as of Q: the smaller sample is repeated.
    """
    n_rows = max(len(rows) for rows in fit)
    repeated = [rows[torch.arange(n_rows, device=rows.device) % len(rows)] for rows in fit]
    players = [Player("critic", learning_rate)]
    if objective.eta is not None:
        players.append(Player("eta", ETA_LEARNING_RATE))
    trainer = Trainer(
        objective,
        players=players,
        batch_size=auto_batch_size(n_rows),
        epoch_rows=EPOCH_ROWS,
        patience=PATIENCE,
        averaging=AVERAGING,
        **options,
    )
    trainer.partial_fit(repeated, stop)
    objective.eval()
    return trainer.stopped_early_


def average_folds(evaluations) -> dict[str, float]:
    """The bound on held-out and on training rows over all folds, and its standard error."""
    held_out, train = (np.mean([e[name] for e in evaluations]) for name in ("held_out", "train"))
    stderr = np.sqrt(np.mean([e["stderr"] ** 2 for e in evaluations]) / len(evaluations))
    return {"held_out": held_out, "train": train, "stderr": stderr}


def warn_of_folds(evaluations, max_epochs: int, p: str, q: str, symbol: str) -> None:
    """Warn of critics that had not converged, of saturation and of overfitting.

    `p`, `q` and `symbol` are what messages call the two samples and their divergence.
    """
    running = sum(not e["converged"] for e in evaluations)
    if running:
        warn(
            f"{running} of {len(evaluations)} critics had not converged after "
            f"max_epochs={max_epochs}: the estimate may be too low. Raise max_epochs or "
            "learning_rate.",
            ConvergenceWarning,
        )
    cut_off = np.mean([e["cut_off"] for e in evaluations])
    if cut_off > SATURATED_FRACTION:
        ceiling = min(e["ceiling"] for e in evaluations)
        warn(
            f"{cut_off:.0%} of the rows of {p} lie where {q} has next to none: their log ratios "
            "are cut off at the logarithm of the number of rows, "
            f"{ceiling:.2f} nats. {symbol} may be far higher, or infinite.",
            SaturationWarning,
        )
    means = average_folds(evaluations)
    if is_overfitted(**means):
        warn(
            f"The bound is {means['train']:.2f} nats on training rows but "
            f"{means['held_out']:.2f} on held-out rows: the critics overfit. Use more data, fewer "
            "columns or smaller hidden_layer_sizes.",
            GeneralizationGapWarning,
        )
