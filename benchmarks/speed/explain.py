"""What reasons cost: `explain` against `score_samples`, and what the default detector of the command line would cost.

Run: python -m benchmarks.speed.explain [--rows 20000] [--columns 20]

Every detector is fitted on and explains the same Gaussian rows with correlated columns; CPU seconds, one thread. The
limit: scoring has to touch the same numbers once, so a ratio near 1 is the floor for a closed form; the
target is under 3. KNN and MeanShift search neighbours in both; Consensus scores with all members and explains with all.
"""

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import ECOD, GMM, KNN, Consensus, Mahalanobis, MeanShift, PCAReconstruction, anomaly_score, explain

DETECTORS = {
    "ECOD": ECOD(),
    "ECOD(compression=0.01)": ECOD(compression=0.01),
    "Mahalanobis": Mahalanobis(),
    "GMM(5)": GMM(5, random_state=0),
    "PCAReconstruction": PCAReconstruction(),
    "KNN": KNN(),
    "MeanShift": MeanShift(),
    "Consensus": Consensus(random_state=0),
}
SLOW = {"KNN", "MeanShift", "Consensus"}


def rows(n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))


def reasons(n: int, d: int, repeats: int) -> None:
    print(f"{'detector':26}{'rows':>8}{'score_samples':>16}{'explain':>16}{'ratio':>8}")
    for name, detector in DETECTORS.items():
        X = rows(n // 10 if name in SLOW else n, d)
        detector.fit(X)
        times = interleaved(
            {"score": lambda: anomaly_score(detector, X), "explain": lambda: explain(detector, X)},  # noqa: B023
            repeats=repeats,
            clock=time.process_time,
        )
        cells = f"{seconds(times['score']):>16}{seconds(times['explain']):>16}"
        print(f"{name:26}{len(X):8d}{cells}{ratio(times['explain'], times['score']):8.2f}", flush=True)


def defaults(repeats: int) -> None:
    print(f"\n{'fit and score the same rows':30}{'ECOD':>14}{'Consensus':>14}{'ratio':>8}")
    for n, d in ((3_000, 8), (20_000, 10)):
        X = rows(n, d)
        times = interleaved(
            {
                "ECOD": lambda: anomaly_score(ECOD().fit(X), X),  # noqa: B023
                "Consensus": lambda: anomaly_score(Consensus(random_state=0).fit(X), X),  # noqa: B023
            },
            repeats=repeats,
            clock=time.process_time,
        )
        cells = f"{seconds(times['ECOD']):>14}{seconds(times['Consensus']):>14}"
        print(f"{f'{n:,} rows x {d} columns':30}{cells}{ratio(times['Consensus'], times['ECOD']):8.0f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    with threadpool_limits(1):
        reasons(given.rows, given.columns, given.repeats)
        defaults(max(given.repeats // 3, 1))
