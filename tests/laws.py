"""Laws of every fitted detector, of rows and of series alike."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError


def check_copies_score_alike(fitted, X):
    expected = fitted.score_samples(X)
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(twin.score_samples(X), expected)


def check_threads_share_one_model(fitted, X, n_threads):
    expected, results = fitted.score_samples(X), [None] * n_threads

    def score(i):
        results[i] = fitted.score_samples(X)

    threads = [threading.Thread(target=score, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def check_a_failed_fit_leaves_no_model(detector, X):
    """Or the old numbers would score the columns of the new rows."""
    frame = pd.DataFrame(X, columns=list("abcdefgh")[: X.shape[1]])
    other = frame[frame.columns[::-1]]
    broken = other.copy()
    broken.iloc[3, 0] = np.inf
    detector.fit(frame)
    with pytest.raises(ValueError, match="infinity"):
        detector.fit(broken)
    for rows in (frame, other):
        with pytest.raises(NotFittedError):
            detector.score_samples(rows)
    assert np.isfinite(detector.fit(other).score_samples(other)).all()
