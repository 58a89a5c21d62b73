"""What a wrapper of a detector can do depends on the detector it wraps."""

from collections.abc import Callable
from typing import Any

from sklearn.pipeline import Pipeline

__all__ = ["inner_has", "refuse_series"]


def refuse_series(wrapper: str, detector: Any) -> None:
    """ValueError for a detector of series: its rows mean nothing without their neighbours in time."""
    from odkit.series.base import SeriesDetector

    if isinstance(detector[-1] if isinstance(detector, Pipeline) else detector, SeriesDetector):
        raise ValueError(
            f"{wrapper}: {type(detector).__name__} scores time steps by their neighbours, and here rows are drawn, "
            "shuffled or scored alone. Use Threshold or DynamicThreshold for series"
        )


def inner_has(name: str) -> Callable[[Any], bool]:
    """For `available_if`: whether the wrapped detector, also at the end of a pipeline, has a method."""

    def check(wrapper: Any) -> bool:
        inner = wrapper.detector_ if hasattr(wrapper, "detector_") else wrapper.detector
        return hasattr(inner[-1] if isinstance(inner, Pipeline) else inner, name)

    return check
