"""Do p-values keep their promise? False alarms of `Conformal` on 20 data sets, and its false discoveries.

Run: python -m benchmarks.tabular.realised_rates [rates] [fdr] [--repeats 40]

rates: the ordinary rows of 20 development sets (ADBench, at least 700 of them) are shuffled and parted into rows to fit
on, n_cal calibration rows and test rows, `--repeats` times. The false alarms of a promise alpha with n_cal calibration
rows are then k / (n_cal + 1) in expectation, k = floor(alpha (n_cal + 1)), exactly; over repeats their number is
beta-binomial. The table gives the mean realised rate over sets and how many sets lie in their 99 % interval. Rows of a
set are drawn without replacement, so repeats overlap where a set is small, and the interval is then too narrow.

fdr: the same rows as background; outliers of the set make up 1, 2, 5 or 10 % of a batch of 1000 (`clean`), or of the
rows to fit and calibrate on as well (`contaminated`). Mean share of false alarms among the flagged at the level .1, and
the share of outliers found.
"""

import argparse
import warnings

import numpy as np
from scipy.stats import betabinom
from threadpoolctl import threadpool_limits

from odkit import ECOD, Conformal, Mahalanobis
from odkit.datasets import load, suite

N_SETS, LEAST, FIT_ROWS = 20, 700, 300
DETECTORS = {"ECOD": ECOD, "Mahalanobis": lambda: Mahalanobis(contamination=0.1)}


def sets():
    """Name, ordinary rows, outliers; by name, the first 20 with rows enough. Exact copies of a row are dropped."""
    found = []
    for card in suite("tabular-adbench"):
        data = load(card)
        X = np.unique(np.column_stack([data.X.astype(np.float64), data.is_outlier]), axis=0)
        truth = X[:, -1] == 1
        if (~truth).sum() >= LEAST and X.shape[1] <= 120:
            found.append((card.split("/")[-1], X[~truth, :-1], X[truth, :-1]))
        if len(found) == N_SETS:
            break
    return found


def rates(data, repeats: int) -> None:
    print(f"\nrealised false-alarm rates: {len(data)} sets, {repeats} repeats; sets inside their 99 % interval")
    print(f"{'detector':14}{'n_cal':>7}{'sets':>6}" + "".join(f"{f'promise {a:.0%}':>26}" for a in (0.01, 0.05, 0.1)))
    for name, make in DETECTORS.items():
        for n_cal in (50, 200, 1000, 5000):
            rng = np.random.default_rng(0)
            alarms: dict[float, list[tuple[float, bool]]] = {0.01: [], 0.05: [], 0.1: []}
            for _, rows, _ in data:
                n_fit, n_test = FIT_ROWS, min(1000, len(rows) - FIT_ROWS - n_cal)
                if n_test < 200:
                    continue
                flagged = dict.fromkeys(alarms, 0)
                for _ in range(repeats):
                    drawn = rows[rng.permutation(len(rows))[: n_fit + n_cal + n_test]]
                    fit, test = drawn[: n_fit + n_cal], drawn[n_fit + n_cal :]
                    p = (
                        Conformal(make(), alpha=0.5, calibration_size=n_cal, random_state=int(rng.integers(2**31)))
                        .fit(fit)
                        .p_values(test)
                    )
                    for alpha in alarms:
                        flagged[alpha] += int((p <= alpha).sum())
                for alpha, seen in alarms.items():
                    seen.append(
                        (flagged[alpha] / repeats / n_test, _inside(flagged[alpha], alpha, n_cal, n_test, repeats))
                    )
            cells = []
            for alpha, seen in alarms.items():
                expected = np.floor(alpha * (n_cal + 1) + 1e-9) / (n_cal + 1)
                mean, inside = np.mean([s[0] for s in seen]), sum(s[1] for s in seen)
                cells.append(f"{mean:.4f} of {expected:.4f}, {inside:2d}/{len(seen)}")
            print(f"{name:14}{n_cal:7d}{len(alarms[0.1]):6d}" + "".join(f"{cell:>26}" for cell in cells), flush=True)


def _inside(flagged: int, alpha: float, n_cal: int, n_test: int, repeats: int) -> bool:
    """Whether the mean number of alarms over repeats is within 2.58 standard errors of its exact expectation."""
    k = int(np.floor(alpha * (n_cal + 1) + 1e-9))
    if k == 0:
        return flagged == 0
    law = betabinom(n_test, k, n_cal + 1 - k)
    return abs(flagged / repeats - law.mean()) <= 2.58 * law.std() / np.sqrt(repeats)


def discoveries(data, repeats: int) -> None:
    level, batch, n_cal = 0.1, 1000, 1000
    print(f"\nfalse discoveries at level {level}: batches of {batch} rows, {n_cal} calibration rows, {repeats} repeats")
    print("(share of false alarms among the flagged, share of the outliers found)")
    print(f"{'detector':14}{'calibration':14}{'outliers':>9}{'sets':>6}{'bh':>18}{'storey':>18}{'e-bh':>18}")
    for name, make in DETECTORS.items():
        for spoiled in (False, True):
            for share in (0.01, 0.02, 0.05, 0.1):
                rng = np.random.default_rng(1)
                seen: dict[str, list[tuple[float, float]]] = {"bh": [], "storey": [], "e-bh": []}
                used = 0
                for _, rows, odd in data:
                    if len(rows) < FIT_ROWS + n_cal + batch or len(odd) < 20:
                        continue
                    used += 1
                    for _ in range(repeats):
                        drawn = rows[rng.permutation(len(rows))[: FIT_ROWS + n_cal + batch]]
                        fit, test = drawn[: FIT_ROWS + n_cal].copy(), drawn[FIT_ROWS + n_cal :].copy()
                        strange = rng.permutation(odd)
                        half = len(strange) // 2
                        if spoiled:
                            n_spoiled = round(share * len(fit))
                            fit[rng.permutation(len(fit))[:n_spoiled]] = strange[rng.integers(half, size=n_spoiled)]
                        n_odd = round(share * batch)
                        test[:n_odd] = strange[half + rng.integers(len(strange) - half, size=n_odd)]
                        truth = np.arange(batch) < n_odd
                        seed = int(rng.integers(2**31))
                        detector = Conformal(make(), calibration_size=n_cal, random_state=seed).fit(fit)
                        for procedure, results in seen.items():
                            chosen = detector.select(test, fdr=level, procedure=procedure)
                            results.append(((chosen & ~truth).sum() / max(chosen.sum(), 1), chosen[truth].mean()))
                cells = [f"{np.mean(r, axis=0)[0]:.3f}, {np.mean(r, axis=0)[1]:.2f}" for r in seen.values()]
                where = "contaminated" if spoiled else "clean"
                print(
                    f"{name:14}{where:14}{share:9.0%}{used:6d}" + "".join(f"{cell:>18}" for cell in cells), flush=True
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["rates", "fdr"])
    parser.add_argument("--repeats", type=int, default=40)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        chosen_sets = sets()
        print(", ".join(f"{name} {len(rows)}" for name, rows, _ in chosen_sets))
        if "rates" in given.parts:
            rates(chosen_sets, given.repeats)
        if "fdr" in given.parts:
            discoveries(chosen_sets, max(given.repeats // 4, 1))
