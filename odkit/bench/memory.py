"""Peak resident memory of a stretch of code, read from the kernel."""

import contextlib
import resource
from pathlib import Path

import psutil

__all__ = ["peak_mb", "reset_peak"]


def reset_peak() -> float:
    """Start a new peak of resident memory where the kernel allows it; returns the memory held now, MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return psutil.Process().memory_info().rss / 2**20


def peak_mb(before: float) -> float:
    """Peak of resident memory since `reset_peak`, above what was held then."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return max(0.0, int(line.split()[1]) / 1024 - before)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # an upper bound: it includes the parent's peak
