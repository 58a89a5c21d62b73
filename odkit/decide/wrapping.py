"""What a wrapper of a detector can do depends on the detector it wraps."""

from collections.abc import Callable
from typing import Any

from odkit.scores import last_step

__all__ = ["inner_has", "refuse_series"]


def refuse_series(wrapper: str, detector: Any) -> None:
    """ValueError for a detector of series: its rows mean nothing without their neighbours in time."""
    from odkit.series.base import is_series

    if is_series(detector):
        raise ValueError(
            f"{wrapper}: {type(last_step(detector)).__name__} scores time steps by their neighbours, and here rows "
            "are drawn, shuffled or scored alone. Use Threshold or DynamicThreshold for series"
        )


def inner_has(name: str) -> Callable[[Any], bool]:
    """For `available_if`: whether the wrapped detector, also at the end of a pipeline, has a method."""

    def check(wrapper: Any) -> bool:
        inner = wrapper.detector_ if hasattr(wrapper, "detector_") else wrapper.detector
        return hasattr(last_step(inner), name)

    return check
