import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import KNN, FeaturePyramid, PatchGaussian
from odkit.bench.cell import _takes_rows


class Bare:
    """Fits and scores, and knows nothing of scikit-learn's tags."""


@pytest.mark.parametrize(
    ("detector", "rows"),
    [
        (KNN(), True),
        (Bare(), True),
        (make_pipeline(StandardScaler(), KNN()), True),
        (PatchGaussian(), False),
        (make_pipeline(FeaturePyramid(None, []), KNN()), False),
    ],
)
def test_images_become_rows_of_pixels_only_for_detectors_of_rows(detector, rows):
    assert _takes_rows(detector) is rows
