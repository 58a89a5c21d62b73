"""joblib and skops beside our own model file, as docs/model-files.md says."""

import joblib
import numpy as np
import pytest

import odkit


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(2).normal(size=(80, 3))


@pytest.mark.parametrize("detector", [odkit.ECOD(), odkit.Mahalanobis(fpr=0.05), odkit.KNN(), odkit.GMM(2)], ids=str)
def test_joblib_files_come_back_and_share_memory(X, tmp_path, detector):
    detector.fit(X)
    joblib.dump(detector, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(loaded.score_samples(X), detector.score_samples(X))


@pytest.mark.parametrize(
    ("detector", "trusted"),
    [
        (odkit.ECOD(), ["odkit.detectors.ecod.ECOD", "odkit.kernels.cpu.tail_table.TailTable"]),
        (
            odkit.ECOD(compression=0.01),
            [
                "odkit.detectors.ecod.ECOD",
                "odkit.kernels.cpu.staircase.Staircase",
                "odkit.kernels.cpu.tail_table.TailTable",
            ],
        ),
        (odkit.Mahalanobis(fpr=0.05), ["odkit.detectors.mahalanobis.Mahalanobis"]),
        (odkit.GMM(2), ["odkit.detectors.gmm.GMM"]),
    ],
    ids=str,
)
def test_skops_files_come_back_with_a_list_of_trust(X, detector, trusted):
    skops = pytest.importorskip("skops.io")
    stored = skops.dumps(detector.fit(X))
    assert sorted(skops.get_untrusted_types(data=stored)) == trusted
    loaded = skops.loads(stored, trusted=trusted)
    np.testing.assert_array_equal(loaded.score_samples(X), detector.score_samples(X))
