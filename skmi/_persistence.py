"""Saving fitted estimators as safetensors: tensors in the body, JSON in the header.

A state is a tree of JSON values, arrays, tensors and a few known objects. `encode` turns it
into JSON with references to the arrays, `decode` turns it back. Objects are written as their
class name and attributes, and only classes on the list below are ever built, so that loading
a file runs no code of its author's.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

from skmi._columns import VariableEncoder
from skmi._version import __version__
from skmi.preprocessing import NormalScores

TRUSTED = {
    cls.__name__: cls for cls in (NormalScores, OneHotEncoder, StandardScaler, VariableEncoder)
}


def savable(cls):
    """Class decorator: put a class on the list; its attributes must be a state as well."""
    TRUSTED[cls.__name__] = cls
    return cls


def encode(value, arrays: dict[str, torch.Tensor], where: str):
    """A JSON value that stands for `value`; arrays are added to `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return encode(value.item(), arrays, where)
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        items = [encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
        return {"kind": kind, "items": items}
    if isinstance(value, dict):
        pairs = [[k, encode(item, arrays, f"{where}[{k!r}]")] for k, item in value.items()]
        return {"kind": "dict", "items": pairs}
    if isinstance(value, torch.Tensor):
        arrays[where] = value.detach().cpu().clone().contiguous()
        return {"kind": "tensor", "key": where}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays[where] = torch.from_numpy(np.array(value, order="C"))
        return {"kind": "array", "key": where, "shape": list(value.shape)}
    if isinstance(value, np.ndarray):
        return {
            "kind": "labels",
            "dtype": "object" if value.dtype == object else value.dtype.str,
            "items": [encode(v, arrays, where) for v in value.tolist()],
        }
    if isinstance(value, slice):
        ends = [encode(end, arrays, where) for end in (value.start, value.stop, value.step)]
        return {"kind": "slice", "items": ends}
    if isinstance(value, type) and value.__module__ == "numpy":
        return {"kind": "dtype", "name": value.__name__}
    if type(value).__name__ in TRUSTED and hasattr(value, "_fitted_to_tree"):
        return {"kind": "estimator", **describe(value, arrays, where)}
    if type(value).__name__ in TRUSTED:
        return {
            "kind": "object",
            "class": type(value).__name__,
            "state": encode(vars(value), arrays, where),
        }
    raise TypeError(
        f"{where} is a {type(value).__name__}, which cannot be saved without pickle. Use "
        "joblib.dump for this estimator."
    )


def describe(estimator, arrays: dict[str, torch.Tensor], where: str = "") -> dict:
    """Class, parameters, `set_output` and, if there are any, fitted attributes of an estimator."""
    where = f"{where}." if where else ""
    fitted = {
        name: value
        for name, value in estimator.__getstate__().items()
        if name.endswith("_") and not name.startswith("_")
    }
    fitted = estimator._fitted_to_tree(fitted) if fitted else None
    return {
        "class": type(estimator).__name__,
        "parameters": encode(estimator.get_params(deep=False), arrays, f"{where}parameters"),
        "output": getattr(estimator, "_sklearn_output_config", {}),
        "fitted": encode(fitted, arrays, f"{where}fitted"),
    }


def build(cls, header: dict, arrays):
    """The inverse of `describe`."""
    estimator = cls(**decode(header["parameters"], arrays))
    if header.get("output"):
        estimator.set_output(**header["output"])
    fitted = decode(header["fitted"], arrays)
    if fitted is not None:
        estimator.__setstate__(estimator._fitted_from_tree(fitted))
    return estimator


def decode(value, arrays):
    """The inverse of `encode`."""
    if not isinstance(value, dict):
        return value
    match value["kind"]:
        case "list":
            return [decode(item, arrays) for item in value["items"]]
        case "tuple":
            return tuple(decode(item, arrays) for item in value["items"])
        case "dict":
            return {key: decode(item, arrays) for key, item in value["items"]}
        case "tensor":
            return arrays.get_tensor(value["key"])
        case "array":
            return arrays.get_tensor(value["key"]).numpy().reshape(value["shape"])
        case "labels":
            items = [decode(item, arrays) for item in value["items"]]
            return np.array(items, dtype=value["dtype"])
        case "slice":
            return slice(*value["items"])
        case "dtype":
            return getattr(np, value["name"])
        case "object":
            cls = TRUSTED[value["class"]]
            instance = cls.__new__(cls)
            vars(instance).update(decode(value["state"], arrays))
            return instance
        case "estimator":
            return build(TRUSTED[value["class"]], value, arrays)
    raise ValueError(f"Unknown kind {value['kind']!r}: was the file written by a newer skmi?")


def _refuse_folder(path: str | Path) -> None:
    if Path(path).is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder. Name a file in it.")


def save(estimator, path: str | Path) -> None:
    """Write the parameters and the fitted attributes of an estimator."""
    check_is_fitted(estimator)
    _refuse_folder(path)
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} is in a folder that does not exist. Make it.")
    arrays: dict[str, torch.Tensor] = {}
    header = {"skmi": __version__, **describe(estimator, arrays)}
    save_file(arrays, path, metadata={"skmi": json.dumps(header)})


def load(cls, path: str | Path):
    """Build an estimator of class `cls` from a file written by `save`."""
    _refuse_folder(path)
    try:
        file = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a safetensors file, or is damaged ({error}). Pass one that save wrote."
        ) from error
    with file as arrays:
        header = json.loads((arrays.metadata() or {}).get("skmi", "{}"))
        if header.get("class") != cls.__name__:
            raise ValueError(
                f"{path} is of {header.get('class', 'another program')}, not of {cls.__name__}."
            )
        return build(cls, header, arrays)
