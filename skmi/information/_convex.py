r"""Density-ratio estimation as a convex problem: the objective, its dual and two solvers.

For features B of m samples of Q, which have weights v with mean 1, and mean features a of samples
of P, in coordinates where the regulariser is the identity, the primal problem is

.. math::
    \min_{w, \eta}\; e^{-\eta} \Bigl(\frac1m \sum_j v_j e^{\langle w, B_j \rangle}
    + \epsilon\Bigr) - \langle w, a \rangle + \eta - 1 + \frac{\lambda}{2} |w|^2 .

The minimum over eta is attained at :math:`\eta = \log(\frac1m \sum_j v_j e^{\langle w, B_j
\rangle} + \epsilon)`, which leaves a smooth, strongly convex problem in w. The dual is a ratio
estimation, for the masses :math:`q_j = v_j r_j`

.. math::
    \max_{q > 0,\; \overline q = 1}\; -\overline{q \log (q / v)}
    - \frac{1}{2 \lambda} \Bigl|a - \frac1m \sum_j q_j B_j\Bigr|^2 .

Any w gives feasible :math:`q_j = v_j \exp(\langle w, B_j \rangle - \eta)`, and there the duality
gap is :math:`|\nabla|^2 / 2 \lambda`, with the gradient of the problem in w: every point carries
its certificate, without a difference of large numbers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import logsumexp, xlogy
from sklearn.utils import gen_batches

#: Rows of features that are weighted at once for a Hessian.
CHUNK_ROWS = 2**13
#: Unknowns beyond which a Hessian is too large for solver="auto".
NEWTON_SIZE = 3000
#: A Hessian serves another step if the last one left at most this part of the duality gap.
KEPT_PROGRESS = 0.1


@dataclass(frozen=True)
class Point:
    """The problem at some weights, with eta at its best.

    Attributes
    ----------
    weights, gradient : ndarray of shape (d,)
    masses : ndarray of shape (m,)
        The dual variables: ratios times the weights of their samples.
    eta, objective, gap : float
    """

    weights: np.ndarray
    gradient: np.ndarray
    masses: np.ndarray
    eta: float
    objective: float
    gap: float


@dataclass(frozen=True)
class RatioProblem:
    """The problem above.

    Attributes
    ----------
    features : ndarray of shape (m, d)
        Of the samples of Q.
    target : ndarray of shape (d,)
        Mean features of the samples of P.
    penalty : float
        The factor lambda.
    eps : float
        Perturbation that makes the loss strictly convex in (w, eta).
    normalized : bool
        Whether eta is free. If not it is 0: the problem of the f-divergence bound.
    residual : float
        Squared norm of what the mean feature of P has outside the span of `features`. The
        optimal w has that part divided by lambda.
    log_weights : ndarray of shape (m,) or float
        Of the samples of Q, whose weights have mean 1.
    """

    features: np.ndarray
    target: np.ndarray
    penalty: float
    eps: float = 0.0
    normalized: bool = True
    residual: float = 0.0
    log_weights: np.ndarray | float = 0.0

    def at(self, weights: np.ndarray) -> Point:
        """Evaluate objective, gradient, masses and duality gap."""
        scores = self.features @ weights + self.log_weights
        eta = 0.0
        if self.normalized:
            log_mean = logsumexp(scores) - np.log(len(scores))
            eta = float(np.logaddexp(log_mean, np.log(self.eps)) if self.eps else log_mean)
        masses = np.exp(scores - eta)
        gradient = masses @ self.features / len(masses) - self.target + self.penalty * weights
        excess = eta + self._total(masses, eta) - 1
        penalty = 0.5 * self.penalty * self.squared_norm(weights)
        objective = excess - self._correlation(weights) + penalty
        gap = gradient @ gradient / (2 * self.penalty)
        return Point(weights, gradient, masses, eta, float(objective), float(gap))

    def _total(self, masses, eta) -> float:
        return masses.mean() + (self.eps * np.exp(-eta) if self.eps else 0.0)

    def _correlation(self, weights) -> float:
        """``<w, mean feature of P>``."""
        return self.target @ weights + self.residual / self.penalty

    def squared_norm(self, weights) -> float:
        """``w' R w``."""
        return float(weights @ weights + self.residual / self.penalty**2)

    def bound(self, point: Point) -> float:
        """Minus the loss L(w, eta), without regulariser and perturbation: the estimate of KL."""
        loss = point.masses.mean() + point.eta - 1 - self._correlation(point.weights)
        return float(-loss)

    def ratios(self, point: Point) -> np.ndarray:
        """Estimates of p / q at the samples of Q."""
        return point.masses * np.exp(-np.asarray(self.log_weights))

    def dual_objective(self, masses: np.ndarray) -> float:
        """Value of the dual problem, for any positive masses that are feasible."""
        mismatch = self.target - masses @ self.features / len(masses)
        entropy = (xlogy(masses, masses) - masses * self.log_weights).mean()
        if not self.normalized:
            entropy += 1 - masses.mean() - self.eps
        elif self.eps:
            slack = 1 - masses.mean()
            entropy += xlogy(slack, slack / self.eps)
        distance = mismatch @ mismatch + self.residual
        return float(-entropy - distance / (2 * self.penalty))

    def hessian(self, point: Point) -> np.ndarray:
        """Second derivative in w."""
        masses, n_features = point.masses, self.features.shape[1]
        total = masses.mean()
        mean = masses @ self.features / (len(masses) * max(total, np.finfo(float).tiny))
        hessian = np.zeros((n_features, n_features))
        for rows in gen_batches(len(masses), CHUNK_ROWS):
            weighted = (self.features[rows] - mean) * np.sqrt(masses[rows] / len(masses))[:, None]
            hessian += weighted.T @ weighted
        free = total - total**2 if self.normalized else total  # eta takes up a common shift
        hessian += free * np.outer(mean, mean)
        hessian[np.diag_indices(n_features)] += self.penalty
        return hessian


@dataclass(frozen=True)
class Solution:
    """Where a solver ended."""

    point: Point
    n_iter: int
    converged: bool


def solve(
    problem: RatioProblem, start=None, *, solver="auto", tol=1e-10, max_iter=100, polish=True
) -> Solution:
    """Minimise until the duality gap is at most `tol` times the larger of 1 and the objective.

    Parameters
    ----------
    problem : RatioProblem
    start : ndarray of shape (d,), optional
        Weights to begin at.
    solver : {"auto", "newton", "lbfgs"}
    tol : float
    max_iter : int
    polish : bool
        Whether Newton's method goes one step beyond `tol`.

    Returns
    -------
    Solution
    """
    n_features = problem.features.shape[1]
    start = np.zeros(n_features) if start is None else start
    if solver == "auto":
        solver = "newton" if n_features <= NEWTON_SIZE else "lbfgs"
    with np.errstate(over="ignore", invalid="ignore"):  # a step too far is taken back
        point = problem.at(start)
        if solver == "newton":
            point, n_iter = _newton(problem, point, tol, max_iter, polish)
        else:
            point, n_iter = _lbfgs(problem, point, tol, max_iter)
    return Solution(point, n_iter, _is_optimal(point, tol))


def _is_optimal(point: Point, tol: float) -> bool:
    return np.isfinite(point.objective) and point.gap <= tol * max(1.0, abs(point.objective))


def _newton(problem: RatioProblem, point: Point, tol: float, max_iter: int, polish: bool):
    """Newton's method; steps are halved until the duality gap falls.

    Along a Newton direction the gradient shrinks by the step taken, to first order, so that
    the gap itself measures progress. To `polish` is to take one step beyond `tol`: convergence
    is quadratic, and it ends at the precision of the machine. Otherwise a Hessian is kept as long
    as it serves, for a gradient costs little beside it.
    """
    factor = None
    for n_iter in range(1, max_iter + 1):
        optimal = _is_optimal(point, tol)
        if optimal and not polish:
            return point, n_iter - 1
        kept = factor is not None
        try:
            factor = factor if kept else cho_factor(problem.hessian(point))
        except (LinAlgError, ValueError):  # a penalty below the rounding errors of the features
            return point, n_iter
        direction = cho_solve(factor, -point.gradient)
        step, progress = 1.0, 1.0
        while step > 1e-10:
            candidate = problem.at(point.weights + step * direction)
            if candidate.gap < (1 - 1e-4 * step) * point.gap:
                progress = candidate.gap / point.gap
                point = candidate
                break
            if kept:
                break
            step /= 2
        if optimal or (progress == 1 and not kept):
            return point, n_iter
        if polish or progress > KEPT_PROGRESS:
            factor = None
    return point, max_iter


def _lbfgs(problem: RatioProblem, point: Point, tol: float, max_iter: int) -> tuple[Point, int]:
    """L-BFGS-B of scipy, stopped by the duality gap."""
    best = point

    def evaluate(weights):
        nonlocal best
        current = problem.at(weights)
        if current.gap < best.gap:
            best = current
        return current.objective, current.gradient

    def stop(intermediate_result):
        if _is_optimal(best, tol):
            raise StopIteration

    options = {"maxiter": max_iter, "maxfun": 10 * max_iter, "ftol": 0, "gtol": 0, "maxcor": 30}
    result = minimize(
        evaluate, point.weights, jac=True, method="L-BFGS-B", callback=stop, options=options
    )
    return best, result.nit
