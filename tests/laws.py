"""Laws of every fitted detector, of rows and of series alike."""

import copy
import pickle
import threading

import numpy as np


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
