"""Pictures of series: what is drawn where."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from odkit import DynamicThreshold, MovingEnergy
from odkit.adapters.plots import FOUND, TRUE, plot_series
from odkit.series import Interval

X = np.column_stack([np.sin(np.arange(200) / 9), np.cos(np.arange(200) / 9)])
SCORE = np.abs(X).sum(axis=1)


def shades(axis, color, of="get_x"):
    from matplotlib.colors import to_rgb

    return [getattr(patch, of)() for patch in axis.patches if patch.get_facecolor()[:3] == to_rgb(color)]


def test_panels_lines_and_shades(tmp_path):
    figure = plot_series(X, SCORE, found=[Interval(20, 30), Interval(190, 200)], true=[Interval(25, 40)], threshold=1.2)
    assert [axis.get_ylabel() for axis in figure.axes] == ["0", "1", "anomaly score"]
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), X[:, 1])
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), SCORE)
    for axis in figure.axes:
        assert shades(axis, FOUND) == [20, 190]
        assert shades(axis, FOUND, "get_width") == [10, 10]  # the last step, too
        assert shades(axis, TRUE) == [25]
    assert [text.get_text() for text in figure.legends[0].texts] == ["threshold", "found (2)", "true (1)"]
    figure.savefig(tmp_path / "series.png")
    assert (tmp_path / "series.png").stat().st_size > 5000


def test_stamps_are_the_axis():
    stamps = pd.date_range("2024-01-01", periods=200, freq="1h")
    frame = pd.DataFrame(X, index=stamps, columns=["volt", "ampere"])
    figure = plot_series(frame, SCORE, title="pump")
    assert [axis.get_ylabel() for axis in figure.axes] == ["volt", "ampere", "anomaly score"]
    assert figure.axes[0].lines[0].get_xdata()[1] == stamps[1].to_datetime64()
    assert figure.get_suptitle() == "pump"
    assert plot_series(frame["volt"], SCORE).axes[0].get_ylabel() == "volt"


def test_thresholds_of_windows_are_drawn_one_by_one():
    cuts = DynamicThreshold().thresholds(SCORE)
    figure = plot_series(X[:, 0], SCORE, threshold=cuts)
    assert len(figure.axes[1].collections) == len(cuts)


@pytest.mark.parametrize("kind", ["stamps", "periods", "durations", "text", "numbers"])
def test_what_detect_finds_in_a_frame_is_drawn(kind):
    stamps = pd.date_range("2024-01-01", periods=200, freq="1h")
    index = {
        "stamps": stamps,
        "periods": stamps.to_period("1h"),
        "durations": stamps - stamps[0],
        "text": pd.Index([f"row {i:03}" for i in range(200)]),
        "numbers": pd.RangeIndex(200),
    }[kind]
    frame = pd.DataFrame(X, index=index, columns=["volt", "ampere"])
    spoilt = frame.copy()
    spoilt.iloc[-5:] += 9
    detector = MovingEnergy(window=5).fit(frame)
    found = detector.detect(spoilt)
    figure = plot_series(spoilt, -detector.score_samples(spoilt), found=found)
    assert len(found) == len(shades(figure.axes[0], FOUND)) == 1
    assert shades(figure.axes[0], FOUND, "get_width")[0] > 0


def test_what_is_no_interval_of_the_series_is_refused():
    with pytest.raises(ValueError, match="found has steps 190 to 201 of 200"):
        plot_series(X, SCORE, found=[Interval(190, 201)])
    with pytest.raises(TypeError, match=r"true holds \(3, 5\); Interval"):
        plot_series(X, SCORE, true=[(3, 5)])
    with pytest.raises(ValueError, match="found is a frame with labels"):
        plot_series(X, SCORE, found=pd.DataFrame({"start": [1], "end": [2]}))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_series(X, SCORE[:-1]), r"200 time steps and anomaly scores of shape \(199,\)"),
        (lambda: plot_series(np.zeros((200, 9)), SCORE), "9 channels; at most 8"),
        (lambda: plot_series(X, SCORE, threshold=[1.0, 2.0]), r"threshold has shape \(2,\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_window_system_is_touched():
    code = "import sys, odkit.adapters.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
