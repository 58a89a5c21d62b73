"""Gaussians on the shared ResNet-18 features of ten MVTec classes: AUROC per shrinkage, false alarms per threshold.

    python -m benchmarks.images.mvtec [--seeds 10]

Split per seed s: default_rng(s).permutation(normal rows), the first half trains, the other half and all defects test.
The two CIFAR10 sets, with far more rows, show the false alarms where chi2 has all the rows that it asks for.
"""

import argparse
import warnings

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.timing import machine
from odkit import Mahalanobis, anomaly_score
from odkit.datasets import load, suite
from odkit.kernels.cpu.quantiles import chi2_quantile, conformal_quantile, gamma_quantile

MODELS = {
    "L2": {"shrinkage": 1.0},
    "SED": {"shrinkage": "diag"},
    "PCA95": {"subspace": ("pca", 0.95)},
    "PCA99": {"subspace": ("pca", 0.99)},
    "LW": {},
    "NPCA1%": {"subspace": ("npca", 0.99), "keep_null": False},
    "NPCA1%+null": {"subspace": ("npca", 0.99)},
    "NPCA.1%": {"subspace": ("npca", 0.999), "keep_null": False},
    "OAS": {"shrinkage": "oas"},
    "ridge .01": {"shrinkage": ("ridge", 0.01)},
}
PUBLISHED = {  # the specification's means over the ten classes, which this table must meet within 1 point
    "L2": 73.4, "SED": 75.0, "PCA95": 77.7, "PCA99": 81.4, "LW": 83.3, "NPCA1%": 83.6, "NPCA1%+null": 82.8,
    "NPCA.1%": 82.6, "OAS": 83.3, "ridge .01": 82.5,
}  # fmt: skip
RULES = {  # what each `threshold` of Mahalanobis reads, from one fit
    "loo": lambda detector, train, rate: conformal_quantile(detector.loo_distances_, rate),
    "gamma": lambda detector, train, rate: gamma_quantile(detector.loo_distances_**2, rate) ** 0.5,
    "chi2": lambda detector, train, rate: chi2_quantile(detector.n_directions_, rate) ** 0.5,
    "in-sample percentile": lambda detector, train, rate: np.quantile(anomaly_score(detector, train), 1 - rate),
}
RATES = (0.05, 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    n_seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    print(machine())
    print(f"seeds 0..{n_seeds - 1}, half of the normal rows train, raw features; mean image AUROC in %\n")
    names = [name for name in suite("image-features") if "MVTec" in name]
    print(f"{'':12}" + "".join(f"{name:>12}" for name in MODELS))
    table = {name: [] for name in MODELS}
    alarms = {(rule, rate): [] for rule in RULES for rate in RATES}
    for card in names:
        data = load(card)
        row = {name: [] for name in MODELS}
        for seed in range(n_seeds):
            train, held_out, test, truth = split(data, seed)
            for name, options in MODELS.items():
                detector = Mahalanobis(**options).fit(train)
                row[name].append(roc_auc_score(truth, anomaly_score(detector, test)))
                if name == "LW":
                    count_alarms(alarms, detector, train, held_out)
        for name in MODELS:
            table[name].append(100 * np.mean(row[name]))
        short = card.rpartition("MVTec-AD_")[2]
        print(f"{short:12}" + "".join(f"{table[name][-1]:12.1f}" for name in MODELS), flush=True)
    print(f"{'mean':12}" + "".join(f"{np.mean(table[name]):12.1f}" for name in MODELS))
    print(f"{'expected':12}" + "".join(f"{PUBLISHED[name]:12.1f}" for name in MODELS))
    means = [np.mean(table[name]) for name in ("L2", "SED", "PCA95", "PCA99", "LW")]
    print(f"order L2 < SED < PCA95 < PCA99 < LW: {bool(np.all(np.diff(means) > 0))}")
    worst = max(abs(np.mean(table[name]) - PUBLISHED[name]) for name in MODELS)
    print(f"largest difference from the expected means: {worst:.2f} points")
    print_alarms("mean over classes and seeds", alarms)
    for card in ("features/CIFAR10_0", "features/CIFAR10_4"):
        data, row = load(card), {"L2": [], "LW": []}
        alarms = {key: [] for key in alarms}
        for seed in range(min(n_seeds, 5)):
            train, held_out, test, truth = split(data, seed)
            for name, values in row.items():
                detector = Mahalanobis(**MODELS[name]).fit(train)
                values.append(100 * roc_auc_score(truth, anomaly_score(detector, test)))
            count_alarms(alarms, detector, train, held_out)
        aurocs = ", ".join(f"{name} {np.mean(values):.1f}" for name, values in row.items())
        print_alarms(f"{card}, {len(train)} rows, seeds 0..{len(row['LW']) - 1}; AUROC {aurocs}", alarms)


def split(data, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, held-out normal rows, test rows, and which of these are defects."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~data.is_outlier))
    n_train = round(0.5 * len(normal))
    held_out = data.X[normal[n_train:]]
    test = np.concatenate([held_out, data.X[data.is_outlier]])
    return data.X[normal[:n_train]], held_out, test, np.arange(len(test)) >= len(held_out)


def count_alarms(alarms: dict, detector: Mahalanobis, train: np.ndarray, held_out: np.ndarray) -> None:
    scores = anomaly_score(detector, held_out)
    for rule, rate in alarms:
        alarms[rule, rate].append((scores > RULES[rule](detector, train, rate)).mean())


def print_alarms(where: str, alarms: dict) -> None:
    print(f"\nflagged share of held-out normal rows in %, Ledoit-Wolf, {where}")
    print(f"{'rule':24}" + "".join(f"{f'nominal {100 * rate:g} %':>16}" for rate in RATES))
    for rule in RULES:
        print(f"{rule:24}" + "".join(f"{100 * np.mean(alarms[rule, rate]):16.2f}" for rate in RATES))


if __name__ == "__main__":
    main()
