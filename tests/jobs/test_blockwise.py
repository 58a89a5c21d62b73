"""Fits in blocks: the model is the one that all rows at once give."""

import numpy as np
import pandas as pd
import pytest

from odkit import ECOD, GMM, KNN, Conformal, Mahalanobis, anomaly_score
from odkit.jobs import blockwise, choice, single
from odkit.jobs.fitted import load
from odkit.jobs.selection import Source

FEATURES = ["volt", "ampere", "watt"]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK", 300)


@pytest.fixture
def frame():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(2000, 3)) @ [[2, 0.3, 0], [0, 1, 0.5], [0, 0, 3]] + [1e3, 0, -5]
    X[:700, 1] += 8
    return pd.DataFrame(X, columns=FEATURES)


@pytest.fixture
def files(frame, tmp_path):
    """1300 rows of Parquet in row groups of 170, then 700 rows of CSV with the columns in another order."""
    frame[:1300].to_parquet(tmp_path / "a.parquet", row_group_size=170, index=False)
    frame[1300:][FEATURES[::-1]].to_csv(tmp_path / "b.csv", index=False)
    return [tmp_path / "a.parquet", tmp_path / "b.csv"]


def test_mahalanobis_is_that_of_one_fit(frame, files):
    fitted = blockwise.fit(Source(files), Mahalanobis())
    whole = Mahalanobis().fit(frame)
    np.testing.assert_allclose(
        anomaly_score(fitted.detector, frame), anomaly_score(whole, frame), rtol=1e-10, atol=1e-10
    )
    assert fitted.detector.n_samples_seen_ == 2000
    assert fitted.detector.offset_ == pytest.approx(whole.offset_, rel=0.02)


@pytest.mark.parametrize("epsilon", [0.2, 0.01])
def test_ecod_is_within_its_error(frame, files, epsilon):
    fitted = blockwise.fit(Source(files), ECOD(compression=epsilon, tail=None))
    whole = ECOD(tail=None).fit(frame)
    off = np.abs(fitted.detector.explain(frame) - whole.explain(frame))
    assert off.max() <= epsilon + 1e-12


def test_gmm_is_that_of_one_fit(frame, files):
    passes = []
    fitted = blockwise.fit(
        Source(files), GMM(2, random_state=0), progress=lambda what, done, total: passes.append((what, done, total))
    )
    whole = GMM(2, random_state=0).fit(frame)
    np.testing.assert_allclose(anomaly_score(fitted.detector, frame), anomaly_score(whole, frame), rtol=1e-9)
    assert fitted.detector.offset_ == pytest.approx(whole.offset_, rel=1e-9)
    assert passes[-1] == (f"fitting GMM, pass {fitted.detector.n_iter_ + 2} over the rows", 2000, 0)


def test_a_scaler_before_it_takes_a_pass_of_its_own(frame, files):
    words = {"scale": "standard", "params": ["threshold=chi2"]}
    fitted = blockwise.fit(Source(files), choice.make_detector("mahalanobis", **words))
    whole = choice.make_detector("mahalanobis", **words).fit(frame)
    np.testing.assert_allclose(anomaly_score(fitted.detector, frame), anomaly_score(whole, frame), rtol=1e-10)
    np.testing.assert_array_equal(fitted.detector.predict(frame), whole.predict(frame))


def test_what_a_model_notes_is_that_of_one_fit(frame, files, tmp_path):
    fitted = blockwise.fit(Source(files), Mahalanobis())
    whole = single.fit(Source(files), Mahalanobis())
    assert fitted.data == whole.data
    assert fitted.columns == whole.columns
    assert fitted.notes == []
    fitted.save(tmp_path / "m.odkit")
    assert load(tmp_path / "m.odkit").columns.names == FEATURES


def test_what_is_usual_is_read_off_evenly_spaced_rows(frame, files, monkeypatch):
    monkeypatch.setattr(blockwise, "USUAL_ROWS", 100)
    monkeypatch.setattr(blockwise, "SAMPLE_ROWS", 100)
    fitted = blockwise.fit(Source(files), Mahalanobis())
    for feature in fitted.columns.features:  # 125 rows: the 0th, 16th, ...
        np.testing.assert_array_equal(feature.usual, np.quantile(frame[feature.name][::16], [0.05, 0.5, 0.95]))
    assert fitted.notes == ["fitted in blocks: the threshold is read off a random sample of 100 rows"]


def test_ids_text_and_gaps(frame, tmp_path):
    frame = frame.assign(kind="x", id=np.arange(2000))
    frame.loc[[5, 900], "volt"] = np.nan
    frame.to_parquet(tmp_path / "x.parquet")
    path = tmp_path / "x.parquet"
    with pytest.raises(ValueError, match=r"x\.parquet: 1 of 300 rows.*'volt' \(the first is row 5"):
        blockwise.fit(Source([path], ids=["id"]), Mahalanobis(), on_text="drop")
    with pytest.raises(ValueError, match="column 'kind' holds text"):
        blockwise.fit(Source([path], ids=["id"]), Mahalanobis())
    fitted = blockwise.fit(Source([path], ids=["id"], nan="null"), Mahalanobis(), on_text="drop")
    assert (fitted.columns.names, fitted.data["rows"], fitted.detector.n_samples_seen_) == (FEATURES, 1998, 1998)
    assert fitted.notes == ["left out, because they hold no numbers: 'kind'"]


def test_what_cannot_be_fitted_in_blocks_says_so(files):
    for detector, options, message in [
        (KNN(), {}, "KNN cannot be fitted in blocks; raise --memory"),
        (Conformal(Mahalanobis()), {}, "Conformal cannot be fitted in blocks"),
        (choice.make_detector("mahalanobis", scale="robust"), {}, "RobustScaler cannot be fitted in blocks"),
        (ECOD(), {}, "ECOD keeps every row it is fitted on; say --param compression=0.01"),
        (Mahalanobis(), {"on_text": "codes"}, "--on-text codes must count all texts first"),
    ]:
        with pytest.raises(ValueError, match=message):
            blockwise.fit(Source(files), detector, **options)


def test_files_without_rows(frame, tmp_path):
    frame[:0].to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"x\.parquet: there is no row to learn from"):
        blockwise.fit(Source([tmp_path / "x.parquet"]), Mahalanobis())


def test_a_first_file_of_one_row_waits_for_the_others(frame, tmp_path):
    for name, rows in (("a.csv", frame[:1]), ("b.csv", frame[1:300])):
        rows.to_csv(tmp_path / name, index=False)
    fitted = blockwise.fit(Source([tmp_path / "a.csv", tmp_path / "b.csv"]), Mahalanobis())
    assert fitted.detector.n_samples_seen_ == 300
    with pytest.raises(ValueError, match="not fitted yet, after 1 row in partial_fit"):
        blockwise.fit(Source([tmp_path / "a.csv"]), Mahalanobis())


def test_size_decides(files):
    assert not blockwise.too_large(Source(files))
    assert blockwise.too_large(Source(files), "100kB")
    assert not blockwise.too_large(Source(files[:1]), 3 * 8 * 1300 * 3)
    assert blockwise.too_large(Source(files[:1]), 3 * 8 * 1300 * 3 - 1)
    assert not blockwise.too_large(Source(["nowhere.csv"]), 1)
