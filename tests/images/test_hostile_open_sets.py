"""Open-set detectors given what they cannot take: failed refits, labels of their own, shrinkages, encoders."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from odkit import ClassConditionalGaussian, LatentGMM

BOTH = pytest.mark.parametrize("make", [ClassConditionalGaussian, LatentGMM])


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 300)
    return rng.normal(size=(600, 4)) + 8 * (y == "b")[:, None], y


@pytest.mark.parametrize(
    ("detector", "labels", "message"),
    [
        (ClassConditionalGaussian(covariance="relative"), ["new"] * 600, "compares classes"),
        (ClassConditionalGaussian(covariance="class"), ["q"] + ["z"] * 599, "has 1 row"),
        (LatentGMM(), ["q"] + ["z"] * 599, "has 1 row"),
    ],
)
def test_a_fit_that_fails_leaves_no_model(data, detector, labels, message):
    X, y = data
    detector = clone(detector).set_params(fpr=0.02, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=message):
        detector.fit(X, labels)
    for use in (detector.predict_class, detector.score_samples):
        with pytest.raises(NotFittedError):
            use(X)
    assert detector.fit(X, y).predict_class(X[[0, 599]]).tolist() == ["a", "b"]


@BOTH
def test_a_class_is_no_rejection(data, make):
    X, y = data
    for labels, reject in [(np.where(y == "a", -1, 1), -1), (y, "b"), (y, ["a", "b"])]:
        with pytest.raises(ValueError, match=r"reject_label=.* must be one value and none of the classes"):
            make(fpr=0.02, reject_label=reject).fit(X, labels)
    assert make(fpr=0.02).fit(X, np.where(y == "a", "-1", "1")).predict_class(X[:1]).tolist() == ["-1"]


@BOTH
def test_missing_labels_are_no_class(data, make):
    X, y = data
    for labels in (np.where(y == "a", np.nan, 1.0), np.where(y == "a", None, y)):
        with pytest.raises(ValueError, match=f"{make.__name__}: labels y"):
            make(fpr=0.02).fit(X, labels)


@BOTH
@pytest.mark.parametrize("shrinkage", [("rdge", 1), ("npca", 0.9), ("ridge", -5), ("ridge",), ()])
def test_shrinkages_that_do_not_exist_are_named(data, make, shrinkage):
    with pytest.raises(ValueError, match=f"{make.__name__}: shrinkage=.* is not a pair of 'ridge'"):
        make(fpr=0.02, shrinkage=shrinkage).fit(*data)


@pytest.mark.parametrize("covariance", ["tied", "class", "relative"])
def test_variances_alone(data, covariance):
    X, y = data
    detector = ClassConditionalGaussian(covariance=covariance, shrinkage="diag", fpr=0.02, random_state=0).fit(X, y)
    fitted, _ = detector._split((y == "b").astype(int))
    groups = [X[fitted][y[fitted] == label] for label in ("a", "b")]
    centred = np.concatenate([group - group.mean(axis=0) for group in groups])
    distances = [
        ((X - group.mean(axis=0)) ** 2 / (group if covariance == "class" else centred).var(axis=0)).sum(axis=1)
        for group in groups
    ]
    whole = ((X - X[fitted].mean(axis=0)) ** 2 / X[fitted].var(axis=0)).sum(axis=1) * (covariance == "relative")
    np.testing.assert_allclose(-detector.score_samples(X), np.min(distances, axis=0) - whole, rtol=1e-9)


@BOTH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_threshold_is_a_number(data, make, monkeypatch):
    monkeypatch.setattr(make, "_score", lambda self, Z: np.where(np.arange(len(Z)) == 3, np.nan, -1.0))
    with pytest.raises(ValueError, match="scores of held-out rows are not finite"):
        make(fpr=0.02).fit(*data)


@BOTH
def test_an_encoder_gives_one_row_per_sample(data, make):
    class Halved:
        def transform(self, X):
            return X[::2]

    with pytest.raises(ValueError, match="300 rows came out of 600 samples"):
        make(Halved(), fpr=0.02).fit(*data)


def test_levels_of_an_encoder_are_put_side_by_side():
    torch = pytest.importorskip("torch")
    from odkit import FeaturePyramid

    X, y = _images(torch)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 3, 3))
    by_list = LatentGMM(FeaturePyramid(net, ["0", "1"]), fpr=0.1, random_state=0).fit(X, y)
    by_matrix = LatentGMM(FeaturePyramid(net, ["0", "1"], output="matrix"), fpr=0.1, random_state=0).fit(X, y)
    np.testing.assert_array_equal(by_list.score_samples(X), by_matrix.score_samples(X))
    for make in (ClassConditionalGaussian, LatentGMM):
        with pytest.raises(ValueError, match="maps were given and rows are needed; pool the levels"):
            make(FeaturePyramid(net, ["0"], pool=None), fpr=0.1).fit(X, y)


def test_a_module_as_encoder_is_evaluated_and_left_as_it_was():
    torch = pytest.importorskip("torch")
    X, y = _images(torch)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(), torch.nn.AdaptiveAvgPool2d(1)
    )
    net = torch.nn.Sequential(*net, torch.nn.Flatten()).train()
    statistics = net[1].running_mean.clone()
    detector = LatentGMM(net, fpr=0.1, random_state=0).fit(X, y)
    scores = detector.score_samples(X)
    np.testing.assert_array_equal(detector.score_samples(X), scores)
    assert net.training
    assert torch.equal(net[1].running_mean, statistics)
    net.eval()
    with torch.no_grad():
        rows = net(X).numpy()
    np.testing.assert_allclose(LatentGMM(fpr=0.1, random_state=0).fit(rows, y).score_samples(rows), scores)


def _images(torch):
    y = np.repeat([0, 1], 60)
    X = torch.randn(120, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    return X + 2 * torch.from_numpy(y)[:, None, None, None], y
