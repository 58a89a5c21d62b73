import numpy as np
import pytest

from odkit.bench.measures import Scored, measure

# golden: benchmark.md section 5, "severity toy"
LEVEL = np.array([0, 0, 1, 1, 2, 2, 3])
SCORE = np.array([0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])


def values(scored: Scored, *names: str) -> dict[str, float | None]:
    return {name: value for name, (_, value) in measure(names, scored).items()}


def test_steps_of_the_scale_are_parts_of_the_weakest():
    found = values(Scored(LEVEL > 0, SCORE, severity=LEVEL), "severity_auc_min", "auc_0_vs_min")
    assert found == {
        "severity_auc_min": 0.5, "severity_auc_min.adjacent_auc_0": 0.875, "severity_auc_min.adjacent_auc_1": 0.75,
        "severity_auc_min.adjacent_auc_2": 0.5, "auc_0_vs_min": 0.875, "auc_0_vs_min.auc_0_vs_1": 0.875,
        "auc_0_vs_min.auc_0_vs_2": 1.0, "auc_0_vs_min.auc_0_vs_3": 1.0,
    }  # fmt: skip


def test_an_order_of_one_level_is_none():
    one = Scored(LEVEL > 0, SCORE, severity=np.minimum(LEVEL, 1))
    assert values(one, "c_index_outliers") == {"c_index_outliers": None}
    assert values(one, "c_index")["c_index"] == pytest.approx(0.95)
    assert values(Scored(LEVEL > 0, SCORE), "c_index", "auc_0_vs_min") == {"c_index": None, "auc_0_vs_min": None}
    assert values(Scored(LEVEL > 0, SCORE, severity=LEVEL + 1), "auc_0_vs_min") == {"auc_0_vs_min": None}


def test_defects_are_graded_by_their_area():
    masks = np.zeros((7, 3, 3), bool)
    for image, area in enumerate(LEVEL):
        masks[image].flat[:area] = True
    assert values(Scored(LEVEL > 0, SCORE, masks=masks), "c_index_area") == {"c_index_area": 0.75}
    assert values(Scored(LEVEL > 0, SCORE), "c_index_area") == {"c_index_area": None}
