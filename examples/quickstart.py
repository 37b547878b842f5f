"""
Quickstart: how much does X tell about Y?
=========================================

Three questions on data that ship with scikit-learn, answered in nats:

- How much does the top half of a handwritten digit tell about its bottom half?
- How much does the image tell about its label?
- Which measurements of a patient tell most about the progression of diabetes, one by one and
  all together, and what do scikit-learn's own scores say?

The script prints a table and writes the figure ``quickstart.png`` beside itself.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.feature_selection import mutual_info_regression
from tqdm.auto import tqdm

from skmi import mutual_info

# %%
# The questions
# -------------
# Each is a pair of arrays with one row per observation. ``mutual_info`` takes arrays, images
# and data frames; y may be numbers or labels.

digits = load_digits()
diabetes = load_diabetes(as_frame=True)
top, bottom = digits.images[:, :4], digits.images[:, 4:]

questions = {
    "digits: top half | bottom half": (top, bottom),
    "digits: image | label": (digits.images, digits.target),
    "diabetes: all measurements | progression": (diabetes.data, diabetes.target),
} | {
    f"diabetes: {name} | progression": (diabetes.data[[name]], diabetes.target)
    for name in diabetes.feature_names
}

# %%
# The answers
# -----------
# One critic per fold, every row held out once. ``estimate`` is the best guess,
# ``lower_bound`` what the held-out rows certify, ``stderr`` the standard error.

results = {}
with tqdm(questions.items(), desc="measuring", unit="question") as progress:
    for question, (X, Y) in progress:
        progress.set_postfix_str(question)
        results[question] = mutual_info(X, Y, cv=3, n_jobs=-1, random_state=0)

# scikit-learn's nearest-neighbour scores, which take one column at a time
neighbours = dict(
    zip(
        diabetes.feature_names,
        mutual_info_regression(diabetes.data, diabetes.target, random_state=0),
        strict=True,
    )
)

print(f"\n{'X | Y':42} {'estimate':>8} {'stderr':>7} {'lower bound':>12} {'scikit-learn':>13}")
for question, result in results.items():
    name = question.removeprefix("diabetes: ").split(" | ")[0]
    other = f"{neighbours[name]:13.3f}" if name in neighbours else f"{'-':>13}"
    print(
        f"{question:42} {result.estimate:8.3f} {result.stderr:7.3f} "
        f"{result.lower_bound:12.3f} {other}"
    )
print("\nAll values in nats. The label has an entropy of log 10 = 2.303 nats: no more can be told.")

# %%
# The picture
# -----------
# ``score_samples`` splits the answer up: the information that each single image carries about
# its label.

fig = plt.figure(figsize=(11, 4.2), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=[1.2, 1])

single = {name: results[f"diabetes: {name} | progression"] for name in diabetes.feature_names}
names = sorted(single, key=lambda name: single[name].estimate)
positions = np.arange(len(names))
bars = left.subplots()
bars.barh(
    positions + 0.2,
    [single[name].estimate for name in names],
    height=0.4,
    xerr=[1.96 * single[name].stderr for name in names],
    capsize=2,
    label="skmi, +- 1.96 standard errors",
)
bars.barh(
    positions - 0.2,
    [neighbours[name] for name in names],
    height=0.4,
    label="mutual_info_regression",
)
bars.set_yticks(positions, names)
bars.axvline(0, color="k", linewidth=0.8)
bars.set_xlabel("mutual information with progression [nats]")
left.suptitle("Diabetes: which measurement tells most?")
bars.legend(frameon=False, loc="lower right")

critic = results["digits: image | label"].estimator
pointwise = critic.score_samples(digits.images, digits.target)
ranked = np.argsort(pointwise)
right.suptitle(
    "Digits: the images that tell least about their label\n(label: nats; a clear one tells 2.3)"
)
for axes, i in zip(right.subplots(4, 6).flat, ranked[:24], strict=True):
    axes.imshow(digits.images[i], cmap="gray_r")
    axes.set_title(f"{digits.target[i]}: {pointwise[i]:.1f}", fontsize=8, pad=2)
    axes.set_axis_off()

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()
fig.savefig(here / "quickstart.png", dpi=120)
print("Figure written to quickstart.png beside this script.")
plt.show()
