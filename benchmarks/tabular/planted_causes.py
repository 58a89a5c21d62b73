"""Do explanations name the planted cause? Outliers with a known cause, every explaining detector, shap beside it.

Run: python -m benchmarks.tabular.planted_causes [--rows 60] [--seeds 2] [--budget 512]

Training rows are Gaussian with unit variances: columns 0 to 3 follow one hidden factor, 4 to 7 another (correlation .9
within a group). Three kinds of outlier:

- marginal: one column 6 standard deviations out;
- contrary: a group is at 1.5 to 2.5 but for one column, which is at minus that: no value is unusual, their
  combination is;
- pair: other training rows, two pairs of correlated columns and four columns of noise; one of a pair at +2, the other
  at -2. Either may be wrong, and a detector that must copy the noise (AutoEncoder) has errors everywhere.

A hit: the planted columns have the largest contributions (for a pair both, in any order), among rows that the detector
sees (score above the 95 % quantile of its training scores; the share is given). Shapley sampling and shap's
KernelExplainer explain the same rows of the same detectors with the same number of score evaluations per row and the
same background rows.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from threadpoolctl import threadpool_limits

from odkit import ECOD, GMM, KNN, AutoEncoder, Consensus, Mahalanobis, MeanShift, anomaly_score, explain
from odkit.explanations import shapley

N_FEATURES, N_BACKGROUND, CORRELATION = 8, 16, 0.9
KINDS = ("marginal", "contrary", "pair")
DETECTORS: dict[str, Callable[[], Any]] = {
    "ECOD": ECOD,
    "Mahalanobis": Mahalanobis,
    "GMM": GMM,
    "AutoEncoder": lambda: AutoEncoder(random_state=0),
    "KNN": KNN,
    "MeanShift": MeanShift,
    "Consensus": lambda: Consensus(random_state=0),
}


def ordinary(kind: str, n: int, rng: np.random.Generator) -> NDArray:
    """Rows (n, 8) whose groups of columns, four and four or two and two, are correlated."""
    X = rng.normal(size=(n, N_FEATURES))
    for group in (slice(0, 2), slice(2, 4)) if kind == "pair" else (slice(0, 4), slice(4, 8)):
        X[:, group] = np.sqrt(CORRELATION) * rng.normal(size=(n, 1)) + np.sqrt(1 - CORRELATION) * X[:, group]
    return X


def planted(kind: str, n: int, rng: np.random.Generator) -> tuple[NDArray, list[set[int]]]:
    """Rows with a cause, the rest of each row ordinary, and the columns of the cause."""
    X = ordinary(kind, n, rng)
    causes = []
    for row in X:
        sign = rng.choice([-1.0, 1.0])
        if kind == "pair":
            first = int(rng.choice([0, 2]))
            row[[first, first + 1]] = 2 * sign, -2 * sign
            causes.append({first, first + 1})
            continue
        column = int(rng.integers(N_FEATURES))
        if kind == "marginal":
            row[column] = 6 * sign
        else:
            first = column // 4 * 4
            row[first : first + 4] += rng.uniform(1.5, 2.5) * sign - row[first : first + 4].mean()
            row[column] *= -1
        causes.append({column})
    return X, causes


def hits(parts: NDArray, causes: list[set[int]]) -> float:
    """Share of rows whose largest contributions are those of the cause."""
    order = np.argsort(-parts, axis=1)
    return float(np.mean([set(row[: len(cause)].tolist()) == cause for row, cause in zip(order, causes, strict=True)]))


def kernel_shap(detector: Any, X: NDArray, background: NDArray, budget: int) -> NDArray:
    """shap's KernelExplainer with `budget` score evaluations per row, the background rows counted."""
    import shap

    explainer = shap.KernelExplainer(lambda rows: anomaly_score(detector, rows), background)
    coalitions = max(budget // len(background), 2)
    return np.asarray(explainer.shap_values(X, nsamples=coalitions, silent=True, l1_reg=False))


def seen(detector: Any, train: NDArray, X: NDArray) -> NDArray[np.bool_]:
    return anomaly_score(detector, X) > np.quantile(anomaly_score(detector, train), 0.95)


def run(detector: Any, kind: str, rng: np.random.Generator, n: int, budget: int, train: NDArray) -> dict[str, float]:
    X, causes = planted(kind, n, rng)
    known = seen(detector, train, X)
    found = {"seen": known.mean()}
    X, causes = X[known], [cause for cause, is_known in zip(causes, known, strict=True) if is_known]
    if len(X) < 5:
        return found
    background = train[:N_BACKGROUND]
    methods: dict[str, Callable[[], NDArray]] = {
        "shapley": lambda: shapley(detector, X, background, budget=budget, random_state=0),
        "kernel shap": lambda: kernel_shap(detector, X, background, budget),
    }
    if hasattr(detector, "explain"):
        methods = {"explain": lambda: explain(detector, X), **methods}
    for method, explained in methods.items():
        start = time.perf_counter()
        found[method] = hits(explained(), causes)
        found[f"{method} ms"] = 1e3 * (time.perf_counter() - start) / len(X)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--budget", type=int, default=512)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    contestants = {**DETECTORS, "IsolationForest": lambda: IsolationForest(random_state=0)}
    methods = ("explain", "shapley", "kernel shap")
    print(f"planted columns first, share of the rows that are seen (ms per row); {given.rows * given.seeds} rows;")
    print(f"shapley and kernel shap: {given.budget} evaluations per row, {N_BACKGROUND} background rows")
    print(f"{'outliers':10}{'detector':16}{'seen':>6}" + "".join(f"{method:>18}" for method in methods))
    with threadpool_limits(1):
        for kind in KINDS:
            for name, make in contestants.items():
                runs = []
                for seed in range(given.seeds):
                    rng = np.random.default_rng(seed)
                    train = ordinary(kind, 1000, rng)
                    runs.append(run(make().fit(train), kind, rng, given.rows, given.budget, train))
                cells = []
                for method in methods:
                    shares = [found[method] for found in runs if method in found]
                    times = [found[f"{method} ms"] for found in runs if method in found]
                    cells.append(f"{np.mean(shares):.3f} ({np.median(times):.2f})" if shares else "-")
                visible = np.mean([found["seen"] for found in runs])
                print(f"{kind:10}{name:16}{visible:6.2f}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
