"""Tan et al.'s detectors on the ODDS sets at hand: label-free figures, and the label-picked ones they are taken for.

Run: python -m benchmarks.papers.odds_label_free [--seeds 2] [--steps 1000]

The paper's networks and settings: full batches, variances down to 1e-5, one network per seed, seeds averaged. Every
network is trained once; its last step gives the label-free column, the step with the best validation labels the other.
The sets are ADBench's copies: glass and ionosphere have fewer columns than ODDS', and arrhythmia is missing.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.papers.protocol import Contest, grade, shifted, split
from odkit import KNN, MeanShift, anomaly_score

DATA = Path(os.environ.get("ODKIT_DATA_HOME", Path(__file__).resolve().parents[3] / "shared" / "data"))
SETS = [
    "annthyroid", "breastw", "glass", "Ionosphere", "letter", "Lymphography", "mammography", "optdigits", "Pima",
    "satellite", "satimage-2", "thyroid", "vowels", "wine",
]  # fmt: skip
# name -> (two heads, weights of the score, mean-shift passes)
CONTESTANTS = {
    "AE": (False, None, 0),
    "AE+MSS3": (False, None, 3),
    "PAE(1,1)": (True, (1.0, 1.0, 1e-5), 0),
    "PAE(.5,2)": (True, (0.5, 2.0, 1e-5), 0),
    "PAE(.5,2)+MSS1": (True, (0.5, 2.0, 1e-5), 1),
    "PAE(.5,2)+MSS3": (True, (0.5, 2.0, 1e-5), 3),
    "PAE(.5,2), floor 1": (True, (0.5, 2.0, 1.0), 0),
    "PAE(.5,2)+MSS3, floor 1": (True, (0.5, 2.0, 1.0), 3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"test ROC AUC, {options.seeds} seeds, {options.steps} full-batch steps; each cell: LABEL-FREE / label-picked\n"
    )
    print("| set | KNN20 | MOD20 | " + " | ".join(CONTESTANTS) + " |")
    print("|---|" + "---|" * (2 + len(CONTESTANTS)))
    baselines, graded = [], []
    for name in SETS:
        path = next((DATA / "tabular" / "adbench").glob(f"*_{name}.npz"))
        with np.load(path) as file:
            data = split(file["X"].astype(float), file["y"] == 1)
        detectors = (KNN(20), MeanShift(scaling=None))
        baselines.append(
            [roc_auc_score(data.test_outlier, anomaly_score(d.fit(data.fit), data.test)) for d in detectors]
        )
        targets = {m: shifted(data, 20, m) if m else (data.validation, data.test) for m in (0, 1, 3)}
        last, picked = {}, {}
        for heads in (False, True):
            names = [contestant for contestant, (two_heads, _, _) in CONTESTANTS.items() if two_heads == heads]
            contests = [Contest(CONTESTANTS[c][1], *targets[CONTESTANTS[c][2]]) for c in names]
            grades = grade(data, options.seeds, heads, contests, options.steps, every=50)
            picked |= dict(zip(names, grades.picked.mean(axis=1), strict=True))
            last |= dict(zip(names, grades.last.mean(axis=1), strict=True))
        graded.append([(last[contestant], picked[contestant]) for contestant in CONTESTANTS])
        cells = [f"{roc:.3f}" for roc in baselines[-1]] + [f"{last:.3f} / {picked:.3f}" for last, picked in graded[-1]]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    cells = [f"{roc:.3f}" for roc in np.mean(baselines, axis=0)]
    cells += [f"{last:.3f} / {picked:.3f}" for last, picked in np.mean(graded, axis=0)]
    print(f"| **mean ({len(SETS)})** | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
