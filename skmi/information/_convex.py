r"""Density-ratio estimation as a convex problem: the objective, its dual and two solvers.

For features B of m samples of Q and mean features a of samples of P, in coordinates where the
regulariser is the identity, the primal problem is

.. math::
    \min_{w, \eta}\; e^{-\eta} \Bigl(\frac1m \sum_j e^{\langle w, B_j \rangle} + \epsilon\Bigr)
    - \langle w, a \rangle + \eta - 1 + \frac{\lambda}{2} |w|^2 .

The minimum over eta is attained at :math:`\eta = \log(\frac1m \sum_j e^{\langle w, B_j \rangle}
+ \epsilon)`, which leaves a smooth, strongly convex problem in w. The dual is a ratio estimation,

.. math::
    \max_{r > 0,\; \overline r = 1}\; -\overline{r \log r}
    - \frac{1}{2 \lambda} \Bigl|a - \frac1m \sum_j r_j B_j\Bigr|^2 .

Any w gives a feasible :math:`r_j = \exp(\langle w, B_j \rangle - \eta)`, and there the duality gap
is :math:`|\nabla|^2 / 2 \lambda`, with the gradient of the problem in w: every point carries its
certificate, without a difference of large numbers.
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


@dataclass(frozen=True)
class Point:
    """The problem at some weights, with eta at its best.

    Attributes
    ----------
    weights, gradient : ndarray of shape (d,)
    ratios : ndarray of shape (m,)
        The dual variables.
    eta, objective, gap : float
    """

    weights: np.ndarray
    gradient: np.ndarray
    ratios: np.ndarray
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
    """

    features: np.ndarray
    target: np.ndarray
    penalty: float
    eps: float = 0.0
    normalized: bool = True
    residual: float = 0.0

    def at(self, weights: np.ndarray) -> Point:
        """Evaluate objective, gradient, ratios and duality gap."""
        scores = self.features @ weights
        eta = 0.0
        if self.normalized:
            log_mean = logsumexp(scores) - np.log(len(scores))
            eta = float(np.logaddexp(log_mean, np.log(self.eps)) if self.eps else log_mean)
        ratios = np.exp(scores - eta)
        gradient = ratios @ self.features / len(ratios) - self.target + self.penalty * weights
        excess = eta + self._mass(ratios, eta) - 1
        penalty = 0.5 * self.penalty * self.squared_norm(weights)
        objective = excess - self._correlation(weights) + penalty
        gap = gradient @ gradient / (2 * self.penalty)
        return Point(weights, gradient, ratios, eta, float(objective), float(gap))

    def _mass(self, ratios, eta) -> float:
        return ratios.mean() + (self.eps * np.exp(-eta) if self.eps else 0.0)

    def _correlation(self, weights) -> float:
        """``<w, mean feature of P>``."""
        return self.target @ weights + self.residual / self.penalty

    def squared_norm(self, weights) -> float:
        """``w' R w``."""
        return float(weights @ weights + self.residual / self.penalty**2)

    def bound(self, point: Point) -> float:
        """Minus the loss L(w, eta), without regulariser and perturbation: the estimate of KL."""
        loss = point.ratios.mean() + point.eta - 1 - self._correlation(point.weights)
        return float(-loss)

    def dual_objective(self, ratios: np.ndarray) -> float:
        """Value of the dual problem, for any positive ratios that are feasible."""
        mismatch = self.target - ratios @ self.features / len(ratios)
        entropy = xlogy(ratios, ratios).mean()
        if not self.normalized:
            entropy += 1 - ratios.mean() - self.eps
        elif self.eps:
            slack = 1 - ratios.mean()
            entropy += xlogy(slack, slack / self.eps)
        distance = mismatch @ mismatch + self.residual
        return float(-entropy - distance / (2 * self.penalty))

    def hessian(self, point: Point) -> np.ndarray:
        """Second derivative in w."""
        ratios, n_features = point.ratios, self.features.shape[1]
        mass = ratios.mean()
        mean = ratios @ self.features / (len(ratios) * max(mass, np.finfo(float).tiny))
        hessian = np.zeros((n_features, n_features))
        for rows in gen_batches(len(ratios), CHUNK_ROWS):
            weighted = (self.features[rows] - mean) * np.sqrt(ratios[rows] / len(ratios))[:, None]
            hessian += weighted.T @ weighted
        free = mass - mass**2 if self.normalized else mass  # eta takes up a common shift
        hessian += free * np.outer(mean, mean)
        hessian[np.diag_indices(n_features)] += self.penalty
        return hessian


@dataclass(frozen=True)
class Solution:
    """Where a solver ended."""

    point: Point
    n_iter: int
    converged: bool


def solve(problem: RatioProblem, start=None, *, solver="auto", tol=1e-10, max_iter=100) -> Solution:
    """Minimise until the duality gap is at most `tol` times the larger of 1 and the objective.

    Parameters
    ----------
    problem : RatioProblem
    start : ndarray of shape (d,), optional
        Weights to begin at.
    solver : {"auto", "newton", "lbfgs"}
    tol : float
    max_iter : int

    Returns
    -------
    Solution
    """
    n_features = problem.features.shape[1]
    start = np.zeros(n_features) if start is None else start
    if solver == "auto":
        solver = "newton" if n_features <= NEWTON_SIZE else "lbfgs"
    method = {"newton": _newton, "lbfgs": _lbfgs}[solver]
    with np.errstate(over="ignore", invalid="ignore"):  # a step too far is taken back
        point, n_iter = method(problem, problem.at(start), tol, max_iter)
    return Solution(point, n_iter, _is_optimal(point, tol))


def _is_optimal(point: Point, tol: float) -> bool:
    return np.isfinite(point.objective) and point.gap <= tol * max(1.0, abs(point.objective))


def _newton(problem: RatioProblem, point: Point, tol: float, max_iter: int) -> tuple[Point, int]:
    """Newton's method; steps are halved until the duality gap falls.

    Along a Newton direction the gradient shrinks by the step taken, to first order, so that
    the gap itself measures progress. One step is taken beyond `tol`: convergence is quadratic,
    and it ends at the precision of the machine.
    """
    for n_iter in range(1, max_iter + 1):
        optimal = _is_optimal(point, tol)
        try:
            direction = cho_solve(cho_factor(problem.hessian(point)), -point.gradient)
        except (LinAlgError, ValueError):  # a penalty below the rounding errors of the features
            return point, n_iter
        step = 1.0
        while step > 1e-10:
            candidate = problem.at(point.weights + step * direction)
            if candidate.gap < (1 - 1e-4 * step) * point.gap:
                point = candidate
                break
            step /= 2
        else:
            return point, n_iter
        if optimal:
            return point, n_iter
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
