"""AutoEncoder, MeanShift and mean-shift scoring without labels, beside KNN, on the two development suites.

Run: python -m benchmarks.tabular.autoencoder_tables [adbench] [macro] [--members 5] [--seeds 1] [--batch-size 128]

Two protocols, never averaged: ADBench in sample (23 sets of at most 20,000 rows; outliers are in the training data)
and MacrOData one-class (40 sets; training data clean). No label reaches a fit or a choice; labels only grade.
Needs the data sets (ODKIT_DATA_HOME or ../shared/data).
"""

import argparse
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


def scored(train, test, n_neighbors: int, seed: int, settings: dict) -> dict[str, np.ndarray]:
    """Anomaly scores by name. A network that is scored with and without mean-shift scoring is trained once."""
    ae = {"n_members": settings["members"], "batch_size": settings["batch_size"], "random_state": seed}
    scores = {
        "KNN": anomaly_score(make_pipeline(StandardScaler(), KNN(n_neighbors)).fit(train), test),
        "MOD": anomaly_score(MeanShift().fit(train), test),
    }
    for name, estimator in (
        ("PCA", PCAReconstruction()),
        ("AE mse", AutoEncoder(error="mse", max_steps=settings["steps"], **ae)),
        ("AE", AutoEncoder(max_steps=settings["steps"], **ae)),
    ):
        with_shift = MeanShiftScoring(estimator).fit(train)
        scores[name] = anomaly_score(with_shift.estimator_, test)
        scores[name + "+MSS"] = anomaly_score(with_shift, test)
    scores["AE mse 200"] = anomaly_score(AutoEncoder(error="mse", max_steps=200, **ae).fit(train), test)
    return scores


def table(title: str, sets, n_neighbors: int, settings: dict) -> None:
    names = ["KNN", "MOD", "PCA", "PCA+MSS", "AE mse 200", "AE mse", "AE mse+MSS", "AE", "AE+MSS"]
    print(f"\n## {title}\n")
    print("| set | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    roc, ap, start = [], [], time.perf_counter()
    for name, train, test, is_outlier in sets:
        runs = [scored(train, test, n_neighbors, seed, settings) for seed in range(settings["seeds"])]
        roc.append([np.mean([roc_auc_score(is_outlier, run[column]) for run in runs]) for column in names])
        ap.append([np.mean([average_precision_score(is_outlier, run[column]) for run in runs]) for column in names])
        print(f"| {name} | " + " | ".join(f"{r:.3f}" for r in roc[-1]) + " |", flush=True)
    roc, ap = np.array(roc), np.array(ap)
    means = (f"{r:.3f}/{a:.3f}" for r, a in zip(roc.mean(axis=0), ap.mean(axis=0), strict=True))
    print("| **mean ROC/AP** | " + " | ".join(means) + " |")
    print(f"\n{len(roc)} sets, {settings['seeds']} seed(s), {time.perf_counter() - start:.0f} s")
    for a, b in (("AE mse+MSS", "AE mse"), ("AE+MSS", "AE"), ("PCA+MSS", "PCA"), ("AE", "KNN"), ("AE+MSS", "KNN")):
        difference = (roc[:, names.index(a)] - roc[:, names.index(b)]).round(6)
        print(
            f"{a} against {b}: ROC {difference.mean():+.3f}, better on {(difference > 0).sum()}, worse on "
            f"{(difference < 0).sum()} of {len(difference)}, Wilcoxon p = {wilcoxon(difference).pvalue:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", default=["adbench", "macro"], choices=["adbench", "macro"])
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=AutoEncoder().batch_size)
    settings = vars(parser.parse_args())
    torch.set_num_threads(1)
    print(settings)
    if "adbench" in settings["suites"]:
        table("ADBench, in sample: outliers are in the training data (ROC AUC)", adbench(), 20, settings)
    if "macro" in settings["suites"]:
        table("MacrOData, one-class: training data clean (ROC AUC)", macro(), 5, settings)


if __name__ == "__main__":
    main()
