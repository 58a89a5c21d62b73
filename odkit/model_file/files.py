"""Model files as a user meets them: saved, loaded, inspected, identified."""

import hashlib
import os
import platform
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator

import odkit
from odkit._sklearn import check_is_fitted
from odkit.model_file.archive import Archive, ModelFileError, write
from odkit.model_file.classes import class_of
from odkit.model_file.values import Members, decode, encode, unstorable

__all__ = ["fingerprint", "inspect", "load", "save"]

FORMAT = "odkit-model"
SCHEMA_VERSION = 1


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
    arrays = Members()
    if class_of(type(detector).__name__) is type(detector):
        check_is_fitted(detector)
    model = encode(detector, "model", arrays)
    if not isinstance(model, dict) or model.get("is") != "estimator":
        raise unstorable("model", detector, "a fitted detector, or a pipeline that ends in one, is needed")
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
            detector = decode(node, "model", archive)
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
