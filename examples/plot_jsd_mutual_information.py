"""
Mutual information and the Jensen-Shannon divergence
====================================================

Mutual information is the Kullback-Leibler divergence of a joint distribution from the product of
its marginals. ``bound="jsd"`` trains on another divergence of the same two, Jensen-Shannon's, which
never exceeds log 2. Is a joint distribution with more of the one also one with more of the other?
This repeats figure 4 of [1]_ with exact sums, so that no estimator comes in.

.. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation and
   maximization", ICLR 2019.
"""

# %%
# Random joint distributions
# --------------------------
# x is uniform on n values. For each of them, p(y | x) is uniform numbers of which a part was set
# to zero by dropout, through a softmax. The scale of the numbers before the softmax and the part
# that is dropped are drawn anew for each joint distribution; the paper does not tell its own.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import rel_entr, softmax
from scipy.stats import spearmanr

rng = np.random.default_rng(0)


def random_joint(n):
    """A joint distribution p(x, y), x uniform, of shape (n, n)."""
    scores = rng.uniform(0, rng.uniform(0, 20), size=(n, n))
    scores *= rng.uniform(size=(n, n)) > rng.uniform()
    return softmax(scores, axis=1) / n


def divergences(joint):
    """KL and Jensen-Shannon divergence of p(x, y) from p(x) p(y) in nats."""
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    mixture = (joint + product) / 2
    jsd = (rel_entr(joint, mixture).sum() + rel_entr(product, mixture).sum()) / 2
    return rel_entr(joint, product).sum(), jsd


# %%
# One against the other
# ---------------------
# Nearly: the rank correlation is above 0.98 for each size. The JSD bends towards log 2 as the
# information grows, so that it tells high values apart less well. The relation is not strict: of
# the larger tables, joint distributions with as much information differ in their JSD by a tenth of
# a nat and more.

sizes = (8, 16, 32, 64, 128)
figure, axes = plt.subplots(1, len(sizes), figsize=(12, 3), sharey=True, layout="constrained")
for axis, n in zip(axes, sizes, strict=True):
    mi, jsd = np.transpose([divergences(random_joint(n)) for _ in range(1_000)])
    correlation = spearmanr(mi, jsd).statistic
    print(f"{n:3d} x {n:<3d}  most information {mi.max():.2f} nats, Spearman {correlation:.4f}")
    axis.scatter(mi, jsd, s=4, alpha=0.4)
    axis.axhline(np.log(2), color="black", linestyle=":", linewidth=1)
    axis.set(title=f"{n} x {n}: Spearman {correlation:.3f}", xlabel="mutual information in nats")
axes[0].set_ylabel("JSD in nats (dotted: log 2)")
plt.show()
