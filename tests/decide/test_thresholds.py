"""Threshold rules: closed forms, what they assume, and the wrapper."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit import ECOD
from odkit.decide import thresholds
from odkit.decide.thresholds import Threshold


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([Threshold(ECOD())])
def test_scikit_learn(estimator, check):
    check(estimator)


def test_normal_scores_get_the_normal_threshold():
    z = np.random.default_rng(0).normal(size=200_000)
    assert thresholds.contamination(z, 0.01) == pytest.approx(2.326, abs=0.03)
    assert thresholds.median_mad(z, 3) == pytest.approx(3.0, abs=0.03)
    assert thresholds.tukey(z, 1.5) == pytest.approx(2.698, abs=0.03)
    assert thresholds.pareto_tail(z, 0.001) == pytest.approx(3.09, abs=0.08)
    assert thresholds.two_stage(z, 3) == pytest.approx(2.93, abs=0.05)
    assert thresholds.chi_square(1, 0.05) == pytest.approx(1.96, abs=0.001)


def test_the_pareto_tail_looks_beyond_the_data():
    rng = np.random.default_rng(1)
    for draw, truth in (
        (rng.exponential, lambda a: -np.log(a)),
        (lambda size: rng.pareto(3, size), lambda a: a ** (-1 / 3) - 1),
    ):
        found = [thresholds.pareto_tail(draw(size=2000), 1e-4) for _ in range(20)]
        assert np.median(found) == pytest.approx(truth(1e-4), rel=0.15)
    assert thresholds.pareto_tail(np.r_[np.zeros(95), np.ones(5)] * 0, 0.01) == 0.0


def test_robust_rules_ignore_gross_scores():
    z = np.random.default_rng(2).normal(size=1000)
    spoiled = np.r_[z, np.full(100, 1e6)]
    assert thresholds.median_mad(spoiled) == pytest.approx(thresholds.median_mad(z), abs=0.8)
    assert thresholds.tukey(spoiled) == pytest.approx(thresholds.tukey(z), abs=0.8)
    assert thresholds.two_stage(spoiled) < 1e5


def test_the_wrapper_moves_only_the_line():
    X = np.random.default_rng(3).normal(size=(300, 2))
    plain = ECOD().fit(X)
    for rule in ("contamination", "median_mad", "pareto_tail", "tukey", "two_stage", np.median):
        detector = Threshold(ECOD(), rule=rule).fit(X)
        np.testing.assert_array_equal(detector.score_samples(X), plain.score_samples(X))
        function = thresholds.RULES[rule] if isinstance(rule, str) else rule
        assert detector.offset_ == -function(-plain.score_samples(X))
    np.testing.assert_array_equal(detector.explain(X), plain.explain(X))
    assert (detector.predict(X) == -1).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: thresholds.tukey([]), "vector of finite"),
        (lambda: thresholds.tukey([1, np.nan]), "vector of finite"),
        (lambda: thresholds.contamination([1, 2], 0), "share=0"),
        (lambda: thresholds.pareto_tail(range(50)), "leave 5 excesses; at least 10"),
        (lambda: thresholds.pareto_tail(range(500), 0.2), "between 0 and tail"),
        (lambda: thresholds.chi_square(3, 2), "alpha=2"),
        (lambda: Threshold(ECOD(), rule="best").fit([[1.0], [2.0]]), "The 'rule' parameter of Threshold"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
