"""odkit's row detectors beside PyOD's of the same name: mean ROC and average precision on real tables, two protocols.

Run: python -m benchmarks.tabular.rows [macro] [adbench] [--most-rows 6000]

macro: one-class, fitted on the train rows of each set, standardised by them, and scored on the test rows. adbench: in
sample, raw columns, outliers among the rows that are fitted. GMM gets standardised columns in both, its `reg_covar` has
the units of the columns. Defaults otherwise; sets with more rows than --most-rows are left out, PyOD is slow there.
Two means: over the sets that a detector finishes, and over those that all but the last finish. One thread; the last
column is CPU time. Needs the data sets (ODKIT_DATA_HOME or ../shared/data).
"""

import argparse
import time
import warnings

import numpy as np
from pyod.models.ecod import ECOD as PyodECOD
from pyod.models.gmm import GMM as PyodGMM
from pyod.models.knn import KNN as PyodKNN
from pyod.models.mcd import MCD as PyodMCD
from pyod.models.pca import PCA as PyodPCA
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from odkit import ECOD, GMM, KNN, Mahalanobis, anomaly_score
from odkit.datasets import load, suite

CONTESTANTS = {
    "ECOD": lambda n: ECOD(),
    "PyOD ECOD": lambda n: PyodECOD(),
    "KNN(5)": lambda n: KNN(min(5, n - 1)),
    "PyOD KNN": lambda n: PyodKNN(n_neighbors=min(5, n - 1)),
    "Mahalanobis": lambda n: Mahalanobis(contamination=0.1),
    "Mahalanobis, ('mcd', 0.05)": lambda n: Mahalanobis(robust=("mcd", 0.05), contamination=0.1),
    "PyOD MCD": lambda n: PyodMCD(random_state=0),
    "GMM()": lambda n: make_pipeline(StandardScaler(), GMM(random_state=0)),
    "GMM('auto')": lambda n: make_pipeline(StandardScaler(), GMM("auto", reg_covar=1e-3, random_state=0)),
    "PyOD GMM": lambda n: make_pipeline(StandardScaler(), PyodGMM(random_state=0)),
    "PyOD PCA": lambda n: PyodPCA(random_state=0),
    "Mahalanobis, 'mcd'": lambda n: Mahalanobis(robust="mcd", contamination=0.1),  # raises on discrete columns
}


def scores(name: str, train: np.ndarray, test: np.ndarray, in_sample: bool) -> np.ndarray:
    detector = CONTESTANTS[name](len(train)).fit(train)
    if not name.startswith("PyOD"):
        return anomaly_score(detector, test)
    if in_sample:  # PyOD scores its training rows apart: KNN leaves the row itself out
        return (detector[-1] if name == "PyOD GMM" else detector).decision_scores_
    return detector.decision_function(test)


def table(title: str, cards: list[str], in_sample: bool, most_rows: int) -> None:
    figures: dict[str, list] = {name: [] for name in CONTESTANTS}
    taken = dict.fromkeys(CONTESTANTS, 0.0)
    n_sets = 0
    for card in cards:
        data = load(card)
        train, test = (data.X, data.X) if in_sample else (data.train, data.test)
        if max(len(train), len(test)) > most_rows:
            continue
        n_sets += 1
        train, test = train.astype(np.float64), test.astype(np.float64)
        if not in_sample:
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
        for name in CONTESTANTS:
            before = time.process_time()
            try:
                found = scores(name, train, test, in_sample)
                figures[name].append(
                    (roc_auc_score(data.is_outlier, found), average_precision_score(data.is_outlier, found))
                )
            except ValueError:
                figures[name].append((np.nan, np.nan))
            taken[name] += time.process_time() - before
    all_figures = {name: np.array(rows) for name, rows in figures.items()}
    common = ~np.isnan(np.stack([rows[:, 0] for rows in list(all_figures.values())[:-1]])).any(axis=0)
    print(f"\n{title}: {n_sets} of {len(cards)} sets, {common.sum()} in common; mean ROC / AP")
    for name, rows in all_figures.items():
        own = rows[~np.isnan(rows[:, 0])]
        shared = rows[common]
        both = "       -       " if np.isnan(shared).any() else "{:.4f} / {:.4f}".format(*shared.mean(axis=0))
        print(
            f"  {name:28} {len(own):4} sets {own[:, 0].mean():.4f} / {own[:, 1].mean():.4f}    common {both}"
            f"   {taken[name]:7.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", default=["macro", "adbench"])
    parser.add_argument("--most-rows", type=int, default=6000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        if "macro" in given.suites:
            table("MacrOData, one-class, standardised", list(suite("tabular-macro")), False, given.most_rows)
        if "adbench" in given.suites:
            table("ADBench, in sample", list(suite("tabular-adbench")), True, given.most_rows)
