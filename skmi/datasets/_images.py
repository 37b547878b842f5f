"""Images that representations are compared on."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

__all__ = ["load_cifar10", "load_mnist"]

CIFAR10_NAMES = (
    "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
)


def load_mnist(path: str | Path | None = None, *, data_home: str | Path | None = None) -> Bunch:
    """MNIST: 70,000 handwritten digits of 28 x 28 pixels.

    Parameters
    ----------
    path : str, Path or None, default=None
        An ``.npz`` file with the arrays below. None: from OpenML, through
        `sklearn.datasets.fetch_openml`, which keeps a copy.
    data_home : str, Path or None, default=None
        Where `fetch_openml` keeps its copies.

    Returns
    -------
    Bunch
        ``X_train`` (60000, 28, 28) and ``X_test`` (10000, 28, 28), uint8; ``y_train``,
        ``y_test``; ``class_names``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it lacks an array.

    Examples
    --------
    >>> from skmi.datasets import load_mnist
    >>> mnist = load_mnist("mnist.npz")        # doctest: +SKIP
    >>> mnist.X_train.shape                    # doctest: +SKIP
    (60000, 28, 28)
    """
    names = [str(digit) for digit in range(10)]
    if path is None:
        data = fetch_openml("mnist_784", version=1, as_frame=False, data_home=data_home)
        return _split(data.data.reshape(-1, 28, 28), data.target, 60_000, names)
    with _open(path, ["X_train", "y_train", "X_test", "y_test"]) as file:
        arrays = {name: file[name] for name in ("X_train", "y_train", "X_test", "y_test")}
    return Bunch(**arrays, class_names=names)


def load_cifar10(path: str | Path | None = None, *, data_home: str | Path | None = None) -> Bunch:
    """CIFAR-10: 60,000 colour photographs of 32 x 32 pixels in ten classes.

    Parameters
    ----------
    path : str, Path or None, default=None
        An ``.npz`` file with the images as encoded files (JPEG or PNG, needs Pillow) end to
        end: ``jpeg_train``, ``offsets_train``, ``y_train``, and the same for ``test``. None:
        from OpenML, through `sklearn.datasets.fetch_openml`, which keeps a copy.
    data_home : str, Path or None, default=None
        Where `fetch_openml` keeps its copies.

    Returns
    -------
    Bunch
        ``X_train`` (50000, 3, 32, 32) and ``X_test`` (10000, 3, 32, 32), uint8; ``y_train``,
        ``y_test``; ``class_names``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it lacks an array.

    Examples
    --------
    >>> from skmi.datasets import load_cifar10
    >>> cifar = load_cifar10("cifar10.npz")    # doctest: +SKIP
    >>> cifar.X_train.shape                    # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    if path is None:
        data = fetch_openml("CIFAR_10", version=1, as_frame=False, data_home=data_home)
        return _split(data.data.reshape(-1, 3, 32, 32), data.target, 50_000, CIFAR10_NAMES)
    parts = {}
    wanted = [f"{kind}_{part}" for part in ("train", "test") for kind in ("jpeg", "offsets", "y")]
    with _open(path, wanted) as file:
        for part in ("train", "test"):
            images = _decode(file[f"jpeg_{part}"], file[f"offsets_{part}"])
            parts |= {f"X_{part}": images, f"y_{part}": file[f"y_{part}"]}
    return Bunch(**parts, class_names=CIFAR10_NAMES)


def _open(path, names):
    file = np.load(path)
    if isinstance(file, np.ndarray):
        raise ValueError(f"path={str(path)!r} holds a single array; an .npz file has {names}.")
    missing = [name for name in names if name not in file]
    if missing:
        raise ValueError(f"path={str(path)!r} has no array {missing[0]!r}; it has {file.files}.")
    return file


def _decode(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Images (n, c, h, w) of encoded files that lie end to end."""
    from PIL import Image

    data = data.tobytes()
    images = [
        np.asarray(Image.open(io.BytesIO(data[start:end]))) for start, end in pairwise(offsets)
    ]
    return np.stack(images).transpose(0, 3, 1, 2).copy()


def _split(X: np.ndarray, y: np.ndarray, n_train: int, class_names) -> Bunch:
    X, y = X.astype(np.uint8), y.astype(np.uint8)
    return Bunch(
        X_train=X[:n_train],
        y_train=y[:n_train],
        X_test=X[n_train:],
        y_test=y[n_train:],
        class_names=class_names,
    )
