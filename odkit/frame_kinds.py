"""The kinds of frames that can be scored: how columns become numpy arrays, and arrays frames of that kind."""

import sys
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Table", "open_table"]

NUMBERS = "biuf"  # numpy's kinds of dtype that a feature column may have


class Table(Protocol):
    """What scoring needs of a kind of frame."""

    columns: list

    def column(self, name: Any) -> Any:
        """One column, in the frame's own form."""

    def numbers(self, name: Any) -> NDArray:
        """One column as numpy floats, integers or booleans, missing values as NaN."""

    def build(self, columns: dict[str, Any]) -> Any:
        """A frame of this kind: own columns as they are, numpy arrays converted."""


def open_table(frame: Any, detector: Any) -> Table:
    """The kind is found by looking at the object: whoever hands in a polars frame has imported polars."""
    if isinstance(frame, pd.DataFrame):
        return Pandas(frame)
    if isinstance(frame, np.ndarray):
        if frame.ndim != 2:
            raise ValueError(f"score_frame: the array has shape {frame.shape}; rows x columns are needed")
        names = getattr(detector, "feature_names_in_", None)
        known = names is not None and len(names) == frame.shape[1]
        return Pandas(pd.DataFrame(frame, columns=names if known else [f"column_{j}" for j in range(frame.shape[1])]))
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(frame, polars.DataFrame):
        return Polars(frame)
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
        return Arrow(frame)
    raise TypeError(
        f"score_frame: given {type(frame).__module__}.{type(frame).__name__}; a pandas or polars DataFrame, a "
        "pyarrow Table, an object with __arrow_c_stream__ or a numpy array is needed (collect a lazy frame first)"
    )


def _refuse(name: Any, dtype: Any, example: Any) -> ValueError:
    return ValueError(
        f"score_frame: column {name!r} holds {dtype} (the first value is {example!r}); numbers and booleans can be "
        "scored. Convert it to float, or name it in keys or ignore"
    )


class Pandas:
    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.columns = frame.columns.tolist()

    def column(self, name: Any) -> pd.Series:
        return self.frame[name]

    def numbers(self, name: Any) -> NDArray:
        column = self.frame[name]
        if column.dtype.kind not in NUMBERS:
            raise _refuse(name, column.dtype, column.iloc[0] if len(column) else None)
        if isinstance(column.dtype, np.dtype):
            return column.to_numpy()
        return column.to_numpy(dtype=np.float64, na_value=np.nan)

    def build(self, columns: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(columns, index=self.frame.index)


class Polars:
    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.columns = frame.columns

    def column(self, name: str) -> Any:
        return self.frame[name]

    def numbers(self, name: str) -> NDArray:
        polars, column = sys.modules["polars"], self.frame[name]
        if column.dtype == polars.Float32:
            return column.to_numpy()
        if not (column.dtype.is_integer() or column.dtype.is_float() or column.dtype in (polars.Boolean, polars.Null)):
            raise _refuse(name, column.dtype, column[0] if len(column) else None)
        return column.cast(polars.Float64).to_numpy()

    def build(self, columns: dict[str, Any]) -> Any:
        polars = sys.modules["polars"]
        return polars.DataFrame(
            {
                name: polars.Series(values.tolist(), dtype=polars.String) if _is_text(values) else values
                for name, values in columns.items()
            }
        )


class Arrow:
    def __init__(self, frame: Any) -> None:
        import pyarrow

        self.frame = pyarrow.table(frame)
        self.columns = self.frame.column_names

    def column(self, name: str) -> Any:
        return self.frame[name]

    def numbers(self, name: str) -> NDArray:
        import pyarrow
        from pyarrow import types

        column = self.frame[name]
        kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_null)
        if not any(is_kind(column.type) for is_kind in kinds):
            raise _refuse(name, column.type, column[0].as_py() if len(column) else None)
        target = pyarrow.float32() if types.is_float32(column.type) else pyarrow.float64()
        return column.cast(target, safe=False).to_numpy()

    def build(self, columns: dict[str, Any]) -> Any:
        import pyarrow

        return pyarrow.table(
            {
                name: pyarrow.array(values, pyarrow.string()) if _is_text(values) else values
                for name, values in columns.items()
            }
        )


def _is_text(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == object
