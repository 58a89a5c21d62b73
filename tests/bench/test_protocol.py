import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from odkit.bench.config import Protocol
from odkit.bench.probes import batch_leak, preprocessing_leak
from odkit.bench.protocol import Unsupported, prepare, row_facts, scale
from odkit.datasets import load
from tests.bench.hostile import Polite, RanksTheBatch


@pytest.fixture(scope="module")
def payments():
    return load("samples/payments")


def test_a_stratified_split_keeps_the_rates_and_shares_no_row(payments):
    found = prepare(payments, Protocol(mode="contaminated", split="stratified"), seed=0)
    assert len(found.train) + len(found.test) == len(payments.X)
    assert found.is_outlier.sum() == round(0.3 * payments.is_outlier.sum())
    np.testing.assert_array_equal(found.test, payments.X[found.rows])
    again = prepare(payments, Protocol(mode="contaminated", split="stratified"), seed=0)
    np.testing.assert_array_equal(found.train, again.train)
    other = prepare(payments, Protocol(mode="contaminated", split="stratified"), seed=1)
    assert not np.array_equal(found.rows, other.rows)


def test_one_class_trains_on_no_known_outlier(payments):
    found = prepare(payments, Protocol(mode="one_class", split="stratified"), seed=0)
    outliers = {row.tobytes() for row in payments.X[payments.is_outlier]}
    assert not outliers & {row.tobytes() for row in found.train}


def test_the_scaler_has_seen_the_training_rows_only(payments):
    found = prepare(payments, Protocol(mode="contaminated", split="stratified", scaler="standard"), seed=0)
    np.testing.assert_allclose(found.train.mean(axis=0), 0, atol=1e-9)
    assert np.abs(found.test.mean(axis=0)).max() > 1e-3


def test_caps_are_seeded_and_stratified(payments):
    found = prepare(payments, Protocol(mode="contaminated", split="stratified", max_rows=300), seed=0)
    assert (len(found.train), len(found.test)) == (300, 300)
    assert found.is_outlier.sum() == 3
    same = prepare(payments, Protocol(mode="in_sample", max_rows=300), seed=0)
    assert same.test is None
    assert len(same.train) == len(same.is_outlier) == 300
    np.testing.assert_array_equal(same.train, payments.X[same.rows])


def test_what_a_protocol_needs_and_a_set_lacks_is_a_reason(payments):
    with pytest.raises(Unsupported, match="comes split"):
        prepare(payments, Protocol(mode="one_class", split="given"), seed=0)


def test_a_planted_scaler_leak_is_caught():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(80, 3)), rng.normal(size=(20, 3))

    def leaky(train, test):
        scaler = StandardScaler().fit(np.vstack([train, test]))
        return scaler.transform(train), scaler.transform(test)

    assert preprocessing_leak(leaky, train, test)
    assert not preprocessing_leak(lambda a, b: scale(a, b, "standard"), train, test)


def test_a_planted_batch_leak_is_caught():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(80, 3)), rng.normal(size=(60, 3))
    for detector, leaks in ((RanksTheBatch(), True), (Polite(), False)):
        fitted = detector.fit(train)
        scores = -fitted.score_samples(test)
        assert batch_leak(lambda rows, fitted=fitted: -fitted.score_samples(rows), test, scores) is leaks


def test_facts_count_duplicates_overlap_and_constants(payments):
    found = prepare(payments, Protocol(mode="contaminated", split="stratified"), seed=0)
    train = np.vstack([found.train[:3], found.train[:1]])
    train[:, 0] = 7.0
    test = np.vstack([train[1:2], train[1:2] + 1])
    facts = row_facts(type(found)(train, test, found.is_outlier, None, found.rows, False))
    assert facts["train_dup"] == 0.25
    assert facts["test_overlap"] == 0.5
    assert facts["constant_columns"] >= 1
    assert facts["non_finite"] == 0
