"""
Does the dependency measure see disentanglement?
================================================

`~skmi.dependence.NeuralDependencyMeasure` says how much the columns of a representation depend on
one another, in nats. Figure 13 of [1]_ tries it on beta-VAEs: the larger beta, the more each latent
variable is held to a prior whose columns are independent, and the less dependence there should be.
Here are digits, eight latent variables and three seeds for each beta.

.. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation and
   maximization", ICLR 2019.
"""

# %%
# Codes are drawn from the posteriors: their means alone would leave the noise out, behind which a
# latent variable that is not used hides what it still knows of the others.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits

from skmi.dependence import NeuralDependencyMeasure
from skmi.evaluation import active_units
from skmi.exceptions import GeneralizationGapWarning
from skmi.representation import BetaVAETransformer

X, _ = load_digits(return_X_y=True)
images = X.reshape(-1, 8, 8) / 16
betas = (0.1, 0.5, 1.0, 1.5, 2.0, 4.0)
seeds = range(3)


def dependence_of_codes(beta, seed):
    """Dependence of the codes in nats, and the latent variables in use."""
    vae = BetaVAETransformer(
        8,
        beta=beta,
        encoder="mlp",
        decoder="mlp",
        hidden_layer_sizes=(64, 64),
        learning_rate=3e-3,
        max_epochs=15,
        random_state=seed,
    )
    means, stds = vae.fit(images).posterior(images)
    codes = means + stds * np.random.default_rng(seed).normal(size=stds.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeneralizationGapWarning)  # so few rows leave a gap
        measure = NeuralDependencyMeasure(max_epochs=60, random_state=seed).fit(codes)
    return measure.ndm_, active_units(means)


jobs = [delayed(dependence_of_codes)(beta, seed) for beta in betas for seed in seeds]
results = np.reshape(Parallel(n_jobs=2)(jobs), (len(betas), len(seeds), 2))
dependence, units = np.moveaxis(results, 2, 0)
for beta, of_seeds, used in zip(betas, dependence, units, strict=True):
    print(f"beta {beta:.1f}: {of_seeds.mean():.2f} nats, {used.mean():.1f} units in use")

# %%
# The dependence falls as beta grows, as in the paper: steeply up to beta=1, where the codes are
# nearly independent, and with beta=4, where no latent variable is in use, there is none.

figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
axis.plot(betas, dependence.mean(axis=1), "o-")
axis.plot(betas, dependence, "k.", markersize=4)
axis.set(xlabel="beta", ylabel="dependence in nats (dots: seeds)", ylim=(0, None))
plt.show()
