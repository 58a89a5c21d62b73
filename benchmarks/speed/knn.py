"""KNN against the bare search of scikit-learn and against PyOD: fit with training scores, and new rows.

Run: python -m benchmarks.speed.knn

PyOD's training scores are leave-one-out too; the bare search asks for one neighbour more, as ours does.
"""

import warnings

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import KNN


def compare(n: int, d: int, m: int = 2_000) -> None:
    from pyod.models.knn import KNN as PyodKNN

    rng = np.random.default_rng(0)
    X, Q = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    bare = NearestNeighbors(n_neighbors=6).fit(X)
    ours, theirs = KNN().fit(X), PyodKNN().fit(X)
    np.testing.assert_allclose(-ours.score_samples(X), theirs.decision_scores_, rtol=1e-6)
    contests = {
        "fit": (
            lambda: KNN().fit(X),
            lambda: PyodKNN().fit(X),
            lambda: NearestNeighbors(n_neighbors=6).fit(X).kneighbors(X),
        ),
        f"{m} rows": (lambda: ours.score_samples(Q), lambda: theirs.decision_function(Q), lambda: bare.kneighbors(Q)),
        "1 row": (
            lambda: ours.score_samples(Q[:1]),
            lambda: theirs.decision_function(Q[:1]),
            lambda: bare.kneighbors(Q[:1]),
        ),
    }
    for what, runs in contests.items():
        times = interleaved(dict(zip(("odkit", "pyod", "search"), runs, strict=True)), 3 if what == "fit" else 5)
        print(
            f"{n:>7} x {d:<3} {what:10} odkit {seconds(times['odkit'])}  pyod {seconds(times['pyod'])} "
            f"{ratio(times['pyod'], times['odkit']):5.2f}x   limit: the bare search {seconds(times['search'])}, "
            f"{ratio(times['odkit'], times['search']):.2f} of it is ours"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(machine())
    for n, d in ((10_000, 5), (10_000, 30), (100_000, 5)):
        compare(n, d)
