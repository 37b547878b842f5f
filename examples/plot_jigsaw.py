"""
Jigsaw puzzles by mutual information
====================================

Cut an image into 3 x 3 tiles, shuffle them, and have a network tell the order: an encoder that can
do that knows what the tiles show. [1]_ replaces the classification of permutations by bounds on the
information between the shuffled tiles and the permutation. This compares the three losses of
`~skmi.representation.JigsawTransformer` on images of 9 x 9 pixels, digits with a border, in about a
minute on one core.

.. [1] Y. Mroueh et al., "Improved mutual information estimation", AAAI 2021.
"""

# %%
# A puzzle
# --------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from skmi.representation import JigsawTransformer

X, y = load_digits(return_X_y=True)
X = np.pad(X.reshape(-1, 8, 8), ((0, 0), (0, 1), (0, 1)))
X_train, X_test = X[:1300], X[1300:]

order = np.random.default_rng(0).permutation(9)
tiles = X[0].reshape(3, 3, 3, 3).swapaxes(1, 2).reshape(9, 3, 3)
shuffled = tiles[order].reshape(3, 3, 3, 3).swapaxes(1, 2).reshape(9, 9)
figure, axes = plt.subplots(1, 2, figsize=(4.6, 2.4), layout="constrained")
for axis, image, title in zip(axes, (X[0], shuffled), ("image", "puzzle"), strict=True):
    axis.imshow(image, cmap="gray_r")
    for line in (2.5, 5.5):
        axis.axhline(line, color="C1")
        axis.axvline(line, color="C1")
    axis.set(title=title, xticks=[], yticks=[])
plt.show()

# %%
# Three losses
# ------------
# There are 100 permutations to tell apart, so that the information is at most log 100 = 4.6 nats,
# and chance solves one puzzle of a hundred. The cross-entropy is a bound as well: the logarithm of
# the number of permutations less the loss.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for bound in ("eta-dv", "dv", "cross-entropy"):
    jigsaw = JigsawTransformer(16, bound=bound, tile_crop=1.0, random_state=0)
    epochs, information, accuracy = [], [], []
    for epoch in range(1, 11):
        jigsaw.partial_fit(X_train)
        terms = jigsaw.evaluate(X_test)
        epochs.append(epoch)
        information.append(terms["information"])
        accuracy.append(terms["accuracy"])
    svm = LinearSVC(dual=False).fit(jigsaw.transform(X_train), y[:1300])
    classes = svm.score(jigsaw.transform(X_test), y[1300:])
    print(
        f"{bound:13s}  {information[-1]:.2f} nats, {accuracy[-1]:.2f} of the puzzles solved, "
        f"{classes:.3f} of the classes told"
    )
    left.plot(epochs, information, label=bound)
    right.plot(epochs, accuracy, label=bound)
left.axhline(np.log(100), color="black", linestyle=":", linewidth=1)
left.set(xlabel="epochs", ylabel="information on test images in nats")
right.set(xlabel="epochs", ylabel="test puzzles solved")
left.legend()
plt.show()
