"""One scale for the scores of any detector: nats of surprise against its training scores."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["surprise"]


def surprise(
    training: NDArray, scores: ArrayLike, *, tail_fraction: float = 0.1, tail_cap: float = 50.0
) -> NDArray[np.float64]:
    """Anomaly scores in nats of surprise: -log of the share of training scores at least as large.

    Beyond the largest `tail_fraction` of the training scores the share is that of an exponential tail fitted to them,
    so that scores above every training score do not tie.

    training (n,) ascending, scores (m,); tail_fraction 0 turns the tail off. Returns (m,), from 0 upwards:

        -log p(a)                                                        p(a) = (1 + #{training >= a}) / (n + 1)
        log((n + 1) / (k + 1)) + min((a - u) / mean excess over u, cap)  for a > u = (k + 1)-th largest training score

    >>> import numpy as np
    >>> from odkit.decide.surprise import surprise
    >>> surprise(np.arange(1.0, 100), [0, 50, 95, 99, 120]).round(3) + 0
    array([0.   , 0.673, 3.298, 4.025, 7.844])
    """
    scores, n = np.asarray(scores, dtype=np.float64), training.size
    # a training row's score may come back with other last bits from another batch: it must still meet itself
    slack = 1e-9 * (np.abs(scores) + training[3 * n // 4] - training[n // 4])
    nats = -np.log((1 + n - np.searchsorted(training, scores - slack, side="left")) / (n + 1))
    k = min(n - 1, max(5, round(tail_fraction * n))) if tail_fraction else 0
    if k > 0:
        u = training[n - k - 1]
        scale = float((training[n - k :] - u).mean())
        beyond = scores - slack > u
        if scale > 0:
            nats[beyond] = np.log((n + 1) / (k + 1)) + np.minimum((scores[beyond] - u) / scale, tail_cap)
    return nats
