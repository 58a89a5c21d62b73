"""What a wrapper of a detector can do depends on the detector it wraps."""

from collections.abc import Callable
from typing import Any

from sklearn.pipeline import Pipeline

__all__ = ["inner_has"]


def inner_has(name: str) -> Callable[[Any], bool]:
    """For `available_if`: whether the wrapped detector, also at the end of a pipeline, has a method."""

    def check(wrapper: Any) -> bool:
        inner = wrapper.detector_ if hasattr(wrapper, "detector_") else wrapper.detector
        return hasattr(inner[-1] if isinstance(inner, Pipeline) else inner, name)

    return check
