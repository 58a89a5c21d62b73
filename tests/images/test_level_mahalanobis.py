"""LevelMahalanobis: sums of one-level distances, thresholds on sums, lists and matrices alike, bad input."""

import numpy as np
import pytest
from sklearn.base import clone

from odkit import LevelMahalanobis, Mahalanobis, anomaly_score, explain


@pytest.fixture
def levels():
    rng = np.random.default_rng(0)
    mix = [rng.normal(size=(width, width)) for width in (3, 8, 200)]
    return [rng.normal(size=(120, len(m))) @ m for m in mix]  # the last has more columns than rows


@pytest.mark.parametrize(
    "options",
    [{}, {"shrinkage": "oas"}, {"shrinkage": "diag"}, {"shrinkage": ("ridge", 0.1)}, {"subspace": ("npca", 0.8)}],
)
def test_it_is_the_sum_of_single_levels(levels, options):
    detector = LevelMahalanobis(fpr=0.1, **options).fit(levels)
    single = [Mahalanobis(fpr=0.1, **options).fit(level) for level in levels]
    new = [level[:10] + 1 for level in levels]
    expected = np.stack([anomaly_score(one, part) for one, part in zip(single, new, strict=True)], axis=1)
    np.testing.assert_allclose(detector.distances(new), expected, rtol=1e-10)
    np.testing.assert_allclose(detector.score_levels(new).sum(axis=1), detector.score_samples(new), rtol=1e-12)
    np.testing.assert_allclose(detector.loo_distances_, sum(one.loo_distances_ for one in single), rtol=1e-10)
    sums = np.sort(detector.loo_distances_)
    assert -detector.offset_ == pytest.approx(sums[int(np.ceil(121 * 0.9)) - 1])
    np.testing.assert_allclose(explain(detector, np.hstack(new)).sum(axis=1), anomaly_score(detector, np.hstack(new)))
    assert detector.n_levels_ == 3
    assert detector.n_features_in_ == 211
    assert detector.widths_ == (3, 8, 200)


def test_one_level_is_mahalanobis(levels):
    ours, theirs = LevelMahalanobis(fpr=0.1).fit(levels[1]), Mahalanobis(fpr=0.1).fit(levels[1])
    np.testing.assert_array_equal(ours.score_samples(levels[1]), theirs.score_samples(levels[1]))
    assert ours.offset_ == theirs.offset_
    rows = levels[1].tolist()  # a list of lists of numbers is one matrix
    assert LevelMahalanobis(fpr=0.1).fit(rows).n_levels_ == 1


def test_lists_and_matrices_agree(levels):
    by_list = LevelMahalanobis(fpr=0.1).fit(tuple(levels))
    matrix = np.hstack(levels)
    by_matrix = LevelMahalanobis(widths=(3, 8, 200), fpr=0.1).fit(matrix)
    for given in (levels, matrix):
        np.testing.assert_array_equal(by_list.score_samples(given), by_matrix.score_samples(given))
    np.testing.assert_array_equal(clone(by_matrix).fit(levels).score_samples(matrix), by_list.score_samples(matrix))


def test_blocks_and_merged_parts_give_the_model_of_one_fit(levels):
    whole = LevelMahalanobis(fpr=0.1, random_state=0).fit(levels)
    a, b = ([level[rows] for level in levels] for rows in (slice(0, 50), slice(50, 120)))
    blocks = LevelMahalanobis(fpr=0.1, random_state=0).partial_fit(a).partial_fit(b)
    merged = LevelMahalanobis(fpr=0.1, random_state=0).fit(a).merge(LevelMahalanobis(fpr=0.1, random_state=0).fit(b))
    for other in (blocks, merged):
        np.testing.assert_allclose(other.score_samples(levels), whole.score_samples(levels), rtol=1e-8)
        assert other.offset_ == pytest.approx(whole.offset_, rel=1e-8)


def test_the_promised_share_of_normal_images_is_flagged():
    rng = np.random.default_rng(0)
    flagged = []
    for _ in range(30):
        train, test = ([rng.normal(size=(n, width)) for width in (10, 120)] for n in (80, 300))
        flagged.append((LevelMahalanobis(fpr=0.1).fit(train).predict(test) == -1).mean())
    assert 0.08 < np.mean(flagged) < 0.12


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({}, lambda levels: [levels[0], levels[1][:9]], "120, 9 rows"),
        ({"widths": (3, 9, 200)}, lambda levels: levels, r"\(3, 8, 200\) were given and \(3, 9, 200\) are expected"),
        ({"widths": (3, 9)}, lambda levels: np.hstack(levels), "do not cut n_features=211"),
        ({}, lambda levels: [levels[0], levels[1] * 0 + 2], "level 1: .*equal"),
        ({}, lambda levels: [levels[0], np.where(levels[1] > 3, np.nan, levels[1])], "NaN"),
        ({"threshold": "chi2"}, lambda levels: levels, "chi2.* or Mahalanobis for a single level"),
        ({"threshold": "chi2"}, lambda levels: levels[0], "chi2.* or Mahalanobis for a single level"),
        (
            {"widths": (3.5, 8, 200)},
            lambda levels: np.hstack(levels),
            r"widths=\(3.5, 8, 200\); positive",
        ),
        ({"widths": (12, -1, 200)}, lambda levels: np.hstack(levels), "positive whole numbers are needed"),
        ({}, lambda levels: [levels[0].reshape(120, 3, 1, 1), levels[1].reshape(120, 2, 2, 2)], "maps .* pool the lev"),
        ({}, lambda levels: levels[1].reshape(120, 2, 2, 2), "maps .* were given; rows are needed"),
        ({"subspace": ("npca", 2.0)}, lambda levels: levels, "subspace"),
        ({"subspace": ("pca", 0.5), "shrinkage": "diag"}, lambda levels: levels, "knows no components"),
    ],
)
def test_hostile_input_is_named(levels, options, change, message):
    with pytest.raises(ValueError, match=message):
        LevelMahalanobis(**{"fpr": 0.1, **options}).fit(change(levels))


def test_other_levels_than_the_fitted_ones_are_an_error(levels):
    detector = LevelMahalanobis(fpr=0.1).fit(levels)
    with pytest.raises(ValueError, match="expected, by the fit"):
        detector.score_samples(levels[:2])
    with pytest.raises(ValueError, match="211 features"):
        detector.score_samples(levels[0])
    with pytest.raises(AttributeError, match="partial_fit"):
        LevelMahalanobis(subspace=("npca", 0.9)).partial_fit(levels)
    with pytest.raises(ValueError, match="widths_"):
        LevelMahalanobis(fpr=0.1).fit(levels).merge(LevelMahalanobis(fpr=0.1).fit(np.hstack(levels)))
