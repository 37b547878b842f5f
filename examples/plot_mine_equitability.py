"""
Equitability: the noise counts, not the function
================================================

Figure 2 of the paper on mutual information neural estimation [1]_. X is uniform on
:math:`(-1, 1)^2` and :math:`Y = f(X) + \\sigma \\epsilon` with Gaussian noise, for
:math:`f(x) = x, x^3, \\sin x`. A good measure of dependence falls with the noise.

A one-to-one f does not change what X says about f(X), but the noise is added after f, so the
information about Y does depend on how much of its range f uses: the cube keeps most of X near 0
and loses more to the same noise. The exact values, by quadrature, say how much; the estimates
agree with them.

.. [1] M. I. Belghazi et al., "Mutual Information Neural Estimation", ICML 2018.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import norm

from skmi import mutual_info

FUNCTIONS = {"x": lambda x: x, "x^3": lambda x: x**3, "sin x": np.sin}
SIGMAS = np.linspace(0.1, 0.9, 9)


def truth(function, sigma):
    """2 (h(Y_1) - h(noise)) for independent columns, by quadrature."""
    signal = function(np.linspace(-1, 1, 4001))
    y = np.linspace(-1 - 6 * sigma, 1 + 6 * sigma, 2001)
    density = norm.pdf(y[:, None], signal, sigma).mean(1)
    entropy = -np.trapezoid(density * np.log(density), y)
    return 2 * (entropy - norm(scale=sigma).entropy())


def estimate(name, sigma, n_samples=2000):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_samples, 2))
    Y = FUNCTIONS[name](X) + sigma * rng.normal(size=X.shape)
    result = mutual_info(X, Y, random_state=0)
    return {
        "f": name,
        "sigma": sigma,
        "estimate": result.estimate,
        "truth": truth(FUNCTIONS[name], sigma),
    }


table = pd.DataFrame(
    Parallel(n_jobs=-1)(delayed(estimate)(name, sigma) for name in FUNCTIONS for sigma in SIGMAS)
)
error = table["estimate"] - table["truth"]
print(f"mean |error| {error.abs().mean():.3f} nats, worst {error.abs().max():.3f}")

# %%
# Estimates and truth
# -------------------

fig, panels = plt.subplots(2, 1, figsize=(8, 4.5), sharex=True, layout="constrained")
for axes, column in zip(panels, ("estimate", "truth"), strict=True):
    values = table.pivot(index="f", columns="sigma", values=column).loc[list(FUNCTIONS)]
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=table["truth"].max())
    axes.set_yticks(range(len(values)), values.index)
    axes.set_xticks(range(len(SIGMAS)), [f"{sigma:.1f}" for sigma in SIGMAS])
    for (i, j), value in np.ndenumerate(values.to_numpy()):
        axes.text(
            j, i, f"{value:.2f}", ha="center", va="center", color="white" if value < 2 else "k"
        )
    axes.set_title(column)
panels[1].set_xlabel("noise sigma")
fig.colorbar(image, ax=panels, label="mutual information in nats")
plt.show()
