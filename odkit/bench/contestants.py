"""Who competes: from an import path and parameters to an identity, and from that to an unfitted detector.

Anything with scikit-learn's `fit` and `score_samples` takes part; a class of another library takes part through the
adapter of that library's name (`odkit.adapters.pyod` for PyOD), which is found by name so that nothing here depends
on it.
"""

import hashlib
import inspect
import json
import math
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import Any

from odkit import datasets
from odkit.bench.config import DetectorEntry, nearest

__all__ = ["Contestant", "build", "canonical_json", "resolve"]


ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class Contestant:
    """A detector as far as results depend on it.

    `given` are the parameters of the configuration: all that a child process is told. `params` are all parameters,
    defaults included: what the cell is known by. `random_state` is among them only where the configuration gives it;
    the seed stands for it otherwise. `missing` is the reason why it cannot run here, empty if it can.
    """

    id: str
    path: str
    given: dict[str, Any]
    params: dict[str, Any]
    package: str
    version: str
    seeded: bool
    missing: str = ""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and `repr` floats, the same text in every process.

    Functions are written as module and name, other things that JSON does not know by their `repr` without addresses.

    Examples
    --------
    >>> canonical_json({"b": float("inf"), "a": canonical_json})
    '{"a":"odkit.bench.contestants.canonical_json","b":"float(inf)"}'
    """
    return json.dumps(_finite(value), sort_keys=True, separators=(",", ":"), allow_nan=False, default=_spelled)


def _finite(value: Any) -> Any:
    """Infinity and NaN, which JSON has not, as text."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return f"float({value})" if isinstance(value, float) and not math.isfinite(value) else value


def _spelled(value: Any) -> str:
    text = repr(value)
    if ADDRESS.search(text) and callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return ADDRESS.sub("", text)  # an address is another one in the next process


@cache
def locate(path: str) -> type:
    """The class at `package.module.Class` or `module:Class`."""
    module, separator, name = path.partition(":")
    if not separator:
        module, _, name = path.rpartition(".")
    if not module or not name:
        raise ImportError(f"{path!r} is no import path; write package.module.Class or module:Class")
    place = import_module(module)
    found = getattr(place, name, None)
    if not isinstance(found, type):
        public = [word for word in dir(place) if not word.startswith("_")]
        raise ImportError(f"{module} has no class {name}; {nearest(name, public)}")
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
    """A parameter value with every `{class: ..., params: ...}` table in it made into an object, every `{card: ...}`
    into the path of that card's file, every `{tuple: [...]}` into a tuple, which neither YAML nor TOML can write."""
    if isinstance(value, dict) and set(value) <= {"class", "params"} and "class" in value:
        return _make(value["class"], value.get("params", {}), seed)
    if isinstance(value, dict) and set(value) == {"card"}:
        return datasets.path(value["card"])
    if isinstance(value, dict) and set(value) == {"tuple"}:
        return tuple(_nested(item, seed) for item in value["tuple"])
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
    if seed is not None and _draws(path, params):
        values["random_state"] = seed
    return cls(**values)


def _draws(path: str, params: dict[str, Any]) -> bool:
    """Whether the seed goes into this class: it has a `random_state` and the configuration has set none."""
    return "random_state" in _accepted(locate(path)) and params.get("random_state") is None


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


def _classes_in(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Import path and parameters of each class named within parameters."""
    if isinstance(value, dict):
        if "class" in value:
            yield value["class"], value.get("params") or {}
        for item in value.values():
            yield from _classes_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _classes_in(item)


def _check_given(entry: DetectorEntry) -> None:
    """What a configuration gives must reach another process and be the same thing in the next run."""
    try:
        pickle.dumps(entry.params)
        unnamed = [key for key, value in entry.params.items() if ADDRESS.search(_text(value))]
    except Exception as error:
        raise ValueError(
            f"{entry.id}: params cannot be sent to another process ({error}); give numbers, text, lists and tables, "
            "and objects as {class: import.path, params: {...}}"
        ) from None
    if unnamed:
        raise ValueError(
            f"{entry.id}: params {', '.join(unnamed)}: an object that is known by its address only, so that no later "
            "run could tell whether it is the same; write it as {class: import.path, params: {...}}"
        )


def _text(value: Any) -> str:
    return "" if callable(value) else repr(value)


def resolve(entry: DetectorEntry) -> Contestant:
    """Import the class and complete its parameters; a class that cannot be imported is recorded, not raised.

    Raises
    ------
    ValueError
        For a parameter that the class does not have, or that no other process could be given.
    """
    path = entry.import_path
    package = path.replace(":", ".").partition(".")[0]
    _check_given(entry)
    classes = [(path, entry.params), *_classes_in(entry.params)]
    try:
        cls = locate(path)
        accepted = _accepted(cls)
        label = "+".join(_label(one) for one, _ in classes)
        seeded = any(_draws(one, params) for one, params in classes)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise anything on import, SystemExit too, and must stop nobody else
        reason = f"cannot be imported: {type(error).__name__}: {error}"
        return Contestant(entry.id, path, entry.params, dict(entry.params), package, "missing", False, reason)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    unknown = [key for key in entry.params if key not in accepted]
    if unknown and not open_ended:
        raise ValueError(
            f"{entry.id}: {cls.__name__} has no parameter {', '.join(unknown)}; it has {', '.join(accepted)}"
        )
    defaults = {key: p.default for key, p in accepted.items() if p.default is not p.empty and key != "random_state"}
    return Contestant(entry.id, path, entry.params, {**defaults, **entry.params}, package, label, seeded)
