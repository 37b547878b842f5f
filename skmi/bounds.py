r"""Variational bounds on the Kullback-Leibler divergence and mutual information.

Every bound is a pure function of critic scores. ``joint`` holds the scores of pairs drawn
from the joint distribution ``P = p(x, y)`` and ``product`` the scores of pairs drawn from
the product of the marginals ``Q = p(x) p(y)``; the result is a scalar in nats. Shapes:

``joint_B``
    ``(B,)``, one score for each true pair ``(x_i, y_i)``.
``product_BK``
    ``(B, K)``, row i scores ``x_i`` against K values of y that are not its partner. Only
    the contrastive bound, `infonce`, needs the rows; all others take any shape.

A matrix of all pairs, ``scores_BB[i, j] = T(x_i, y_j)``, holds both samples: `split_matrix`
returns its diagonal and its off-diagonal part, so that every bound has a score-matrix form::

    dv(*split_matrix(scores_BB))

The registry `BOUNDS` says of each bound what else the training loop and the estimators need
to know: the loss to descend where it is not minus the value, and how the optimal critic
relates to the log density ratio ``log p(x, y) / (p(x) p(y))``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = [
    "BOUNDS",
    "Bound",
    "a_dv",
    "dv",
    "dv_loss",
    "eta_dv",
    "get_bound",
    "hellinger",
    "infonce",
    "is_saturated",
    "jsd",
    "k_pair",
    "log_mean_exp",
    "nwj",
    "pearson",
    "reverse_kl",
    "smile",
    "smile_loss",
    "split_matrix",
    "straight_through",
    "update_log_ema",
]


# ---------------------------------------------------------------------- small tools


def log_mean_exp(scores: Tensor) -> Tensor:
    """Logarithm of the mean of ``exp(scores)`` over all entries, without overflow."""
    return scores.flatten().logsumexp(0) - math.log(scores.numel())


def split_matrix(scores_BB: Tensor) -> tuple[Tensor, Tensor]:
    """Split a matrix of all pairs into joint and product scores.

    Parameters
    ----------
    scores_BB : Tensor of shape (B, B) or (B, B, ...)
        Entry (i, j) is the score of ``(x_i, y_j)``; the diagonal holds the true pairs. Further
        dimensions run over parts of y, such as the places of an image.

    Returns
    -------
    joint_B : Tensor of shape (B, ...)
        The diagonal.
    product_BK : Tensor of shape (B, B - 1, ...)
        The off-diagonal scores; row i keeps the order of row i of the matrix.
    """
    n_rows = len(scores_BB)
    if scores_BB.shape[:2] != (n_rows, n_rows) or n_rows < 2:
        raise ValueError(
            "scores_BB must be a square matrix with at least 2 rows (all pairs of a batch), "
            f"got shape {tuple(scores_BB.shape)}."
        )
    # Without its first entry, the flattened matrix is B - 1 runs of B off-diagonal entries,
    # each followed by one diagonal entry.
    parts = scores_BB.shape[2:]
    runs = scores_BB.flatten(0, 1)[1:].view(n_rows - 1, n_rows + 1, *parts)
    joint = scores_BB.diagonal().movedim(-1, 0)
    return joint, runs[:, :-1].reshape(n_rows, n_rows - 1, *parts)


def is_saturated(nats: float, ceiling: float, within: float = 1.0) -> bool:
    """Whether an estimate is near the largest that can be certified, the logarithm of a count."""
    return nats > max(ceiling - within, ceiling / 2)


def straight_through(value: Tensor, surrogate: Tensor) -> Tensor:
    """A tensor with the value of `value` and the gradient of `surrogate`."""
    return value.detach() + (surrogate - surrogate.detach())


# --------------------------------------------------------------------------- values


def dv(joint: Tensor, product: Tensor) -> Tensor:
    r"""Donsker-Varadhan bound :math:`E_P[T] - \log E_Q[e^T]`.

    A lower bound on ``KL(P || Q)`` for every critic, tight at ``T = log p/q + c`` for any
    constant c. Replacing the expectations by means over few product samples biases it
    upwards. Source: MINE (Belghazi et al. 2018), eq. 5 and 10.
    """
    return joint.mean() - log_mean_exp(product)


def nwj(joint: Tensor, product: Tensor) -> Tensor:
    r"""f-divergence bound :math:`E_P[T] - E_Q[e^{T - 1}]` (Nguyen, Wainwright, Jordan).

    An unbiased lower bound, tight at ``T = 1 + log p/q``, and never above `dv`. Source: MINE,
    eq. 8 (MINE-f); Tschannen et al. 2020, eq. 4.
    """
    return joint.mean() - (log_mean_exp(product) - 1).exp()


def eta_dv(joint: Tensor, product: Tensor, eta: Tensor | float | None = None) -> Tensor:
    r"""eta-DV bound :math:`E_P[T] - e^{-\eta} E_Q[e^T] - \eta + 1`.

    Unbiased, tight at ``T = log p/q + c`` with ``eta = c``. It equals `dv` at the optimal
    ``eta = log E_Q[e^T]``, which is what ``eta=None`` means, and `nwj` of ``T + 1`` at
    ``eta = 0``. Source: Improved MI estimation
    (Mroueh et al. 2021), eq. 8, Lemmas 1 and 2.
    """
    log_mean = log_mean_exp(product)
    eta = log_mean if eta is None else torch.as_tensor(eta, dtype=log_mean.dtype)
    return joint.mean() - (log_mean - eta).exp() - eta + 1


def a_dv(joint: Tensor, product: Tensor, eta_joint: Tensor, eta_product: Tensor) -> Tensor:
    r"""a-DV (TUBA) bound :math:`E_P[T] - E_Q[e^{T - \eta(y)}] - E_y[\eta(y)] + 1`.

    Tighter than eta-DV, because every y has a normaliser of its own: tight at
    ``T = log p(x|y)/p(x) + eta(y)`` for any function eta. Source: Mroueh et al. 2021,
    Theorem 2, eq. 22.

    Parameters
    ----------
    joint, product : Tensor
        Critic scores.
    eta_joint, eta_product : Tensor
        The values eta(y) of the same pairs, broadcastable to the scores.
    """
    return joint.mean() - log_mean_exp(product - eta_product).exp() - eta_joint.mean() + 1


def infonce(joint: Tensor, product: Tensor) -> Tensor:
    r"""InfoNCE bound on K = ``product.shape[1] + 1`` candidates.

    .. math:: \frac{1}{B} \sum_i T(x_i, y_i) - \log \frac{1}{K} \sum_j e^{T(x_i, y_j)}

    where the sum runs over the true partner of ``x_i`` and the K - 1 others of its row. Never
    above log K. Optimal critic: ``log p(y|x)/p(y) + c(x)``. Not a bound when the pairs of the
    batch are not independent. Source: DIM (Hjelm et al. 2019), eq. 5; Tschannen et al. 2020,
    eq. 3 and App. D.

    Parameters
    ----------
    joint : Tensor of shape (B,) or (B, L)
        Of L true partners, each is contrasted with the others of the row.
    product : Tensor of shape (B, K - 1)
    """
    if joint.ndim not in (1, 2) or product.ndim != 2 or len(product) != len(joint):
        raise ValueError(
            "infonce contrasts each true pair with the product scores of its own row: joint must "
            f"have shape (B,) or (B, L) and product (B, K - 1), got {tuple(joint.shape)} and "
            f"{tuple(product.shape)}."
        )
    joint_BL = joint.reshape(len(joint), -1)
    candidates = torch.logaddexp(joint_BL, product.logsumexp(1, keepdim=True))
    return (joint_BL - candidates).mean() + math.log(product.shape[1] + 1)


def k_pair(joint: Tensor, product: Tensor) -> Tensor:
    r"""Minus the multi-class K-pair loss of metric learning,

    .. math:: -\frac{1}{B} \sum_i \log \Bigl(1 + \sum_j e^{T(x_i, y_j) - T(x_i, y_i)}\Bigr) ,

    where the sum inside runs over the K - 1 others of the row. It is `infonce` less log K, so it
    is never above 0; in the loss of Sohn (2016) the critic is an inner product of two
    representations by one encoder. Source: Tschannen et al. 2020, eq. 5 and App. C.
    """
    return -softplus(product.logsumexp(1) - joint).mean()


def jsd(joint: Tensor, product: Tensor) -> Tensor:
    r"""Jensen-Shannon objective :math:`E_P[-sp(-T)] - E_Q[sp(T)]`, ``sp(t) = log(1 + e^t)``.

    A bound on a Jensen-Shannon divergence (``2 JSD(P, Q) - 2 log 2``), not on mutual
    information. Its optimal critic is ``log p/q``, so nats are read by putting that critic
    into `dv`. Source: DIM, eq. 4 and App. A.1.
    """
    return -softplus(-joint).mean() - softplus(product).mean()


def reverse_kl(joint: Tensor, product: Tensor) -> Tensor:
    r"""Bound on ``KL(Q || P)``: :math:`1 - E_P[e^{-T}] - E_Q[T]`.

    One of the f-divergences (see `hellinger`), with ``f(t) = -log t``.
    """
    return 1 - log_mean_exp(-joint).exp() - product.mean()


def pearson(joint: Tensor, product: Tensor) -> Tensor:
    r"""Bound on Pearson's chi-squared divergence: :math:`2 E_P[e^T - 1] - E_Q[e^{2T} - 1]`.

    One of the f-divergences (see `hellinger`), with ``f(t) = (t - 1)^2``. Its gradients vary
    with the square of the density ratio.
    """
    return 2 * log_mean_exp(joint).exp() - log_mean_exp(2 * product).exp() - 1


def hellinger(joint: Tensor, product: Tensor) -> Tensor:
    r"""Bound on the squared Hellinger distance: :math:`2 - E_P[e^{-T/2}] - E_Q[e^{T/2}]`.

    Every f-divergence ``E_Q[f(p/q)]`` is at least ``E_P[u] - E_Q[f^*(u)]``, with f* the convex
    conjugate of f and equality for ``u = f'(p/q)``. Here ``u = f'(e^T)``, so that the optimal
    critic is ``T = log p/q`` whatever f is, and ``f^*(f'(e^T)) = e^T f'(e^T) - f(e^T)``. Of this
    f, ``f(t) = (sqrt(t) - 1)^2``, the two expectations grow alike. `nwj` is that of
    ``f(t) = t log t``, with ``T + 1`` for T. Source: InfoMax-VAE (Rezaabad and Vishwanath 2020),
    eq. 5; Nowozin et al. (2016), Tables 1 and 2.
    """
    return 2 - log_mean_exp(-joint / 2).exp() - log_mean_exp(product / 2).exp()


def smile(joint: Tensor, product: Tensor, clip: float = 5.0) -> Tensor:
    r"""SMILE: `dv` with product scores clipped to ``[-clip, clip]``.

    Less variance than `dv` at the price of a bias; not a lower bound. Trained through the
    gradient of `jsd` (`smile_loss`). Source: Song and Ermon (2020), eq. 16.
    """
    return joint.mean() - log_mean_exp(product.clamp(-clip, clip))


# --------------------------------------------------- losses that are not minus the value


def update_log_ema(log_ema: Tensor, product: Tensor, rate: float) -> Tensor:
    """Exponential moving average of ``E_Q[e^T]``, kept as its logarithm.

    ``log_ema`` is the average so far, NaN before the first batch; ``rate`` in (0, 1] is the
    weight of the new batch.
    """
    log_mean = log_mean_exp(product.detach())
    if rate >= 1:
        return log_mean
    averaged = torch.logaddexp(log_ema + math.log1p(-rate), log_mean + math.log(rate))
    return torch.where(log_ema.isnan(), log_mean, averaged)


def dv_loss(joint: Tensor, product: Tensor, log_ema: Tensor) -> Tensor:
    r"""Minus `dv`, with MINE's correction of the gradient of :math:`\log E_Q[e^T]`.

    The denominator of :math:`E_B[e^T \nabla T] / E_B[e^T]` is replaced by the moving average
    ``exp(log_ema)``, which removes most of the bias of small batches. Source: MINE,
    section 3.2.
    """
    surrogate = joint.mean() - (log_mean_exp(product) - log_ema.detach()).exp()
    return -straight_through(dv(joint, product), surrogate)


def smile_loss(joint: Tensor, product: Tensor) -> Tensor:
    """Minus `smile`, with the gradient of `jsd`."""
    return -straight_through(smile(joint, product), jsd(joint, product))


# ------------------------------------------------------------------------- registry


@dataclass(frozen=True)
class Bound:
    """What the training loop and the estimators need to know of a bound.

    Attributes
    ----------
    name : str
        Name in the registry.
    value : callable
        ``value(joint, product) -> Tensor``, the objective to maximise. `a_dv` and `eta_dv`
        take their normalisers as further arguments.
    loss : callable or None
        ``loss(joint, product) -> Tensor`` to descend; None means minus `value`.
    nats : callable
        ``nats(joint, product) -> Tensor``, the estimate of mutual information for a critic
        that is shifted by `offset` from the log density ratio.
    offset : float
        The optimal critic minus the log density ratio (up to a constant if `shift_free`).
    shift_free : bool
        Whether adding a constant to the critic leaves `nats` alone, so that the critic must
        be normalised before it is read as a log density ratio.
    contrastive : bool
        Whether product scores must stand in the row of their x (InfoNCE), in which case the
        critic is determined up to a function of x only and the value is at most log K.
    has_eta : bool
        Whether a normaliser eta is trained beside the critic; `nats` takes the scores less eta.
    is_lower_bound : bool
        Whether `nats` is a lower bound on mutual information for every critic.
    """

    name: str
    value: Callable[..., Tensor]
    nats: Callable[..., Tensor]
    loss: Callable[..., Tensor] | None = None
    offset: float = 0.0
    shift_free: bool = False
    contrastive: bool = False
    has_eta: bool = False
    is_lower_bound: bool = True

    @property
    def needs_normalizer(self) -> bool:
        """Whether one constant is missing between the trained critic and the log ratio."""
        return self.shift_free and not self.contrastive

    def value_and_nats(
        self, joint: Tensor, product: Tensor, eta: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The objective and the estimate at scores that approach the log density ratio.

        With `has_eta`, up to ``eta``, the one normaliser of all pairs.
        """
        if self.offset:
            joint, product = joint + self.offset, product + self.offset
        if eta is None:
            value = self.value(joint, product)
            return value, value if self.nats is self.value else self.nats(joint, product)
        return self.value(joint, product, eta), self.nats(joint - eta, product - eta)


def _normalized(joint: Tensor, product: Tensor) -> Tensor:
    """eta-DV and a-DV as functions of the scores less their eta."""
    return eta_dv(joint, product, 0.0)


BOUNDS = {
    bound.name: bound
    for bound in [
        Bound("dv", dv, nats=dv, loss=dv_loss, shift_free=True),
        Bound("nwj", nwj, nats=nwj, offset=1.0),
        Bound("eta-dv", eta_dv, nats=_normalized, has_eta=True),
        Bound("a-dv", a_dv, nats=_normalized, has_eta=True),
        Bound("infonce", infonce, nats=infonce, shift_free=True, contrastive=True),
        Bound("jsd", jsd, nats=dv, shift_free=True),
        Bound("reverse-kl", reverse_kl, nats=dv, shift_free=True),
        Bound("pearson", pearson, nats=dv, shift_free=True),
        Bound("hellinger", hellinger, nats=dv, shift_free=True),
        Bound("k-pair", k_pair, nats=infonce, shift_free=True, contrastive=True),
        Bound("smile", smile, nats=smile, loss=smile_loss, is_lower_bound=False),
    ]
}


def get_bound(name: str) -> Bound:
    """The registered bound called `name`; a ValueError lists the names there are."""
    try:
        return BOUNDS[name]
    except (KeyError, TypeError):
        raise ValueError(f"Unknown bound {name!r}. Choose one of {sorted(BOUNDS)}.") from None
