"""
Codes that rebuild the data
===========================

Adversarially learned inference trains an encoder and a decoder so that a discriminator cannot tell
pairs of data and codes from pairs of prior codes and the rows made of them. Nothing but that game
holds reconstructions to the data. `~skmi.generative.ALITransformer` adds the information of codes
about the data (MINE [1]_, eq. 19) or, as ALICE does, the squared error or a second discriminator,
of pairs of rows and reconstructions. This is Figure 6 of [1]_ with smaller networks, in some three
minutes. All four have a penalty on the gradient of the discriminator, which steadies long training
at a larger learning rate.

.. [1] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018.
"""

# %%
# Reconstructions and samples
# ---------------------------
# Reconstructions of held-out rows above, in the colour of the mode that they come from, and samples
# below. The error is the mean distance of rows and reconstructions, where neighbouring modes are 2
# apart.

import matplotlib.pyplot as plt

from skmi.datasets import make_gaussian_grid
from skmi.evaluation import mode_counts, reconstruction_error
from skmi.generative import ALITransformer

X, y, modes = make_gaussian_grid(12_000, random_state=0)
X_train, X_test, y_test = X[:10_000], X[10_000:], y[10_000:]
models = {
    "ALI": {"mi_weight": 0.0},
    "ALICE (L2)": {"mi_weight": 0.0, "cycle": "l2"},
    "ALICE (adversarial)": {"mi_weight": 0.0, "cycle": "adversarial"},
    "ALI + MINE": {"mi_weight": 0.3, "adaptive_clipping": False},
}
figure, axes = plt.subplots(2, 4, figsize=(10, 5.8), layout="constrained", sharex=True, sharey=True)
for (above, below), (label, options) in zip(axes.T, models.items(), strict=True):
    ali = ALITransformer(
        2,
        hidden_layer_sizes=(128, 128),
        discriminator_hidden=(128, 128),
        critic_hidden=(128, 128),
        gradient_penalty=0.1,
        learning_rate=2e-3,
        max_epochs=60,
        random_state=0,
        **options,
    ).fit(X_train)
    rebuilt, samples = ali.reconstruct(X_test), ali.sample(2000, random_state=0)
    error = reconstruction_error(X_test, rebuilt)
    counts = mode_counts(samples, modes, radius=0.15)
    title = f"{(counts > 0).sum()} modes, {counts.sum() / 2000:.0%} near one"
    print(f"{label:19s} error {error:.2f}; samples: {title}")
    above.scatter(*rebuilt.T, s=2, c=y_test, cmap="tab20")
    above.set(title=f"{label}\nreconstructions, error {error:.2f}", xlim=(-6, 6), ylim=(-6, 6))
    below.scatter(*samples.T, s=2, color="tab:blue")
    below.set(title=f"samples\n{title}", xticks=[], yticks=[])
plt.show()

# %%
# Information lowers the error of ALI from 0.37 to 0.12, as do the squared error, which is nearly
# what is measured, and the second discriminator. Only information also sharpens the samples: half
# are within three standard deviations of a mode, and the rest on the lines between neighbours,
# since a continuous map of normal codes cannot jump. This is one seed.
