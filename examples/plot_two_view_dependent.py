"""
Bounds that are none: batches of dependent pairs
================================================

InfoNCE and NWJ are lower bounds on mutual information if the negatives come from the marginal
distribution. Negatives from the same video, speaker or image do not. Figure 4c of [1]_ shows what
happens then, with pairs :math:`(X_i, Y_i) = Z + \\epsilon_i` of which Z is common to a batch:
each pair has 0.02 nats of information, and the bounds say more. This repeats it in about a
minute on one core.

.. [1] M. Tschannen, J. Djolonga, P. K. Rubenstein, S. Gelly, M. Lucic, "On mutual information
   maximization for representation learning", ICLR 2020.
"""

# %%
# The critic
# ----------
# A perceptron of five hidden layers of 10 units scores the pairs of each batch of 128. The batches
# come one after another and none comes twice, so that there is nothing to learn by heart.

import matplotlib.pyplot as plt
import numpy as np
import torch

from skmi.bounds import get_bound, split_matrix
from skmi.critics import make_critic
from skmi.datasets import make_dependent_batches

BATCH, STEPS = 128, 600


def train(bound_name, independent):
    """The bound at each step, in nats, and the true information."""
    X, Y, mi = make_dependent_batches(
        BATCH * STEPS, batch_size=BATCH, independent=independent, random_state=0
    )
    batches = [torch.from_numpy(values).float().view(STEPS, BATCH, 1) for values in (X, Y)]
    torch.manual_seed(0)
    critic = make_critic("concat", 1, 1, hidden_layer_sizes=(10,) * 5, activation="relu")
    optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
    bound, values = get_bound(bound_name), []
    for x, y in zip(*batches, strict=True):
        optimizer.zero_grad()
        value = bound.value(*split_matrix(critic.matrix(x, y) + bound.offset))
        (-value).backward()
        optimizer.step()
        values.append(value.item())
    return np.array(values), mi


# %%
# Independent or not
# ------------------
# Each curve is a running mean over 50 batches. With independent pairs both stay at the truth, up to
# noise. With dependent ones both exceed it many times over: given the others of the batch, Y tells
# more about which X is its own, and that is what the critic learns.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for axis, bound_name in zip(axes, ("infonce", "nwj"), strict=True):
    for independent, label in ((True, "independent pairs"), (False, "a common Z in each batch")):
        values, mi = train(bound_name, independent)
        smooth = np.convolve(values, np.ones(50) / 50, mode="valid")
        axis.plot(np.arange(len(smooth)) + 50, smooth, label=label)
        print(f"{bound_name:8s} {label:25s} last 200 steps: {values[-200:].mean():6.3f} nats")
    axis.axhline(mi, color="black", linestyle="--", linewidth=0.8, label=f"truth, {mi:.3f} nats")
    axis.set(title=bound_name, xlabel="steps")
axes[0].set_ylabel("value of the bound in nats")
axes[0].legend(fontsize=8)
plt.show()
