"""FDR procedures: worked examples, their plain definitions, and the promise under many seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit.decide.fdr import benjamini_hochberg, e_benjamini_hochberg, storey, storey_null_share

unit = st.floats(0, 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(unit, min_size=1, max_size=12), st.sampled_from([0.05, 0.2, 0.5]))
def test_bh_is_its_definition(p, level):
    ordered = sorted(p)
    passing = [i for i, value in enumerate(ordered, 1) if value <= level * i / len(p) * (1 + 1e-12)]
    cut = ordered[max(passing) - 1] if passing else -1.0
    assert benjamini_hochberg(p, level).tolist() == [value <= cut for value in p]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 500), min_size=1, max_size=12), st.sampled_from([0.05, 0.2, 0.5]))
def test_e_bh_is_its_definition(e, level):
    ordered = sorted(e, reverse=True)
    passing = [i for i, value in enumerate(ordered, 1) if value >= len(e) / (level * i)]
    cut = ordered[max(passing) - 1] if passing else np.inf
    assert e_benjamini_hochberg(e, level).tolist() == [value >= cut for value in e]


def test_realised_fdr_is_at_most_nominal():
    rng = np.random.default_rng(0)
    shares = {name: [] for name in ("bh", "by", "storey", "e")}
    for _ in range(400):
        truth = rng.random(200) < 0.15
        p = np.where(truth, rng.beta(0.05, 1, 200), rng.random(200))
        p = np.clip(p, 1e-300, 1)
        for name, flagged in {
            "bh": benjamini_hochberg(p, 0.2),
            "by": benjamini_hochberg(p, 0.2, dependence="any"),
            "storey": storey(p, 0.2),
            "e": e_benjamini_hochberg(0.5 / np.sqrt(p), 0.2),
        }.items():
            shares[name].append((flagged & ~truth).sum() / max(flagged.sum(), 1))
    means = {name: np.mean(values) for name, values in shares.items()}
    assert all(mean <= 0.2 + 0.015 for mean in means.values()), means
    assert means["bh"] == pytest.approx(0.2 * 0.85, abs=0.02)  # level times the share of ordinary rows
    assert means["storey"] > means["bh"] > means["by"] > 0


def test_null_share():
    rng = np.random.default_rng(1)
    p = np.where(rng.random(20_000) < 0.3, 1e-6, rng.random(20_000))
    assert storey_null_share(p) == pytest.approx(0.7, abs=0.02)
    assert storey_null_share([0.9]) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: benjamini_hochberg([0.1, 1.2]), "within"),
        (lambda: benjamini_hochberg([0.1, np.nan]), "within"),
        (lambda: benjamini_hochberg([[0.1]]), "one-dimensional"),
        (lambda: benjamini_hochberg([0.1], 0.0), "level=0.0"),
        (lambda: benjamini_hochberg([0.1], dependence="none"), "'positive' and 'any'"),
        (lambda: storey([0.1], cut=1.0), "cut=1.0"),
        (lambda: e_benjamini_hochberg([-1.0]), "not negative"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_empty_batch_flags_nothing():
    assert benjamini_hochberg([]).tolist() == []
    assert e_benjamini_hochberg([]).tolist() == []
