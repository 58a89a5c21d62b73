"""Who competes: from an import path and parameters to an identity, and from that to an unfitted detector.

Anything with scikit-learn's `fit` and `score_samples` takes part; a class of another library takes part through the
adapter of that library's name (`odkit.adapters.pyod` for PyOD), which is found by name so that nothing here depends
on it.
"""

import hashlib
import inspect
import json
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import Any

from odkit import datasets
from odkit.bench.config import DetectorEntry

__all__ = ["Contestant", "build", "canonical_json", "resolve"]


@dataclass(frozen=True)
class Contestant:
    """A detector as far as results depend on it.

    `params` are all parameters, defaults included, without `random_state` (the seed stands for it).
    `missing` is the reason why it cannot run here, empty if it can.
    """

    id: str
    path: str
    params: dict[str, Any]
    package: str
    version: str
    seeded: bool
    missing: str = ""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and `repr` floats; no NaN; what JSON does not know is written by its `repr`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=repr)


@cache
def locate(path: str) -> type:
    """The class at `package.module.Class` or `module:Class`."""
    module, separator, name = path.partition(":")
    if not separator:
        module, _, name = path.rpartition(".")
    if not module or not name:
        raise ImportError(f"{path!r} is no import path; write package.module.Class or module:Class")
    found = getattr(import_module(module), name, None)
    if not isinstance(found, type):
        raise ImportError(f"{module} has no class {name}")
    return found


@cache
def _package_version(package: str, module: str) -> str:
    """Version of the distribution that `package` comes from; the source's hash where it comes from none."""
    try:
        return version({"sklearn": "scikit-learn"}.get(package, package))
    except PackageNotFoundError:
        distributions = packages_distributions().get(package)
        if distributions:
            return version(distributions[0])
    source = inspect.getsourcefile(import_module(module))
    if source is None:
        return "unknown"
    with open(source, "rb") as file:
        return "file-" + hashlib.sha256(file.read()).hexdigest()[:12]


def _nested(value: Any, seed: int | None) -> Any:
    """A parameter value with every `{class: ..., params: ...}` table in it made into an object, and every
    `{card: ...}` into the path of that card's file."""
    if isinstance(value, dict) and set(value) <= {"class", "params"} and "class" in value:
        return _make(value["class"], value.get("params", {}), seed)
    if isinstance(value, dict) and set(value) == {"card"}:
        return datasets.path(value["card"])
    if isinstance(value, dict):
        return {key: _nested(item, seed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_nested(item, seed) for item in value)
    return value


def _accepted(cls: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(cls).parameters)


def _make(path: str, params: dict[str, Any], seed: int | None) -> Any:
    cls = locate(path)
    values = {key: _nested(value, seed) for key, value in params.items()}
    if seed is not None and "random_state" in _accepted(cls):
        values["random_state"] = seed
    return cls(**values)


def build(path: str, params: dict[str, Any], seed: int | None) -> Any:
    """An unfitted detector with scikit-learn's methods; `seed` goes to `random_state` wherever there is one."""
    return adapted(_make(path, params, seed))


def adapted(detector: Any) -> Any:
    """The detector itself, or in the adapter of the library that it comes from."""
    if hasattr(detector, "score_samples"):
        return detector
    for base in type(detector).__mro__:
        library = base.__module__.partition(".")[0]
        if library != "odkit" and find_spec(f"odkit.adapters.{library}"):
            return import_module(f"odkit.adapters.{library}").wrap(detector)
    return detector  # an estimator whose score_samples appears with fit, or an error that names the method


def _label(path: str) -> str:
    """What a class's scores depend on beside its parameters: its package's version, or for odkit a number that is
    raised where scores change on purpose, so that an unrelated edit makes no finished cell void."""
    cls, package = locate(path), path.replace(":", ".").partition(".")[0]
    if package == "odkit":
        return f"bench-{getattr(cls, 'bench_version', 1)}"
    return _package_version(package, cls.__module__)


def _classes_in(value: Any) -> list[str]:
    """Import paths of the classes named within parameters."""
    if isinstance(value, dict):
        own = [value["class"]] if "class" in value else []
        return own + [path for item in value.values() for path in _classes_in(item)]
    return [path for item in value for path in _classes_in(item)] if isinstance(value, list | tuple) else []


def resolve(entry: DetectorEntry) -> Contestant:
    """Import the class and complete its parameters; a class that cannot be imported is recorded, not raised."""
    path = entry.import_path
    package = path.replace(":", ".").partition(".")[0]
    try:
        cls = locate(path)
        for nested in _classes_in(entry.params):
            locate(nested)
    except Exception as error:  # a broken package may raise anything on import, and must stop nobody else
        reason = f"cannot be imported: {type(error).__name__}: {error}"
        return Contestant(entry.id, path, dict(entry.params), package, "missing", False, reason)
    accepted = _accepted(cls)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    unknown = [key for key in entry.params if key not in accepted]
    if unknown and not open_ended:
        raise ValueError(
            f"{entry.id}: {cls.__name__} has no parameter {', '.join(unknown)}; it has {', '.join(accepted)}"
        )
    defaults = {key: p.default for key, p in accepted.items() if p.default is not p.empty}
    params = {key: value for key, value in {**defaults, **entry.params}.items() if key != "random_state"}
    label = "+".join(_label(one) for one in (path, *_classes_in(entry.params)))
    seeded = any("random_state" in _accepted(locate(one)) for one in (path, *_classes_in(entry.params)))
    return Contestant(entry.id, path, params, package, label, seeded)
