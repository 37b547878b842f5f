"""
Two modalities: beyond canonical correlation
============================================

Two instruments see the same thing, each in its own way. Canonical correlation analysis finds what
they have in common if both ways are linear. `~skmi.representation.TwoViewInfoMaxTransformer` has
the same interface and trains an encoder for each view instead. This compares them on views of two
known latent variables, in half a minute on one core.
"""

# %%
# The same latent variables, straight and bent
# --------------------------------------------
# The first pair of views mixes the latent variables linearly into 10 and 20 columns, with noise.
# Of the second pair one view mixes places on circles, at the angles that the latent variables give,
# and the other one their cubes and exponentials.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cross_decomposition import CCA

from skmi.representation import TwoViewInfoMaxTransformer

rng = np.random.default_rng(0)
latent = rng.uniform(-1, 1, size=(4000, 2))
train, test = slice(3000), slice(3000, None)


def view(values, n_features):
    """Linear mixtures of some columns, with a tenth of noise."""
    mixed = values @ rng.normal(size=(values.shape[1], n_features))
    return mixed + 0.1 * mixed.std() * rng.normal(size=mixed.shape)


circles = np.hstack([np.sin(np.pi * latent), np.cos(np.pi * latent)])
powers = np.hstack([latent**3, np.exp(latent)])
pairs = {
    "linear": (view(latent, 10), view(latent, 20)),
    "non-linear": (view(circles, 10), view(powers, 20)),
}

# %%
# How much of the latent variables is found
# -----------------------------------------
# The measure is the mean canonical correlation of the first view's representation with the latent
# variables, on rows that were not fitted: 1 if each of them is a linear function of the
# representation.


def recovery(Z):
    """Mean canonical correlation with the latent variables on test rows."""
    cca = CCA(2).fit(Z[train], latent[train])
    u, v = cca.transform(Z[test], latent[test])
    return np.mean([np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(2)])


models = {
    "CCA": CCA(2),
    "two-view InfoMax": TwoViewInfoMaxTransformer(8, views=None, max_epochs=30, random_state=0),
}
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for k, (name, model) in enumerate(models.items()):
    scores = []
    for relation, (first, second) in pairs.items():
        model.fit(first[train], second[train])
        scores.append(recovery(model.transform(first)))
        print(f"{relation:10s}  {name:16s}  {scores[-1]:.3f}")
    bars = axis.bar(np.arange(2) + 0.36 * (k - 0.5), scores, width=0.34, label=name)
    axis.bar_label(bars, fmt="%.2f", fontsize=8)
axis.set_xticks(range(2), pairs)
axis.set(ylabel="mean canonical correlation", ylim=(0, 1.25))
axis.legend(ncols=2, loc="upper center")
plt.show()
