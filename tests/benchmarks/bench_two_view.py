"""Two-view InfoMax on the top halves of MNIST: the claims of Tschannen et al. (2020).

Run with ``python tests/benchmarks/bench_two_view.py COMMAND mnist.npz [seeds] [epochs]
[precision]``, where the command is one of the functions below that are not private. Seeds are
numbers with commas between, ``0,1,2`` if not given. An epoch of batches of 128 has 468 steps, 45
epochs 21,060. The precision is ``float32`` or ``bfloat16``.

The linear probe is a SAGA logistic regression on all training rows, and what is printed is its
accuracy on the test rows.
"""

import sys
import time
import warnings

import numpy as np
import torch
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LogisticRegression

from skmi.datasets import load_mnist
from skmi.evaluation import fit_adversarial_invertible, jacobian_condition_numbers
from skmi.networks import RealNVP
from skmi.representation import TwoViewInfoMaxTransformer

EPOCHS = 45


def _probe(Z_train, Z_test, mnist) -> float:
    """Test accuracy; the columns are centred, and brought to variance 1 all together."""
    centre, scale = Z_train.mean(0), Z_train.std()
    model = LogisticRegression(solver="saga", tol=1e-3, max_iter=60, random_state=0)
    model.fit(np.float32((Z_train - centre) / scale), mnist.y_train)
    return model.score(np.float32((Z_test - centre) / scale), mnist.y_test)


def _top(X):
    return X[:, :14].reshape(len(X), -1) / np.float32(255)


def _report(name, mnist, seeds, epochs=EPOCHS, noise=0.0, **options):
    """Accuracy, test bound and seconds for each seed."""
    for seed in seeds:
        X_train, X_test = (_with_noise(X, noise, seed) for X in (mnist.X_train, mnist.X_test))
        settings = {"learning_rate": 1e-4, "max_epochs": epochs, "random_state": seed} | options
        infomax = TwoViewInfoMaxTransformer(**settings)
        wall, cpu = time.perf_counter(), time.process_time()
        infomax.fit(X_train)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        accuracy = _probe(infomax.transform(X_train), infomax.transform(X_test), mnist)
        print(
            f"{name:32s} seed {seed}  {468 * epochs} steps  accuracy {accuracy:.4f}  test bound "
            f"{infomax.evaluate(X_test)['information']:6.3f}  wall {wall:.0f} s  cpu {cpu:.0f} s  "
            f"threads {torch.get_num_threads()}  {infomax.precision}",
            flush=True,
        )
        yield infomax, X_test


def _with_noise(X, noise, seed):
    """Images, with the same normal noise added to both halves where there is any."""
    if not noise:
        return X
    draws = np.random.default_rng(seed).normal(scale=noise, size=(len(X), 14, 28))
    return (X / 255 + np.concatenate([draws, draws], axis=1)).astype(np.float32)


def pixels(mnist, seeds, epochs, **ignored):
    """Target: 84.5 to 85.5 %."""
    accuracy = _probe(_top(mnist.X_train), _top(mnist.X_test), mnist)
    print(f"pixels  accuracy {accuracy:.4f}", flush=True)


def bilinear(mnist, seeds, epochs, **common):
    """Target: at least 87.5 % and at most 120 s on two cores."""
    list(_report("bilinear infonce mlp", mnist, seeds, epochs, **common))


def critics(mnist, seeds, epochs, **common):
    """Figure 3: three critics and two bounds."""
    for critic in ("bilinear", "separable", "concat"):
        for bound in ("infonce", "nwj"):
            options = {"critic": critic, "bound": bound}
            list(_report(f"{critic} {bound} mlp", mnist, seeds, epochs, **options, **common))


def concat(mnist, seeds, epochs, **common):
    """The critic of figure 3 that gives the tighter bound and the worse representation."""
    for bound in ("infonce", "nwj"):
        options = {"critic": "concat", "bound": bound}
        list(_report(f"concat {bound} mlp", mnist, seeds, epochs, **options, **common))


def separable(mnist, seeds, epochs, **common):
    """The separable critic of figure 3."""
    for bound in ("infonce", "nwj"):
        options = {"critic": "separable", "bound": bound}
        list(_report(f"separable {bound} mlp", mnist, seeds, epochs, **options, **common))


def nwj(mnist, seeds, epochs, **common):
    """The bilinear critic with NWJ."""
    list(_report("bilinear nwj mlp", mnist, seeds, epochs, bound="nwj", **common))


def realnvp(mnist, seeds, epochs, width=64, **common):
    """Figure 1 a, b with coupling networks of width 64; 512 in the paper."""
    options = {"encoder": "realnvp", "encoder_width": width, "learning_rate": 1e-3} | common
    for infomax, X in _report(f"realnvp {width} infonce", mnist, seeds, epochs, **options):
        rows, encoder = infomax.encoder_rows(X[:1000]), infomax.encoder_
        with torch.no_grad():
            error = (encoder.inverse(encoder(rows)) - rows.flatten(1)).abs().max()
        print(f"    largest reconstruction error {error:.1e}", flush=True)


def adversarial(mnist, seeds, epochs, width=64, learning_rate=3e-4, **ignored):
    """Figure 1 c: an invertible encoder that falls below pixels."""
    X, X_test = _top(mnist.X_train), _top(mnist.X_test)
    for seed in seeds:
        torch.manual_seed(seed)
        encoder = fit_adversarial_invertible(
            X,
            mnist.y_train,
            encoder=RealNVP(X.shape[1], hidden_layer_sizes=(width, width)),
            n_steps=468 * epochs,
            encoder_learning_rate=learning_rate,
            classifier_learning_rate=1e-3,
            random_state=seed,
        )
        with torch.no_grad():
            Z, Z_test = encoder(torch.from_numpy(X)), encoder(torch.from_numpy(X_test))
            error = (encoder.inverse(Z_test) - torch.from_numpy(X_test)).abs().max()
        accuracy = _probe(Z.numpy(), Z_test.numpy(), mnist)
        print(f"adversarial seed {seed}  accuracy {accuracy:.4f}  error {error:.1e}", flush=True)


def residual(mnist, seeds, epochs, **common):
    """Figure 2: accuracy and condition numbers, with noise of standard deviation 0.05."""
    noisy = [_with_noise(X, 0.05, 0)[:, :14].reshape(len(X), -1) for X in mnist_halves(mnist)]
    print(f"noisy pixels  accuracy {_probe(*noisy, mnist):.4f}", flush=True)
    options = {"encoder": "residual-mlp", "noise": 0.05, "learning_rate": 1e-3} | common
    for infomax, X in _report("residual mlp infonce", mnist, seeds, epochs, **options):
        settings = infomax.get_params() | {"max_epochs": 1, "learning_rate": 1e-12}
        untrained = TwoViewInfoMaxTransformer(**settings).fit(X[:1024])
        for name, transformer in (("untrained", untrained), ("trained", infomax)):
            numbers = jacobian_condition_numbers(transformer, X[:128])
            print(f"    condition numbers, {name}: {np.round(numbers, 1)}", flush=True)


def mnist_halves(mnist):
    """Training and test images."""
    return mnist.X_train, mnist.X_test


def targets(mnist, seeds, epochs, **common):
    """Figure 4 a, b: encoders at matched bounds."""
    for target in (2.0, 4.0):
        for encoder in ("mlp", "convnet"):
            options = {"encoder": encoder, "target": target, "learning_rate": 1e-3}
            list(
                _report(
                    f"{encoder} infonce target {target}", mnist, seeds, epochs, **options, **common
                )
            )


def modalities(mnist, seeds, epochs, **ignored):
    """Two views of a common latent variable, beside CCA; needs no images."""
    for relation in ("linear", "non-linear"):
        for seed in seeds:
            rng = np.random.default_rng(seed)
            latent = rng.uniform(-1, 1, size=(6000, 2))
            values = [latent, latent]
            if relation == "non-linear":
                circles = np.hstack([np.sin(np.pi * latent), np.cos(np.pi * latent)])
                values = [circles, np.hstack([latent**3, np.exp(latent)])]
            first, second = (_mixed(v, d, rng) for v, d in zip(values, (10, 20), strict=True))
            train, test = slice(5000), slice(5000, None)
            cca = CCA(2).fit(first[train], second[train])
            options = {"views": None, "max_epochs": 40, "random_state": seed}
            infomax = TwoViewInfoMaxTransformer(8, **options).fit(first[train], second[train])
            scores = [
                _recovery(model.transform(first), latent, train, test) for model in (cca, infomax)
            ]
            print(f"{relation:10s} seed {seed}  CCA {scores[0]:.3f}  InfoMax {scores[1]:.3f}")


def _mixed(values, n_features, rng):
    """Linear mixtures of some columns, with a tenth of noise."""
    mixed = values @ rng.normal(size=(values.shape[1], n_features))
    return mixed + 0.1 * mixed.std() * rng.normal(size=mixed.shape)


def _recovery(Z, latent, train, test) -> float:
    """Mean canonical correlation with the latent variable on held-out rows."""
    cca = CCA(2).fit(Z[train], latent[train])
    u, v = cca.transform(Z[test], latent[test])
    return float(np.mean([np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(2)]))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    command, path, *rest = sys.argv[1:]
    seeds = [int(seed) for seed in rest[0].split(",")] if rest else [0, 1, 2]
    epochs = int(rest[1]) if len(rest) > 1 else EPOCHS
    precision = rest[2] if len(rest) > 2 else "float32"
    data = None if command == "modalities" else load_mnist(path)
    globals()[command](data, seeds, epochs, precision=precision)
