"""
Latent variables that keep information: the VAE family on digits
================================================================

A variational autoencoder pays for what its codes tell of the data, an InfoMax-VAE is paid for it.
Three members of the family learn the same images of digits with two latent variables, which can
be drawn, and with eight, which can be measured, in the manner of Figure 2 and Table 1 of Rezaabad
and Vishwanath (2020).
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmi.evaluation import active_units, kl_to_prior, latent_mutual_information, linear_probe
from skmi.plotting import ImageGridDisplay, LatentDisplay
from skmi.representation import BetaVAETransformer, InfoMaxVAETransformer, VAETransformer

X, y = load_digits(return_X_y=True)
images = X.reshape(-1, 8, 8) / 16
train, test, y_train, y_test = train_test_split(images, y, test_size=500, random_state=0)


def family(n_components):
    """The models to compare, by name."""
    options = {"max_epochs": 30, "encoder": "mlp", "decoder": "mlp", "random_state": 0}
    options |= {"hidden_layer_sizes": (128, 128), "learning_rate": 3e-3}
    return {
        r"$\beta$-VAE": BetaVAETransformer(n_components, **options),
        "VAE": VAETransformer(n_components, **options),
        "InfoMax-VAE": InfoMaxVAETransformer(n_components, critic_learning_rate=1e-3, **options),
    }


# %%
# Two latent variables
# --------------------
# Above, the density of the codes of all images, with circles at one, two and three standard
# deviations of the prior; below, the means of the posteriors, coloured by digit. Nothing has told
# the models of the ten classes.

models = {name: vae.fit(train) for name, vae in family(2).items()}
figure, axes = plt.subplots(2, 3, figsize=(10.5, 7), layout="constrained")
for column, (name, vae) in zip(axes.T, models.items(), strict=True):
    LatentDisplay.from_estimator(vae, test, y_test, ax=column)
    column[0].set_title(name)
for axis in axes[1, :-1]:
    axis.get_legend().remove()

# %%
# Eight latent variables
# ----------------------
# The measures of `skmi.evaluation` on images that were not fitted: how many latent variables are
# in use, what the codes tell of which image it was (at most log 500 = 6.2 nats), the divergence
# of single posteriors from the prior, the log-likelihood, and how well a linear classifier tells
# the digits from the codes.

models = {name: vae.fit(train) for name, vae in family(8).items()}
rows = {}
for name, vae in models.items():
    means, stds = vae.posterior(test)
    rows[name] = {
        "active units": active_units(means),
        "information": latent_mutual_information(means, stds, random_state=0),
        "KL to the prior": kl_to_prior(means, stds),
        "log-likelihood": vae.score(test),
        "linear accuracy": linear_probe(means, y_test, random_state=0).mean(),
    }
print(pd.DataFrame(rows).T.round(2).to_string())

# %%
# Reconstructions, samples and traversals
# ---------------------------------------
# Images of the test set over their reconstructions, new digits, and one image whose latent
# variables are moved one at a time.

vae = models["InfoMax-VAE"]
ImageGridDisplay.from_reconstructions(vae, test[:12])
ImageGridDisplay.from_samples(vae, 36, n_columns=12, random_state=0)
ImageGridDisplay.from_traversal(vae, test[0])
plt.show()
