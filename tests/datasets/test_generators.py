"""Generators: one seed, one result; what is planted is there; the samples are made again to the byte."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import odkit
from odkit.datasets import (
    make_graded_rows,
    make_payments,
    make_planted_rows,
    make_telemetry,
    make_toy_images,
    sample_path,
    write_samples,
)
from odkit.datasets.payments import KINDS

GENERATORS = [make_payments, make_telemetry, make_toy_images, make_planted_rows, make_graded_rows]


@pytest.mark.parametrize("make", GENERATORS)
def test_the_seed_decides(make):
    first, again, other = make(random_state=5), make(random_state=np.random.default_rng(5)), make(random_state=6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_the_samples_are_made_again_to_the_byte(tmp_path):
    write_samples(tmp_path)
    made = sorted(tmp_path.iterdir())
    assert [file.name for file in made] == [file.name for file in sorted(sample_path("graded.csv").parent.iterdir())]
    for file in made:
        assert file.read_bytes() == sample_path(file.name).read_bytes(), file.name
    assert sum(file.stat().st_size for file in made) < 600_000


def test_planted_payments_are_what_their_reason_says():
    payments, truth = make_payments(2000, n_outliers=18, random_state=4)
    assert truth.kind.value_counts().to_dict() == dict.fromkeys(KINDS, 3)
    planted = payments.set_index("payment_id").loc[truth.payment_id]
    ordinary = payments[~payments.payment_id.isin(truth.payment_id)]
    for row, told in zip(planted.itertuples(), truth.itertuples(), strict=True):
        if told.kind == "spree":
            assert row.payments_last_24h >= 25 > ordinary.payments_last_24h.max()
            assert f"{row.payments_last_24h} payments" in told.reason
        if told.kind == "far away":
            assert f"{row.distance_km} km" in told.reason
        if told.kind == "new account":
            assert (row.merchant_category, row.account_months) == ("wire transfer", 0)
        if told.kind == "refund":
            assert row.amount < 0 <= ordinary.amount.min()
        if told.kind == "out of habit":
            assert row.amount < ordinary.amount.max()
            assert row.times_usual > 2 * ordinary.times_usual.max()
        for column in told.columns.split():
            assert column in payments.columns
    assert ordinary.hour.between(0, 23).all()
    assert ordinary.account_months.between(3, 120).all()


def test_ecod_ranks_the_planted_payments_first_and_names_the_reason():
    """The story of the README on the bundled file."""
    table = pd.read_csv(sample_path("payments.csv"))
    truth = pd.read_csv(sample_path("payments_truth.csv")).set_index("payment_id")
    X = table.drop(columns=["payment_id", "merchant_category"]).astype(float)
    detector = odkit.ECOD().fit(X)
    scores = odkit.anomaly_score(detector, X)
    top = np.argsort(-scores)[:10]
    assert table.payment_id.iloc[top].isin(truth.index).all()
    assert roc_auc_score(table.payment_id.isin(truth.index), scores) > 0.99
    parts = odkit.explain(detector, X)
    for row in top:
        planted = truth.loc[table.payment_id.iloc[row], "columns"].split()
        assert X.columns[np.argmax(parts[row])] in planted


def test_the_first_half_of_the_telemetry_is_quiet():
    for step in (5, 10, 30):
        n_steps = 7 * 24 * 60 // step
        telemetry, events = make_telemetry(n_steps, step_minutes=step, random_state=1)
        stamps = pd.to_datetime(telemetry.timestamp)
        starts, stops = pd.to_datetime(events.start), pd.to_datetime(events.stop)
        assert starts.min() >= stamps[n_steps // 2]
        assert stops.max() <= stamps.iloc[-1]
        assert (starts.to_numpy()[1:] > stops.to_numpy()[:-1]).all()
        assert set(" ".join(events.channels).split()) <= set(telemetry.columns)


@pytest.mark.parametrize("n_steps", range(2016, 4000, 61))
def test_events_stay_apart_at_any_length(n_steps):
    _, events = make_telemetry(n_steps)
    assert (events.start.to_numpy()[1:] > events.stop.to_numpy()[:-1]).all()


def test_each_telemetry_event_shows_where_it_was_planted():
    telemetry, events = make_telemetry(random_state=2)
    telemetry, events = telemetry.set_index("timestamp"), events.set_index("kind")

    def during(kind, column):
        return telemetry.loc[events.start[kind] : events.stop[kind], column].to_numpy()

    pull = telemetry.speed_rpm / 1500
    assert during("spike", "pressure_bar").min() > telemetry.pressure_bar[: len(telemetry) // 2].max() - 1
    assert np.ptp(during("stuck", "temperature_c")) == 0
    drift = during("drift", "vibration_mm_s")
    assert drift[-12:].mean() - drift[:12].mean() > 1
    assert (
        during("level shift", "flow_l_min")
        / telemetry.assign(flow=82 * pull).loc[events.start["level shift"] : events.stop["level shift"], "flow"]
    ).mean() == pytest.approx(0.8, abs=0.02)
    assert np.diff(during("noise", "load_kw")).std() > 4
    together = telemetry.flow_l_min / pull
    assert abs(together[events.start["decoupling"] : events.stop["decoupling"]].median() - 82) > 10
    assert during("missed cycle", "speed_rpm").min() > 1400


def test_defects_lie_inside_their_masks():
    images, masks, kinds = make_toy_images(6, n_per_defect=4, size=64, random_state=3)
    assert not masks[kinds == "free"].any()
    assert masks[kinds != "free"].any(axis=(1, 2)).all()
    inside = {
        kind: images[kinds == kind][masks[kinds == kind]].astype(float) for kind in np.unique(kinds) if kind != "free"
    }
    free = images[kinds == "free"].astype(float)
    assert inside["scratch"].mean() > free.mean() + 60
    assert inside["spot"].mean() < free.mean() - 50
    assert inside["stain"].mean() < free.mean() - 20
    assert inside["hole"].std() < 0.6 * free.std()


def test_marginal_rows_are_far_out_and_broken_rows_are_not():
    rows = make_planted_rows(2000, 7, n_marginal=30, n_broken=30, magnitude=6, correlation=0.9, random_state=1)
    assert (rows.is_outlier == rows.planted.any(axis=1)).all()
    assert (np.abs(rows.X[rows.planted & (rows.kinds == "marginal")[:, None]]) == 6).all()
    broken = rows.planted & (rows.kinds == "broken")[:, None]
    assert (broken.sum(axis=1)[rows.kinds == "broken"] == 2).all()
    assert np.abs(rows.X[broken]).max() <= 2
    correlation = np.corrcoef(rows.X[~rows.is_outlier], rowvar=False)
    assert correlation[0, 1] == pytest.approx(0.9, abs=0.02)
    assert correlation[[0, 1, 2], [2, 6, 4]] == pytest.approx(0, abs=0.08)
    inliers = rows.X[~rows.is_outlier]
    distance = np.einsum("ij,jk,ik->i", rows.X, np.linalg.inv(np.cov(inliers, rowvar=False)), rows.X)
    assert roc_auc_score(rows.is_outlier, distance) > 0.99  # who knows the correlation finds both kinds


def test_graded_rows_move_as_far_as_they_say():
    X, severity = make_graded_rows(9000, 5, n_levels=3, n_per_level=1500, step=1.5, random_state=1)
    normal = X[severity == 0]
    distance = np.einsum("ij,jk,ik->i", X, np.linalg.inv(np.cov(normal, rowvar=False)), X)
    for level in (1, 2, 3):
        assert distance[severity == level].mean() == pytest.approx(5 + (1.5 * level + 1) ** 2, rel=0.06)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_payments(100, n_outliers=11), r"make_payments: n_rows is 100; 110 or more"),
        (lambda: make_payments(n_outliers=-1), r"n_outliers is -1; 0 or more"),
        (lambda: make_telemetry(2015), r"make_telemetry: n_steps is 2015; 2016 or more"),
        (lambda: make_telemetry(step_minutes=0), r"step_minutes is 0; 1 or more"),
        (lambda: make_telemetry(step_minutes=31), r"step_minutes is 31; 1 to 30 minutes"),
        (lambda: make_toy_images(size=23), r"make_toy_images: size is 23; 24 or more"),
        (lambda: make_planted_rows(19), r"make_planted_rows: n_rows is 19; 20 or more"),
        (lambda: make_planted_rows(correlation=1), r"correlation is 1; 0 <= correlation < 1"),
        (lambda: make_graded_rows(120), r"make_graded_rows: n_rows is 120; 121 or more"),
    ],
)
def test_bad_counts_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
