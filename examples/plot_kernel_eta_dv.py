"""
The convex estimator, drawn
===========================

`skmi.KernelEtaDV` fits a critic from a kernel space by solving a convex problem [1]_. For
correlated Gaussians the true log density ratio is a quadratic function, so that the estimate can be
seen beside it. The second picture shows how the estimates move with the strength of the
regulariser, and what the normaliser eta is worth.

.. [1] Y. Mroueh et al., "Improved Mutual Information Estimation", AAAI 2021.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmi import KernelEtaDV
from skmi.datasets import make_sparse_gaussian

RHO = 0.8
X, Y, truth = make_sparse_gaussian(1000, n_features_x=1, correlation=RHO, random_state=0)
X_new, Y_new, _ = make_sparse_gaussian(4000, n_features_x=1, correlation=RHO, random_state=1)

# %%
# The log ratio
# -------------
# Where there are pairs (dots), the estimate follows the truth. Far from all pairs f falls to 0, and
# the log ratio to -eta.

estimator = KernelEtaDV(random_state=0).fit(X, Y)
held_out = estimator.score(X_new, Y_new)
print(f"truth {truth:.3f}, mi_ {estimator.mi_:.3f}, on new pairs {held_out:.3f}")
print(f"lambda {estimator.lambda_best_:.2g}, duality gap {estimator.duality_gap_:.1e}")

grid = np.linspace(-2.5, 2.5, 60)
x, y = (values.ravel() for values in np.meshgrid(grid, grid))
true = truth - (RHO**2 * (x**2 + y**2) - 2 * RHO * x * y) / (2 * (1 - RHO**2))
surfaces = {"truth": true, "estimate": estimator.score_samples(x[:, None], y)}

fig, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
levels = np.linspace(-6, 2, 17)
for axes, (name, values) in zip(panels, surfaces.items(), strict=True):
    surface = values.reshape(60, 60).clip(-6, 2)
    filled = axes.contourf(grid, grid, surface, levels=levels, cmap="RdBu_r", vmin=-6, vmax=6)
    axes.plot(X[:300, 0], Y[:300, 0], "k.", ms=2, alpha=0.5)
    axes.set(title=f"log ratio, {name}", xlabel="x", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5))
panels[0].set_ylabel("y")
fig.colorbar(filled, ax=panels, label="nats")

# %%
# The strength of the regulariser
# -------------------------------
# The bound at the critic found, -L, is ``mi_``; the mean of r log r is the other estimate of the
# paper, and the optimal value lies halfway. All three meet where there is no regulariser, and
# there they overfit: the bound on new pairs falls. The f-divergence bound is that without eta.

strengths = np.logspace(0, -5, 11)
names = ["-L, mi_", "optimal value", "mean of r log r", "new pairs", "f-div"]
curves = {name: [] for name in names}
for strength in strengths:
    options = {"lambda_": strength, "random_state": 0}
    fitted = KernelEtaDV(**options).fit(X, Y)
    ratios = fitted.dual_coef_
    curves["-L, mi_"].append(fitted.mi_)
    curves["optimal value"].append(-fitted.objective_)
    entropy = np.average(ratios * np.log(ratios), weights=fitted.product_weights_)
    curves["mean of r log r"].append(entropy)
    curves["new pairs"].append(fitted.score(X_new, Y_new))
    curves["f-div"].append(KernelEtaDV(normalize=False, **options).fit(X, Y).mi_)

fig, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, values), style in zip(curves.items(), ["-", "--", ":", "o-", "-."], strict=True):
    axes.semilogx(strengths, values, style, ms=4, label=name)
axes.axhline(truth, color="k", lw=1, label="truth")
axes.axvline(estimator.lambda_best_, color="0.7", lw=1, zorder=0, label="chosen by folds")
axes.set(xlabel="lambda", ylabel="nats", ylim=(-0.1, 1.2))
axes.invert_xaxis()
axes.legend(fontsize=8)
plt.show()
