"""
The information bottleneck on digits
====================================

`~skmi.InformationBottleneckClassifier` weighs what a noisy code z of a row x tells of its class
against what it keeps of the row, :math:`E[-\\log p(y | z)] + \\beta\\, I(X; Z)` [1]_. Here
:math:`\\beta` runs over three orders of magnitude, with the two ways to lower I(X; Z): the closed
form of the variational bottleneck, an upper bound [2]_, and a critic, whose bound is a lower one.

.. [1] M. I. Belghazi et al., "MINE: mutual information neural estimation", ICML 2018.
.. [2] A. A. Alemi et al., "Deep variational information bottleneck", ICLR 2017.
"""

# %%
# The information plane
# ---------------------
# Across is I(X; Z): of Gaussian codes by their densities, of the others as the critic has it. Up
# is what the classifier reads of the digits in codes of held-out rows; all that there is is
# :math:`H(Y) = 2.3` nats. A small :math:`\beta` costs nothing. A large one has the codes forget
# the rows, and then the digits. No code can lie above the dotted line: where points do, as some at
# the right, the critic underestimates what the codes keep.

import warnings

import matplotlib.pyplot as plt
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
    "critic_hidden": (64, 64),
    "critic_noise": (0, 0),
    "max_epochs": 40,
    "random_state": 0,
}
kinds = {
    "variational, Gaussian noise": {"bound": "vib"},
    "critic, additive noise": {"bound": "dv", "encoder_noise": "additive", "noise_std": 1.0},
}
warnings.simplefilter("ignore", ConvergenceWarning)  # of critics that are misled, see below

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
fits = {}
for axis, (name, kind) in zip(axes, kinds.items(), strict=True):
    fits[name] = [
        InformationBottleneckClassifier(beta, **options | kind).fit(X_train, y_train)
        for beta in (1e-3, 0.1, 0.3, 0.6, 2.0)
    ]
    InformationPlaneDisplay.from_estimators(fits[name], X_test, y_test, ax=axis)
    axis.set_title(name)
    for fit in fits[name]:
        accuracy = fit.score(X_test, y_test)
        print(f"{name}  beta {fit.beta:<6g} I(X;Z) {fit.compression_:5.2f}  {accuracy:.3f}")
plt.show()

# %%
# Over the epochs
# ---------------
# The path of one fit, from dark to light, by its own bound on training rows: an upper bound on
# I(X; Z). Code after code comes into use, each pays in what it tells of the digits, and in the end
# the information stays and the classifier goes on to gain.

display = InformationPlaneDisplay.from_history(fits["variational, Gaussian noise"][1])
plt.show()

# %%
# A critic that is misled
# -----------------------
# A lower bound that is lowered is no guarantee. With a large :math:`\beta` the encoder finds codes
# that the critic cannot read and the classifier can. Gaussian codes show it, whose information is
# known from their densities: the critic finds less than the classifier reads, and the truth is
# all that so many rows can show. `fit` warns of it, and ``bound="vib"`` cannot be misled.

warnings.simplefilter("error", ConvergenceWarning)
try:
    InformationBottleneckClassifier(0.5, bound="dv", **options).fit(X_train, y_train)
except ConvergenceWarning as warning:
    print(warning)
