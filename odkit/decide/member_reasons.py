"""Why an ensemble finds a row odd: the reasons of its members, put together by what each adds to the score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.scores import expected, explain, last_step

__all__ = ["divided", "explains", "mean_expected"]


def explains(member: Any) -> bool:
    """Whether a detector, also at the end of a pipeline, says which features make a row anomalous."""
    return hasattr(last_step(member), "explain")


def divided(members: Sequence[Any], X: NDArray, parts: NDArray) -> NDArray[np.float64]:
    """`parts` (n_samples, n_members) of the rows' scores divided among the features, (n_samples, n_features).

    A member's part goes to the features like its own positive contributions; the parts of members that do not explain
    like those of all that do, together. Rows keep their sums.
    """
    total, mute = np.zeros(X.shape), np.zeros(X.shape[0])
    for member, part in zip(members, parts.T, strict=True):
        if not explains(member):
            mute += part
            continue
        total += part[:, None] * _shares(explain(member, X))
    return total + mute[:, None] * _shares(total)


def mean_expected(members: Sequence[Any], X: NDArray, votes: NDArray) -> NDArray[np.float64]:
    """What the members that explain expect in each cell, their mean by `votes` (n_samples, n_members), shape of X."""
    total, weight = np.zeros(X.shape), np.zeros((X.shape[0], 1))
    for member, vote in zip(members, votes.T, strict=True):
        if explains(member):
            total += vote[:, None] * expected(member, X)
            weight += vote[:, None]
    return total / weight


def _shares(parts: NDArray) -> NDArray:
    """Positive parts of each row divided by their sum; even shares where a row has none."""
    own = np.maximum(parts, 0)
    whole = own.sum(axis=1, keepdims=True)
    return np.where(whole > 0, own / np.where(whole > 0, whole, 1.0), 1 / own.shape[1])
