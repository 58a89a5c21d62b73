"""HypAD: factors from errors, collapse, what is found, what is refused."""

import logging
import warnings

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from odkit import HypAD, MovingEnergy, SeriesConsensus, anomaly_score, model_file
from odkit.nets.hypad import Plan
from odkit.series.hypad_factors import FACTORS, UncertaintyUninformativeWarning, chosen, joined, of_steps, of_windows

SMALL = {"window": 12, "latent": 4, "head_dim": 6, "batch_size": 64, "n_critic": 1, "epochs": 3, "random_state": 0}
T = np.arange(300)
WAVE = np.column_stack([np.sin(T / 4), np.cos(T / 6)])


def burst(channel=0):
    x = WAVE.copy()
    x[150:165, channel] += 3 * np.random.default_rng(0).normal(size=15)
    return x


@pytest.fixture(scope="module")
def fitted():
    return HypAD(**SMALL).fit(WAVE)


def test_errors_of_windows_come_back_to_their_steps():
    found = {name: np.array([1.0, 2.0, 4.0]) for name in ("distance", "norm", "euclidean", "critic")}
    forecast = of_steps(Plan(1, 4, task="forecast"), found | {"squares": np.zeros((6, 1))}, critic_level=3.0)
    np.testing.assert_allclose(forecast["rec"], [1, 1, 1, 1.5, 3, 4])  # targets are steps 2..5 of 6
    np.testing.assert_allclose(forecast["critic"], [2, 2, 2, 1.5, 0, 1])
    copied = of_steps(Plan(1, 4), found | {"squares": np.zeros((6, 1))}, critic_level=3.0)
    np.testing.assert_allclose(copied["certainty"], [1, 1.5, 7 / 3, 7 / 3, 3, 4])
    np.testing.assert_allclose(copied["critic"], [2, 1.5, 1, 1, 0, 1])
    published = of_steps(Plan(1, 4, published=True), found | {"squares": np.zeros((6, 1))}, critic_level=3.0)
    np.testing.assert_allclose(published["rec"], [1, 2, 4, 4, 4, 4])


@pytest.mark.parametrize("task", ["reconstruct", "forecast"])
def test_squares_of_steps_are_means_over_windows(task):
    detector = HypAD(**{**SMALL, "task": task, "epochs": 1}).fit(WAVE)
    plan, weights, critic = detector._plan(), detector.weights_, detector.critic_
    found = of_windows(plan, weights, critic, detector._scaled(WAVE[:40]), "cpu")
    from odkit.nets.hypad import window_errors

    cells = [[] for _ in range(40)]
    for rows, errors in window_errors(plan, weights, critic, detector._scaled(WAVE[:40]), "cpu"):
        for i, square in zip(range(rows.start, rows.stop), errors["squares"], strict=True):
            for step in range(plan.horizon):
                cells[i + plan.window - plan.horizon + step].append(square[:, step])
    first = plan.window - plan.horizon
    expected = [np.mean(cells[max(t, first)], axis=0) for t in range(40)]
    np.testing.assert_allclose(found["squares"], expected, rtol=1e-5)


def test_factors_multiply_excess_over_the_usual():
    steps = {name: np.array([1.0, 2.0, 4.0]) for name in ("rec", "critic", "euclidean", "certainty")}
    usual = {"rec": (1.0, 1 - 1e-6), "critic": (2.0, 2 - 1e-6), "euclidean": (9.0, 1.0), "certainty": (2.0, 1.0)}
    expected = {
        "rec": [1, 2, 4], "critic": [1, 1, 2], "mult": [1, 2, 8], "euclidean": [1, 1, 1],
        "uncertainty": [0.5, 2, 16], "rec_uncertainty": [0.5, 2, 8],
    }  # fmt: skip
    assert expected.keys() == FACTORS.keys()
    for combination, values in expected.items():
        np.testing.assert_allclose(joined(steps, usual, FACTORS[combination]), values)


@pytest.mark.parametrize("combination", FACTORS)
def test_every_combination_scores_and_only_reads_the_model(fitted, combination):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyUninformativeWarning)
        detector = HypAD(**SMALL, combination=combination).fit(WAVE)
    expected = joined(fitted.components(burst()), fitted.usual_, chosen(combination, detector.uncertainty_informative_))
    np.testing.assert_array_equal(anomaly_score(detector, burst()), expected)


@pytest.mark.parametrize(
    "variant",
    [
        {"backbone": "mlp"},
        {"backbone": "lstm", "epochs": 1},
        {"task": "forecast"},
        {"head": "learned"},
        {"n_critic": 0},
    ],
    ids=str,
)
def test_every_variant_finds_a_burst(variant):
    detector = HypAD(**{**SMALL, **variant, "combination": "euclidean"}).fit(WAVE)
    assert 140 <= np.argmin(detector.score_samples(burst())) < 175


def test_the_published_variant_runs_and_says_what_it_cannot():
    detector = HypAD(**SMALL, published=True, backbone="mlp").fit(WAVE)
    assert detector.weights_["head.w"].shape == (24, 24)
    assert np.isfinite(detector.score_samples(burst())).all()
    with pytest.raises(ValueError, match="published=True with task='forecast'"):
        HypAD(**SMALL, published=True, task="forecast").fit(WAVE)


def test_uncertainty_per_step(fitted):
    np.testing.assert_allclose(fitted.uncertainty_, fitted.uncertainty(WAVE), rtol=1e-6)
    assert fitted.uncertainty_.shape == (300,)
    assert 0 < fitted.uncertainty_.min() <= fitted.uncertainty_.max() < 1


def test_a_collapsed_norm_warns_and_is_left_out():
    still = np.zeros((100, 1))
    with pytest.warns(UncertaintyUninformativeWarning, match="combination='uncertainty' is scored without it"):
        detector = HypAD(**SMALL, combination="uncertainty").fit(still)
    assert not detector.uncertainty_informative_
    plain = HypAD(**SMALL, combination="mult").fit(still)  # no warning: nobody asked for it
    x = np.where(np.arange(100) > 50, 1.0, 0.0)
    np.testing.assert_array_equal(detector.score_samples(x), plain.score_samples(x))


def test_the_channel_that_moves_is_named(fitted):
    parts = fitted.explain(burst(channel=1))
    assert parts[155, 1] > 3 * parts[155, 0]
    np.testing.assert_allclose(parts.sum(axis=1), anomaly_score(fitted, burst(channel=1)))


def test_early_stopping_keeps_the_best_copy():
    detector = HypAD(**{**SMALL, "epochs": 40}, patience=1).fit(WAVE)
    assert detector.validation_curve_.shape == detector.loss_curve_.shape
    assert HypAD(**SMALL).fit(WAVE).validation_curve_ is None


def test_progress_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="odkit"):
        HypAD(**{**SMALL, "epochs": 2}, verbose=True).fit(WAVE)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["HypAD: step 5", "HypAD: step 10"]


def test_a_model_file_scores_without_training(fitted, tmp_path):
    model_file.save(fitted, tmp_path / "pump.odkit")
    np.testing.assert_array_equal(
        model_file.load(tmp_path / "pump.odkit").score_samples(burst()), fitted.score_samples(burst())
    )


def test_a_member_of_the_consensus(fitted, tmp_path):
    detector = SeriesConsensus(detectors=[MovingEnergy(window=12), HypAD(**SMALL)]).fit(WAVE)
    alone = [
        anomaly_score(each, burst()) / usual for each, usual in zip(detector.detectors_, detector.usual_, strict=True)
    ]
    np.testing.assert_allclose(alone[1] * detector.usual_[1], anomaly_score(fitted, burst()))
    np.testing.assert_allclose(anomaly_score(detector, burst()), np.mean(alone, axis=0))
    np.testing.assert_allclose(detector.explain(burst()).sum(axis=1), anomaly_score(detector, burst()))
    model_file.save(detector, tmp_path / "five.odkit")
    loaded = model_file.load(tmp_path / "five.odkit")
    np.testing.assert_array_equal(loaded.score_samples(burst()), detector.score_samples(burst()))


BAD = {
    "shorter than the window": (lambda: WAVE[:11], r"n_samples = 11 time steps; window = 12 needs at least 12"),
    "one channel more": (lambda: np.column_stack([WAVE, WAVE[:, 0]]), "3 features.*expecting 2"),
    "NaN": (lambda: np.where(T[:, None] == 7, np.nan, WAVE), r"NaN in columns 0, 1.*detect\(X, missing=mask\)"),
    "unsorted stamps": (lambda: pd.DataFrame(WAVE, index=STAMPS[::-1]), "must increase; row 1"),
    "gaps in the stamps": (lambda: pd.DataFrame(WAVE, index=STAMPS).drop(STAMPS[5]), "resample"),
}
STAMPS = pd.date_range("2024-01-01", periods=300, freq="1min")


@pytest.mark.parametrize("case", BAD)
def test_bad_series_are_refused_by_name(fitted, case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(make())
    if case != "one channel more":
        with pytest.raises(ValueError, match=message):
            HypAD(**SMALL).fit(make())


def test_masked_gaps_are_no_evidence(fitted):
    x, missing = WAVE.copy(), np.zeros(300, bool)
    x[100:103], missing[100:103] = np.nan, True
    assert not any(each.start < 103 and each.stop > 100 for each in fitted.detect(x, missing=missing))
