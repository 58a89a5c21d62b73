"""Detectors inside a pool of joblib's: the pool is the threads, results are those of a loop, BLAS keeps its own."""

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from odkit import ECOD, GMM, KNN, Mahalanobis

ROWS = np.random.default_rng(0).normal(size=(400, 5))
DETECTORS = [ECOD(), ECOD(compression=0.1, random_state=0), GMM(2, random_state=0), KNN(), Mahalanobis(random_state=0)]


def fitted_and_scored(detector):
    n_jobs = joblib.effective_n_jobs(getattr(detector, "n_jobs", None))
    return n_jobs, detector.fit(ROWS).score_samples(ROWS)


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_pool_of_detectors_starts_no_threads_of_its_own(backend):
    before = blas_threads()
    expected = [fitted_and_scored(detector)[1] for detector in DETECTORS]
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(fitted_and_scored)(detector) for detector in DETECTORS)
    assert [n_jobs for n_jobs, _ in found] == [1] * len(DETECTORS)
    for (_, scores), alone in zip(found, expected, strict=True):
        np.testing.assert_array_equal(scores, alone)
    assert blas_threads() == before


def test_n_jobs_means_what_joblib_says():
    assert fitted_and_scored(KNN())[0] == 1
    with joblib.parallel_config(n_jobs=3):
        assert fitted_and_scored(KNN())[0] == 3  # None: what the surrounding configuration asks for
        assert fitted_and_scored(KNN(n_jobs=1))[0] == 1
