"""What single columns of a scored file say: which rows are flagged, the truth, when and where rows belong."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit.jobs.selection import is_result
from odkit.metrics.ranking import truth
from odkit.words import instead

__all__ = ["flags_of", "group_of", "time_of", "truth_of"]

TRUTH = "truth_is_outlier"
MAX_GROUPS = 50  # a text column of more values names rows, not groups


def flags_of(column: pd.Series) -> NDArray[np.bool_]:
    if column.dtype == object or pd.api.types.is_string_dtype(column):  # a CSV of which some rows have no score
        column = column.map({True: True, False: False, "True": True, "False": False})
    return column.astype("boolean").fillna(False).to_numpy(bool)


def _pick(frame: pd.DataFrame, option: str, name: str) -> pd.Series:
    if name not in frame.columns:
        raise ValueError(f"{option}: no column {name!r}; {instead(name, frame.columns)}")
    return frame[name]


def truth_of(frame: pd.DataFrame, name: str | None) -> NDArray[np.bool_] | None:
    if name is None and TRUTH not in frame.columns:
        return None
    column = _pick(frame, "--labels", name or TRUTH)
    words = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}
    coded = column.astype(str).str.lower().map(words)
    if coded.isna().any():
        odd = column[coded.isna()].iloc[0]
        odd = odd.item() if isinstance(odd, np.generic) else odd  # 2, not np.int64(2)
        raise ValueError(f"--labels: {column.name!r} holds {odd!r}; 0 and 1, or false and true are needed (1: outlier)")
    return truth(coded.to_numpy(bool))


def time_of(frame: pd.DataFrame, name: str | None) -> pd.Series | None:
    """A column as dates, or as numbers where it is asked for and holds them."""
    if name is not None:
        column = _pick(frame, "--time", name)
        stamps = _dates(column)
        if stamps is None:
            stamps = pd.to_numeric(column, errors="coerce")
            if stamps.isna().all():
                raise ValueError(f"--time: {name!r} holds neither dates nor numbers, but {column.iloc[0]!r}")
        return stamps.rename(name)
    candidates = (frame[each] for each in frame.columns if each != "file" and not is_result(each))
    return next((stamps for column in candidates if (stamps := _dates(column)) is not None), None)


def _dates(column: pd.Series) -> pd.Series | None:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column if column.dt.tz is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
    first = column.dropna().astype(str).head(50)
    dated = first.str.contains(r"^\d{4}-\d\d?-\d\d?|^\d\d?[./]\d\d?[./]\d{2,4}", regex=True)
    if column.dtype.kind in "biuf" or first.empty or not dated.all():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a format that changes from row to row
        stamps = pd.to_datetime(column, errors="coerce", utc=True).dt.tz_localize(None)
    return stamps if stamps.notna().mean() > 0.9 else None


def group_of(frame: pd.DataFrame, name: str | None, keys: Sequence[str], time: pd.Series | None) -> pd.Series | None:
    if name is not None:
        return _pick(frame, "--group", name).astype(str)
    for each in [*keys, *(other for other in frame.columns if other not in keys)]:
        column = frame[each]
        is_text = column.dtype.kind not in "biufMm" and not is_result(each)
        if is_text and (time is None or each != time.name) and 2 <= column.nunique() <= min(MAX_GROUPS, len(frame) / 5):
            if pd.to_numeric(column, errors="coerce").notna().all():  # a key of numbers that was read as text
                continue
            return column.astype(str)
    return None
