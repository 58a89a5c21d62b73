"""From a block of rows to a table of results: the same columns and Arrow types for every block of a job."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray

from odkit.frame import score_frame
from odkit.jobs.columns import Columns
from odkit.jobs.fitted import Fitted
from odkit.jobs.rows import NAN, good_rows
from odkit.jobs.selection import Source, check_present
from odkit.jobs.streams import Block, Stream
from odkit.scores import last_step
from odkit.series.base import is_series
from odkit.words import listed

__all__ = ["Scorer"]


class Scorer:
    """A model, and what a job wants of it.

    Parameters
    ----------
    model : Fitted
        As `odkit.jobs.fitted.load` returns it.
    stream : Stream
        A file of the job: it says what the columns of a model without names are called, and which types keys have.
    keys : names of columns that are carried; none: rows are named by `row`, their number in the file from 0, and, where
        `several` files are scored, by `file`
    ignore : columns that are no features, for a model without names of columns
    nan : "error" or "null": rows that the detector does not take are an error, or get an empty score
    top : reasons per row

    Attributes
    ----------
    columns : Columns
    keys : list of str
    schema : pyarrow.Schema of the result
    """

    def __init__(
        self,
        model: Fitted,
        stream: Stream,
        *,
        keys: Sequence[str] = (),
        ignore: Sequence[str] = (),
        several: bool = False,
        nan: str = "error",
        top: int = 0,
    ) -> None:
        if nan not in NAN:
            raise ValueError(f"nan={nan!r} is unknown; allowed are {listed(NAN)}")
        self.detector = model.detector
        last = last_step(self.detector)
        if is_series(self.detector):
            raise ValueError(
                f"{type(last).__name__} scores time steps, which mean nothing without their neighbours, and a job cuts "
                "files into parts; score series file by file, with --out FILE"
            )
        if top and not hasattr(last, "explain"):
            raise ValueError(f"{type(last).__name__} gives no reasons; leave --explain out")
        jobs = [name for name in self.detector.get_params() if name.rpartition("__")[2] == "n_jobs"]
        self.detector.set_params(**dict.fromkeys(jobs, 1))  # the job has threads of its own
        self._nan, self._top = nan, top
        source = Source([stream.path], ids=keys, ignore=ignore).resolved(stream.path.name, stream.columns)
        self.keys = list(source.ids)
        names = getattr(self.detector, "feature_names_in_", None)
        if names is None:
            names = source.features(stream.columns)[0]
        self.columns = model.columns or Columns.of_numbers(list(names))
        if len(self.columns.names) != self.detector.n_features_in_:
            raise ValueError(
                f"the model was fitted on {self.detector.n_features_in_} columns without names, and {stream.path.name} "
                f"has {len(self.columns.names)}: {listed(self.columns.names)}; name the others in --id or --ignore"
            )
        self.schema = self._schema(stream, several)

    def check(self, stream: Stream) -> None:
        """Raise ValueError if a file cannot be scored, as far as its description tells."""
        check_present(self.columns.names, stream.columns)
        for feature in self.columns.features:
            kind = stream.odd(feature.name)
            if kind and feature.categories is None:
                raise ValueError(f"column {feature.name!r} was numbers at fit and holds {kind} here; mend it")
        for name in self.keys:
            if name not in stream.columns:
                raise ValueError(f"column {name!r}, which --id names, is missing here")
            mine, here = self.schema.field(_carried(name)).type, stream.key_type(name)
            if here not in (None, mine):
                raise ValueError(f"column {name!r} is {mine} in other files and {here} here; convert it")

    def table(self, block: Block, file: str) -> pyarrow.Table:
        """The results of a block of the file of this name: one row per row, in order."""
        X, _ = self.columns.numbers(block.frame)
        good = good_rows(file, self.detector, X, nan=self._nan)
        arrays: dict[str, Any] = {
            _carried(name): block.keys[name].cast(self.schema.field(_carried(name)).type) for name in self.keys
        }
        if not self.keys:
            arrays["file"] = pyarrow.repeat(file, len(X))
            arrays["row"] = pyarrow.array(np.arange(block.start, block.start + len(X)))
        if good.any():
            scored = score_frame(self.detector, X if good.all() else X[good], top=self._top)
            arrays |= {name: _spread(scored[name].to_numpy(), good) for name in scored.columns}
        return pyarrow.table(
            [arrays.get(field.name, pyarrow.nulls(len(X), field.type)) for field in self.schema], schema=self.schema
        )

    def _schema(self, stream: Stream, several: bool) -> pyarrow.Schema:
        keys: dict[str, pyarrow.DataType] = {
            _carried(name): stream.key_type(name) or pyarrow.string() for name in self.keys
        }
        if not self.keys:
            keys = {"file": pyarrow.string()} if several else {}
            keys["row"] = pyarrow.int64()
        own = dict(self._own())
        clash = [name for name in keys if name in own] + ["truth_is_outlier"] * (len(keys) < len(self.keys))
        if clash:
            raise ValueError(f"--id: {clash[0]!r} is also a column of the result; rename it in the file")
        return pyarrow.schema({**keys, **own})

    def _own(self) -> Iterator[tuple[str, pyarrow.DataType]]:
        yield "anomaly_score", pyarrow.float64()
        yield "is_outlier", pyarrow.bool_()
        if hasattr(self.detector, "p_values"):
            yield "p_value", pyarrow.float64()
        for rank in range(1, self._top + 1):
            yield f"top_{rank}", pyarrow.string()
            yield f"top_{rank}_share", pyarrow.float64()


def _carried(name: str) -> str:
    return "truth_is_outlier" if name == "is_outlier" else name


def _spread(values: NDArray, good: NDArray[np.bool_]) -> pyarrow.Array:
    """The values on the rows that have one, nothing on the others."""
    text = values.dtype == object
    if not good.all():
        whole = np.full(good.size, None if text else 0, values.dtype)
        whole[good] = values
        values = whole
    return pyarrow.array(
        values, pyarrow.string() if text else None, mask=None if good.all() else ~good, from_pandas=text
    )
