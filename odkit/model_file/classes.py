"""What a model file may be made of: classes by their names, their attributes, and what must fit together in them."""

import inspect
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from odkit.catalog import DETECTORS

__all__ = ["RECORDS", "TRANSFORMERS", "check_state", "check_steps", "class_of", "known_classes", "may_set"]

# named tuples that detectors keep as state: name -> module
RECORDS = {
    "Agreement": "odkit.decide.agreement",
    "Calibration": "odkit.decide.calibration",
    "Level": "odkit.kernels.level",
    "Staircase": "odkit.kernels.cpu.staircase",
    "Summary": "odkit.kernels.cpu.ranks",
    "TailTable": "odkit.kernels.cpu.tail_table",
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
# what every fitted estimator of scikit-learn may have; the last is what `set_output` leaves
COMMON = {"n_features_in_", "feature_names_in_", "_sklearn_output_config"}
OUTPUTS = ("default", "pandas", "polars")


def known_classes() -> dict[str, str]:
    """Where the classes are that a file may name."""
    foreign = {name: module for name, (module, _) in TRANSFORMERS.items()}
    return {**PARTS, **foreign, **{entry.cls: entry.module for entry in DETECTORS.values()}}


def class_of(name: Any) -> type | None:
    module = known_classes().get(name) if isinstance(name, str) else None
    return None if module is None else getattr(import_module(module), name)


def may_set(cls: type, attribute: str) -> bool:
    """Whether an attribute of this name is state: never a parameter, a method or a property."""
    if cls.__name__ in TRANSFORMERS:
        return attribute in COMMON or attribute in TRANSFORMERS[cls.__name__][1]
    there = inspect.getattr_static(cls, attribute, None)
    return (
        attribute.isidentifier()
        and not attribute.startswith("__")
        and attribute not in cls._get_param_names()  # type: ignore[attr-defined]
        and not callable(there)
        and not hasattr(there, "__get__")
    )


def check_steps(pipeline: Pipeline) -> None:
    if pipeline.memory is not None:
        raise ValueError("memory must be None")
    for name, step in pipeline.steps:
        if type(name) is not str or not (step in (None, "passthrough") or isinstance(step, BaseEstimator)):
            raise ValueError("steps must be pairs of a name and an estimator")
    if not hasattr(pipeline.steps[-1][1], "score_samples"):
        raise ValueError("the last step must be a detector")


def check_state(estimator: Any) -> None:
    """Refuse a loaded state whose columns, threshold or, for classes of scikit-learn, arrays do not fit together."""
    _check_columns(estimator)
    output = getattr(estimator, "_sklearn_output_config", {})
    if output not in ({}, *({"transform": kind} for kind in OUTPUTS)):
        raise ValueError(f"_sklearn_output_config is {output!r}")
    name = type(estimator).__name__
    if name in TRANSFORMERS:
        _check_shapes(estimator, TRANSFORMERS[name][1])


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
