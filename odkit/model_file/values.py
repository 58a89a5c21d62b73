"""The values of a fitted estimator as JSON beside arrays, and back; nothing that is read is executed."""

import hashlib
import re
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from odkit.model_file.archive import Archive, ModelFileError, is_plain, layout
from odkit.model_file.classes import RECORDS, check_state, check_steps, class_of, known_classes, may_set

__all__ = ["Members", "decode", "encode", "unstorable"]

SCALARS = (str, int, float, bool)
NETWORKS = {"encoder", "extractor"}  # parameters that stand before a detector and are kept by means of their own


def unstorable(where: str, value: Any, reason: str) -> ModelFileError:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return ModelFileError(
        f"save: {where} is a {kind}: {reason}. Change it, or keep this detector with joblib or skops "
        "(load such files only if you trust where they come from)"
    )


class Members:
    """The arrays of a model by member name; equal bytes at several places are one member.

    Whether two of them are one object does not matter: it may have got lost on the way through joblib.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, NDArray] = {}
        self._names: dict[tuple, str] = {}

    def add(self, array: NDArray, where: str) -> str:
        order, body = layout(array)
        key = array.dtype.str, array.shape, order, hashlib.sha256(body).digest()
        if key not in self._names:
            name = re.sub(r"[^A-Za-z0-9_/-]", "-", where.replace(".", "/"))[:150]
            while f"{name}.npy" in self.by_name:
                name += "_"
            self._names[key] = f"{name}.npy"
            self.by_name[f"{name}.npy"] = array
        return self._names[key]


def encode(value: Any, where: str, arrays: Members) -> Any:
    """JSON for a value; `arrays` collects its arrays, `where` is the place that errors and members are named after."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if np.isfinite(value) else {"is": "float", "value": str(value)}
    if isinstance(value, np.dtype) and is_plain(value):
        return {"is": "dtype", "value": value.str}
    if isinstance(value, np.generic) and is_plain(value.dtype):
        return {"is": "scalar", "dtype": value.dtype.str, "value": encode(value.item(), where, arrays)}
    if isinstance(value, np.ndarray):
        return _array(value, where, arrays)
    if kind in (list, tuple):
        items = [encode(item, f"{where}.{i}", arrays) for i, item in enumerate(value)]
        return items if kind is list else {"is": "tuple", "items": items}
    if kind is dict and all(type(key) in (str, int) for key in value):
        return {"is": "dict", "items": [[key, encode(item, f"{where}.{key}", arrays)] for key, item in value.items()]}
    if kind.__name__ in RECORDS and kind is getattr(import_module(RECORDS[kind.__name__]), kind.__name__):
        fields = {name: encode(item, f"{where}.{name}", arrays) for name, item in value._asdict().items()}
        return {"is": "record", "name": kind.__name__, "fields": fields}
    if isinstance(value, BaseEstimator):
        return _estimator(value, where, arrays)
    raise unstorable(where, value, "a model file holds numbers, text, plain arrays and collections of these")


def _array(value: NDArray, where: str, arrays: Members) -> dict[str, Any]:
    if value.dtype == object and value.ndim == 1 and all(type(item) in SCALARS for item in value):
        # how scikit-learn keeps column names and SimpleImputer its constants
        return {"is": "objects", "items": [encode(item, where, arrays) for item in value]}
    if type(value) not in (np.ndarray, np.memmap) or not is_plain(value.dtype):
        raise unstorable(where, value, f"arrays of {value.dtype} need pickle, plain arrays of numbers do not")
    return {"is": "array", "member": arrays.add(value, where)}


def _estimator(estimator: BaseEstimator, where: str, arrays: Members) -> dict[str, Any]:
    cls = type(estimator)
    if class_of(cls.__name__) is not cls:
        raise unstorable(where, estimator, f"model files know {', '.join(sorted(known_classes()))}")
    params = estimator.get_params(deep=False)
    for name in sorted(NETWORKS & params.keys()):
        if params[name] is not None:
            reason = (
                f"a network has no place in a model file. `copy.copy(detector).set_params({name}=None)` is the "
                f"detector alone, which can be saved and takes what the {name} puts out"
            )
            raise unstorable(f"{where}.{name}", params[name], reason)
    state = sorted(vars(estimator).keys() - params.keys() - set(getattr(estimator, "_rebuilt", ())))
    unknown = [name for name in state if not may_set(cls, name)]
    if unknown:
        raise unstorable(
            f"{where}.{unknown[0]}", getattr(estimator, unknown[0]), f"{cls.__name__} has no such attribute to restore"
        )
    return {
        "is": "estimator",
        "class": cls.__name__,
        "params": {name: encode(value, f"{where}.{name}", arrays) for name, value in params.items()},
        "state": {name: encode(getattr(estimator, name), f"{where}.{name}", arrays) for name in state},
    }


def decode(node: Any, where: str, archive: Archive) -> Any:
    """The value that `encode` wrote. A malformed node raises some error, which `load` reports."""
    if node is None or type(node) in (bool, int, float, str):
        return node
    if isinstance(node, list):
        return [decode(item, f"{where}.{i}", archive) for i, item in enumerate(node)]
    match node.get("is") if isinstance(node, dict) else None:
        case "float":
            return {"inf": np.inf, "-inf": -np.inf, "nan": np.nan}[node["value"]]
        case "dtype" if is_plain(np.dtype(str(node["value"]))):
            return np.dtype(node["value"])
        case "scalar" if is_plain(np.dtype(str(node["dtype"]))):
            return np.dtype(node["dtype"]).type(decode(node["value"], where, archive))
        case "objects":
            items = [decode(item, where, archive) for item in node["items"]]
            if all(type(item) in SCALARS for item in items):
                return np.array(items, dtype=object)
        case "array":
            return archive.array(node["member"])
        case "tuple":
            return tuple(decode(item, f"{where}.{i}", archive) for i, item in enumerate(node["items"]))
        case "dict" if all(type(key) in (str, int) for key, _ in node["items"]):
            return {key: decode(item, f"{where}.{key}", archive) for key, item in node["items"]}
        case "record" if node["name"] in RECORDS:
            cls = getattr(import_module(RECORDS[node["name"]]), node["name"])
            return cls(**{name: decode(item, f"{where}.{name}", archive) for name, item in node["fields"].items()})
        case "estimator":
            return _restored(node, where, archive)
    raise archive.error(f"{where}: not a value that odkit writes")


def _restored(node: dict[str, Any], where: str, archive: Archive) -> BaseEstimator:
    cls = class_of(node["class"])
    if cls is None:
        known = ", ".join(sorted(known_classes()))
        raise archive.error(f"{where}: class {node['class']!r} is not known; known are {known}")
    who = f"{where} ({cls.__name__})"
    params, state = node["params"], node["state"]
    unknown = sorted(params.keys() - set(cls._get_param_names())) + sorted(n for n in state if not may_set(cls, n))  # type: ignore[attr-defined]
    if unknown:
        raise archive.error(f"{who}: {cls.__name__} has no parameter or attribute {unknown[0]!r}")
    try:
        estimator = cls(**{name: decode(value, f"{where}.{name}", archive) for name, value in params.items()})
        estimator._validate_params()
        if isinstance(estimator, Pipeline):
            check_steps(estimator)
        for name, value in state.items():
            setattr(estimator, name, decode(value, f"{where}.{name}", archive))
        if state:
            check_state(estimator)
            for hook in ("_check_state", "_rebuild"):
                if hasattr(estimator, hook):
                    getattr(estimator, hook)()
    except (ModelFileError, ImportError, MemoryError):
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise archive.error(f"{who}: {kind}{error}") from error
    return estimator
