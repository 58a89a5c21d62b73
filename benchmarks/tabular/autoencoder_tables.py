"""AutoEncoder, MeanShift and mean-shift scoring without labels, beside KNN, on the two development suites.

Run: python -m benchmarks.tabular.autoencoder_tables [adbench] [macro] [--members 5] [--results results.csv]

Two protocols, never averaged: ADBench in sample (23 sets of at most 20,000 rows; outliers are in the training data)
and MacrOData one-class (40 sets; training data clean). No label reaches a fit or a choice; labels only grade. With
both suites the last table picks a setting on the one and looks it up on the other, in both directions.
A file of results is appended to, and sets that are in it are not run again: an interrupted run goes on.
Needs the data sets (ODKIT_DATA_HOME or ../shared/data).
"""

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import wilcoxon
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import KNN, AutoEncoder, MeanShift, MeanShiftScoring, PCAReconstruction, anomaly_score

DATA = Path(os.environ.get("ODKIT_DATA_HOME", Path(__file__).resolve().parents[3] / "shared" / "data")) / "tabular"


def adbench():
    """Name, training rows, scored rows (the same), truth."""
    for path in sorted((DATA / "adbench").glob("*.npz"), key=lambda p: p.stem.split("_", 1)[1].lower()):
        with np.load(path) as file:
            X, y = file["X"].astype(float), file["y"] == 1
        if len(X) <= 20_000:
            yield path.stem.split("_", 1)[1], X, X, y


def macro():
    """Every second of the sorted sets with n_train <= 4000, 3 <= d <= 60, n_test <= 8000; the first 40 of those."""
    fitting = []
    for path in sorted((DATA / "macrodata").rglob("*.npz")):
        with np.load(path) as file:
            n, d = file["train"].shape
            if n <= 4000 and 3 <= d <= 60 and len(file["test"]) <= 8000:
                fitting.append(path)
    for path in fitting[::2][:40]:
        with np.load(path) as file:
            yield path.stem, file["train"].astype(float), file["test"].astype(float), file["test_labels"] == 1


def scored(train, test, n_neighbors: int, settings: dict) -> dict[str, np.ndarray]:
    """Anomaly scores by name. A network that is scored in several ways is trained once."""
    ae = {"n_members": settings["members"], "batch_size": settings["batch_size"], "random_state": settings["seed"]}
    scores = {
        "KNN": anomaly_score(make_pipeline(StandardScaler(), KNN(n_neighbors)).fit(train), test),
        "MOD": anomaly_score(MeanShift().fit(train), test),
    }
    for name, estimator in (
        ("PCA", PCAReconstruction()),
        ("AE mse", AutoEncoder(error="mse", **ae)),
        ("AE", AutoEncoder(**ae)),
    ):
        with_shift = MeanShiftScoring(estimator).fit(train)
        scores[name] = anomaly_score(with_shift.estimator_, test)
        scores[name + "+MSS"] = anomaly_score(with_shift, test)
    for floor in (0.1, 1e-5):  # the floor enters the score only
        with_shift.estimator_.min_variance_ = floor
        scores[f"AE floor {floor:g}"] = anomaly_score(with_shift.estimator_, test)
        scores[f"AE floor {floor:g}+MSS"] = anomaly_score(with_shift, test)
    scores["AE mse 200"] = anomaly_score(AutoEncoder(error="mse", max_steps=200, **ae).fit(train), test)
    scores["AE 200"] = anomaly_score(AutoEncoder(max_steps=200, **ae).fit(train), test)
    return scores


SHOWN = ["KNN", "MOD", "PCA", "PCA+MSS", "AE mse 200", "AE mse", "AE mse+MSS", "AE", "AE+MSS"]
CANDIDATES = [
    "AE mse 200", "AE mse", "AE mse+MSS", "AE 200", "AE", "AE+MSS", "AE floor 0.1", "AE floor 0.1+MSS",
    "AE floor 1e-05", "AE floor 1e-05+MSS",
]  # fmt: skip
SUITES = {
    "adbench": ("ADBench, in sample: outliers are in the training data", adbench, 20),
    "macro": ("MacrOData, one-class: training data clean", macro, 5),
}


def run(suite: str, settings: dict, results: Path | None) -> dict[str, dict[str, tuple[float, float]]]:
    """Set -> detector -> (ROC AUC, average precision), of this run and of the file of results."""
    done: dict[str, dict[str, tuple[float, float]]] = {}
    if results is not None and results.exists():
        with results.open(newline="") as file:
            for of_suite, name, detector, roc, ap in csv.reader(file):
                if of_suite == suite:
                    done.setdefault(name, {})[detector] = float(roc), float(ap)
    _, sets, n_neighbors = SUITES[suite]
    start = time.perf_counter()
    for name, train, test, is_outlier in sets():
        if name in done:
            continue
        if time.perf_counter() - start > settings["minutes"] * 60:
            break
        done[name] = {
            detector: (roc_auc_score(is_outlier, scores), average_precision_score(is_outlier, scores))
            for detector, scores in scored(train, test, n_neighbors, settings).items()
        }
        if results is not None:
            with results.open("a", newline="") as file:
                csv.writer(file).writerows([suite, name, key, *value] for key, value in done[name].items())
    return done


def table(title: str, graded: dict[str, dict[str, tuple[float, float]]]) -> None:
    print(f"\n## {title} (ROC AUC)\n")
    print("| set | " + " | ".join(SHOWN) + " |")
    print("|---|" + "---|" * len(SHOWN))
    for name, row in graded.items():
        print(f"| {name} | " + " | ".join(f"{row[detector][0]:.3f}" for detector in SHOWN) + " |")
    means = ("{:.3f}/{:.3f}".format(*np.mean([row[c] for row in graded.values()], axis=0)) for c in SHOWN)
    print(f"| **mean of {len(graded)}, ROC/AP** | " + " | ".join(means) + " |\n")
    for a, b in (("AE mse+MSS", "AE mse"), ("AE+MSS", "AE"), ("PCA+MSS", "PCA"), ("AE", "KNN"), ("AE+MSS", "KNN")):
        difference = np.array([row[a][0] - row[b][0] for row in graded.values()]).round(6)
        print(
            f"{a} against {b}: ROC {difference.mean():+.3f}, better on {(difference > 0).sum()}, worse on "
            f"{(difference < 0).sum()} of {len(difference)}, Wilcoxon p = {wilcoxon(difference).pvalue:.3f}"
        )


def choices(graded: dict[str, dict]) -> None:
    """Mean ROC AUC of every setting on each suite, and what a setting picked on the one is worth on the other."""
    means = {
        suite: {c: np.mean([row[c][0] for row in sets.values()]) for c in ["KNN", *CANDIDATES]}
        for suite, sets in graded.items()
    }
    print("\n## Settings: chosen on one suite, looked up on the other (mean ROC AUC)\n")
    print("| | " + " | ".join(["KNN", *CANDIDATES]) + " |\n|---|" + "---|" * (1 + len(CANDIDATES)))
    for suite, row in means.items():
        print(f"| {suite} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")
    print()
    for here, there in (("adbench", "macro"), ("macro", "adbench")):
        best = max(CANDIDATES, key=means[here].__getitem__)
        print(
            f"best on {here}: {best} ({means[here][best]:.3f}); on {there} it has {means[there][best]:.3f}, the "
            f"default {means[there]['AE']:.3f}, the best there {max(means[there][c] for c in CANDIDATES):.3f}, "
            f"KNN {means[there]['KNN']:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", default=list(SUITES), choices=list(SUITES))
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=AutoEncoder().batch_size)
    parser.add_argument("--results", type=Path, help="csv file to go on from")
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin no further set of a suite after these")
    settings = vars(parser.parse_args())
    results = settings.pop("results")
    torch.set_num_threads(1)
    print(settings)
    graded = {suite: run(suite, settings, results) for suite in settings["suites"]}
    if empty := [suite for suite, sets in graded.items() if not sets]:
        parser.error(f"no results of {', '.join(empty)}: give more --minutes, or check where ODKIT_DATA_HOME points")
    for suite, sets in graded.items():
        table(SUITES[suite][0], sets)
    if set(graded) == set(SUITES):
        choices(graded)


if __name__ == "__main__":
    main()
