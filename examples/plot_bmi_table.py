"""
Forty distributions with known mutual information
=================================================

The tasks of the BMI benchmark [1]_: Gaussians with few or many interacting columns, heavy tails,
sharp uniform noise, and one-to-one transforms that hide the relation (spirals, a swiss roll,
wiggles). Each dot is `skmi.mutual_info` at its defaults on fresh samples, with its 95 % interval.

``tests/benchmarks/bench_bmi.py`` measures the same with 10,000 rows, and rival packages beside;
its table stands in :doc:`/benchmarks`.

.. [1] P. Czyz et al., "Beyond Normal: On the Evaluation of Mutual Information Estimators",
   NeurIPS 2023.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from skmi import mutual_info
from skmi.datasets import bmi_tasks

N_SAMPLES = 3000


def measure(name, task, seed):
    X, Y, truth = task(N_SAMPLES, seed)
    result = mutual_info(X, Y, random_state=seed)
    low, high = result.confidence_interval()
    return {
        "task": name,
        "truth": truth,
        "estimate": result.estimate,
        "lower_bound": result.lower_bound,
        "low": low,
        "high": high,
    }


table = pd.DataFrame(
    Parallel(n_jobs=-1)(
        delayed(measure)(name, task, seed) for seed, (name, task) in enumerate(bmi_tasks())
    )
).set_index("task")
error = (table["estimate"] - table["truth"]).abs()
covered = table["truth"].between(table["low"], table["high"])
print(table.round(3).to_string())
print(f"\nmean |error| {error.mean():.3f}, median {error.median():.3f}, worst {error.max():.3f}")
print(f"{covered.sum()} of {len(table)} intervals hold the truth")

# %%
# The picture
# -----------

table = table.sort_values("truth")
position = np.arange(len(table))
fig, axes = plt.subplots(figsize=(8, 9), layout="constrained")
axes.hlines(position, table["low"], table["high"], color="C0", lw=3, alpha=0.4)
axes.plot(table["estimate"], position, "o", color="C0", label="estimate, 95 % interval")
axes.plot(table["lower_bound"], position, "<", color="C0", mfc="w", label="held-out lower bound")
axes.plot(table["truth"], position, "|", color="C1", ms=12, mew=2, label="truth")
axes.set_yticks(position, table.index, fontsize=7)
axes.set(xlabel="mutual information in nats", ylim=(-1, len(table)))
axes.legend(loc="lower right")
plt.show()
