"""Open-set detectors: plain formulas, the promise of the threshold, scikit-learn's checks, bad input."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit import ClassConditionalGaussian, LatentGMM

DETECTORS = [
    ClassConditionalGaussian(fpr=0.1, random_state=0),
    ClassConditionalGaussian(normalize="l2", shrinkage=0.5, fpr=0.3, random_state=0),
    LatentGMM(fpr=0.1, covariance_type="tied", random_state=0),
    LatentGMM(components=1, fpr=0.1, random_state=0),
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(DETECTORS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 4))
    y = np.repeat([2, 5, 9], [150, 200, 250])
    centers = {2: [0, 0, 0, 0], 5: [9, 0, 0, 0], 9: [0, 12, 0, 3]}
    return rng.normal(size=(600, 4)) @ mix + np.array([centers[label] for label in y]), y


def fitted_rows(detector, X, y):
    """The rows that the detector did not hold out: its means say which."""
    fitted, _ = clone(detector).fit(X, y)._split(np.unique(y, return_inverse=True)[1])
    return X[fitted], y[fitted]


@pytest.mark.parametrize("covariance", ["tied", "class", "relative"])
@pytest.mark.parametrize("n_blocks", [1, 2])
def test_scores_are_the_plain_formulas(data, covariance, n_blocks):
    X, y = data
    detector = ClassConditionalGaussian(covariance=covariance, n_blocks=n_blocks, random_state=1).fit(X, y)
    rows, labels = fitted_rows(detector, X, y)
    queries = np.random.default_rng(1).normal(3, 4, (20, 4))
    total, whole = np.zeros((20, 3)), np.zeros(20)
    for part in np.split(np.arange(4), n_blocks):
        centered = np.concatenate([rows[labels == c] - rows[labels == c].mean(axis=0) for c in (2, 5, 9)])
        tied = LedoitWolf(assume_centered=True).fit(centered[:, part])
        for number, c in enumerate((2, 5, 9)):
            own = LedoitWolf().fit(rows[labels == c][:, part])
            model = own if covariance == "class" else tied
            z = queries[:, part] - rows[labels == c][:, part].mean(axis=0)
            total[:, number] += np.einsum("ni,ij,nj->n", z, np.linalg.inv(model.covariance_), z) / n_blocks
        if covariance == "relative":
            whole += LedoitWolf().fit(rows[:, part]).mahalanobis(queries[:, part]) / n_blocks
    np.testing.assert_allclose(-detector.score_samples(queries), total.min(axis=1) - whole, rtol=1e-8)
    accepted = detector.predict(queries) == 1
    found = detector.predict_class(queries)
    np.testing.assert_array_equal(found[accepted], np.array([2, 5, 9])[total.argmin(axis=1)][accepted])
    assert (found[~accepted] == -1).all()


def test_one_class_is_one_gaussian(data):
    X, _ = data
    detector = ClassConditionalGaussian(random_state=0).fit(X)
    rows, _ = fitted_rows(detector, X, np.zeros(600))
    np.testing.assert_allclose(-detector.score_samples(X), LedoitWolf().fit(rows).mahalanobis(X), rtol=1e-8)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_a_gaussian_per_class_is_a_density(data, covariance_type):
    X, y = data
    detector = LatentGMM(covariance_type=covariance_type, shrinkage=0.1, random_state=1).fit(X, y)
    rows, labels = fitted_rows(detector, X, y)
    groups = [rows[labels == c] for c in (2, 5, 9)]
    within = sum((group - group.mean(axis=0)).T @ (group - group.mean(axis=0)) for group in groups) / len(rows)
    density = 0
    for group in groups:
        covariance = np.cov(group.T, bias=True) if covariance_type == "full" else within
        covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / 4 * np.eye(4)
        density += len(group) / len(rows) * multivariate_normal(group.mean(axis=0), covariance).pdf(X)
    np.testing.assert_allclose(detector.score_samples(X), np.log(density), rtol=1e-8)


def test_components_by_em_agree_with_scikit_learn(data):
    X, y = data
    detector = LatentGMM(components=3, random_state=0).fit(X, y)
    rows, _ = fitted_rows(detector, X, y)
    peer = GaussianMixture(3, reg_covar=1e-3, n_init=3, random_state=0).fit(rows)
    np.testing.assert_allclose(detector.score_samples(X).mean(), peer.score(X), rtol=1e-3)
    accepted = detector.predict(X) == 1
    assert (detector.predict_class(X)[accepted] == y[accepted]).mean() > 0.99  # components know their classes
    assert LatentGMM(components=3, random_state=0).fit(X).class_shares_.shape == (3, 1)


@pytest.mark.parametrize(
    "detector",
    [
        ClassConditionalGaussian(),
        ClassConditionalGaussian(covariance="class"),
        ClassConditionalGaussian(covariance="relative", n_blocks=2),
        LatentGMM(),
        LatentGMM(components=4, covariance_type="diag"),
    ],
    ids=repr,
)
def test_laws(data, detector):
    X, y = data
    rng = np.random.default_rng(5)
    detector = clone(detector).set_params(fpr=0.05, random_state=0).fit(X, y)
    state = pickle.dumps(detector.__dict__)
    scores = detector.score_samples(X)
    detector.predict_class(X)
    assert pickle.dumps(detector.__dict__) == state
    alone = [detector.score_samples(row[None])[0] for row in X[:20]]
    np.testing.assert_allclose(alone, scores[:20], rtol=1e-9)
    np.testing.assert_array_equal(clone(detector).fit(X, y).score_samples(X), scores)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(X), scores)
    assert (detector.predict(X + rng.normal(40, 5, X.shape)) == -1).all()
    strict = clone(detector).set_params(fpr=0.02).fit(X, y)
    np.testing.assert_array_equal(strict.score_samples(X), scores)
    assert strict.offset_ <= detector.offset_
    words = clone(detector).set_params(reject_label="new").fit(X, y).predict_class(X)
    assert set(words.tolist()) <= {2, 5, 9, "new"}
    named = clone(detector).fit(X, np.array(["two", "five", "nine"])[np.unique(y, return_inverse=True)[1]])
    assert set(named.predict_class(X + 40).tolist()) == {-1}


def test_the_promised_share_of_known_rows_is_rejected():
    rng = np.random.default_rng(0)
    rejected = {"class": [], "relative": [], "latent": []}
    for seed in range(12):
        y = np.repeat([0, 1], 150)
        X = rng.normal(size=(300, 30)) + 3 * y[:, None]
        new = rng.normal(size=(500, 30)) + 3 * rng.integers(0, 2, 500)[:, None]
        for name, detector in [
            ("class", ClassConditionalGaussian(covariance="class", fpr=0.1, random_state=seed)),
            ("relative", ClassConditionalGaussian(covariance="relative", fpr=0.1, random_state=seed)),
            ("latent", LatentGMM(fpr=0.1, random_state=seed)),
        ]:
            rejected[name].append((detector.fit(X, y).predict(new) == -1).mean())
    for name, shares in rejected.items():
        assert 0.07 < np.mean(shares) < 0.125, name


class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_rows_, self.labels_ = len(X), set(np.asarray(y).tolist())
        return self

    def transform(self, X):
        return np.array([np.sum(x, axis=0) for x in X], dtype=float).reshape(len(X), -1)


def test_an_encoder_is_trained_without_the_held_out_samples(data):
    X, y = data
    ragged = [np.stack([row, row * i]) for i, row in enumerate(X)]  # no matrix: a list of arrays
    encoder = Scaled()
    detector = LatentGMM(encoder, calibration_fraction=0.3, random_state=0).fit(ragged, y)
    assert not hasattr(encoder, "n_rows_")
    assert detector.encoder_.n_rows_ == 600 - 45 - 60 - 75
    assert detector.encoder_.labels_ == {2, 5, 9}
    assert detector.score_samples(ragged).shape == (600,)
    frozen = LatentGMM(lambda x: np.asarray(x) * 2, random_state=0).fit(X, y)
    np.testing.assert_allclose(frozen.score_samples(X), LatentGMM(random_state=0).fit(2 * X, y).score_samples(2 * X))


@pytest.mark.parametrize(
    ("detector", "change", "message"),
    [
        (ClassConditionalGaussian(covariance="relative"), lambda X, y: (X, None), "compares classes and there is 1"),
        (ClassConditionalGaussian(n_blocks=3), lambda X, y: (X, y), "n_blocks=3"),
        (ClassConditionalGaussian(covariance="class"), lambda X, y: (X, np.r_[[7], y[1:]]), "class 7 has 1 row"),
        (LatentGMM(), lambda X, y: (X, np.r_[[7], y[1:]]), "class 7 has 1 row"),
        (LatentGMM(components=1000), lambda X, y: (X, y), "components=1000 for 420 rows"),
        (LatentGMM(covariance_type="diag"), lambda X, y: (X, y), "'full' and 'tied', not 'diag'"),
        (LatentGMM(encoder=3), lambda X, y: (X, y), "a callable"),
        (LatentGMM(), lambda X, y: (X, y[:-1]), "600 samples and y 599"),
        (LatentGMM(), lambda X, y: (np.where(X > 5, np.nan, X), y), "NaN"),
        (LatentGMM(), lambda X, y: (X[:2], y[:2] * 0), "calibration_fraction|few"),
        (ClassConditionalGaussian(), lambda X, y: (X[:3], np.arange(3)), "leave 0 rows for the threshold"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*too few for a threshold")
def test_hostile_input_is_named(data, detector, change, message):
    with pytest.raises(ValueError, match=message):
        clone(detector).fit(*change(*data))


def test_few_held_out_rows_warn(data):
    X, y = data
    with pytest.warns(UserWarning, match="60 held-out rows are too few for a threshold at fpr=0.01, which needs 99"):
        ClassConditionalGaussian(calibration_fraction=0.1).fit(X, y)
