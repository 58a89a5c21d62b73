"""Values in the words of the page."""

import math
from typing import Any

import numpy as np
import pandas as pd

from odkit.words import number

__all__ = ["cell", "decimals", "file_size", "number_or_dash", "reason_in_words", "thousands"]


def reason_in_words(reason: dict[str, Any]) -> dict[str, Any]:
    """A reason in words; those of a scored file have a feature and a share alone."""
    share = reason["share"]
    if "value" not in reason:
        return {"feature": reason["feature"], "share": share}
    return {
        "feature": reason["feature"],
        "share": share,
        "value": "missing" if reason["value"] is None else cell(reason["value"]),
        "direction": reason["direction"],
        "expected": cell(reason["expected"]),
        "usual": reason["usual"],
        "odd": reason["odd"],
    }


def cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, pd.Timestamp):
        return str(value).removesuffix(" 00:00:00")
    return number(float(value)) if isinstance(value, float | np.floating) else str(value)


def number_or_dash(value: float | None, digits: int = 4) -> str:
    return "–" if value is None or math.isnan(value) else number(value, digits)


def decimals(value: float, largest: float) -> str:
    """A number with as many decimals as leave the largest of its column four digits, so that points stand in line."""
    digits = 3 - math.floor(math.log10(abs(largest))) if largest else 3
    return "–" if math.isnan(value) else f"{value:,.{min(max(digits, 0), 9)}f}"


def thousands(value: int) -> str:
    return f"{value:,}"


def file_size(value: float) -> str:
    return next(f"{value / unit:.3g} {name}" for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
                if value >= unit or unit == 1)  # fmt: skip
