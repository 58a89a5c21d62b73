"""How the portfolio of `Consensus` was chosen: members and portfolios on one half of the sets, confirmed on the other.

Run: python -m benchmarks.tabular.consensus [macro] [adbench] [--cache FOLDER]

macro: 123 one-class sets, fit on train, score test. adbench: the sets of at most 20,000 rows, fitted and scored on the
same rows, outliers among them. Mean ROC / AP over all sets, over every other set in name order ("chosen on"), and over
the rest ("confirmed on"). Members are fitted once per set and kept in the cache folder, if one is given. About 10
minutes on 2 cores. Needs the data sets (ODKIT_DATA_HOME or ../shared/data).
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from odkit import ECOD, GMM, KNN, Mahalanobis, TailOdds, anomaly_score
from odkit.datasets import load, suite
from odkit.decide.surprise import surprise


def scaled(detector):
    return make_pipeline(StandardScaler(), detector)


def odds(detector):
    return make_pipeline(TailOdds(), detector)


MEMBERS = {
    "ecod": lambda n: ECOD(),
    "mahalanobis": lambda n: scaled(Mahalanobis(contamination=0.1)),
    "forest": lambda n: IsolationForest(n_estimators=100, random_state=0),
    "gmm": lambda n: scaled(GMM("auto", reg_covar=1e-3, random_state=0)),
    "odds-gmm": lambda n: odds(GMM("auto", reg_covar=1e-3, random_state=0)),
    "knn5": lambda n: scaled(KNN(min(5, n - 1))),
    "knn10": lambda n: scaled(KNN(min(10, n - 1))),
    "knn5-mean": lambda n: scaled(KNN(min(5, n - 1), aggregation="mean")),
    "odds-knn5-mean": lambda n: odds(KNN(min(5, n - 1), aggregation="mean")),
    "odds-knn20": lambda n: odds(KNN(min(20, n - 1))),
}
PORTFOLIOS = [
    ("ecod", "gmm"),
    ("ecod", "knn10", "gmm"),
    ("ecod", "knn5-mean", "gmm"),
    ("knn10", "odds-knn5-mean", "gmm"),
    ("ecod", "knn10", "odds-knn5-mean", "gmm"),
    ("ecod", "knn10", "odds-knn20", "gmm"),
    ("ecod", "knn10", "odds-knn5-mean", "gmm", "odds-gmm"),
    ("ecod", "knn10", "odds-knn5-mean", "gmm", "forest"),
]


def members(card: str, in_sample: bool) -> dict[str, np.ndarray]:
    """Name -> training scores and scored rows' scores, one after the other; and the truth."""
    data = load(card)
    train, test = (data.X, data.X) if in_sample else (data.train, data.test)
    train, test = train.astype(np.float64), test.astype(np.float64)
    found = {"truth": data.is_outlier, "n": np.array(len(train))}
    for name, make in MEMBERS.items():
        detector = make(len(train)).fit(train)
        found[name] = np.concatenate([anomaly_score(detector, train), anomaly_score(detector, test)])
    return found


def cached(card: str, in_sample: bool, folder: Path | None) -> dict[str, np.ndarray]:
    if folder is None:
        return members(card, in_sample)
    path = folder / (card.replace("/", "__") + ".npz")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path.with_suffix(".part.npz"), **members(card, in_sample))
        path.with_suffix(".part.npz").rename(path)  # a run that is cut short leaves no half file
    with np.load(path) as file:
        return dict(file)


def nats(found: dict[str, np.ndarray], name: str) -> np.ndarray:
    n = int(found["n"])
    return surprise(np.sort(found[name][:n]), found[name][n:])


def show(label: str, figures: np.ndarray) -> None:
    parts = [figures.mean(axis=0), figures[::2].mean(axis=0), figures[1::2].mean(axis=0)]
    print(f"  {label:62}" + "   ".join(f"{roc:.4f} / {ap:.4f}" for roc, ap in parts), flush=True)


def grade(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    return roc_auc_score(truth, scores), average_precision_score(truth, scores)


def table(name: str, cards: list[str], in_sample: bool, folder: Path | None) -> None:
    sets = [cached(card, in_sample, folder) for card in cards]
    print(f"\n{name}: {len(sets)} sets, mean ROC / AP")
    print(f"  {'':62}{'all sets':20}{'chosen on':20}confirmed on")
    for member in MEMBERS:
        show(member, np.array([grade(found["truth"], found[member][int(found["n"]) :]) for found in sets]))
    for portfolio in PORTFOLIOS:
        surprises = [np.column_stack([nats(found, member) for member in portfolio]) for found in sets]
        for how, combine in {"mean": lambda s: s.mean(1), "rms": lambda s: np.sqrt((s**2).mean(1))}.items():
            figures = [grade(found["truth"], combine(s)) for found, s in zip(sets, surprises, strict=True)]
            show(f"{' + '.join(portfolio)}, {how}", np.array(figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", default=["macro", "adbench"])
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        if "macro" in arguments.suites:
            table("MacrOData, one-class", list(suite("tabular-macro")), False, arguments.cache)
        if "adbench" in arguments.suites:
            small = [card for card in suite("tabular-adbench") if len(load(card).X) <= 20_000]
            table("ADBench, in sample", small, True, arguments.cache)
