"""
Deep InfoMax on digits
======================

`~skmi.representation.DIMTransformer` trains an encoder without labels [1]_. Here it is a step of a
pipeline, and the accuracy of a linear classifier tells what 16 columns of its output are worth,
beside the first 16 principal components, all 64 pixels, and an encoder that was not trained.

.. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation and
   maximization", ICLR 2019.
"""

# %%
# A step of a pipeline
# --------------------
# Training is worth much. On half of the digits the defaults are level with the principal
# components; without the prior, whose weight is ``gamma=0.1``, they are ahead of them. (On all
# digits they are ahead with it as well.) In training the representations are of images with a part
# hidden (``occlusion``), which must tell what that part shows.

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from skmi.plotting import NearestNeighboursDisplay, RepresentationDisplay
from skmi.representation import DIMTransformer

X, y = load_digits(return_X_y=True)
dim = DIMTransformer(n_components=16, image_shape=(8, 8), random_state=0)
steps = {
    "untrained encoder": clone(dim).set_params(max_epochs=1, learning_rate=1e-9),
    "the defaults": dim,
    "gamma=0": clone(dim).set_params(gamma=0),
    "occlusion=False": clone(dim).set_params(occlusion=False),
    "PCA": PCA(16),
    "pixels": "passthrough",
}
accuracies, fits = {}, {}
for name, step in steps.items():
    pipeline = Pipeline([("dim", step), ("svm", LinearSVC(dual=False))])
    fits[name] = cross_validate(
        pipeline, X, y, cv=2, n_jobs=2, return_estimator=True, return_indices=True
    )
    accuracies[name] = fits[name]["test_score"]
    print(f"{name:18s} {accuracies[name].mean():.3f}")

figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
for place, (name, values) in enumerate(accuracies.items()):
    color = "lightgray" if name in ("PCA", "pixels") else "tab:blue"
    axis.barh(place, values.mean(), color=color)
    axis.plot(values, [place] * len(values), "k.")
axis.set_yticks(range(len(accuracies)), accuracies)
axis.set(xlim=(0.5, 1), xlabel="accuracy of a linear classifier (dots: the two folds)")
axis.invert_yaxis()
plt.show()

# %%
# Neighbours
# ----------
# Held-out images at the left, and then those whose representations are nearest. Most show the same
# digit. The others look alike: eights beside a 6, a 9 beside a 3.

fit = fits["the defaults"]
dim = fit["estimator"][0]["dim"]
train, test = fit["indices"]["train"][0], fit["indices"]["test"][0]
X_test, y_test = X[test], y[test]
NearestNeighboursDisplay.from_estimator(
    dim, X_test, y=y_test, queries=5, random_state=0, cmap="gray_r"
)
plt.show()

# %%
# The rows in a plane
# -------------------
# The first two principal components of the 16 columns set off 0, and in part 4, 5, 6 and 7; the
# other digits overlap. t-SNE, which sees all columns, has most digits in groups of their own, the
# ones in three. No label was used in training.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
RepresentationDisplay.from_estimator(dim, X_test, y_test, ax=axes[0])
RepresentationDisplay.from_estimator(dim, X_test, y_test, method="tsne", random_state=0, ax=axes[1])
axes[0].get_legend().remove()
plt.show()

# %%
# Tables
# ------
# Without ``image_shape`` the rows are those of a table and the encoder is ``"mlp"``. Its local
# features are groups of columns. The same digits as plain rows come near the accuracy of
# images.

table = DIMTransformer(n_components=16, random_state=0)
pipeline = Pipeline([("dim", table), ("svm", LinearSVC(dual=False))]).fit(X[train], y[train])
print(f"accuracy on held-out rows {pipeline.score(X_test, y_test):.3f}")
