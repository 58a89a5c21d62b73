"""Detectors whose statistics add up: fitted block by block, or on parts that are joined afterwards.

The one road to data larger than memory: clone, `partial_fit` a part, `merge` pairwise, whoever drives the loop.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from odkit._sklearn import check_is_fitted, fit_context
from odkit.base import Detector

__all__ = ["Mergeable", "refuse_changed"]

SAMPLE_ROWS = 4096  # a flagged share of 1 % read off this many rows has a standard error of 0.16 points


class Mergeable(Detector):
    """Base of the detectors that can `partial_fit(X)` and `merge(other)`.

    A subclass gives three hooks instead of `_fit(X)`, and names in `_merge_parameters` the parameters that shape the
    statistics, which two detectors must share to be merged:

    - `_partial_stats(X) -> dict`: the statistics of one validated block, a dict of arrays and numbers;
    - `_merge_stats(a, b) -> dict`: those of two blocks together, neither `a` nor `b` being changed;
    - `_fit_from_stats(stats)`: sets the `name_` attributes, replacing arrays, never writing into them.

    Where some statistics make no model yet (one row has no spread), `_lacks(stats)` says what is missing: `fit` refuses
    such rows, `partial_fit` and `merge` keep them and leave the detector unfitted until enough have come. Both change
    nothing if they fail.

    Only these hooks look at a block, and rows are gone afterwards. What is a function of the rows and not of the
    statistics, the contamination percentile in `offset_`, is therefore read off a uniform sample of at most 4096 of all
    rows seen: `fit` sets it from every training row, `partial_fit` and `merge` from the sample (which is every row up
    to 4096). The sample draws from `random_state`; workers that fit parts in parallel want different ones (the default
    None does that).

    Attributes
    ----------
    n_samples_seen_ : int
        Rows absorbed so far.
    """

    _merge_parameters: tuple[str, ...] = ()
    _stats: dict[str, Any]
    _sample: dict[str, NDArray]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    @property
    def _waits_for(self) -> str | None:
        """What to say of a detector that has seen rows and is not fitted."""
        if hasattr(self, "offset_") or not hasattr(self, "_stats"):
            return None
        return (
            f"{type(self).__name__}: not fitted yet, after {self.n_samples_seen_} "
            f"row{'s' * (self.n_samples_seen_ != 1)} in partial_fit: {self._lacks(self._stats)}. Give more rows to "
            "partial_fit, or merge with parts that have more"
        )

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Absorb a block of rows X (n_samples, n_features); `y` is ignored.

        The model is that of one `fit` on all rows given so far, up to rounding and up to `offset_`.
        """
        self._check_learns("partial_fit")
        fresh = not hasattr(self, "_stats")
        with self._all_or_nothing():
            X = self._validate(X, reset=fresh)
            if fresh:
                self._start()
            self._absorb(X, self._partial_stats(X))
            self._renew_offset()
        return self

    def merge(self, other: Self) -> Self:
        """Take over what another fitted detector has seen, as if this one had absorbed its rows. `other` is unchanged.

        Raises
        ------
        NotFittedError
            If one of the two has not seen a row.
        ValueError
            If the two differ in class, columns, or a parameter that shapes the statistics.
        """
        who = type(self).__name__
        if type(other) is not type(self):
            raise ValueError(f"{who}.merge: given {type(other).__name__}, but only another {who} can be merged")
        for one in (self, other):
            if not hasattr(one, "_stats"):  # with them, it need not be fitted yet
                check_is_fitted(one)
        theirs = other._merge_key()
        for name, mine in self._merge_key().items():
            if mine != theirs[name]:
                raise ValueError(
                    f"{who}.merge: {name} is {mine!r} here and {theirs[name]!r} in the other; "
                    "both must be equal, fit the parts alike"
                )
        try:
            other.merge  # noqa: B018 - detectors that cannot add up do not have it, and say why
        except AttributeError as error:
            raise ValueError(f"{who}.merge: the other does not add up: {error.__cause__}") from None
        self._check_learns("merge")
        other._check_learns("merge")
        with self._all_or_nothing():
            self._join(other._stats, other._sample, other.n_samples_seen_)
            self._renew_offset()
        return self

    def compact(self) -> Self:
        """A copy without what only learning needs: it scores, predicts and explains to the same bits.

        The statistics of the rows seen and the sampled rows stay behind, so `partial_fit` and `merge` raise ValueError;
        `fit` starts afresh. For models that are saved to score with. The copy shares its arrays with this detector.
        """
        check_is_fitted(self)
        twin = copy.copy(self)
        for name in ("_stats", "_sample"):
            twin.__dict__.pop(name, None)
        return twin

    def _check_learns(self, what: str) -> None:
        """Refuse to add to statistics that are gone, or that other parameters have shaped."""
        who = type(self).__name__
        if hasattr(self, "offset_") and not hasattr(self, "_stats"):
            raise ValueError(
                f"{who}.{what}: a compact {who} does not remember the rows it has seen; go on with the detector that "
                "compact() was called on, or start afresh with fit"
            )
        if hasattr(self, "_stats"):
            refuse_changed(self, what, "rows")

    def _partial_stats(self, X: NDArray) -> dict[str, Any]:
        raise NotImplementedError

    def _merge_stats(self, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _fit_from_stats(self, stats: dict[str, Any]) -> None:
        raise NotImplementedError

    def _lacks(self, stats: dict[str, Any], /) -> str:
        """What these statistics lack to make a model, "" where nothing."""
        return ""

    def _fit(self, X: NDArray) -> None:
        self._start()
        self._absorb(X, self._partial_stats(X))
        if self._lacks(self._stats):
            self._fit_from_stats(self._stats)  # raises, in the words of whoever cannot

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Whatever is raised inside leaves the detector as it was: half of a new model would score in silence."""
        before = dict(self.__dict__)  # shallow, because hooks replace arrays and do not write into them
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _renew_offset(self) -> None:
        if self._has_model():
            self.offset_ = self._sample_offset(self._sample["rows"])

    def _has_model(self) -> bool:
        """Whether the statistics so far made a model, which is then never given up again."""
        return hasattr(self, "offset_") or not self._lacks(self._stats)

    def _sample_offset(self, rows: NDArray) -> float:
        """`offset_` under the current model, read off the sampled rows."""
        return self._quantile(self._score(rows))

    def _merge_key(self) -> dict[str, Any]:
        """What two detectors must share to be merged: name -> value."""
        columns = getattr(self, "feature_names_in_", None)
        return {
            "n_features_in_": self.n_features_in_,
            "feature_names_in_": None if columns is None else columns.tolist(),
            **{name: getattr(self, name) for name in self._merge_parameters},
        }

    def _forget(self) -> None:
        super()._forget()
        for name in ("_stats", "_sample"):
            self.__dict__.pop(name, None)

    def _start(self) -> None:
        """Forget every row; the one draw from `random_state`."""
        for name in ("_stats", "offset_"):
            self.__dict__.pop(name, None)
        self._shaped_by = {name: getattr(self, name) for name in self._merge_parameters}
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self.n_samples_seen_ = 0

    def _absorb(self, X: NDArray, stats: dict[str, Any]) -> None:
        """Take in a block and its statistics."""
        # block and seed decide the draw: no generator is stored, and equal blocks are sampled differently
        rng = np.random.default_rng([self._seed, self.n_samples_seen_])
        self._join(stats, _draw(X, rng), len(X))

    def _join(self, stats: dict[str, Any], sample: dict[str, NDArray], n_samples: int) -> None:
        if hasattr(self, "_stats"):
            stats, sample = self._merge_stats(self._stats, stats), _merge_samples(self._sample, sample)
        self._stats, self._sample = stats, sample
        self.n_samples_seen_ += n_samples
        if self._has_model():
            self._fit_from_stats(stats)


def refuse_changed(detector: Any, what: str, seen: str) -> None:
    """ValueError where a parameter that shaped what was learnt so far, from some `seen`, has another value now."""
    for name, value in getattr(detector, "_shaped_by", {}).items():  # the first model files have no such attribute
        if getattr(detector, name) != value:
            raise ValueError(
                f"{type(detector).__name__}.{what}: {name} was {value!r} for the {seen} seen so far and is "
                f"{getattr(detector, name)!r} now; set it back, or start afresh with fit"
            )


def _draw(X: NDArray, rng: np.random.Generator) -> dict[str, NDArray]:
    """The rows of X with the smallest of n random keys, at most 4096, by ascending key.

    Keys are independent standard exponentials. The k smallest of n are drawn directly, as sums of independent
    exponentials with rates n, n - 1, ... (Renyi), and given to k random rows: O(k) work, not O(n).
    """
    n = len(X)
    k = min(n, SAMPLE_ROWS)
    keys = np.cumsum(rng.standard_exponential(k) / (n - np.arange(k)))
    return {"keys": keys, "rows": X[rng.choice(n, k, replace=False)]}


def _merge_samples(a: dict[str, NDArray], b: dict[str, NDArray]) -> dict[str, NDArray]:
    keys, rows = np.concatenate([a["keys"], b["keys"]]), np.concatenate([a["rows"], b["rows"]])
    kept = np.argsort(keys, kind="stable")[:SAMPLE_ROWS]
    return {"keys": keys[kept], "rows": rows[kept]}
