"""From the words of a command line to a model or to a detector that is ready to be fitted."""

from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from typing import Any

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from odkit.catalog import DETECTORS, detector_class
from odkit.jobs.fitted import load
from odkit.words import instead

__all__ = ["choose", "make_detector", "refuse_fit_options"]


def choose(
    model: str | PathLike | None,
    detector: str | None = None,
    contamination: float | str | None = None,
    seed: int | None = None,
    scale: str | None = None,
    on_text: str | None = None,
    params: Sequence[str] = (),
    reference: Sequence[str] = (),
) -> Any:
    """The model of a file, or an unfitted detector (ecod by default); what belongs to a fit is refused with a model."""
    if model is None:
        return make_detector(
            detector or "ecod", contamination=contamination, seed=seed, scale=scale or "none", params=params
        )
    refuse_fit_options(detector, contamination, seed, scale, on_text, params, reference)
    return load(model)


def refuse_fit_options(
    detector: str | None = None,
    contamination: float | str | None = None,
    seed: int | None = None,
    scale: str | None = None,
    on_text: str | None = None,
    params: Sequence[str] = (),
    reference: Sequence[str] = (),
) -> None:
    """Raise ValueError if something is given that a model has settled."""
    options = {
        "--detector": detector,
        "--contamination": contamination,
        "--seed": seed,
        "--scale": scale,
        "--on-text": on_text,
        "--param": params or None,
        "--reference": reference or None,
    }
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} belongs to the fit and is part of the model already; leave it or --model out")


def make_detector(
    name: str,
    *,
    contamination: float | str | None = None,
    seed: int | None = None,
    scale: str = "none",
    params: Sequence[str] = (),
) -> Any:
    """An unfitted detector by its catalog name; the names of its parameters are checked here, their values by `fit`.

    Parameters
    ----------
    name : see `odkit.catalog`
    contamination, seed : for the parameters `contamination` and `random_state`; None leaves the detector's default
    scale : "none", "standard" or "robust": a pipeline that first brings columns to comparable units
    params : words like "n_neighbors=10"; values are numbers, true, false, none or text
    """
    cls = detector_class(name)
    if DETECTORS[name.lower()].data == "images":
        raise ValueError(f"{cls.__name__} takes images, not tables; use it from Python, as docs/images.md shows")
    given = dict(map(_parameter, params))
    if contamination is not None:
        given["contamination"] = contamination
    known = cls().get_params()
    if seed is not None:
        if "random_state" not in known:
            raise ValueError(f"{cls.__name__} draws no random numbers, so it takes no --seed; leave it out")
        given["random_state"] = seed
    for parameter in given:
        if parameter not in known:
            raise ValueError(f"{cls.__name__} has no parameter {parameter!r}; {instead(parameter, known)}")
    detector = cls(**given)
    if scale == "none":
        return detector
    return make_pipeline(StandardScaler() if scale == "standard" else RobustScaler(), detector)


def _parameter(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"--param {word!r}: a name, an equals sign and a value are needed, as in n_neighbors=10")
    constants = {"none": None, "true": True, "false": False}
    if value.lower() in constants:
        return name, constants[value.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            return name, kind(value)
    return name, value
