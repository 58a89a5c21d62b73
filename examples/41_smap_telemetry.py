"""A telemetry channel of the SMAP satellite: fitted on its training part, three detectors, chance beside every count.

Run: python examples/41_smap_telemetry.py [folder for the picture]
Needs SMAP in the data folder (ODKIT_DATA_HOME); says so and stops where it is absent.
"""

import sys
from pathlib import Path

import numpy as np

from odkit import KNN, DynamicThreshold, MovingEnergy, SeriesConsensus, Windowed, anomaly_score
from odkit.adapters.plots import plot_series
from odkit.datasets import load
from odkit.metrics.events import alarmed_fraction, overlap_confusion, pooled_f1, shift_null
from odkit.metrics.vus import vus
from odkit.series import from_mask

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
try:
    data = load("smap/E-7")
except FileNotFoundError as absent:
    print(f"skipped: {absent}")
    raise SystemExit from None

train, test = data.train[:, 0], data.test[:, 0]  # column 0 is the telemetry value, the others are commands
true, threshold = from_mask(data.is_outlier), DynamicThreshold()
print(f"{len(train)} steps to learn from, {len(test)} to judge, {len(true)} labelled events")
scores = {}
for detector in (MovingEnergy(), SeriesConsensus(), Windowed(KNN())):
    name = type(detector).__name__
    scores[name] = anomaly_score(detector.fit(train), test)
    found = threshold.find(scores[name])
    chance = np.mean([pooled_f1([counts]) for counts in shift_null(true, found, len(test))])
    print(
        f"{name:16} F1 {pooled_f1([overlap_confusion(true, found)]):.2f} (by chance {chance:.2f}, "
        f"alarmed {alarmed_fraction(found, len(test)):.1%})   VUS-PR {vus(data.is_outlier, scores[name])[1]:.3f}"
    )

# the same model, step by step: a stream gives the numbers of the batch
causal = MovingEnergy(placement="causal").fit(train)
stream = causal.stream()
live = np.array([stream.update(value) for value in test[:1000]])
print(f"live and batch differ by at most {np.abs(live[99:] - causal.score_samples(test)[99:1000]).max():.0e}")

picture = folder / "smap.png"
best = scores["Windowed"]
plot_series(
    test, best, found=threshold.find(best), true=true, threshold=threshold.thresholds(best), title="SMAP E-7"
).savefig(picture, dpi=120)
print(f"picture: {picture.name}")
