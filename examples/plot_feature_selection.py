"""
Which features, and which together?
===================================

Scores of single features, features that repeat each other, and features that only say something
together.
"""

# %%
# Where in an image is the digit?
# -------------------------------
# The mutual information of each pixel with the digit, in nats. Of the 2.3 nats of ten digits, one
# pixel tells less than half a nat; the corners tell nothing.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmi.feature_selection import MutualInfoSelector, mutual_info_neural

X, y = load_digits(return_X_y=True)
scores = mutual_info_neural(X, y, random_state=0)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
axes[0].imshow(X[0].reshape(8, 8), cmap="gray_r")
axes[0].set(title="A digit", xticks=[], yticks=[])
image = axes[1].imshow(scores.reshape(8, 8), cmap="viridis", vmin=0)
axes[1].set(title="What each pixel tells", xticks=[], yticks=[])
figure.colorbar(image, ax=axes[1], label="nats")
plt.show()

# %%
# Features that repeat each other
# -------------------------------
# The thirty measurements of the breast cancer data come in families: radius, perimeter and area
# say the same. Ranked by their scores alone, the first five are such a family. The criterion mRMR
# takes off what a feature shares with those already chosen, and the same number of features does
# better in a linear classifier.

cancer = load_breast_cancer(as_frame=True)
X, y = cancer.data, cancer.target
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, criterion in zip(axes, ("relevance", "mrmr"), strict=True):
    selector = MutualInfoSelector(criterion, n_features_to_select=5, random_state=0).fit(X, y)
    order = np.argsort(selector.ranking_)[:10][::-1]
    pipeline = make_pipeline(selector, StandardScaler(), LogisticRegression())
    accuracy = cross_val_score(pipeline, X, y, cv=5).mean()  # selected anew in each fold
    colors = np.where(selector.support_[order], "tab:blue", "lightgray")
    axis.barh(X.columns[order], selector.scores_[order], color=colors)
    shared = -selector.redundancy_[order]
    axis.barh(X.columns[order], shared, color="tab:orange", label="taken off: shared with those")
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set(title=f"{criterion}: accuracy of the first five {accuracy:.3f}", xlabel="nats")
axes[1].legend(loc="lower right")
plt.show()

# %%
# Features that only say something together
# -----------------------------------------
# The label is the exclusive or of the signs of two columns among 20. Alone, neither says
# anything, whatever the estimator. Joint selection looks at pairs as well.

rng = np.random.default_rng(0)
X = rng.normal(size=(3_000, 20))
y = (X[:, 4] > 0) ^ (X[:, 13] > 0)
selector = MutualInfoSelector("joint", n_features_to_select=2, random_state=0).fit(X, y)
values = {
    "mutual_info_classif": mutual_info_classif(X, y, random_state=0),
    "mutual_info_neural": selector.scores_,
    "joint selection": selector.scores_ - selector.redundancy_,
}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained", sharey=True)
for axis, (name, value) in zip(axes, values.items(), strict=True):
    axis.bar(np.arange(20), value, color=["tab:red" if j in (4, 13) else "gray" for j in range(20)])
    axis.axhline(np.log(2) / 2, color="black", linestyle=":", linewidth=1)
    axis.set(title=name, xlabel="column")
axes[0].set_ylabel("nats for each feature")
plt.show()
print("Selected columns:", selector.get_support(indices=True))

# %%
# How long it takes
# -----------------
# The critics see tables of counts, so that time hardly grows with the number of rows, while the
# nearest neighbours of scikit-learn's scores take longer and longer. Both on one core.

sizes = (1_000, 4_000, 16_000, 64_000)
seconds = {"skmi": [], "scikit-learn": []}
for n_samples in sizes:
    X = rng.normal(size=(n_samples, 16))
    y = X @ np.linspace(0, 1, 16) + rng.normal(size=n_samples)
    for name, function in (("skmi", mutual_info_neural), ("scikit-learn", mutual_info_regression)):
        start = time.perf_counter()
        function(X, y, random_state=0)
        seconds[name].append(time.perf_counter() - start)
figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
for name, values in seconds.items():
    axis.loglog(sizes, values, "o-", label=name)
axis.set(xlabel="rows, of 16 features", ylabel="seconds")
axis.legend()
plt.show()
