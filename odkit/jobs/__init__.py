"""From files to files: read a table, fit or score it, write the result whole or not at all."""

from importlib import import_module
from typing import Any

__all__ = ["JobFailed", "JobLocked", "JobRefused", "JobResult", "score_files"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # on first use: a list of detectors is shown without what scoring needs
        return getattr(import_module("odkit.jobs.run"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
