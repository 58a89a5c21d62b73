"""Fit on files larger than memory: block after block, by `partial_fit` or by the passes of a mixture's EM."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from odkit._sklearn import check_is_fitted
from odkit.jobs.budget import parse_bytes
from odkit.jobs.columns import USUAL_ROWS, Columns
from odkit.jobs.fitted import Fitted
from odkit.jobs.formats import STREAMABLE, suffix_of
from odkit.jobs.progress import Progress, silent
from odkit.jobs.rows import good_rows
from odkit.jobs.selection import Source, check_present
from odkit.jobs.streams import open_stream
from odkit.mergeable import SAMPLE_ROWS, Mergeable
from odkit.scores import last_step
from odkit.series.base import is_series
from odkit.words import listed

__all__ = ["fit", "too_large"]

BLOCK = 65_536
MEMORY = "4GB"
COPIES = 3  # of a table while a detector is fitted on it in memory
ZIPPED = 3  # bytes of CSV text in a byte of gzip, numbers of 17 digits


def too_large(source: Source, memory: str | int | None = None) -> bool:
    """Whether the files, as numbers in memory, would take more than `memory` (4 GB where nothing is said) to fit on."""
    return COPIES * sum(map(_size, map(Path, source.paths))) > parse_bytes(memory or MEMORY)


def fit(source: Source, detector: Any, *, on_text: str = "error", progress: Progress = silent) -> Fitted:
    """Fit a detector on files that are read in blocks, as often as it needs them.

    The result is that of `odkit.jobs.single.fit`, up to what the detector says about its `partial_fit` or
    `fit_chunks`: thresholds may be read off a sample of rows. Of the steps of a pipeline each takes a pass over the
    files.

    Raises
    ------
    ValueError
        If the detector cannot be fitted in blocks, or with these options not in bounded memory.
    """
    _check(detector, on_text)
    rows = _Rows(source, detector, on_text, progress)
    steps = [step for _, step in detector.steps] if isinstance(detector, Pipeline) else [detector]
    steps = [step for step in steps if step not in (None, "passthrough")]
    for i, step in enumerate(steps):

        def transformed(before: list[Any] = steps[:i]) -> Iterator[Any]:
            for X in rows.run():
                for transformer in before:
                    X = transformer.transform(X)
                yield X

        if hasattr(step, "fit_chunks"):
            step.fit_chunks(transformed)
        else:
            for X in transformed():
                step.partial_fit(X)
    if rows.count == 0:
        raise ValueError(f"{source.name}: there is no row to learn from")
    check_is_fitted(steps[-1])  # rows that are all equal add up to no model
    notes = [f"left out, because they hold no numbers: {listed(rows.dropped)}"] if rows.dropped else []
    notes += rows.notes
    if isinstance(steps[-1], Mergeable) and rows.count > SAMPLE_ROWS:
        notes.append(f"fitted in blocks: the threshold is read off a random sample of {SAMPLE_ROWS:,} rows")
    data = {
        "files": [{"name": path.name, "bytes": path.stat().st_size} for path in map(Path, source.paths)],
        "rows": rows.count,
        "sha256": rows.digest.hexdigest(),
    }
    return Fitted(detector, rows.usual_columns(), data, notes)


class _Rows:
    """The rows of the files as numbers, in blocks, as many times as asked for.

    Attributes
    ----------
    count, digest : of the rows of the first pass: how many, and the sha256 of their numbers
    dropped : columns of text that were left out
    notes : sentences about columns that were left out unasked
    """

    def __init__(self, source: Source, detector: Any, on_text: str, progress: Progress) -> None:
        self._source, self._detector, self._progress = source, detector, progress
        self._streams = [
            open_stream(path, delimiter=source.delimiter, header=source.header) for path in map(Path, source.paths)
        ]
        first = self._streams[0]
        names, self.notes = source.resolved(first.path.name, first.columns).features(first.columns)
        for stream in self._streams:
            check_present(names, stream.columns)
        totals = [stream.rows for stream in self._streams]
        self._total = sum(rows for rows in totals if rows is not None) if None not in totals else 0
        self._columns = Columns.of_numbers(names)
        for block in self._blocks(names):
            self._columns, self.dropped = Columns.learn(block, names, on_text=on_text)
            break
        self.count, self.digest, self._passes = 0, hashlib.sha256(), 0
        self._sample, self._every = pd.DataFrame(), 1

    def run(self) -> Iterator[pd.DataFrame]:
        """One pass."""
        self._passes += 1
        done = 0
        who = type(last_step(self._detector)).__name__
        for frame in self._blocks(self._columns.names):
            X, _ = self._columns.numbers(frame)
            done += len(X)
            good = good_rows(self._source.name, self._detector, X, nan=self._source.nan)
            X = X if good.all() else X[good]
            if self._passes == 1:
                self._note(X)
            if len(X):
                yield X
            self._progress(f"fitting {who}, pass {self._passes} over the rows", done, self._total)

    def usual_columns(self) -> Columns:
        """The columns with what is usual in them, from evenly spaced rows of the first pass."""
        return Columns.learn(self._sample, self._columns.names)[0]

    def _blocks(self, names: list[str]) -> Iterator[pd.DataFrame]:
        for stream in self._streams:
            for block in stream.blocks(names, (), size=BLOCK):
                yield block.frame

    def _note(self, X: pd.DataFrame) -> None:
        self.digest.update(np.ascontiguousarray(X.to_numpy()).tobytes())
        # every k-th row of all, k doubled when too many are kept: even, whatever the number of rows to come
        kept = X.iloc[-self.count % self._every :: self._every]
        self.count += len(X)
        self._sample = pd.concat([self._sample, kept]) if len(self._sample) else kept
        while len(self._sample) > 2 * USUAL_ROWS:
            self._sample, self._every = self._sample.iloc[::2], 2 * self._every


def _check(detector: Any, on_text: str) -> None:
    last, steps = last_step(detector), detector[:-1] if isinstance(detector, Pipeline) else []
    instead = "raise --memory to fit it in memory all the same, or fit on a sample of the rows"
    whole = [step for step in (*steps, last) if not (hasattr(step, "partial_fit") or hasattr(step, "fit_chunks"))]
    if whole or is_series(detector):
        raise ValueError(
            f"the files are larger than --memory allows, and {type((whole or [last])[0]).__name__} cannot be fitted in "
            f"blocks; {instead}"
        )
    if last.get_params().get("compression", 0) is None:
        raise ValueError(
            f"the files are larger than --memory allows, and {type(last).__name__} keeps every row it is fitted on; "
            f"say --param compression=0.01 (tail probabilities within 1 %), or {instead}"
        )
    if on_text == "codes":
        raise ValueError(
            "the files are larger than --memory allows, and --on-text codes must count all texts first; say --on-text "
            f"drop, or {instead}"
        )


def _size(path: Path) -> int:
    """Bytes of the table as numbers, as far as can be told without reading it."""
    if not path.exists() or suffix_of(path) not in STREAMABLE or path.stat().st_size == 0:
        return 0  # whoever reads it says what is wrong
    if suffix_of(path) == ".parquet":
        stream = open_stream(path)
        return 8 * (stream.rows or 0) * len(stream.columns)
    return path.stat().st_size * (ZIPPED if suffix_of(path).endswith(".gz") else 1)
