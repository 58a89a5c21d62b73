"""Classes from labels: what is missing is no class."""

import numpy as np
import pandas as pd
import pytest

from odkit.images.labels import known_classes


@pytest.mark.parametrize("y", [["b", "a", "b"], [3, -1, 3], [True, False, True], np.array(["b", "a", "b"], object)])
def test_classes_are_sorted_and_counted_from_0(y):
    classes, numbers = known_classes(np.asarray(y), "X")
    np.testing.assert_array_equal(classes[numbers], y)
    assert numbers.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.nan], "X: labels y with nan, which is no class"),
        ([None, None], "None|NoneType"),
        (np.array(["a", None], object), "kinds NoneType, str; one kind is needed"),
        (np.array(["a", 1], object), "kinds int, str"),
        (np.array(["a", np.nan], object), "kinds float, str"),
        (np.asarray(pd.Series(["a", None], dtype="string"), object), "labels y of kinds NAType, str"),
        (np.array([pd.NA, pd.NA], object), "kinds NAType"),
        (np.array(["2020-01-01", "NaT"], "datetime64[D]"), "with NaT|with None"),
    ],
)
def test_missing_labels_are_no_class(y, message):
    with pytest.raises(ValueError, match=message):
        known_classes(np.asarray(y), "X")
