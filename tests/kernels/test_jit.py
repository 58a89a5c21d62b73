"""Compiling in awkward places: no folder for the cache, a forked pool."""

import logging
import subprocess
import sys

import numba

from odkit.kernels.cpu.jit import njit


def test_without_a_folder_for_the_cache_functions_are_compiled_all_the_same(monkeypatch, caplog):
    real = numba.njit

    def no_folder(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", no_folder)
    with caplog.at_level(logging.INFO, logger="odkit"):
        double = njit(lambda x: 2 * x)
    assert double(4.0) == 8.0
    assert "without a disk cache: cannot cache function" in caplog.text


FORK = """
import multiprocessing
import warnings

import numba
import numpy as np

from odkit import ECOD

X = np.random.default_rng(0).normal(size=(40_000, 3))
detector = ECOD(n_jobs=2).fit(X)
expected = detector.score_samples(X)


def score(part):
    return detector.score_samples(X[part::3])


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(score, range(3))
    assert all(np.array_equal(scores, expected[i::3]) for i, scores in enumerate(parts))
    print("done")
"""


def test_a_pool_forked_after_use_finishes():
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=300, check=False)
    assert run.stdout.strip() == "done", run.stderr
