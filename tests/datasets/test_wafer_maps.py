"""Wafer maps: the documented patterns, distinct cells, seeds."""

import numpy as np
import pytest

from odkit.datasets import make_wafer_maps
from odkit.datasets.wafer_maps import PATTERNS


@pytest.mark.parametrize("size", [64, 1000])
def test_maps_are_distinct_cells_of_the_disc(size):
    maps, patterns = make_wafer_maps(5, size=size)
    assert len(maps) == 45
    assert sorted(set(patterns.tolist())) == list(PATTERNS)
    for wafer in maps:
        assert wafer.dtype == np.int64
        assert len(np.unique(wafer, axis=0)) == len(wafer)
        center = (wafer + 0.5) / size * 2 - 1
        assert ((center**2).sum(axis=1) < (1 + 2 / size) ** 2).all()


def test_patterns_lie_where_the_table_says():
    maps, patterns = make_wafer_maps(40, size=2000)
    radius = {name: [] for name in PATTERNS}
    count = {name: [] for name in PATTERNS}
    for wafer, name in zip(maps, patterns.tolist(), strict=True):
        r = np.linalg.norm((wafer + 0.5) / 1000 - 1, axis=1)
        radius[name].append(np.median(r))
        count[name].append(len(wafer))
    assert np.mean(radius["center"]) < 0.35
    assert 0.4 < np.mean(radius["donut"]) < 0.62
    assert np.mean(radius["edge_ring"]) > 0.93
    assert np.mean(radius["edge_loc"]) > 0.85
    assert abs(np.mean(radius["random"]) - np.sqrt(0.5)) < 0.02
    mean = {name: np.mean(counts) for name, counts in count.items()}
    assert abs(mean["none"] - 60) < 5
    assert 2000 < mean["near_full"] < 2600
    assert 160 < mean["scratch"] < 240
    for name in ("center", "donut", "edge_loc", "edge_ring", "loc", "random"):
        assert 250 < mean[name] < 390


def test_a_scratch_is_a_thin_line():
    wafer = max(make_wafer_maps(10, patterns=["scratch"], size=1000, random_state=2).maps, key=len)
    grid = np.zeros((50, 50))
    np.add.at(grid, tuple((wafer // 20).T), 1)
    assert (grid >= 4).sum() < 50  # most of its points share few cells


def test_seeds():
    one, two = make_wafer_maps(2, random_state=3), make_wafer_maps(2, random_state=np.random.default_rng(3))
    for a, b in zip(one.maps, two.maps, strict=True):
        np.testing.assert_array_equal(a, b)
    assert make_wafer_maps(2, random_state=4).maps[0].tolist() != one.maps[0].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patterns": ["donat"]}, "no pattern 'donat'; there are center"),
        ({"size": 0}, "size is 0"),
        ({"n_per_pattern": 0}, "n_per_pattern is 0"),
    ],
)
def test_hostile_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_wafer_maps(**options)
