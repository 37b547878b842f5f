"""
The information bottleneck on digits
====================================

`~skmi.InformationBottleneckClassifier` weighs what a noisy code z of a row x tells of its class
against what it keeps of the row, :math:`E[-\\log p(y | z)] + \\beta\\, I(X; Z)` [1]_. Here
:math:`\\beta` runs over two orders of magnitude, with the two ways to lower I(X; Z): the closed
form of the variational bottleneck, an upper bound [2]_, and a critic, whose bound is a lower one.

.. [1] M. I. Belghazi et al., "MINE: mutual information neural estimation", ICML 2018.
.. [2] A. A. Alemi et al., "Deep variational information bottleneck", ICLR 2017.
"""

# %%
# The information plane
# ---------------------
# Across is I(X; Z): of Gaussian codes by their densities, of the others a lower bound by draws; the
# critic is not asked. Up is what the classifier reads of the digits in codes of held-out
# rows; all that there is is :math:`H(Y) = 2.3` nats. A small :math:`\beta` costs nothing. A large
# one has the codes forget the rows, and then the digits. No code lies above the dotted line. The
# critic takes codes down the same path as the closed form, and with additive noise, which has none.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmi import InformationBottleneckClassifier
from skmi.exceptions import ConvergenceWarning
from skmi.plotting import InformationPlaneDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)
options = {
    "n_components": 8,
    "hidden_layer_sizes": (128,),
    "critic_hidden": (128, 128),
    "n_train_draws": 6,
    "max_epochs": 40,
    "random_state": 0,
}
kinds = {
    "closed form, Gaussian noise": {"bound": "vib"},
    "critic, Gaussian noise": {"bound": "dv"},
    "critic, additive noise": {"encoder_noise": "additive", "noise_std": 1.0},
}

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained", sharex=True, sharey=True)
fits = {}
for axis, (name, kind) in zip(axes, kinds.items(), strict=True):
    fits[name] = [
        InformationBottleneckClassifier(beta, **options | kind).fit(X_train, y_train)
        for beta in (1e-2, 0.1, 0.5, 2.0)
    ]
    InformationPlaneDisplay.from_estimators(fits[name], X_test, y_test, ax=axis)
    axis.set_title(name)
    for fit in fits[name]:
        accuracy = fit.score(X_test, y_test)
        print(f"{name:28s} beta {fit.beta:<6g} I(X;Z) {fit.compression_:5.2f}  {accuracy:.3f}")
plt.show()

# %%
# Over the epochs
# ---------------
# The path of one fit, from dark to light, by its own bound on training rows, which is an upper
# bound on I(X; Z). The first epochs raise both; in the last ones the classifier goes on to gain
# and the codes keep no more.

display = InformationPlaneDisplay.from_history(fits["closed form, Gaussian noise"][1])
plt.show()

# %%
# A critic that is misled
# -----------------------
# A lower bound that is lowered is no guarantee. The critic above has 128 units a layer and takes
# five steps for each of the encoder's. With 8 units and one small step the encoder hides from it:
# the critic sees less than the classifier reads, and by the densities the codes keep all that can
# be measured of 1078 rows, their logarithm. `fit` warns of it.

options |= {"critic_hidden": (8,), "n_critic": 1, "critic_learning_rate": 1e-4}
misled = InformationBottleneckClassifier(0.5, **options)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", ConvergenceWarning)
    misled.fit(X_train, y_train)
for warning in caught:
    print(warning.message)
print(
    f"by the densities I(X; Z) = {misled.compression_:.2f}, of {np.log(len(X_train)):.2f} at most"
)
