"""DynamicThreshold against the tabulated golden values and its definition."""

import numpy as np
import pytest
from sklearn.base import clone

from odkit import DynamicThreshold


def ones(n, **spikes):
    e = np.ones(n)
    for place, value in spikes.items():
        first, _, last = place[1:].partition("_")
        e[int(first) : int(last or int(first) + 1)] = value
    return e


# [first, last] inclusive and severity, window 1, step 1, padding 3; computed independently for the specification
GOLDEN = [
    (ones(100, i50=10), [(47, 53, 2.683493)], [(47, 53, 3.360018)]),
    (ones(100, i40_45=10), [(37, 47, 0.206355)], [(37, 47, 1.068807)]),
    (ones(100, i0=10), [(0, 3, 2.683493)], [(0, 3, 3.360018)]),
    (ones(100, i99=10), [(96, 99, 2.683493)], [(96, 99, 3.360018)]),
    (ones(200, i20=10, i70=8), [(17, 23, 3.034146), (67, 73, 1.971587)], [(17, 23, 1.062560)]),
    (ones(100, i20=10, i70=9.7), [(17, 23, 1.600159), (67, 73, 1.475996)], [(17, 23, 2.369460), (67, 73, 2.245297)]),
    (ones(200, i20=10, i100=4.2, i160=3.85), [(17, 23, 3.446634)], None),
    (ones(100, i3=10, i7=9), [(0, 10, 1.719489)], [(0, 6, 0.423352)]),
    (ones(200, i180_190=5), [(177, 192, 0.151020)], [(177, 192, 0.782202)]),
    (ones(100, i50_60=5), [], [(47, 62, 0.230769)]),
    (ones(50), [], []),
    (np.zeros(50), [], []),
    (np.array([]), [], []),
    (np.array([3.0]), [], []),
    (np.array([3.0, 4.0]), [], []),
]


@pytest.mark.parametrize("case", range(len(GOLDEN)))
@pytest.mark.parametrize("mode", ["fixed", "exact"])
def test_golden_values(case, mode):
    e, fixed, exact = GOLDEN[case]
    expected = fixed if mode == "fixed" else exact
    if expected is None:
        pytest.skip("not tabulated")
    found = DynamicThreshold(mode=mode, window=1.0, step=1.0, padding=3).find(e)
    assert [(i.start, i.stop - 1) for i in found] == [span[:2] for span in expected]
    np.testing.assert_allclose([i.severity for i in found], [span[2] for span in expected], atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("fixed", [(148, 154, 1.965415), (288, 292, 1.852647)]), ("exact", [(150, 154, 0.764500), (288, 292, 2.343334)])],
)
def test_golden_values_in_windows(mode, expected):
    e = ones(300, i150=10, i152=12, i290=6)
    found = DynamicThreshold(mode=mode, window=0.33, step=0.1, padding=2).find(e)
    assert [(i.start, i.stop - 1) for i in found] == [span[:2] for span in expected]
    np.testing.assert_allclose([i.severity for i in found], [span[2] for span in expected], atol=1e-6)
    assert [i.peak for i in found] == [152, 290]


def test_windows_reach_the_end_and_stop_there():
    lines = DynamicThreshold(window=0.33, step=0.1).thresholds(np.ones(300))
    assert lines[:3, 0].tolist() == [0, 10, 20]
    assert (lines[:-1, 1] < 300).all()
    assert lines[-1, 1] == 300
    assert DynamicThreshold().thresholds([]).shape == (0, 3)


def test_the_grid_is_never_better_than_the_exact_search():
    e = np.random.default_rng(0).exponential(size=500)
    e[100:103] = 30
    grid, exact = (DynamicThreshold(mode=m, window=1.0, padding=2) for m in ("grid", "exact"))
    assert [(i.start, i.stop) for i in grid.find(e)] == [(98, 105)]
    assert [(i.start, i.stop) for i in exact.find(e)] == [(98, 105)]
    assert clone(grid).set_params(z_grid=[100.0]).find(np.ones(20)) == []


def test_dips_on_request():
    e = 10 * ones(100, i50=0)
    assert DynamicThreshold(window=1.0, padding=3).find(e) == []
    [found] = DynamicThreshold(window=1.0, padding=3, inverse=True).find(e)
    assert (found.start, found.stop, found.peak) == (47, 54, 50)


def test_random_scores_are_not_flagged():
    for n in (300, 2000, 8000):
        e = np.random.default_rng(n).random(n)
        assert DynamicThreshold().find(e) == []
        assert DynamicThreshold(mode="fixed").find(e) == []


@pytest.mark.parametrize(
    ("e", "message"),
    [
        ([1.0, -0.5, 2.0], "finite and >= 0; step 1 has -0.5"),
        ([1.0, np.nan], "step 1 has nan"),
        ([1.0, np.inf], "step 1 has inf"),
        (np.ones((3, 2)), r"shape \(3, 2\)"),
    ],
)
def test_bad_scores_are_named(e, message):
    with pytest.raises(ValueError, match=message):
        DynamicThreshold().find(e)


@pytest.mark.parametrize("wrong", [{"window": 0.0}, {"step": 1.5}, {"padding": -1}, {"mode": "best"}, {"prune": 2.0}])
def test_bad_parameters_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DynamicThreshold(**wrong).find(np.ones(10))
