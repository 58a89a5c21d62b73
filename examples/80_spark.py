"""Fit and score on Spark: statistics that add up are taken per partition, scores come out of mapInArrow.

Run: python examples/80_spark.py
Needs pyspark (pip install 'odkit[spark]') and Java 17; says so and stops where one is absent. On a cluster every worker
needs odkit; nothing else changes but the session.
"""

import os
import pickle
import shutil
import sys
import tempfile
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from odkit import Mahalanobis, anomaly_score, score_frame

try:
    from pyspark.sql import SparkSession
except ImportError as absent:
    print(f"skipped: {absent}")
    raise SystemExit from None
if shutil.which("java") is None:
    print("skipped: there is no java")
    raise SystemExit

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers run what this process runs
FEATURES = ["volt", "ampere", "watt"]


def fitted_parts(detector):
    """For mapInArrow: one row per partition, a detector that has seen its rows. Empty partitions give none."""

    def fit(batches):
        part = None
        for batch in batches:
            rows = pyarrow.Table.from_batches([batch]).to_pandas()
            if len(rows):
                part = (detector if part is None else part).partial_fit(rows[FEATURES])
        if part is not None:
            yield pyarrow.RecordBatch.from_pydict({"part": [pickle.dumps(part)]})

    return fit


def scores(detector):
    """For mapInArrow: a scored row for every row; Spark sends the detector along once per task."""

    def score(batches):
        for batch in batches:
            if batch.num_rows:
                yield from score_frame(detector, batch, keys="id", top=1).to_batches()

    return score


with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(50, 5, size=(20_000, 3)), columns=FEATURES)
    table["watt"] = table["volt"] + table["ampere"] + rng.normal(size=len(table))
    table.insert(0, "id", np.arange(len(table)))
    table.loc[777, "watt"] += 30
    table.to_parquet(Path(folder) / "rows.parquet", row_group_size=5_000)

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    rows = spark.read.parquet(f"{folder}/rows.parquet").repartition(4)

    # fit where the rows are, join here: only statistics travel
    parts = rows.mapInArrow(fitted_parts(Mahalanobis()), "part binary").collect()
    detector = reduce(lambda a, b: a.merge(b), (pickle.loads(row.part) for row in parts))
    local = Mahalanobis().fit(table[FEATURES])
    apart = np.abs(detector.score_samples(table[FEATURES]) - local.score_samples(table[FEATURES])).max()
    print(f"fitted on {detector.n_samples_seen_:,} rows in {len(parts)} parts")
    print(f"scores differ from a local fit's by less than 1e-9: {apart < 1e-9}")

    schema = "id long, anomaly_score double, is_outlier boolean, top_1 string, top_1_share double"
    scored = rows.mapInArrow(scores(detector), schema)
    scored.write.parquet(f"{folder}/scored")
    spark.stop()

    result = pd.read_parquet(f"{folder}/scored").sort_values("id", ignore_index=True)
    same = np.allclose(result["anomaly_score"], anomaly_score(detector, table[FEATURES]), rtol=1e-12)
    first = result.loc[result["anomaly_score"].idxmax()]
    print(
        f"scored {len(result):,} rows, as locally: {same}; the strangest is {first['id']}, because of {first['top_1']}"
    )
