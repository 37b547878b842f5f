"""Loaders of images, from files made here."""

import io

import numpy as np
import pytest
from PIL import Image

from skmi.datasets import load_cifar10, load_mnist


def encoded(images):
    """PNG files end to end, and where each begins."""
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        files.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    return np.frombuffer(b"".join(files), dtype=np.uint8), offsets


def test_cifar10_is_decoded_to_channels_first(tmp_path):
    rng = np.random.default_rng(0)
    parts = {part: rng.integers(256, size=(n, 32, 32, 3), dtype=np.uint8) for part, n in
             [("train", 5), ("test", 2)]}  # fmt: skip
    arrays = {}
    for part, images in parts.items():
        arrays[f"jpeg_{part}"], arrays[f"offsets_{part}"] = encoded(images)
        arrays[f"y_{part}"] = np.arange(len(images), dtype=np.uint8)
    np.savez(tmp_path / "cifar.npz", **arrays)
    cifar = load_cifar10(tmp_path / "cifar.npz")
    np.testing.assert_array_equal(cifar.X_train, parts["train"].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(cifar.X_test, parts["test"].transpose(0, 3, 1, 2))
    assert cifar.X_train.dtype == np.uint8
    assert cifar.class_names[cifar.y_train[3]] == "cat"


def test_mnist_from_a_file(tmp_path):
    arrays = {
        "X_train": np.zeros((3, 28, 28), np.uint8),
        "y_train": np.arange(3),
        "X_test": np.ones((2, 28, 28), np.uint8),
        "y_test": np.arange(2),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    mnist = load_mnist(tmp_path / "mnist.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(mnist[name], array)


@pytest.mark.parametrize("load", [load_cifar10, load_mnist])
def test_bad_files(tmp_path, load):
    np.savez(tmp_path / "other.npz", X=np.zeros(3))
    with pytest.raises(ValueError, match=r"has no array '.*'; it has \['X'\]"):
        load(tmp_path / "other.npz")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"single array; an .npz file has \['.*y_test'"):
        load(tmp_path / "single.npy")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(("load", "shape"), [(load_cifar10, (3, 32, 32)), (load_mnist, (28, 28))])
def test_openml_rows_become_images(monkeypatch, load, shape):
    def fetch(name, *, version, as_frame, data_home):
        assert data_home == "here" and not as_frame
        n_rows = 50_002 if "CIFAR" in name else 60_002
        rows = np.zeros((n_rows, int(np.prod(shape))), np.uint8)
        rows[-1] = np.arange(rows.shape[1]) % 256
        return type("Data", (), {"data": rows, "target": np.full(n_rows, "7")})

    monkeypatch.setattr("skmi.datasets._images.fetch_openml", fetch)
    images = load(data_home="here")
    assert images.X_test.shape == (2, *shape)
    expected = (np.arange(np.prod(shape)) % 256).reshape(shape)
    np.testing.assert_array_equal(images.X_test[1], expected)
    assert images.y_train.dtype == np.uint8 and images.y_test[0] == 7
