"""Measures of the latent variables of a variational autoencoder.

They take what an encoder says of N rows: the means and standard deviations of its posteriors
q(z | x_i), one row each, which are normal with independent columns.
"""

import math
import warnings
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.mixture import GaussianMixture
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from torch import Tensor

from skmi._normal import kl_to_standard_normal, normal_log_density
from skmi._rows import check_same_length, read_rows
from skmi.bounds import is_saturated
from skmi.exceptions import ConvergenceWarning, SaturationWarning, warn
from skmi.information._mutual_info import mutual_info

__all__ = [
    "active_units",
    "aggregate_posterior_kl",
    "importance_weighted_log_likelihood",
    "kl_to_prior",
    "latent_mutual_information",
    "latent_traversal",
    "read_posteriors",
]

#: Pairs of a draw and a row that are compared at once.
CHUNK_PAIRS = 2**20
#: Rounding errors in nats from which squares are no longer expanded.
TOLERANCE = 1e-6
#: For an upper bound: fewest rows, draws of the codes of each, and components of the mixtures of
#: normal densities, as far as the rows go.
FEWEST_ROWS, DRAWS_OF_A_ROW, N_COMPONENTS = 20, 3, (1, 5, 20)
#: Distance from log N in nats below which the information of N rows tells no more.
SATURATED = 0.05


# ------------------------------------------------------------------------- reading


def _read_table(name: str, values, fewest: int) -> np.ndarray:
    table = read_rows(name, values, fewest=fewest)
    if table.ndim != 2:
        raise ValueError(
            f"{name} must be of shape (n_samples, n_components), got shape {table.shape}."
        )
    return table.astype(np.float64)


def read_posteriors(means, stds, *, fewest: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations, one posterior a row, in float64."""
    means, stds = _read_table("means", means, fewest), _read_table("stds", stds, fewest)
    if means.shape != stds.shape:
        raise ValueError(
            "means and stds must have the same shape, one posterior a row, got "
            f"{means.shape} and {stds.shape}."
        )
    bad = np.argwhere(stds <= 0)
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"stds must be above 0, but {len(bad)} of {stds.size} are not: it is "
            f"{stds[row, column]:g} in row {row}, column {column}. If they are logarithms of "
            "variances, use np.exp(stds / 2)."
        )
    return means, stds


# ---------------------------------------------------------------- units, divergences


@validate_params(
    {"threshold": [Interval(Real, 0, None, closed="neither")]},
    prefer_skip_nested_validation=True,
)
def active_units(means, *, threshold=0.05):
    r"""Number of latent variables that depend on the data.

    A unit is active if its posterior mean varies from row to row ([1]_, section 4;
    [2]_, eq. 7):

    .. math::
        \mathrm{AU} = \# \bigl\{ d : \mathrm{Var}_x \bigl( E_{q(z_d | x)}[z_d] \bigr)
        \ge \epsilon \bigr\} .

    Parameters
    ----------
    means : array-like of shape (n_samples, n_components)
        Posterior means, such as ``vae.transform(X)``. Not draws from the posteriors: those of a
        unit that has collapsed to the prior have variance 1 whatever the data are.
    threshold : float, default=0.05
        The least variance :math:`\epsilon` over the rows of an active unit.

    Returns
    -------
    int
        From 0 to n_components.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    latent_mutual_information : What all units together tell of the data, in nats.

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016.
    .. [2] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.evaluation import active_units
    >>> rng = np.random.default_rng(0)
    >>> active_units(rng.normal(size=(1000, 3)) * [1.0, 0.3, 0.1])
    2
    """
    means = _read_table("means", means, fewest=2)
    return int((means.var(axis=0) >= threshold).sum())


def kl_to_prior(means, stds):
    r"""Mean divergence of the posteriors from the standard normal prior, in nats.

    The second term of the evidence lower bound ([1]_, eq. 1; [2]_, appendix B),

    .. math::
        E_x \, \mathrm{KL}(q(z | x) \,\|\, N(0, I)) = \frac{1}{2N} \sum_{i, d} \bigl(
        \mu_{id}^2 + \sigma_{id}^2 - 1 - \log \sigma_{id}^2 \bigr) .

    Parameters
    ----------
    means, stds : array-like of shape (n_samples, n_components)
        Means and standard deviations of the posteriors, such as ``vae.posterior(X)``.

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    ValueError
        For data that cannot be used; the message names the argument.

    See Also
    --------
    latent_mutual_information, aggregate_posterior_kl : The two parts that it is the sum of.

    References
    ----------
    .. [1] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020.
    .. [2] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skmi.evaluation import kl_to_prior
    >>> kl_to_prior(np.ones((5, 3)), np.ones((5, 3)))         # 1/2 for each unit
    1.5
    """
    means, stds = read_posteriors(means, stds)
    return kl_to_standard_normal(torch.from_numpy(means), torch.from_numpy(stds)).mean().item()


_draws = {
    "n_draws": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


@validate_params(_draws, prefer_skip_nested_validation=True)
def aggregate_posterior_kl(means, stds, *, n_draws=10_000, random_state=None):
    r"""Divergence of the aggregated posterior from the standard normal prior, in nats.

    Where an encoder puts all rows together is the mixture
    :math:`q(z) = \frac1N \sum_i q(z | x_i)`. The mean over draws from it of

    .. math:: \log q(z) - \log p(z), \qquad z \sim q(z), \quad p = N(0, I),

    with the sum over all N rows in q(z), is an unbiased estimate of
    :math:`\mathrm{KL}(q(z) \,\|\, p(z))`. What the decoder was trained on and what it is fed
    with by ``sample`` differ by it.

    Parameters
    ----------
    means, stds : array-like of shape (n_samples, n_components)
        Means and standard deviations of the posteriors, such as ``vae.posterior(X)``.
    n_draws : int, default=10_000
        Draws, equally many from each posterior up to one. Time is that of ``n_draws`` times
        ``n_samples`` comparisons, a few seconds for 10,000 of each.
    random_state : int, RandomState or None, default=None
        Seed of the draws.

    Returns
    -------
    float
        The divergence is at least 0; its estimate may fall short of 0 by its error.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    kl_to_prior : The divergence of each posterior by itself, on average.
    latent_mutual_information : The difference of the two.

    References
    ----------
    .. [1] M. D. Hoffman and M. J. Johnson, "ELBO surgery: yet another way to carve up the
       variational evidence lower bound", NIPS workshop, 2016.
    .. [2] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020, appendix A.

    Examples
    --------
    Posteriors that together make up the prior:

    >>> import numpy as np
    >>> from skmi.evaluation import aggregate_posterior_kl, kl_to_prior
    >>> means = 0.8 * np.random.default_rng(0).normal(size=(2000, 2))
    >>> stds = np.full((2000, 2), 0.6)
    >>> round(kl_to_prior(means, stds), 1)
    1.0
    >>> aggregate_posterior_kl(means, stds, n_draws=2000, random_state=0) < 0.05
    True
    """
    means, stds = read_posteriors(means, stds, fewest=2)
    z, _ = _draw(means, stds, n_draws, random_state)
    return (_log_mixture(z, means, stds) - normal_log_density(z)).mean().item()


# ------------------------------------------------------------------------ information


@validate_params(
    {"method": [StrOptions({"mixture", "neural", "upper"})], **_draws},
    prefer_skip_nested_validation=True,
)
def latent_mutual_information(
    means, stds, X=None, *, method="mixture", n_draws=10_000, random_state=None, **options
):
    r"""Information between the data and their latent variables, in nats.

    The ``"mixture"`` takes the N rows for all there is, each as likely as the other. Then

    .. math::
        I_q(x; z) = E_{x, z} \log \frac{q(z | x)}{q(z)}, \qquad
        q(z) = \frac1N \sum_i q(z | x_i)

    is the mean over draws :math:`z \sim q(z | x_i)`, and no value of the logarithm is above
    :math:`\log N`: all that can be told is which of the N rows it was. It satisfies ([1]_,
    eq. 10; [2]_)

    .. math::
        I_q(x; z) = E_x \, \mathrm{KL}(q(z | x) \,\|\, p(z)) - \mathrm{KL}(q(z) \,\|\, p(z)) .

    The ``"neural"`` one is the estimate of `skmi.mutual_info` from one draw of z for each row, for
    the distribution that the rows were drawn from. A network finds no more than it can learn from
    so many rows, and hardly more than :math:`\log N`. The paper has it learn from X. Without X it
    learns from the posteriors: a code depends on its row by :math:`\mu` and :math:`\sigma` alone,
    so that :math:`I_q(x; z) = I(\mu, \sigma; z)`, which takes far fewer rows to find.

    The ``"upper"`` one is for rows that hold more than :math:`\log N`. For any density r

    .. math:: I_q(x; z) \le E_{x, z} \log \frac{q(z | x)}{r(z)}, \qquad z \sim q(z | x),

    and r is a mixture of the prior and normal densities, fitted to codes of one half of the rows
    for the mean over the other half, and the other way round. Like the ``"neural"`` one it is about
    the distribution that the rows were drawn from. In expectation it is above the truth by
    :math:`\mathrm{KL}(q(z) \,\|\, r(z))`; with the prior alone for r it would be `kl_to_prior`. A
    few hundred rows tell little but the prior, 10,000 of 20 columns take some ten seconds.

    Parameters
    ----------
    means, stds : array-like of shape (n_samples, n_components)
        Means and standard deviations of the posteriors, such as ``vae.posterior(X)``.
    X : array-like of shape (n_samples, ...), default=None
        The rows that these are the posteriors of, for a ``"neural"`` estimate from them.
    method : {"mixture", "neural", "upper"}, default="mixture"
        The exact sum over the rows; a trained critic; or an upper bound, from 20 rows on.
    n_draws : int, default=10_000
        Draws for ``"mixture"``, equally many from each posterior up to one. Time is that of
        ``n_draws`` times ``n_samples`` comparisons, a few seconds for 10,000 of each.
    random_state : int, RandomState or None, default=None
        Seed of the draws, and of the critics.
    **options
        For ``"neural"``, passed to `skmi.mutual_info`: ``estimator``, ``cv``, ``n_jobs``,
        ``device``.

    Returns
    -------
    float
        The information is at least 0; its estimate may fall short of 0 by its error.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    Warns
    -----
    SaturationWarning
        With ``"mixture"``, if the value is next to :math:`\log N`: the latent variables tell the
        rows apart, and may hold far more than these rows can show.

    See Also
    --------
    kl_to_prior, aggregate_posterior_kl : The two divergences that it is the difference of.
    skmi.mutual_info : Mutual information of any two samples.

    References
    ----------
    .. [1] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020, section 6.1 and appendix A.
    .. [2] M. D. Hoffman and M. J. Johnson, "ELBO surgery: yet another way to carve up the
       variational evidence lower bound", NIPS workshop, 2016.

    Examples
    --------
    Signal and noise of the same variance, so that I is log 2 for two units:

    >>> import numpy as np
    >>> from skmi.evaluation import latent_mutual_information
    >>> means = np.random.default_rng(0).normal(size=(2000, 2))
    >>> value = latent_mutual_information(means, np.ones_like(means), n_draws=2000, random_state=0)
    >>> bool(abs(value - np.log(2)) < 0.1)
    True
    """
    means, stds = read_posteriors(means, stds, fewest=2)
    if method == "neural":
        if X is None:
            X = np.concatenate([means, np.log(stds)], axis=1)
        check_same_length(means=means, X=X)
        rng = check_random_state(random_state)
        z = means + stds * rng.standard_normal(means.shape)
        seed = rng.randint(np.iinfo(np.int32).max)
        return mutual_info(X, z, random_state=seed, **options).estimate
    if X is not None or options:
        names = [*(["X"] if X is not None else []), *options]
        raise ValueError(
            f"{names} are for method='neural'; method={method!r} needs the posteriors only. Leave "
            "them out, or set method='neural'."
        )
    if method == "upper":
        return upper_information(means, stds, random_state)
    value, ceiling = mixture_information(means, stds, n_draws, random_state), math.log(len(means))
    if is_saturated(value, ceiling, within=SATURATED):
        warn(
            f"I = {value:.2f} nats is all that {len(means)} rows can show, log n = {ceiling:.2f}: "
            "the latent variables tell every row from the others. Use more rows, and compare "
            "models by method='upper' and kl_to_prior.",
            SaturationWarning,
        )
    return value


# ---------------------------------------------------------- densities of the posteriors


def mixture_information(means, stds, n_draws, random_state) -> float:
    """Mean of log q(z|x) / q(z) over draws from the posteriors, at most the logarithm of N."""
    return _mean_log_ratio(*_draw(means, stds, n_draws, random_state), means, stds)


def upper_information(means: np.ndarray, stds: np.ndarray, random_state) -> float:
    """Mean of log q(z|x) / r(z), with densities r that are fitted to other rows."""
    if len(means) < FEWEST_ROWS:
        raise ValueError(
            f"method='upper' fits a density to the codes of half of the rows: n_samples="
            f"{len(means)} is too few, use {FEWEST_ROWS} or more."
        )
    rng = check_random_state(random_state)

    def draw(rows):
        rows = np.tile(rows, DRAWS_OF_A_ROW)
        mean, std = means[rows], stds[rows]
        z = mean + std * rng.standard_normal(mean.shape)
        tensors = (torch.from_numpy(part) for part in (z, mean, std))
        return z, normal_log_density(*tensors).numpy()

    halves, ratios = np.array_split(rng.permutation(len(means)), 2), []
    for rows, others in (halves, halves[::-1]):
        to_weigh, to_fit = np.split(others, [max(2, len(others) // 5)])
        log_densities = _fit_log_densities(draw(to_fit)[0], len(to_fit), rng)
        weights = _fit_weights(log_densities(draw(to_weigh)[0]))
        z, own = draw(rows)
        ratios.append(own - logsumexp(log_densities(z), b=weights, axis=1))
    return float(np.concatenate(ratios).mean())


def _fit_log_densities(codes: np.ndarray, n_rows: int, rng):
    """A function to the log densities of the prior and of normal mixtures fitted to codes."""
    center, scale, n_columns = codes.mean(axis=0), codes.std(axis=0), codes.shape[1]
    n_parameters = n_columns * (n_columns + 3) / 2
    most = max(1, int(2 * n_rows / n_parameters))
    mixtures = [
        GaussianMixture(n, max_iter=30, tol=1e-2, random_state=rng)
        for n in sorted({min(n, most) for n in N_COMPONENTS})
    ]
    with warnings.catch_warnings():  # a density that could be better is one all the same
        warnings.simplefilter("ignore", ConvergenceWarning)
        for mixture in mixtures:
            mixture.fit((codes - center) / scale)

    def log_densities(z):
        prior = normal_log_density(torch.from_numpy(z)).numpy()
        jacobian = np.log(scale).sum()
        scaled = (z - center) / scale
        return np.column_stack([prior, *(m.score_samples(scaled) - jacobian for m in mixtures)])

    return log_densities


def _fit_weights(log_densities: np.ndarray) -> np.ndarray:
    """Weights of a mixture of these densities, by expectation maximisation."""
    log_weights = np.full(log_densities.shape[1], -math.log(log_densities.shape[1]))
    for _ in range(100):
        shares = softmax(log_densities + log_weights, axis=1).mean(axis=0)
        log_weights = np.log(np.maximum(shares, 1e-6))
    return np.exp(log_weights) / np.exp(log_weights).sum()


def sampled_information(codes: np.ndarray, z: np.ndarray, rows: np.ndarray) -> float:
    r"""A lower bound on the information of N rows and codes whose density is not known.

    For any density r, if each row is as likely as the other ([1]_, eq. 3),

    .. math:: I(x; z) \ge E_{x, z} \log \frac{r(z | x)}{\frac1N \sum_i r(z | x_i)} .

    Here r is normal, with one covariance for all rows, that of the codes within rows. In the
    coordinates of linear discriminants it is the identity, and the means of rows are uncorrelated;
    they are shrunk by what of their variance is due to so few draws.

    Parameters
    ----------
    codes : ndarray of shape (n_draws, N, n_components)
        Draws that r is fitted to.
    z : ndarray of shape (n, n_components)
        Other draws, that the mean is taken over.
    rows : ndarray of int of shape (n,)
        Which of the N rows each z is of.

    References
    ----------
    .. [1] D. Barber and F. Agakov, "The IM algorithm: a variational approach to information
       maximization", NeurIPS 2003.
    """
    n_draws, n_rows, _ = codes.shape
    means, center = codes.mean(axis=0), codes.mean(axis=(0, 1))
    within = np.einsum("kni,knj->ij", codes - means, codes - means) / ((n_draws - 1) * n_rows)
    variances, axes = np.linalg.eigh(within)
    smallest = 1e-6 * (codes - center).var() + np.finfo(np.float64).tiny
    white = axes / np.sqrt(np.maximum(variances, smallest))
    means, z = (means - center) @ white, (z - center) @ white
    variances, axes = np.linalg.eigh(means.T @ means / n_rows)
    kept = np.clip(1 - 1 / (n_draws * np.maximum(variances, 1e-9)), 0, 1)
    stds = np.tile(np.sqrt(1 + kept / n_draws), (n_rows, 1))
    value = _mean_log_ratio(torch.from_numpy(z @ axes), rows, kept * (means @ axes), stds)
    return max(0.0, value)


def _mean_log_ratio(z: Tensor, rows: np.ndarray, means: np.ndarray, stds: np.ndarray) -> float:
    """Mean of log r(z|x) / r(z) over draws of these rows, with normal r, at most log N."""
    own = normal_log_density(z, *(torch.from_numpy(values[rows]) for values in (means, stds)))
    return min((own - _log_mixture(z, means, stds)).mean().item(), math.log(len(means)))


def _draw(means, stds, n_draws, random_state) -> tuple[Tensor, np.ndarray]:
    """Draws from the mixture of all posteriors, and which row each is of."""
    rng = check_random_state(random_state)
    n_rounds = math.ceil(n_draws / len(means))
    rows = np.concatenate([rng.permutation(len(means)) for _ in range(n_rounds)])[:n_draws]
    noise = rng.standard_normal((n_draws, means.shape[1]))
    return torch.from_numpy(means[rows] + stds[rows] * noise), rows


def _log_mixture(z: Tensor, means: np.ndarray, stds: np.ndarray) -> Tensor:
    """Log density of the mixture of all posteriors at each of the draws."""
    center = torch.from_numpy(means.mean(axis=0))
    z, means, stds = z - center, torch.from_numpy(means) - center, torch.from_numpy(stds)
    largest = z.abs().amax(dim=0) + means.abs().amax(dim=0)
    errors = torch.finfo(z.dtype).eps * (largest / stds).square().sum(dim=1)
    narrow = errors > TOLERANCE
    sums = [
        log_sum(z, means[rows], stds[rows])
        for log_sum, rows in ((_log_sum_expanded, ~narrow), (_log_sum, narrow))
        if rows.any()
    ]
    return torch.stack(sums).logsumexp(dim=0) - math.log(len(means))


def _log_sum_expanded(z: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    r"""The same as `_log_sum`, faster: all draws and rows meet in a matrix product, by

    .. math:: \frac{(z - \mu)^2}{\sigma^2} = z^2 \sigma^{-2} - 2 z \mu \sigma^{-2}
        + \mu^2 \sigma^{-2} .

    For narrow posteriors the three terms are large and cancel.
    """
    precisions = stds.pow(-2)
    weights = torch.cat([-precisions / 2, means * precisions], dim=1).T.contiguous()
    at_zero = normal_log_density(torch.zeros_like(means), means, stds)
    chunks = z.split(max(1, CHUNK_PAIRS // len(means)))
    return torch.cat(
        [
            torch.addmm(at_zero, torch.cat([some.square(), some], dim=1), weights).logsumexp(dim=1)
            for some in chunks
        ]
    )


def _log_sum(z: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """Logarithm of the sum of the posteriors' densities at each of the draws."""
    chunks = z.split(max(1, CHUNK_PAIRS // means.numel()))
    return torch.cat(
        [normal_log_density(some[:, None], means, stds).logsumexp(dim=1) for some in chunks]
    )


# ------------------------------------------------------------------- with the decoder


@validate_params(
    {"n_importance_samples": [Interval(Integral, 1, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def importance_weighted_log_likelihood(vae, X, *, n_importance_samples=100, random_state=0):
    r"""Log-likelihood of each row under a model with latent variables, in nats.

    With the posteriors as proposal ([1]_, eq. 8),

    .. math::
        \log \hat p_K(x) = \log \frac1K \sum_{k=1}^K
        \frac{p(x | z_k) \, p(z_k)}{q(z_k | x)}, \qquad z_k \sim q(z | x) .

    In expectation it is a lower bound on :math:`\log p(x)`, which rises with K towards it. For
    K = 1 it is the evidence lower bound. If q(z | x) is the true posterior, it is exact for
    every K.

    Parameters
    ----------
    vae : object
        A fitted model with a method ``log_importance_weights(X, n_draws, random_state)``. It
        yields arrays of float64, of shape (n_samples, some draws), of
        :math:`\log p(x | z) + \log p(z) - \log q(z | x)`, ``n_draws`` columns altogether.
    X : array-like
        Rows as the model takes them.
    n_importance_samples : int, default=100
        Number K of draws for each row. Memory does not depend on it.
    random_state : int, RandomState or None, default=0
        Seed of the draws.

    Returns
    -------
    ndarray of float64 of shape (n_samples,)
        One value for each row, of a density if the data are continuous.

    Raises
    ------
    ValueError, TypeError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    kl_to_prior : A term of the evidence lower bound.

    Notes
    -----
    The bound is loose by about half the variance of the weights, divided by K times their squared
    mean. Values for different K are not comparable: report K.

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016.

    Examples
    --------
    A normal z, seen with noise of variance 1, and the prior for a proposal:

    >>> import numpy as np
    >>> from skmi.evaluation import importance_weighted_log_likelihood
    >>> class Noisy:
    ...     def log_importance_weights(self, X, n_draws, random_state):
    ...         z = np.random.default_rng(random_state).normal(size=(len(X), n_draws))
    ...         yield -0.5 * (X - z) ** 2 - 0.5 * np.log(2 * np.pi)
    >>> values = importance_weighted_log_likelihood(
    ...     Noisy(), np.zeros((3, 1)), n_importance_samples=10_000
    ... )
    >>> values.round(1)                                       # -log(4 pi) / 2
    array([-1.3, -1.3, -1.3])
    """
    if not hasattr(vae, "log_importance_weights"):
        raise TypeError(
            f"vae={type(vae).__name__}(...) has no method log_importance_weights. Use a "
            "variational autoencoder of skmi.representation."
        )
    total, n_drawn = -np.inf, 0
    for log_weights in vae.log_importance_weights(X, n_importance_samples, random_state):
        if np.isnan(log_weights).any() or (log_weights == np.inf).any():
            raise ValueError(
                "log_importance_weights of vae gave NaN or infinity: the fitted model is broken, "
                "or X lies far outside the data it was fitted on."
            )
        log_weights = np.asarray(log_weights, dtype=np.float64)
        total = np.logaddexp(total, np.logaddexp.reduce(log_weights, axis=1))
        n_drawn += log_weights.shape[1]
    return total - math.log(n_drawn)


def latent_traversal(vae, x, *, components=None, values=None):
    r"""Decode one row's latent variables, with one of them at a time moved over some values.

    In place of the posterior mean :math:`\mu(x)` the decoder gets

    .. math:: z^{(d, v)}_j = v \text{ for } j = d, \quad \mu_j(x) \text{ for } j \ne d ,

    for each component d and value v. The paper moves them from -4 to 4 ([1]_, appendix F).

    Parameters
    ----------
    vae : transformer
        Fitted, with ``transform`` and ``inverse_transform``.
    x : array-like
        One row or image, ``X[0]`` or ``X[:1]``.
    components : int, sequence of int or None, default=None
        Which latent variables to move, counted from 0. None is all of them.
    values : array-like of shape (n_values,) or None, default=None
        Where to; None is 9 values from -4 to 4.

    Returns
    -------
    ndarray of shape (n_moved, n_values, ...)
        What is decoded: for each moved component and each value a row or image.

    Raises
    ------
    ValueError
        For data or parameters that cannot be used; the message names the argument.

    See Also
    --------
    skmi.plotting.ImageGridDisplay : Draws it, with `from_traversal`.

    References
    ----------
    .. [1] A. Lotfi Rezaabad and S. Vishwanath, "Learning representations by maximizing mutual
       information in variational autoencoders", ISIT 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skmi.evaluation import latent_traversal
    >>> X, _ = load_digits(return_X_y=True)
    >>> pca = PCA(5, whiten=True).fit(X)
    >>> latent_traversal(pca, X[0], components=[0, 3], values=[-4, 0, 4]).shape
    (2, 3, 64)
    """
    z = np.asarray(vae.transform(_read_row(vae, x)))
    components, values = read_moves(components, values, z.shape[1])
    moved = np.tile(z, (len(components), len(values), 1))
    for i, component in enumerate(components):
        moved[i, :, component] = values
    decoded = np.asarray(vae.inverse_transform(moved.reshape(-1, z.shape[1])))
    return decoded.reshape(*moved.shape[:2], *decoded.shape[1:])


def _read_row(vae, x) -> np.ndarray:
    """One row of any shape as an array of one row."""
    x = np.asarray(x)
    if not x.ndim or not x.size:
        raise ValueError(f"x must be one row or image, X[0] or X[:1], got shape {x.shape}.")
    one_channel = x.ndim == 3 and getattr(vae, "n_features_in_", None) == 1
    is_row = x.ndim == 1 or len(x) > 1 or one_channel
    return x[None] if is_row else x


def read_moves(components, values, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Which latent variables a traversal moves, and over which values."""
    components = np.arange(n_components) if components is None else np.atleast_1d(components)
    if (
        components.ndim != 1
        or not len(components)
        or components.dtype.kind not in "iu"
        or components.min() < 0
        or components.max() >= n_components
    ):
        raise ValueError(
            f"components must be whole numbers from 0 to {n_components - 1}, got "
            f"{components.tolist()}."
        )
    values = np.linspace(-4, 4, 9) if values is None else np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be finite numbers, shape (n_values,), got {values!r}.")
    return components, values
