"""Consensus: calibration by worked values, combination, explanations that add up, labels, and bad input."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import ECOD, KNN, Consensus, Mahalanobis
from odkit.decide.surprise import surprise
from odkit.detectors.portfolio import portfolio


def trio(**parameters):
    members = [("ecod", ECOD()), ("knn", make_pipeline(StandardScaler(), KNN())), ("mvg", Mahalanobis())]
    return Consensus(members, **parameters)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    mix = np.array([[1.0, 0.8, 0, 0], [0, 0.6, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    train, test = rng.normal(size=(400, 4)) @ mix, rng.normal(size=(50, 4)) @ mix
    test[0], test[1] = [0, 0, 9, 0], [2.5, -2.5, 0, 0]  # extreme in one column; odd in a combination only
    return train, test


def test_surprise_worked_values():  # 1..99: k = 10, u = 89, mean excess 5.5
    found = surprise(np.arange(1.0, 100), [0, 50, 95, 99, 100, 120])
    np.testing.assert_allclose(found, [0, 0.673345, 3.298184, 4.025457, 4.207275, 7.843639], atol=5e-7)
    plain = surprise(np.arange(1.0, 100), [99, 120, 1e9], tail_fraction=0)
    np.testing.assert_allclose(plain, np.log([50, 100, 100]))
    assert surprise(np.arange(1.0, 100), [1e9], tail_cap=2)[0] == pytest.approx(np.log(100 / 11) + 2)
    np.testing.assert_allclose(surprise(np.ones(20), [1, 2]), [0, np.log(21)])  # no spread, no tail


def test_surprise_never_falls():
    rng = np.random.default_rng(1)
    training = np.sort(rng.lognormal(size=300))
    grid = np.linspace(0, training[-1] * 2, 4000)
    assert (np.diff(surprise(training, grid)) >= -0.35).all()  # the tail may start a step below the empirical line
    beyond = surprise(training, np.linspace(training[-1], training[-1] * 3, 50))
    assert (np.diff(beyond) > 0).all()


def test_the_score_is_the_combination_of_the_members(data):
    train, test = data
    detector = trio().fit(train)
    nats = detector.calibrated(test)
    raw = detector.member_scores(test)
    for j, (_, member) in enumerate(detector.members_):
        np.testing.assert_array_equal(raw[:, j], -member.score_samples(test))
        np.testing.assert_array_equal(nats[:, j], surprise(detector.calibration_[j], raw[:, j]))
    for combine, expected in {
        "mean": nats.mean(axis=1),
        "rms": np.sqrt((nats**2).mean(axis=1)),
        "max": nats.max(axis=1),
        "median": np.median(nats, axis=1),
    }.items():
        np.testing.assert_allclose(-trio(combine=combine).fit(train).score_samples(test), expected, rtol=1e-9)


def test_it_sees_what_each_member_is_blind_to(data):
    train, test = data
    order = np.argsort(trio().fit(train).score_samples(test))
    assert set(order[:2]) == {0, 1}


@pytest.mark.parametrize("combine", ["mean", "rms"])
def test_explanations_add_up(data, combine):
    train, test = data
    detector = trio(combine=combine).fit(train)
    parts = detector.explain(test)
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(test), rtol=1e-9)
    assert (parts >= 0).all()
    assert parts[0].argmax() == 2
    assert set(np.argsort(-parts[1])[:2]) == {0, 1}


def test_weights(data):
    train, test = data
    weighted = trio(weights=[0, 3, 1]).fit(train)
    np.testing.assert_allclose(weighted.weights_, [0, 0.75, 0.25])
    expected = np.sqrt(weighted.calibrated(test) ** 2 @ [0, 0.75, 0.25])
    np.testing.assert_allclose(-weighted.score_samples(test), expected)
    for name in ("mc-ndcg", "hits"):
        weights = trio(weights=name).fit(train).weights_
        assert weights.sum() == pytest.approx(1)
        assert weights.min() > 0.2
    truth = np.zeros(len(test), bool)
    truth[1] = True
    before = trio().fit(train)
    offset = before.offset_
    labelled = before.weight_by_labels(test, truth)
    assert labelled.weights_[2] > labelled.weights_[0]  # the distance ranks the odd combination first, ECOD does not
    assert labelled.offset_ == offset


def test_agreement_names_near_copies(data):
    train, test = data
    twins = Consensus([("a", KNN(n_neighbors=5)), ("b", KNN(n_neighbors=6)), ("ecod", ECOD())]).fit(train)
    assert [(a, b) for a, b, _ in twins.agreement_.twins] == [("a", "b")]
    report = twins.agreement(test)
    assert report.disagreement.shape == (50,)
    assert report.spearman.shape == report.top_overlap.shape == (3, 3)


@pytest.mark.parametrize("preset", ["fast", "balanced", "thorough"])
def test_presets(data, preset):
    train, test = data
    detector = Consensus(preset, random_state=0).fit(train)
    assert [name for name, _ in detector.members_] == [name for name, _ in portfolio(preset)]
    assert np.argmin(detector.score_samples(test)) in (0, 1)
    again = Consensus(preset, random_state=0, n_jobs=2).fit(train)
    np.testing.assert_array_equal(again.score_samples(test), detector.score_samples(test))


class Broken(ECOD):
    def _score(self, X):
        return np.full(len(X), np.nan)


@pytest.mark.parametrize(
    ("detector", "error", "message"),
    [
        (Consensus([("ecod", ECOD())]), ValueError, "1 detector"),
        (Consensus([("a", ECOD()), ("a", KNN())]), ValueError, "names must differ"),
        (Consensus("best"), ValueError, "The 'detectors' parameter of Consensus"),
        (trio(weights=[1, 2]), ValueError, "3 numbers"),
        (trio(weights=[0, 0, 0]), ValueError, "not all 0"),
        (Consensus([("ecod", ECOD()), ("broken", Broken())]), ValueError, "member 'broken'"),
    ],
)
def test_bad_input_is_named(data, detector, error, message):
    with pytest.raises(error, match=message):
        detector.fit(data[0])


def test_what_cannot_be_explained_is_named(data):
    train, test = data
    with pytest.raises(TypeError, match="combine='max' has no additive explanation"):
        trio(combine="max").fit(train).explain(test)
    forests = [("a", IsolationForest(n_estimators=5)), ("b", IsolationForest(n_estimators=6))]
    with pytest.raises(TypeError, match="no member explains"):
        Consensus(forests, random_state=0).fit(train).explain(test)
    half = Consensus([("ecod", ECOD()), *forests], random_state=0).fit(train)
    np.testing.assert_allclose(half.explain(test).sum(axis=1), -half.score_samples(test), rtol=1e-9)
    with pytest.raises(ValueError, match="preset='huge'; there are fast, balanced, thorough"):
        portfolio("huge")


def test_one_gross_row_blinds_no_member():
    X = np.random.default_rng(0).normal(size=(300, 2))
    members = [("knn", KNN()), ("ecod", ECOD())]
    clean, gross = (Consensus(members).fit(rows) for rows in (X, np.vstack([X, [[1e10, 1e10]]])))
    nats = gross.calibrated([[0, 0], [3, 3]])[:, 0]
    assert nats[0] == pytest.approx(clean.calibrated([[0, 0]])[0, 0], abs=0.01)
    assert nats[1] > 2  # the tail is that of the gross row, but the row is in it


def test_members_without_names_are_refused():
    with pytest.raises(ValueError, match=r"must be \(name, estimator\) pairs"):
        Consensus([ECOD(), KNN()]).fit(np.eye(5))
