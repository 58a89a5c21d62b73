"""Fit and score where the rows are: Dask collections on this machine or on a cluster.

Detectors whose statistics add up are fitted part by part, and the parts joined in a tree on the workers; what comes
back is an ordinary fitted detector, which knows nothing of Dask. Workers need odkit, and nothing else of ours.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dask
import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
from dask.delayed import Delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from odkit._sklearn import check_is_fitted
from odkit.detectors.gmm import GMM
from odkit.frame import score_frame
from odkit.mergeable import Mergeable
from odkit.scores import anomaly_score

__all__ = ["fit", "score"]


def fit(detector: Any, data: Any, *, client: Any = None) -> Any:
    """Fit a detector on a Dask collection and return it as an ordinary fitted detector.

    Parameters
    ----------
    detector : unfitted detector; it is not changed
        One with mergeable statistics (ECOD, Mahalanobis, LevelMahalanobis), or GMM.
    data : dask.dataframe.DataFrame or 2-D dask.array.Array
        Rows; empty partitions are skipped. Sort out columns and missing values first, as for a local fit.
    client : distributed.Client, address of a scheduler such as "tcp://host:8786", or None
        None: the scheduler that Dask has at the moment.

    Returns
    -------
    detector
        Equal to a local fit on all rows in order: ECOD to the bit, Mahalanobis to rounding. `offset_` is read off a
        uniform sample of at most 4096 rows, as after `partial_fit`. GMM takes one pass over the data per EM iteration,
        a partition at a time in this process: `persist` the data if they fit into the cluster's memory. ECOD without
        `compression` keeps every value, so joining its parts moves all data and gains no time.

    Raises
    ------
    TypeError
        If the detector's statistics do not add up, or `data` is no Dask collection.
    ValueError
        If there is no row, or the rows of all partitions together make no model.

    Examples
    --------
    >>> import dask.array
    >>> import numpy as np
    >>> from odkit import ECOD
    >>> from odkit.adapters import dask as on_dask
    >>> rows = np.random.default_rng(0).normal(size=(1000, 3))
    >>> detector = on_dask.fit(ECOD(), dask.array.from_array(rows, chunks=(250, 3)))
    >>> detector.n_samples_seen_, bool((detector.score_samples(rows) == ECOD().fit(rows).score_samples(rows)).all())
    (1000, True)
    """
    parts = _parts(data)
    who = type(detector).__name__
    if isinstance(detector, GMM):
        with _on(client):
            return clone(detector).fit_chunks(lambda: _computed(parts))
    if not isinstance(detector, Mergeable) or not hasattr(detector, "merge"):
        raise TypeError(
            f"dask.fit: the statistics of {who}, with these parameters, do not add up over parts of the data; take "
            "ECOD, Mahalanobis or GMM, or fit on a sample and score everywhere"
        )
    names = detector.get_params()
    seeds: list[int | None] = [None] * len(parts)
    if "random_state" in names:  # parts that sampled alike would not make a uniform sample together
        seeds = check_random_state(detector.random_state).randint(np.iinfo(np.int32).max, size=len(parts)).tolist()
    fitted = [dask.delayed(_fitted_part)(detector, part, seed) for part, seed in zip(parts, seeds, strict=True)]
    while len(fitted) > 1:
        fitted = [dask.delayed(_merged)(fitted[start : start + 2]) for start in range(0, len(fitted), 2)]
    with _on(client):
        (merged,) = dask.compute(fitted[0])
    if merged is None:
        raise ValueError(f"dask.fit: {who} was given {len(parts)} partitions without a row; give rows")
    check_is_fitted(merged)  # rows that are all equal add up to no model
    return merged.set_params(**names)


def score(
    detector: Any,
    data: Any,
    *,
    keys: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    top: int = 0,
) -> Any:
    """Scores of a Dask collection, lazily: nothing is computed before you ask.

    Parameters
    ----------
    detector : fitted detector of odkit or scikit-learn, or a Pipeline that ends in one
    data : dask.dataframe.DataFrame or 2-D dask.array.Array
    keys, ignore, top : as in `odkit.score_frame`, for a DataFrame

    Returns
    -------
    dask.dataframe.DataFrame
        For a DataFrame: what `score_frame` gives for each partition, under the same index and divisions.
    dask.array.Array of shape (n_samples,)
        For an array: anomaly scores.
    """
    check_is_fitted(detector)
    single = _on_one_thread(copy.deepcopy(detector))
    shared = dask.delayed(single, traverse=False, pure=False)  # once per worker, not once per task
    if isinstance(data, dask.dataframe.DataFrame):
        options = {"keys": keys, "ignore": ignore, "top": top}
        meta = _scored_part(data._meta_nonempty, single, options).iloc[:0]
        return data.map_partitions(_scored_part, shared, options, meta=meta, enforce_metadata=False)
    if isinstance(data, dask.array.Array) and data.ndim == 2:
        if keys or ignore or top:
            raise ValueError("dask.score: keys, ignore and top need names of columns; give a DataFrame")
        rows = data.rechunk({1: -1})
        return rows.map_blocks(_scores_of_block, shared, drop_axis=1, dtype=np.float64, meta=np.empty(0))
    raise _no_collection("score", data)


def _parts(data: Any) -> list[Delayed]:
    """The partitions of a collection, each with all columns."""
    if isinstance(data, dask.dataframe.DataFrame):
        return list(data.to_delayed())
    if isinstance(data, dask.array.Array) and data.ndim == 2:
        return list(data.rechunk({1: -1}).to_delayed().ravel())
    raise _no_collection("fit", data)


def _no_collection(what: str, data: Any) -> TypeError:
    return TypeError(
        f"dask.{what}: given {type(data).__module__}.{type(data).__name__}; a dask.dataframe.DataFrame or a 2-D "
        "dask.array.Array is needed"
    )


@contextmanager
def _on(client: Any) -> Iterator[None]:
    """Run what is computed inside on this client, or on one that is connected to this address meanwhile."""
    if client is None:
        yield
        return
    from distributed import Client

    if not isinstance(client, str):
        with client.as_current():
            yield
        return
    with Client(client, set_as_default=False) as connected, connected.as_current():
        yield


def _computed(parts: list[Delayed]) -> Iterator[Any]:
    for part in parts:
        (rows,) = dask.compute(part)
        if len(rows):
            yield rows


def _fitted_part(detector: Any, rows: Any, seed: int | None) -> Any:
    """A detector that has seen one partition; None for one without rows, as filters leave them."""
    if len(rows) == 0:
        return None
    fresh = _on_one_thread(clone(detector))
    return (fresh if seed is None else fresh.set_params(random_state=seed)).partial_fit(rows)


def _on_one_thread(detector: Any) -> Any:
    """The detector, and what it is made of, with n_jobs=1: the workers are the threads."""
    inner = [name for name in detector.get_params() if name.rpartition("__")[2] == "n_jobs"]
    return detector.set_params(**dict.fromkeys(inner, 1))


def _merged(parts: list[Any]) -> Any:
    """One detector of several, in order; none of them is changed, because a task may have to run again."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    first = copy.copy(there[0])
    for other in there[1:]:
        first.merge(other)
    return first


def _scored_part(frame: pd.DataFrame, detector: Any, options: dict[str, Any]) -> pd.DataFrame:
    if len(frame) == 0:  # a detector takes no fewer than one row
        one = pd.DataFrame({name: np.zeros(1, column.dtype if column.dtype.kind in "biuf" else object)
                            for name, column in frame.items()})  # fmt: skip
        return score_frame(detector, one, **options).iloc[:0].set_index(frame.index)
    return score_frame(detector, frame, **options)


def _scores_of_block(rows: NDArray, detector: Any) -> NDArray[np.float64]:
    return anomaly_score(detector, rows) if len(rows) else np.empty(0)
