"""A fitted detector as one file that is safe to load: a zip of `meta.json` and `.npy` arrays, no pickle.

Loading runs nothing that the file brings: classes are looked up in tables of this module, parameters pass the class's
own constraints, arrays are plain numbers whose sizes are checked before memory is asked for.

What a detector must do to be stored: keep in its attributes only numbers, text, None, plain numpy arrays, tuples, lists
and dicts of these, the named tuples of `RECORDS`, and other estimators that can be stored. Two hooks are optional:

- `_check_state(self)`: raise ValueError if the attributes, each well-formed by itself, do not fit together. It runs
  after loading. A detector whose compiled kernels check no bounds must have it: it makes a hostile file harmless.
- `_rebuild(self)`: make again, after loading, the attributes that the detector names in `_rebuilt` (a tuple of names),
  which are not stored.

joblib, pickle and skops work beside this file: see `docs/decisions/051-model-file.md` for what each costs.
"""

import hashlib
import inspect as python_inspect
import os
import platform
import re
from importlib import import_module
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

import odkit
from odkit._sklearn import check_is_fitted
from odkit.archive import Archive, ModelFileError, is_plain, write
from odkit.catalog import DETECTORS

__all__ = ["ModelFileError", "fingerprint", "inspect", "load", "save"]

FORMAT = "odkit-model"
SCHEMA_VERSION = 1

# named tuples that detectors keep as state: name -> module
RECORDS = {
    "Agreement": "odkit.decide.agreement",
    "Calibration": "odkit.decide.calibration",
    "Level": "odkit.kernels.level",
    "Staircase": "odkit.kernels.cpu.staircase",
    "Summary": "odkit.kernels.cpu.ranks",
    "TailTable": "odkit.kernels.cpu.ecdf",
}

# what a model may be made of beside the detectors of the catalog
PARTS = {
    "Conformal": "odkit.decide.conformal",
    "Pipeline": "sklearn.pipeline",
    "TailOdds": "odkit.detectors.tail_odds",
    "Threshold": "odkit.decide.thresholds",
    "Windowed": "odkit.series.windowed",
}

# scikit-learn's classes and their fitted attributes; "d" features, "k" components, None: no array
TRANSFORMERS: dict[str, tuple[str, dict[str, str | None]]] = {
    "MinMaxScaler": (
        "sklearn.preprocessing",
        {"n_samples_seen_": None, "scale_": "d", "min_": "d", "data_min_": "d", "data_max_": "d", "data_range_": "d"},
    ),
    "PCA": (
        "sklearn.decomposition",
        {
            "_fit_svd_solver": None,
            "n_samples_": None,
            "n_components_": None,
            "noise_variance_": None,
            "mean_": "d",
            "components_": "kd",
            "explained_variance_": "k",
            "explained_variance_ratio_": "k",
            "singular_values_": "k",
        },
    ),
    "RobustScaler": ("sklearn.preprocessing", {"center_": "d", "scale_": "d"}),
    "SimpleImputer": (
        "sklearn.impute",
        {"_fit_dtype": None, "_fill_dtype": None, "indicator_": None, "statistics_": "d"},
    ),
    "StandardScaler": (
        "sklearn.preprocessing",
        {"n_samples_seen_": None, "mean_": "d", "var_": "d", "scale_": "d"},
    ),
}
SCALARS = (str, int, float, bool)
COLUMNS = {"n_features_in_", "feature_names_in_"}  # what every fitted estimator of scikit-learn may have


def save(detector: Any, path: str | os.PathLike, *, notes: dict[str, Any] | None = None) -> None:
    """Write a fitted detector to a model file, whole or not at all.

    Equal detectors give equal bytes, so that the file's sha256 (see `fingerprint`) identifies the model.

    Parameters
    ----------
    detector : fitted detector of odkit, also within `Conformal`, or Pipeline of StandardScaler, RobustScaler,
        MinMaxScaler, SimpleImputer and PCA that ends in one
    path : path of the file; the customary suffix is `.odkit`
    notes : dict, optional
        JSON values to keep with the model (where the data came from, how text columns were coded); `inspect` shows
        them.

    Raises
    ------
    ModelFileError
        If something in the detector cannot be stored without pickle; the message names it.
    sklearn.exceptions.NotFittedError
        If the detector is not fitted.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from odkit import ECOD, model_file
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pressure.odkit"
    >>> model_file.save(ECOD(contamination=0.2).fit([[1.0], [2.0], [2.0], [3.0], [10.0]]), path)
    >>> model_file.load(path).predict([[2.0], [50.0]])
    array([ 1, -1])
    """
    arrays = _Members()
    if _class(type(detector).__name__) is type(detector):
        check_is_fitted(detector)
    model = _encode(detector, "model", arrays)
    if not isinstance(model, dict) or model.get("is") != "estimator":
        raise _unstorable("model", detector, "a fitted detector, or a pipeline that ends in one, is needed")
    versions = {"odkit": odkit.__version__, "python": platform.python_version(), "numpy": np.__version__}
    meta = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "versions": versions | {"scikit-learn": sklearn.__version__},
        "model": model,
        "notes": {} if notes is None else notes,
    }
    write(path, meta, arrays.by_name)


def load(path: str | os.PathLike, *, max_bytes: int = 4 << 30) -> Any:
    """Read a model file and return the fitted detector; nothing in the file is executed.

    Parameters
    ----------
    path : path of a file written by `save`
    max_bytes : int, default=4 GiB
        A larger file is refused unread. Loading asks for no more memory than a few times the size of the file.

    Raises
    ------
    ModelFileError
        If the file is damaged, of another kind, written by a newer odkit, or describes a state that its detector
        refuses; the message names the member and the reason.
    """
    with Archive(path, max_bytes) as archive:
        node = _checked_meta(archive)["model"]
        try:
            detector = _decode(node, "model", archive)
            if not isinstance(detector, BaseEstimator):
                raise archive.error("model: it describes no estimator")
            check_is_fitted(detector)
        except ModelFileError:
            raise
        except Exception as error:
            raise archive.error(f"it describes no fitted detector ({type(error).__name__}: {error})") from error
    return detector


def inspect(path: str | os.PathLike, *, max_bytes: int = 4 << 30) -> dict[str, Any]:
    """What a model file says about itself; its arrays are not read.

    Returns
    -------
    dict
        `class`, `params` (nested estimators as their `class` and `params`), `n_features`, `feature_names` (None where
        the model was fitted without), `offset` (of the last step, for a pipeline), `arrays` (member -> dtype, shape,
        order, sha256), `bytes`, `fingerprint`, `schema_version`, `versions`, `notes`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from odkit import ECOD, model_file
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pressure.odkit"
    >>> model_file.save(ECOD(contamination=0.2).fit([[1.0], [2.0], [2.0], [3.0], [10.0]]), path)
    >>> card = model_file.inspect(path)
    >>> card["class"], card["n_features"], round(card["offset"], 2), card["params"]["tail"]
    ('ECOD', 1, -1.61, 'exponential')
    """
    with Archive(path, max_bytes) as archive:
        meta = _checked_meta(archive)
        try:
            model = _card(meta["model"])
            ends = [meta["model"]]
            if model["class"] == "Pipeline":
                steps = [step["items"][1] for step in meta["model"]["params"]["steps"]]
                ends = [step for step in steps if isinstance(step, dict)]
            inputs, last = ends[0]["state"], ends[-1]["state"]
            return {
                **model,
                "n_features": inputs.get("n_features_in_"),
                "feature_names": _card(inputs.get("feature_names_in_")),
                "offset": _card(last.get("offset_")),
                "arrays": meta["arrays"],
                "bytes": os.path.getsize(path),
                "fingerprint": fingerprint(path),
                "schema_version": meta["schema_version"],
                "versions": meta["versions"],
                "notes": meta["notes"],
            }
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise archive.error(f"it describes no fitted detector ({type(error).__name__}: {error})") from error


def fingerprint(path: str | os.PathLike) -> str:
    """The sha256 of a model file, as 64 hexadecimal digits: equal models have equal fingerprints."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_meta(archive: Archive) -> dict[str, Any]:
    meta = archive.meta
    if meta.get("format") != FORMAT:
        raise archive.error(f"format {meta.get('format')!r}, not {FORMAT!r}, so it is no model file of odkit")
    schema, versions = meta.get("schema_version"), meta.get("versions")
    if not isinstance(versions, dict):
        raise archive.error("versions: not an object")
    if type(schema) is int and schema > SCHEMA_VERSION:
        raise archive.error(
            f"schema {schema} needs a newer odkit: {versions.get('odkit')!r} wrote it, this is {odkit.__version__}, "
            f"which reads up to schema {SCHEMA_VERSION}"
        )
    if type(schema) is not int or schema != SCHEMA_VERSION:
        raise archive.error(f"schema_version {schema!r} does not exist")
    if not isinstance(meta.get("model"), dict) or not isinstance(meta.get("notes"), dict):
        raise archive.error("model and notes: not objects")
    return meta


def _modules() -> dict[str, str]:
    """Where the classes are that a file may name."""
    foreign = {name: module for name, (module, _) in TRANSFORMERS.items()}
    return {**PARTS, **foreign, **{entry.cls: entry.module for entry in DETECTORS.values()}}


def _class(name: Any) -> type | None:
    module = _modules().get(name) if isinstance(name, str) else None
    return None if module is None else getattr(import_module(module), name)


def _unstorable(where: str, value: Any, reason: str) -> ModelFileError:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return ModelFileError(
        f"save: {where} is a {kind}: {reason}. Change it, or keep this detector with joblib or skops "
        "(load such files only if you trust where they come from)"
    )


class _Members:
    """The arrays of a model by member name; an array that is found at several places is one member."""

    def __init__(self) -> None:
        self.by_name: dict[str, NDArray] = {}
        self._names: dict[int, str] = {}

    def add(self, array: NDArray, where: str) -> str:
        if id(array) not in self._names:
            name = re.sub(r"[^A-Za-z0-9_/-]", "-", where.replace(".", "/"))[:150]
            while f"{name}.npy" in self.by_name:
                name += "_"
            self._names[id(array)] = f"{name}.npy"
            self.by_name[f"{name}.npy"] = array
        return self._names[id(array)]


def _encode(value: Any, where: str, arrays: _Members) -> Any:
    """JSON for a value; `arrays` collects its arrays, `where` is the place that errors and members are named after."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if np.isfinite(value) else {"is": "float", "value": str(value)}
    if isinstance(value, np.dtype) and is_plain(value):
        return {"is": "dtype", "value": value.str}
    if isinstance(value, np.generic) and is_plain(value.dtype):
        return {"is": "scalar", "dtype": value.dtype.str, "value": _encode(value.item(), where, arrays)}
    if isinstance(value, np.ndarray):
        return _encode_array(value, where, arrays)
    if kind in (list, tuple):
        items = [_encode(item, f"{where}.{i}", arrays) for i, item in enumerate(value)]
        return items if kind is list else {"is": "tuple", "items": items}
    if kind is dict and all(type(key) in (str, int) for key in value):
        return {"is": "dict", "items": [[key, _encode(item, f"{where}.{key}", arrays)] for key, item in value.items()]}
    if kind.__name__ in RECORDS and kind is getattr(import_module(RECORDS[kind.__name__]), kind.__name__):
        fields = {name: _encode(item, f"{where}.{name}", arrays) for name, item in value._asdict().items()}
        return {"is": "record", "name": kind.__name__, "fields": fields}
    if isinstance(value, BaseEstimator):
        return _encode_estimator(value, where, arrays)
    raise _unstorable(where, value, "a model file holds numbers, text, plain arrays and collections of these")


def _encode_array(value: NDArray, where: str, arrays: _Members) -> dict[str, Any]:
    if value.dtype == object and value.ndim == 1 and all(type(item) in SCALARS for item in value):
        # how scikit-learn keeps column names and SimpleImputer its constants
        return {"is": "objects", "items": [_encode(item, where, arrays) for item in value]}
    if type(value) not in (np.ndarray, np.memmap) or not is_plain(value.dtype):
        raise _unstorable(where, value, f"arrays of {value.dtype} need pickle, plain arrays of numbers do not")
    return {"is": "array", "member": arrays.add(value, where)}


def _encode_estimator(estimator: BaseEstimator, where: str, arrays: _Members) -> dict[str, Any]:
    cls = type(estimator)
    if _class(cls.__name__) is not cls:
        raise _unstorable(where, estimator, f"model files know {', '.join(sorted(_modules()))}")
    params = estimator.get_params(deep=False)
    state = sorted(vars(estimator).keys() - params.keys() - set(getattr(estimator, "_rebuilt", ())))
    unknown = [name for name in state if not _may_set(cls, name)]
    if unknown:
        raise _unstorable(
            f"{where}.{unknown[0]}", getattr(estimator, unknown[0]), f"{cls.__name__} has no such attribute to restore"
        )
    return {
        "is": "estimator",
        "class": cls.__name__,
        "params": {name: _encode(value, f"{where}.{name}", arrays) for name, value in params.items()},
        "state": {name: _encode(getattr(estimator, name), f"{where}.{name}", arrays) for name in state},
    }


def _may_set(cls: type, attribute: str) -> bool:
    """Whether an attribute of this name is state: never a parameter, a method or a property."""
    if cls.__name__ in TRANSFORMERS:
        return attribute in COLUMNS or attribute in TRANSFORMERS[cls.__name__][1]
    there = python_inspect.getattr_static(cls, attribute, None)
    return (
        attribute.isidentifier()
        and not attribute.startswith("__")
        and attribute not in cls._get_param_names()  # type: ignore[attr-defined]
        and not callable(there)
        and not hasattr(there, "__get__")
    )


def _decode(node: Any, where: str, archive: Archive) -> Any:
    """The value that `_encode` wrote. A malformed node raises some error, which `load` reports."""
    if node is None or type(node) in (bool, int, float, str):
        return node
    if isinstance(node, list):
        return [_decode(item, f"{where}.{i}", archive) for i, item in enumerate(node)]
    match node.get("is") if isinstance(node, dict) else None:
        case "float":
            return {"inf": np.inf, "-inf": -np.inf, "nan": np.nan}[node["value"]]
        case "dtype" if is_plain(np.dtype(str(node["value"]))):
            return np.dtype(node["value"])
        case "scalar" if is_plain(np.dtype(str(node["dtype"]))):
            return np.dtype(node["dtype"]).type(_decode(node["value"], where, archive))
        case "objects":
            items = [_decode(item, where, archive) for item in node["items"]]
            if all(type(item) in SCALARS for item in items):
                return np.array(items, dtype=object)
        case "array":
            return archive.array(node["member"])
        case "tuple":
            return tuple(_decode(item, f"{where}.{i}", archive) for i, item in enumerate(node["items"]))
        case "dict" if all(type(key) in (str, int) for key, _ in node["items"]):
            return {key: _decode(item, f"{where}.{key}", archive) for key, item in node["items"]}
        case "record" if node["name"] in RECORDS:
            cls = getattr(import_module(RECORDS[node["name"]]), node["name"])
            return cls(**{name: _decode(item, f"{where}.{name}", archive) for name, item in node["fields"].items()})
        case "estimator":
            return _decode_estimator(node, where, archive)
    raise archive.error(f"{where}: not a value that odkit writes")


def _decode_estimator(node: dict[str, Any], where: str, archive: Archive) -> BaseEstimator:
    cls = _class(node["class"])
    if cls is None:
        raise archive.error(f"{where}: class {node['class']!r} is not known; known are {', '.join(sorted(_modules()))}")
    who = f"{where} ({cls.__name__})"
    params, state = node["params"], node["state"]
    unknown = sorted(params.keys() - set(cls._get_param_names())) + sorted(n for n in state if not _may_set(cls, n))  # type: ignore[attr-defined]
    if unknown:
        raise archive.error(f"{who}: {cls.__name__} has no parameter or attribute {unknown[0]!r}")
    try:
        estimator = cls(**{name: _decode(value, f"{where}.{name}", archive) for name, value in params.items()})
        estimator._validate_params()
        if isinstance(estimator, Pipeline):
            _check_steps(estimator)
        for name, value in state.items():
            setattr(estimator, name, _decode(value, f"{where}.{name}", archive))
        if state:
            _check_columns(estimator)
            if cls.__name__ in TRANSFORMERS:
                _check_shapes(estimator, TRANSFORMERS[cls.__name__][1])
            for hook in ("_check_state", "_rebuild"):
                if hasattr(estimator, hook):
                    getattr(estimator, hook)()
    except (ModelFileError, ImportError, MemoryError):
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise archive.error(f"{who}: {kind}{error}") from error
    return estimator


def _check_steps(pipeline: Pipeline) -> None:
    if pipeline.memory is not None:
        raise ValueError("memory must be None")
    for name, step in pipeline.steps:
        if type(name) is not str or not (step in (None, "passthrough") or isinstance(step, BaseEstimator)):
            raise ValueError("steps must be pairs of a name and an estimator")
    if not hasattr(pipeline.steps[-1][1], "score_samples"):
        raise ValueError("the last step must be a detector")


def _check_columns(estimator: Any) -> None:
    names = getattr(estimator, "feature_names_in_", None)
    tabular = isinstance(estimator, Pipeline) or estimator.__sklearn_tags__().input_tags.two_d_array
    count = estimator.n_features_in_ if tabular else 1  # maps and images have no columns
    if type(count) is not int or count < 1:
        raise ValueError(f"n_features_in_ is {count!r}")
    if names is not None and not (
        isinstance(names, np.ndarray) and names.shape == (count,) and all(type(name) is str for name in names)
    ):
        raise ValueError(f"feature_names_in_ must be {count} names")
    offset = getattr(estimator, "offset_", 0.0)
    if not isinstance(offset, float | int) or np.isnan(offset):
        raise ValueError(f"offset_ is {offset!r}")


def _check_shapes(estimator: Any, attributes: dict[str, str | None]) -> None:
    sizes = {"d": estimator.n_features_in_, "k": getattr(estimator, "n_components_", 0)}
    for name, axes in attributes.items():
        if axes is None:
            continue
        value, shape = getattr(estimator, name), tuple(sizes[axis] for axis in axes)
        if value is not None and not (
            isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in "fO"
        ):
            raise ValueError(f"{name} must be numbers in an array of shape {shape}")


def _card(node: Any) -> Any:
    """A value of `meta.json` for reading: tags removed, arrays by their member's name."""
    if isinstance(node, list):
        return [_card(item) for item in node]
    if not isinstance(node, dict):
        return node
    match node["is"]:
        case "estimator":
            return {"class": node["class"], "params": {name: _card(value) for name, value in node["params"].items()}}
        case "dict":
            return {key: _card(item) for key, item in node["items"]}
        case "tuple" | "objects":
            return _card(node["items"])
        case "record":
            return {name: _card(item) for name, item in node["fields"].items()}
        case "array":
            return node["member"]
    return node["value"]
