"""Gaussians on the shared ResNet-18 features of ten MVTec classes: AUROC per shrinkage, false alarms per threshold.

    python -m benchmarks.images.mvtec [--seeds 10]

Split per seed s: default_rng(s).permutation(normal rows), the first half trains, the other half and all defects test;
then the same with 80 % for training, seeds 0 to 2. The two CIFAR10 sets, with far more rows, show the false alarms
where chi2 has all the rows that it asks for. "split" and "prequential" fit models of their own: on 70 % of the training
rows, and in ten blocks.
"""

import argparse
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from benchmarks.timing import machine
from odkit import KNN, Mahalanobis, anomaly_score
from odkit.datasets import load, suite
from odkit.kernels.cpu.quantiles import chi2_quantile, conformal_quantile, gamma_quantile

MODELS = {
    "L2": Mahalanobis(shrinkage=1.0),
    "SED": Mahalanobis(shrinkage="diag"),
    "PCA95": Mahalanobis(subspace=("pca", 0.95)),
    "PCA99": Mahalanobis(subspace=("pca", 0.99)),
    "LW": Mahalanobis(),
    "NPCA1%": Mahalanobis(subspace=("npca", 0.99), keep_null=False),
    "NPCA1%+null": Mahalanobis(subspace=("npca", 0.99)),
    "NPCA.1%": Mahalanobis(subspace=("npca", 0.999), keep_null=False),
    "OAS": Mahalanobis(shrinkage="oas"),
    "ridge .01": Mahalanobis(shrinkage=("ridge", 0.01)),
    "1-NN": KNN(1),
    "pinv": Mahalanobis(shrinkage="empirical", subspace=("pca", 1.0)),
}
EXPECTED = {  # the specification's means over the ten classes, by share of the normal rows that trains
    0.5: {
        "L2": 73.4, "SED": 75.0, "PCA95": 77.7, "PCA99": 81.4, "LW": 83.3, "NPCA1%": 83.6, "NPCA1%+null": 82.8,
        "NPCA.1%": 82.6, "OAS": 83.3, "ridge .01": 82.5, "1-NN": 81.3, "pinv": 82.7,
    },
    0.8: {
        "L2": 73.9, "SED": 75.5, "PCA95": 78.9, "PCA99": 82.6, "LW": 84.0, "NPCA1%": 83.9, "NPCA.1%": 83.3,
        "ridge .01": 83.2, "1-NN": 82.5, "pinv": 81.3,
    },
}  # fmt: skip
RULES = {  # what each `threshold` of Mahalanobis reads, from one fit
    "loo": lambda detector, train, rate: conformal_quantile(detector.loo_distances_, rate),
    "gamma": lambda detector, train, rate: gamma_quantile(detector.loo_distances_**2, rate) ** 0.5,
    "chi2": lambda detector, train, rate: chi2_quantile(detector.n_directions_, rate) ** 0.5,
    "in-sample percentile": lambda detector, train, rate: np.quantile(anomaly_score(detector, train), 1 - rate),
}
OWN_FITS = ("split", "prequential")
RATES = (0.05, 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    n_seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    print(machine())
    mvtec(0.5, n_seeds)
    mvtec(0.8, min(n_seeds, 3))
    for card in ("features/CIFAR10_0", "features/CIFAR10_4"):
        data, row = load(card), {"L2": [], "LW": []}
        alarms = no_alarms()
        for seed in range(min(n_seeds, 5)):
            train, held_out, test, truth = split(data, seed, 0.5)
            for name, values in row.items():
                detector = clone(MODELS[name]).fit(train)
                values.append(100 * roc_auc_score(truth, anomaly_score(detector, test)))
            count_alarms(alarms, detector, train, held_out)
        aurocs = ", ".join(f"{name} {np.mean(values):.1f}" for name, values in row.items())
        print_alarms(f"{card}, {len(train)} rows, seeds 0..{len(row['LW']) - 1}; AUROC {aurocs}", alarms)


def mvtec(share: float, n_seeds: int) -> None:
    """Both tables of the ten classes for one share of training rows."""
    print(
        f"\nseeds 0..{n_seeds - 1}, {100 * share:g} % of the normal rows train, raw features; mean image AUROC in %\n"
    )
    print(f"{'':12}" + "".join(f"{name:>12}" for name in MODELS))
    table = {name: [] for name in MODELS}
    alarms = no_alarms()
    for card in [name for name in suite("image-features") if "MVTec" in name]:
        data = load(card)
        row = {name: [] for name in MODELS}
        for seed in range(n_seeds):
            train, held_out, test, truth = split(data, seed, share)
            for name, model in MODELS.items():
                detector = clone(model).fit(train)
                row[name].append(roc_auc_score(truth, anomaly_score(detector, test)))
                if name == "LW":
                    count_alarms(alarms, detector, train, held_out)
        for name in MODELS:
            table[name].append(100 * np.mean(row[name]))
        short = card.rpartition("MVTec-AD_")[2]
        print(f"{short:12}" + "".join(f"{table[name][-1]:12.1f}" for name in MODELS), flush=True)
    means, expected = {name: np.mean(values) for name, values in table.items()}, EXPECTED[share]
    print(f"{'mean':12}" + "".join(f"{means[name]:12.1f}" for name in MODELS))
    print(f"{'expected':12}" + "".join(f"{expected.get(name, np.nan):12.1f}" for name in MODELS))
    order = np.diff([means[name] for name in ("L2", "SED", "PCA95", "PCA99", "LW")])
    print(f"order L2 < SED < PCA95 < PCA99 < LW: {bool(np.all(order > 0))}")
    worst = max(abs(means[name] - value) for name, value in expected.items())
    print(f"largest difference from the expected means: {worst:.2f} points")
    print_alarms(f"mean over classes and seeds, {100 * share:g} % train", alarms)


def split(data, seed: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, held-out normal rows, test rows, and which of these are defects."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~data.is_outlier))
    n_train = round(share * len(normal))
    held_out = data.X[normal[n_train:]]
    test = np.concatenate([held_out, data.X[data.is_outlier]])
    return data.X[normal[:n_train]], held_out, test, np.arange(len(test)) >= len(held_out)


def no_alarms() -> dict[tuple[str, float], list[float]]:
    return {(rule, rate): [] for rule in (*RULES, *OWN_FITS) for rate in RATES}


def count_alarms(alarms: dict, detector: Mahalanobis, train: np.ndarray, held_out: np.ndarray) -> None:
    scores = anomaly_score(detector, held_out)
    for rule, rate in alarms:
        if rule in OWN_FITS:
            own = Mahalanobis(threshold=rule, fpr=rate, random_state=0)
            for rows in [train] if rule == "split" else np.array_split(train, 10):
                own = own.fit(rows) if rule == "split" else own.partial_fit(rows)
            flagged = own.predict(held_out) == -1
        else:
            flagged = scores > RULES[rule](detector, train, rate)
        alarms[rule, rate].append(flagged.mean())


def print_alarms(where: str, alarms: dict) -> None:
    print(f"\nflagged share of held-out normal rows in %, Ledoit-Wolf, {where}")
    print(f"{'rule':24}" + "".join(f"{f'nominal {100 * rate:g} %':>16}" for rate in RATES))
    for rule in (*RULES, *OWN_FITS):
        print(f"{rule:24}" + "".join(f"{100 * np.mean(alarms[rule, rate]):16.2f}" for rate in RATES))


if __name__ == "__main__":
    main()
