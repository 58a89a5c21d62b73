"""Time series: windows, detectors with one score per time step, thresholds, intervals."""

from odkit.series.clock import fill_missing, resample
from odkit.series.intervals import (
    Interval,
    above,
    drop_shorter,
    from_mask,
    from_timestamps,
    merge,
    pad,
    tidy,
    to_frame,
    to_mask,
    to_timestamps,
)
from odkit.series.windows import causal, centre, estimate_period, unroll, window_starts

__all__ = [
    "Interval",
    "above",
    "causal",
    "centre",
    "drop_shorter",
    "estimate_period",
    "fill_missing",
    "from_mask",
    "from_timestamps",
    "merge",
    "pad",
    "resample",
    "tidy",
    "to_frame",
    "to_mask",
    "to_timestamps",
    "unroll",
    "window_starts",
]
