"""AutoEncoder, MeanShift and mean-shift scoring without labels, beside KNN, on the two development suites.

Run: python -m benchmarks.tabular.autoencoder_tables [adbench] [macro] [--members 5] [--seeds 2] [--batch-size 256]

Two protocols, never averaged: ADBench in sample (23 sets of at most 20,000 rows; outliers are in the training data)
and MacrOData one-class (40 sets; training data clean). No label reaches a fit or a choice; labels only grade.
Needs the data sets (ODKIT_DATA_HOME or ../shared/data).
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
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


def contestants(n_neighbors: int, settings: dict) -> dict:
    """Name -> detector, given a seed."""
    ae = {"n_members": settings["members"], "batch_size": settings["batch_size"], "max_steps": settings["steps"]}
    return {
        "KNN": lambda seed: make_pipeline(StandardScaler(), KNN(n_neighbors)),
        "MOD": lambda seed: MeanShift(),
        "PCA": lambda seed: PCAReconstruction(),
        "PCA+MSS": lambda seed: MeanShiftScoring(PCAReconstruction()),
        "AE mse 200": lambda seed: AutoEncoder(error="mse", random_state=seed, **{**ae, "max_steps": 200}),
        "AE mse": lambda seed: AutoEncoder(error="mse", random_state=seed, **ae),
        "AE mse+MSS": lambda seed: MeanShiftScoring(AutoEncoder(error="mse", random_state=seed, **ae)),
        "AE": lambda seed: AutoEncoder(random_state=seed, **ae),
        "AE+MSS": lambda seed: MeanShiftScoring(AutoEncoder(random_state=seed, **ae)),
    }


def table(title: str, sets, detectors: dict, seeds: int) -> None:
    print(f"\n## {title}\n")
    print("| set | " + " | ".join(detectors) + " |")
    print("|---|" + "---|" * len(detectors))
    roc, ap, start = [], [], time.perf_counter()
    for name, train, test, is_outlier in sets:
        row = []
        for make in detectors.values():
            scores = [anomaly_score(make(seed).fit(train), test) for seed in range(seeds if takes_seed(make) else 1)]
            row.append(
                np.mean(
                    [(roc_auc_score(is_outlier, s), average_precision_score(is_outlier, s)) for s in scores], axis=0
                )
            )
        roc.append([r for r, _ in row])
        ap.append([a for _, a in row])
        print(f"| {name} | " + " | ".join(f"{r:.3f}" for r in roc[-1]) + " |", flush=True)
    roc, ap = np.array(roc), np.array(ap)
    means = (f"{r:.3f}/{a:.3f}" for r, a in zip(roc.mean(axis=0), ap.mean(axis=0), strict=True))
    print("| **mean ROC/AP** | " + " | ".join(means) + " |")
    print(f"\n{len(roc)} sets, {seeds} seeds, {time.perf_counter() - start:.0f} s")
    names = list(detectors)
    for a, b in (("AE mse+MSS", "AE mse"), ("AE+MSS", "AE"), ("PCA+MSS", "PCA"), ("AE", "KNN"), ("AE+MSS", "KNN")):
        difference = (roc[:, names.index(a)] - roc[:, names.index(b)]).round(6)
        print(
            f"{a} against {b}: ROC {difference.mean():+.3f}, better on {(difference > 0).sum()}, worse on "
            f"{(difference < 0).sum()} of {len(difference)}, Wilcoxon p = {wilcoxon(difference).pvalue:.3f}"
        )


def takes_seed(make) -> bool:
    return any("random_state" in name for name in make(0).get_params(deep=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", default=["adbench", "macro"], choices=["adbench", "macro"])
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=AutoEncoder().batch_size)
    settings = vars(parser.parse_args())
    print(settings)
    if "adbench" in settings["suites"]:
        sets = contestants(20, settings)
        table("ADBench, in sample: outliers are in the training data (ROC AUC)", adbench(), sets, settings["seeds"])
    if "macro" in settings["suites"]:
        sets = contestants(5, settings)
        table("MacrOData, one-class: training data clean (ROC AUC)", macro(), sets, settings["seeds"])


if __name__ == "__main__":
    main()
