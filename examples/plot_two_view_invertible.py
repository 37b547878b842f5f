"""
The same information, a better or a worse representation
========================================================

An invertible encoder keeps all information, whatever its weights. If mutual information were what
makes a representation useful, training it to raise a bound could not help, and training it against
a classifier could not hurt. Figure 1 of [1]_ shows that both happen. This repeats it on the top
halves of small digits, with coupling layers 64 wide instead of 512, and takes about a minute on one
core.

.. [1] M. Tschannen, J. Djolonga, P. K. Rubenstein, S. Gelly, M. Lucic, "On mutual information
   maximization for representation learning", ICLR 2020.
"""

# %%
# Better
# ------
# Two RealNVP encoders of 30 coupling layers, one for each half, climb InfoNCE with a bilinear
# critic. The true information of the halves stays what it is. After each few epochs a linear
# classifier is fitted to the representation of the top half.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skmi.evaluation import fit_adversarial_invertible
from skmi.networks import RealNVP
from skmi.representation import TwoViewInfoMaxTransformer

X, y = load_digits(return_X_y=True)
X = (X.reshape(-1, 8, 8) / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=600, random_state=0)


def accuracy(Z_train, Z_test):
    """Test accuracy of a linear classifier."""
    centre, scale = Z_train.mean(0), Z_train.std()
    model = LogisticRegression(max_iter=3000).fit((Z_train - centre) / scale, y_train)
    return model.score((Z_test - centre) / scale, y_test)


top_train, top_test = (part[:, :4].reshape(len(part), -1) for part in (X_train, X_test))
pixels = accuracy(top_train, top_test)
infomax = TwoViewInfoMaxTransformer(encoder="realnvp", encoder_width=64, random_state=0)
epochs, bounds, accuracies = [0], [0.0], [pixels]
for epoch in range(1, 21):
    infomax.partial_fit(X_train)
    if epoch % 4 == 0:
        epochs.append(epoch)
        bounds.append(infomax.score(X_test))
        accuracies.append(accuracy(infomax.transform(X_train), infomax.transform(X_test)))
        print(f"epoch {epoch:2d}  bound {bounds[-1]:.2f} nats  accuracy {accuracies[-1]:.3f}")

# %%
# The representation still holds every pixel:

rows, encoder = infomax.encoder_rows(X_test), infomax.encoder_
with torch.no_grad():
    error = (encoder.inverse(encoder(rows)) - rows.flatten(1)).abs().max()
print(f"largest error of a pixel, in standard deviations: {error:.1e}")

# %%
# Worse
# -----
# The same kind of encoder, trained so that a linear classifier on top of it has to guess (App. B).
# The classifier takes ten steps for each of the encoder's. It can be inverted as well.

hidden, n_steps = [pixels], [0, 500, 1000, 2000]
for n in n_steps[1:]:
    encoder = fit_adversarial_invertible(
        top_train,
        y_train,
        encoder=RealNVP(32, 10, (64, 64)),
        n_steps=n,
        n_warm_up=200,
        encoder_learning_rate=1e-3,
        classifier_learning_rate=1e-2,
        random_state=0,
    )
    with torch.no_grad():
        Z = [encoder(torch.from_numpy(part)) for part in (top_train, top_test)]
        error = (encoder.inverse(Z[1]) - torch.from_numpy(top_test)).abs().max()
    hidden.append(accuracy(*(z.numpy() for z in Z)))
    print(f"{n} steps  accuracy {hidden[-1]:.3f}  largest error of a pixel {error:.1e}")

# %%
# All of these representations have the same information about the other half of the image.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
axes[0].plot(epochs, bounds, "o-")
axes[0].set(title="InfoNCE on test rows", xlabel="epochs", ylabel="nats")
axes[1].plot(epochs, accuracies, "o-")
axes[1].set(title="Trained to raise the bound", xlabel="epochs", ylabel="test accuracy")
axes[2].plot(n_steps, hidden, "o-", color="C3")
axes[2].set(title="Trained to hide the classes", xlabel="steps", ylabel="test accuracy")
for axis in axes[1:]:
    axis.axhline(pixels, color="black", linewidth=0.8, linestyle="--")
    axis.set_ylim(min(hidden) - 0.02, max(accuracies) + 0.02)
    axis.annotate("pixels", (1, pixels), xycoords=("axes fraction", "data"), ha="right", va="top")
plt.show()
