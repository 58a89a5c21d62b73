"""Fit and score on Ray Data: map_batches in the two roles that mapInArrow has on Spark.

Run: python examples/81_ray.py
Needs Ray (pip install 'ray[data]'); says so and stops where it is absent. On a cluster every worker needs odkit.
"""

import pickle
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow

from odkit import Mahalanobis, anomaly_score, score_frame

try:
    import ray
except ImportError as absent:
    print(f"skipped: {absent}")
    raise SystemExit from None

FEATURES = ["volt", "ampere", "watt"]


def fit(batch: pyarrow.Table) -> dict:
    """A detector that has seen one batch."""
    part = Mahalanobis().partial_fit(batch.select(FEATURES).to_pandas())
    return {"part": np.array([pickle.dumps(part)], dtype=object)}


def scores(detector):
    """For map_batches: the function carries the detector, and Ray sends a function to each worker once."""

    def score(batch: pyarrow.Table) -> pyarrow.Table:
        return score_frame(detector, batch, keys="id")

    return score


rng = np.random.default_rng(0)
table = pd.DataFrame(rng.normal(50, 5, size=(20_000, 3)), columns=FEATURES)
table.insert(0, "id", np.arange(len(table)))
table.loc[777, "watt"] += 60

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
rows = ray.data.from_pandas(table).repartition(4)

parts = rows.map_batches(fit, batch_format="pyarrow", batch_size=None).take_all()
detector = reduce(lambda a, b: a.merge(b), (pickle.loads(row["part"]) for row in parts))
print(f"fitted on {detector.n_samples_seen_:,} rows in {len(parts)} parts")

scored = rows.map_batches(scores(detector), batch_format="pyarrow")
result = scored.to_pandas().sort_values("id", ignore_index=True)
ray.shutdown()
same = np.allclose(result["anomaly_score"], anomaly_score(detector, table[FEATURES]), rtol=1e-12)
first = result.loc[result["anomaly_score"].idxmax()]
print(f"scored {len(result):,} rows, as locally: {same}; the strangest is {first['id']}")
