"""The road of blocks and parts, on a detector whose statistics are a count and a sum."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from odkit.base import Detector
from odkit.mergeable import SAMPLE_ROWS, Mergeable, _draw


class Centre(Mergeable):
    """Score = minus the distance to the mean, in units of `scale`."""

    _parameter_constraints = {**Detector._parameter_constraints, "scale": [float], "random_state": ["random_state"]}
    _merge_parameters = ("scale",)

    def __init__(self, *, scale=1.0, contamination=0.1, random_state=None):
        self.scale = scale
        self.contamination = contamination
        self.random_state = random_state

    def _partial_stats(self, X):
        return {"n": len(X), "sum": X.sum(axis=0)}

    def _merge_stats(self, a, b):
        return {name: a[name] + b[name] for name in a}

    def _fit_from_stats(self, stats):
        self.location_ = stats["sum"] / stats["n"]

    def _score(self, X):
        return -np.linalg.norm(X - self.location_, axis=1) / self.scale


class OtherCentre(Centre):
    pass


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(20_000, 3))


def test_blocks_and_parts_give_the_model_of_one_fit(X):
    whole = Centre(random_state=0).fit(X)
    blocks = Centre(random_state=0)
    for block in np.array_split(X, 7):
        blocks.partial_fit(block)
    parts = [Centre(random_state=i).partial_fit(part) for i, part in enumerate(np.array_split(X, 3))]
    merged = parts[0].merge(parts[1].merge(parts[2]))
    for streamed in (blocks, merged):
        assert streamed.n_samples_seen_ == len(X)
        np.testing.assert_allclose(streamed.score_samples(X), whole.score_samples(X), rtol=1e-12)
        assert (streamed.predict(X) == -1).mean() == pytest.approx(0.1, abs=0.02)  # four standard errors


def test_up_to_the_size_of_the_sample_the_offset_is_exact(X):
    few = X[:SAMPLE_ROWS]
    whole = Centre().fit(few)
    streamed = Centre().partial_fit(few[:1000]).partial_fit(few[1000:])
    assert streamed.offset_ == pytest.approx(whole.offset_, rel=1e-12)


def test_fit_forgets_what_was_seen(X):
    again = Centre(random_state=0).partial_fit(X * 9 + 1).fit(X)
    fresh = Centre(random_state=0).fit(X)
    assert again.n_samples_seen_ == len(X)
    assert again.offset_ == fresh.offset_
    np.testing.assert_array_equal(again._sample["rows"], fresh._sample["rows"])


def test_a_compact_detector_scores_alike_and_learns_no_more(X):
    whole = Centre(random_state=0).fit(X)
    compact = whole.compact()
    np.testing.assert_array_equal(compact.score_samples(X[:50]), whole.score_samples(X[:50]))
    assert (compact.offset_, compact.n_samples_seen_) == (whole.offset_, whole.n_samples_seen_)
    assert len(pickle.dumps(compact)) < 2000 < len(pickle.dumps(whole))
    for learn in (lambda: compact.partial_fit(X), lambda: compact.merge(whole), lambda: whole.merge(compact)):
        with pytest.raises(ValueError, match=r"a compact Centre does not remember .*; go on with .* or start afresh"):
            learn()
    whole.partial_fit(X + 1)  # what it was made of learns on, alone
    assert compact.location_ != pytest.approx(whole.location_)
    assert compact.fit(X).partial_fit(X).n_samples_seen_ == 2 * len(X)
    with pytest.raises(NotFittedError):
        Centre().compact()


def test_statistics_are_not_mixed_with_those_of_other_parameters(X):
    halves = X[:50], X[50:90]
    changed = Centre(scale=2.0).fit(halves[0]).set_params(scale=3.0)
    np.testing.assert_array_equal(changed.score_samples(X[:9]), Centre(scale=3.0).fit(halves[0]).score_samples(X[:9]))
    other = Centre(scale=3.0).fit(halves[1])
    for learn in (
        lambda: changed.partial_fit(halves[1]),
        lambda: changed.merge(other),
        lambda: other.merge(changed),
    ):
        with pytest.raises(ValueError, match=r"scale was 2\.0 for the rows .* and is 3\.0 now; set it back"):
            learn()
    assert changed.set_params(scale=2.0).partial_fit(halves[1]).n_samples_seen_ == 90
    assert changed.set_params(scale=3.0).fit(X).partial_fit(X).n_samples_seen_ == 2 * len(X)


def test_a_failed_fit_leaves_an_unfitted_detector(X):
    class Picky(Centre):
        def _partial_stats(self, X):
            if len(X) < 2:
                raise ValueError("two rows at least")
            return super()._partial_stats(X)

    for detector in (Picky(), Picky().fit(X)):
        with pytest.raises(ValueError, match="two rows"):
            detector.fit(X[:1])
        with pytest.raises(NotFittedError):
            detector.score_samples(X)


def test_a_block_or_part_that_fails_leaves_the_old_model(X):
    class Fragile(Centre):
        def _fit_from_stats(self, stats):
            super()._fit_from_stats(stats)
            if stats["n"] > 100:
                raise KeyboardInterrupt

    detector = Fragile().fit(X[:60])
    before = dict(vars(detector))
    for learn in (lambda: detector.partial_fit(X[:60]), lambda: detector.merge(Fragile().fit(X[:60]))):
        with pytest.raises(KeyboardInterrupt):
            learn()
        assert vars(detector) == before
    with pytest.raises(KeyboardInterrupt):
        (fresh := Fragile()).partial_fit(X[:200])
    assert set(vars(fresh)) == set(vars(Fragile()))


def test_rows_that_make_no_model_yet_are_kept(X):
    class Patient(Centre):
        def _lacks(self, stats):
            return "" if stats["n"] > 2 else "three rows are needed"

    first, second = Patient().partial_fit(X[:1]), Patient().partial_fit(X[1:3])
    for detector, seen in ((first, "1 row"), (second, "2 rows")):
        with pytest.raises(NotFittedError, match=f"Patient: not fitted yet, after {seen} in partial_fit: three rows"):
            detector.predict(X)
    assert first.merge(second).n_samples_seen_ == 3
    np.testing.assert_allclose(first.location_, X[:3].mean(axis=0))


def test_merge_leaves_the_other_alone(X):
    one, other = Centre(random_state=0).fit(X[:50]), Centre(random_state=1).fit(X[50:90])
    before = {name: np.copy(value) for name, value in {**other._stats, **other._sample}.items()}
    offset = other.offset_
    one.merge(other)
    assert (other.n_samples_seen_, other.offset_) == (40, offset)
    for name, value in {**other._stats, **other._sample}.items():
        np.testing.assert_array_equal(value, before[name])


def test_the_sample_is_uniform_over_blocks_and_within_them():
    times_kept, rounds = np.zeros(30_000), 40
    for seed in range(rounds):
        detector = Centre(random_state=seed)
        for block in np.split(np.arange(30_000.0)[:, None], [500, 20_000]):  # blocks of 500, 19 500 and 10 000 rows
            detector.partial_fit(block)
        rows = detector._sample["rows"][:, 0].astype(int)
        assert len(np.unique(rows)) == SAMPLE_ROWS
        times_kept[rows] += 1
    expected = rounds * SAMPLE_ROWS / 30_000
    for part in np.split(times_kept, [500, 10_000, 20_000, 25_000]):
        assert part.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / len(part)))


def test_the_smallest_keys_are_distributed_as_if_every_row_had_one():
    n, k = 9000, SAMPLE_ROWS
    kth = [_draw(np.empty((n, 1)), np.random.default_rng(seed))["keys"][-1] for seed in range(50)]
    expected = -np.log1p(-k / n)  # the quantile of the exponential law at k/n
    assert np.mean(kth) == pytest.approx(expected, abs=5 * np.std(kth) / np.sqrt(50))
    assert np.std(kth) < 0.03


def test_equal_blocks_are_sampled_differently():
    block = np.arange(10_000.0)[:, None]
    detector = Centre(random_state=0).partial_fit(block)
    first = set(detector._sample["rows"][:, 0])
    second = set(_draw(block, np.random.default_rng([detector._seed, detector.n_samples_seen_]))["rows"][:, 0])
    assert len(first & second) < 0.5 * SAMPLE_ROWS  # 41 % are shared by chance


def test_merge_refuses_what_does_not_add_up(X):
    one = Centre().fit(X[:50])
    with pytest.raises(ValueError, match="given OtherCentre, but only another Centre"):
        one.merge(OtherCentre().fit(X[:50]))
    with pytest.raises(ValueError, match="given list"):
        one.merge([1])
    with pytest.raises(ValueError, match=r"scale is 1\.0 here and 2\.0 in the other"):
        one.merge(Centre(scale=2.0).fit(X[:50]))
    with pytest.raises(ValueError, match="n_features_in_ is 3 here and 2 in the other"):
        one.merge(Centre().fit(X[:50, :2]))
    with pytest.raises(ValueError, match=r"feature_names_in_ is None here and \['a', 'b', 'c'\]"):
        one.merge(Centre().fit(pd.DataFrame(X[:50], columns=list("abc"))))
    with pytest.raises(NotFittedError):
        one.merge(Centre())
    with pytest.raises(NotFittedError):
        Centre().merge(one)
    assert one.n_samples_seen_ == 50


def test_a_later_block_has_the_columns_of_the_first(X):
    streamed = Centre().partial_fit(pd.DataFrame(X[:50], columns=list("abc")))
    with pytest.raises(ValueError, match="feature names"):
        streamed.partial_fit(pd.DataFrame(X[:50], columns=list("abd")))
    with pytest.raises(ValueError, match="expecting 3 features"):
        Centre().partial_fit(X[:50]).partial_fit(X[:50, :2])
    assert streamed.n_samples_seen_ == 50


def test_mergeable_is_announced(X):
    assert clone(Centre()).__sklearn_tags__().mergeable
    assert not Detector().__sklearn_tags__().mergeable
