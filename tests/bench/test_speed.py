import numpy as np
import pytest

from odkit.bench import speed
from odkit.bench.speed import measure_speed
from tests.bench.test_run import config, entries


def test_one_that_raises_is_named_and_stops_nobody(monkeypatch):
    monkeypatch.setattr(speed, "SCORED_ROWS", (1, 10))
    monkeypatch.setattr(speed, "_peak", lambda contestant, shape: 0.0)
    table = measure_speed(
        config(detectors=entries("Raises", "Polite", "GivesConstant")), shape=(100, 3), threads=(1, None)
    )
    assert table[0] == {"detector": "Raises", "reason": "ZeroDivisionError: as planned"}
    assert [(row["detector"], row["threads"]) for row in table[1:]] == [
        ("Polite", "1"), ("GivesConstant", "1"), ("Polite", "all"), ("GivesConstant", "all")
    ]  # fmt: skip
    assert [row["x fit"] for row in table if row.get("detector") == "Polite"] == [1.0, 1.0]


def test_the_ratio_is_taken_round_by_round(monkeypatch):
    rounds = iter([(1.0, 2.0), (10.0, 20.0), (2.0, 8.0)])  # the second minute was slow for both
    current: list[float] = []

    def clocked(contestant, train, scored):
        if not current:
            current.extend(next(rounds))
        seconds = current.pop(0)
        return dict.fromkeys(("fit", "1", "100", "10000"), seconds)

    monkeypatch.setattr(speed, "_round", clocked)
    monkeypatch.setattr(speed, "_peak", lambda contestant, shape: 0.0)
    _, second = measure_speed(config(detectors=entries("Polite", "GivesConstant")), shape=(100, 3), threads=(1,))
    assert second["x fit"] == np.median([2.0, 2.0, 4.0])
    assert second["fit s"] == 8.0


def test_two_rounds_are_too_few():
    with pytest.raises(ValueError, match="at least 3"):
        measure_speed(config(), repeats=2)
