"""A series from the Numenta benchmark: even clock, baselines, intervals with time stamps, honest figures, a picture.

Run: python examples/40_nab_intervals.py [folder for the picture]
Needs NAB in the data folder (ODKIT_DATA_HOME); says so and stops where it is absent.
"""

import sys
from pathlib import Path

import pandas as pd

from odkit import DynamicThreshold, SeriesConsensus, anomaly_score
from odkit.adapters.plots import plot_series
from odkit.datasets import load
from odkit.metrics.affiliation import affiliation
from odkit.metrics.events import alarmed_fraction, delay, overlap_confusion
from odkit.metrics.vus import vus
from odkit.series import from_timestamps, resample, to_mask

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
try:
    data = load("nab/artificialWithAnomaly/art_daily_jumpsup")
except FileNotFoundError as absent:
    print(f"skipped: {absent}")
    raise SystemExit from None

# rows stand for equal steps of time: resample says so, and which steps it had to invent
raw = pd.DataFrame({"load": data.X[:, 0]}, index=pd.DatetimeIndex(data.timestamps))
series, missing = resample(raw, every="10min")
print(f"{len(raw)} rows every 5 minutes became {len(series)} bins, {missing.sum()} of them empty")

# four baselines in units of their usual score, and a threshold that adapts to the scores around it
detector = SeriesConsensus(window=144).fit(series)  # a day
threshold = DynamicThreshold()
found = detector.detect(series, threshold=threshold, missing=missing)
print(found.drop(columns="channels").to_string(index=False, float_format="%.2f"))

# the label is one window; how long the detections are is told beside every event count
true = from_timestamps(data.windows, series.index)
spans = from_timestamps(found[["start", "end"]].itertuples(index=False), series.index)
score = anomaly_score(detector, series)
print(f"labelled: {data.windows[0][0]} to {data.windows[0][1]}")
print(f"events: {overlap_confusion(true, spans)}, alarmed {alarmed_fraction(spans, len(series)):.1%} of the time")
print(f"first alarm {delay(true, spans)[0]:.0f} steps into the event")
print("VUS-ROC {:.3f}, VUS-PR {:.3f}".format(*vus(to_mask(true, len(series)), score)))
print("affiliation precision {:.3f}, recall {:.3f}".format(*affiliation(true, spans, (0, len(series)))))

picture = folder / "nab_jumpsup.png"
plot_series(
    series, score, found=spans, true=true, threshold=threshold.thresholds(score), title="NAB: art_daily_jumpsup"
).savefig(picture, dpi=120)
print(f"picture: {picture.name}")
