"""GMM beyond the contract: equality with scikit-learn, goldens, starts, chunks, reasons, errors, and real data."""

import itertools
import threading
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit import GMM, Mahalanobis, model_file
from odkit.kernels.cpu import mixture, mixture_search
from tests.devices import TWINS

KINDS = ["full", "tied", "diag", "spherical"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    mix = np.eye(4) + 0.4 * rng.normal(size=(4, 4))
    return np.concatenate(
        [rng.normal(size=(n, 4)) @ mix + shift for n, shift in ((150, 0), (100, 6), (50, [9, 0, 0, 9]))]
    )


def start(kind, X, n_components=3):
    """The three *_init parameters: some rows, unit precisions."""
    d = X.shape[1]
    precisions = {
        "full": np.tile(np.eye(d), (n_components, 1, 1)),
        "tied": np.eye(d),
        "diag": np.ones((n_components, d)),
        "spherical": np.ones(n_components),
    }[kind]
    weights = np.full(n_components, 1 / n_components)
    return {
        "weights_init": weights,
        "means_init": X[:: len(X) // n_components][:n_components],
        "precisions_init": precisions,
    }


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([GMM(2, random_state=0), GMM(3, covariance_type="spherical", n_init=2, random_state=0)])
def test_scikit_learn_with_several_components(estimator, check):
    check(estimator)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_scikit_learn_from_the_same_start(rows, kind, compiled, monkeypatch):
    monkeypatch.setattr(mixture, "EM_WORK", 0 if compiled else np.inf)
    given = start(kind, rows) | {"covariance_type": kind, "tol": 1e-6, "max_iter": 500}
    ours, peer = GMM(3, **given).fit(rows), GaussianMixture(3, **given).fit(rows)
    assert ours.n_iter_ == peer.n_iter_
    assert ours.converged_
    assert ours.lower_bound_ == pytest.approx(peer.lower_bound_, abs=1e-9)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(peer, name), rtol=1e-6, atol=1e-8)
    X = np.concatenate([rows, 30 * rows[:9]])
    np.testing.assert_allclose(ours.score_samples(X), peer.score_samples(X), rtol=1e-7)
    np.testing.assert_array_equal(ours.predict_component(rows), peer.predict(rows))
    assert ours.bic(rows) == pytest.approx(peer.bic(rows))
    assert ours.aic(rows) == pytest.approx(peer.aic(rows))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_scikit_learns_at_equal_parameters(rows, kind):
    peer = GaussianMixture(3, covariance_type=kind, random_state=0).fit(rows)
    ours = GMM(3, covariance_type=kind, **start(kind, rows)).fit(rows)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        setattr(ours, name, getattr(peer, name))
    np.testing.assert_allclose(ours.score_samples(rows), peer.score_samples(rows), rtol=1e-9)


GOLDEN = {  # mean log-likelihood after 1 and 50 iterations and BIC after 50, from an independent implementation
    "full": (-2.6963921246, -2.6860983390, 255.46554111584),
    "tied": (-2.6984519843, -2.6889102384, 244.62385470375),
    "diag": (-2.7547768273, -2.6745390236, 247.16303697369),
    "spherical": (-2.7634123775, -2.6854808254, 240.66062220960),
}


@pytest.mark.parametrize("kind", KINDS)
def test_golden_numbers(kind):
    i, j = np.arange(1, 41)[:, None], np.arange(1, 3)[None]
    X = np.sin(i * j) + np.cos(0.7 * i + j**2)
    given = start(kind, X, 2) | {"means_init": [[-1, 0], [1, 0]], "covariance_type": kind, "tol": 0}
    once, often = (GMM(2, max_iter=max_iter, **given).fit(X) for max_iter in (1, 50))
    expected = GOLDEN[kind]
    assert once.score_samples(X).mean() == pytest.approx(expected[0], abs=1e-9)
    assert often.score_samples(X).mean() == pytest.approx(expected[1], abs=1e-9)
    assert often.bic(X) == pytest.approx(expected[2], abs=1e-8)


def test_one_component_ranks_as_mahalanobis(rows):
    one = GMM(reg_covar=0.01).fit(rows).score_samples(rows)
    other = Mahalanobis(shrinkage=("ridge", 0.01)).fit(rows).score_samples(rows)
    np.testing.assert_array_equal(np.argsort(one), np.argsort(other))


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_a_far_origin_costs_no_digits(rows, kind):
    near, far = (GMM(3, covariance_type=kind, random_state=0).fit(X) for X in (rows, rows + 2.0**30))
    np.testing.assert_allclose(far.score_samples(rows + 2.0**30), near.score_samples(rows), rtol=1e-6)


def test_units_of_columns_do_not_matter(rows):
    scale = np.array([1.0, 1e4, 1.0, 1e-2])
    plain = GMM(3, reg_covar=0, random_state=0).fit(rows).score_samples(rows)
    scaled = GMM(3, reg_covar=0, random_state=0).fit(rows * scale).score_samples(rows * scale)
    np.testing.assert_allclose(scaled + np.log(scale).sum(), plain, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bic_finds_the_groups(rows, kind):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(200, 3)) + shift for shift in ([0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9])])
    detector = GMM("auto", covariance_type=kind, random_state=0).fit(X)
    assert detector.n_components_ == 4
    assert detector.bic_path_[:, 0].tolist() == [1, 2, 4, 8, 16]
    assert detector.bic_path_[2, 1] == detector.bic_path_[:, 1].min() == pytest.approx(detector.bic(X))
    assert len(np.unique(detector.predict_component(X)[::200])) == 4
    few = GMM("auto", covariance_type=kind, random_state=0).fit(X[::20])
    assert few.bic_path_[:, 0].tolist() == [1, 2, 4]


def test_auto_says_what_it_compared_however_few_rows_there_are(rows):
    for n, sizes in ((15, [1]), (25, [1, 2])):
        detector = GMM("auto", covariance_type="diag", random_state=0).fit(rows[:n])
        assert detector.bic_path_[:, 0].tolist() == sizes
    assert detector.bic_path_[:, 1].min() == pytest.approx(detector.bic(rows[:25]))
    assert GMM(2, random_state=0).fit(rows).bic_path_.shape == (0, 2)


def test_auto_takes_no_collapsed_mixture():
    X = np.random.default_rng(0).integers(0, 2, (300, 3)).astype(float)  # 8 distinct rows, one for each component
    detector = GMM("auto", reg_covar=1e-3, random_state=0).fit(X)
    assert detector.n_components_ < 8
    assert np.isinf(detector.bic_path_[-1, 1])
    floorless = GMM("auto", covariance_type="diag", reg_covar=0, random_state=0).fit(X)
    assert np.isfinite(floorless.score_samples(X)).all()


def test_auto_leaves_outliers_no_component_of_their_own():
    rng = np.random.default_rng(0)
    rows, group = rng.normal(size=(200, 12)), rng.normal(size=(10, 12)) * 0.1 + 6  # 10 rows span less than 12 columns
    detector = GMM("auto", reg_covar=1e-3, random_state=0).fit(np.concatenate([rows, group]))
    assert np.isinf(detector.bic_path_[-1, 1])
    assert (detector.weights_ * 210 > 12).all()
    assert detector.score_samples(group).max() < np.median(detector.score_samples(rows))
    spherical = GMM("auto", covariance_type="spherical", random_state=0).fit(np.concatenate([rows, group]))
    assert spherical.n_components_ == 2  # one variance needs two rows


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_more_starts_get_further():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(60, 2)) + 7 * rng.normal(size=2) for _ in range(8)])
    reached = [
        np.mean([GMM(8, n_init=n_init, random_state=seed).fit(X).lower_bound_ for seed in range(5)])
        for n_init in (1, 8)
    ]
    assert reached[1] > reached[0]


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_equal_memory(rows, kind, monkeypatch):
    monkeypatch.setattr("odkit.detectors.gmm.START_ROWS", 120)
    cuts = [np.s_[:7], np.s_[7:200], np.s_[200:]]
    for given in ({"random_state": 3}, start(kind, rows)):
        whole = GMM(3, covariance_type=kind, **given).fit(rows)
        parts = GMM(3, covariance_type=kind, **given).fit_chunks(lambda: (rows[cut] for cut in cuts))
        assert parts.n_iter_ == whole.n_iter_
        np.testing.assert_allclose(parts.score_samples(rows), whole.score_samples(rows), rtol=1e-9)
        assert parts.offset_ == pytest.approx(whole.offset_)


def test_chunks_that_change_are_refused(rows):
    with pytest.raises(ValueError, match="chunks\\(\\) gave no rows"):
        GMM(2).fit_chunks(lambda: iter(()))
    once = iter([rows])
    with pytest.raises(ValueError, match=r"a pass over the rows gave 0 of 300.*makes a new one"):
        GMM(2).fit_chunks(lambda: once)
    with pytest.raises(ValueError, match="features"):
        GMM(2).fit_chunks(lambda: [rows, rows[:, :2]])
    with pytest.raises(TypeError, match=r"GMM.fit_chunks: chunks is a list, no function.*lambda: blocks"):
        GMM(2).fit_chunks([rows, rows])


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_sum_to_half_the_distance_of_the_responsible_component(rows, kind):
    detector = GMM(3, covariance_type=kind, random_state=0).fit(rows)
    parts = detector.explain(rows)
    component = detector.predict_component(rows)
    constant = detector.score_samples(detector.means_[component]) - np.log(detector.weights_[component])
    alone = -(detector.score_samples(rows) - np.log(detector.weights_[component]) - constant)
    clear = np.abs(rows - rows.mean(axis=0)).sum(axis=1) > 0  # groups are far apart: one component is responsible
    np.testing.assert_allclose(parts.sum(axis=1)[clear], alone[clear], atol=0.05)
    moved = rows[:1] + np.array([0.0, 0, 50, 0])
    assert detector.explain(moved)[0].argmax() == 2


@pytest.mark.parametrize("kind", KINDS)
def test_expected_is_what_makes_the_row_least_strange(rows, kind):
    detector = GMM(3, covariance_type=kind, random_state=0).fit(rows)
    X = rows[::60]
    expected = detector.expected(X)
    for i, x in enumerate(X):
        for j in range(4):
            mended, beside = np.tile(x, (2, 1)), x.copy()
            mended[:, j] = expected[i, j] + np.array([0.0, 1e-3])
            beside[j] = expected[i, j] - 1e-3
            distances = detector.explain(np.vstack([mended, beside])).sum(axis=1)
            assert distances[0] == distances.min()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("device", TWINS)
def test_torch_gives_the_same_model(rows, kind, device):
    given = start(kind, rows) | {"covariance_type": kind}
    cpu, torch = GMM(3, **given).fit(rows), GMM(3, device=device, **given).fit(rows)
    np.testing.assert_allclose(torch.score_samples(rows), cpu.score_samples(rows), rtol=1e-9)
    np.testing.assert_allclose(torch.explain(rows), cpu.explain(rows), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(torch.expected(rows), cpu.expected(rows), rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(torch.predict_component(rows), cpu.predict_component(rows))


def test_float32_rows_are_fitted_in_float64(rows):
    X = rows.astype(np.float32)
    single, double = GMM(3, random_state=0).fit(X), GMM(3, random_state=0).fit(X.astype(float))
    np.testing.assert_array_equal(single.means_, double.means_)


def test_threads_change_nothing(rows):
    X = np.tile(rows, (60, 1)) + np.random.default_rng(0).normal(size=(18000, 4))
    one, two = (GMM(2, n_jobs=n_jobs, random_state=0).fit(X) for n_jobs in (None, 2))
    np.testing.assert_array_equal(one.covariances_, two.covariances_)


@pytest.mark.parametrize("parameters", [{"n_components": "auto"}, {"n_components": 3, "n_init": 4}], ids=str)
def test_starts_are_sought_side_by_side_and_decide_alike(rows, parameters, monkeypatch):
    models = [GMM(**parameters, n_jobs=n_jobs, random_state=0).fit(rows) for n_jobs in (None, 2, 5)]
    for other in models[1:]:
        np.testing.assert_array_equal(other.means_, models[0].means_)
        np.testing.assert_array_equal(other.bic_path_, models[0].bic_path_)
    both, calls, clusters = threading.Barrier(2, timeout=60), itertools.count(), mixture_search.clusters

    def meet(*given):
        if next(calls) < 2:
            both.wait()  # goes on when a second start has come, and fails where none does
        return clusters(*given)

    monkeypatch.setattr(mixture_search, "clusters", meet)
    GMM(**parameters, n_jobs=2, random_state=0).fit(rows)
    assert next(calls) > 3


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_set_after_the_fit_move_no_score(rows, kind):
    detector = GMM(2, covariance_type=kind, random_state=0).fit(rows)
    expected = detector.score_samples(rows), detector.explain(rows)
    later = "diag" if kind == "full" else "full"
    detector.set_params(covariance_type=later, n_components=7, reg_covar=1.0, max_iter=1)
    np.testing.assert_array_equal(detector.score_samples(rows), expected[0])
    np.testing.assert_array_equal(detector.explain(rows), expected[1])
    detector._check_state()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", [1e39, 1e160, 1e300])
def test_far_rows_raise_no_alarm_but_their_score(rows, kind, far):
    detector = GMM(2, covariance_type=kind, random_state=0).fit(rows)
    X = rows[:2] + far
    assert (detector.score_samples(X) < detector.score_samples(rows).min()).all()
    assert detector.explain(X).shape == detector.expected(X).shape == X.shape


def test_collapse_and_missing_convergence_are_said(rows):
    spike = np.concatenate([rows, np.full((40, 4), 100.0)])
    with pytest.warns(ConvergenceWarning, match=r"GMM: collapsed component \d: .*reg_covar=1e-06"):
        detector = GMM(2, random_state=0).fit(spike)
    assert np.isfinite(detector.score_samples(spike)).all()
    with pytest.warns(ConvergenceWarning, match="no convergence in max_iter=2"):
        GMM(3, max_iter=2, tol=1e-12, **start("full", rows)).fit(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GMM(3, max_iter=2, tol=0, **start("full", rows)).fit(rows)  # asked for: so many iterations and no more


ERRORS = {
    "too few rows": ({"n_components": 301}, "n_samples=300 and n_components=301.*lower n_components"),
    "auto with a start": ({"n_components": "auto", "means_init": np.zeros((1, 4))}, "'auto' chooses its own starts"),
    "weights": ({"n_components": 2, "weights_init": [0.5, 0.6]}, r"weights_init must be .* sum to 1.*\[0.5, 0.6\]"),
    "shape": (
        {"n_components": 2, "means_init": [[0.0, 0.0]]},
        r"means_init .* shape \(2, 4\), given was shape \(1, 2\)",
    ),
    "precisions": ({"n_components": 1, "precisions_init": -np.eye(4)[None]}, "precisions_init.*positive definite"),
    "covariance": ({"covariance_type": "banded"}, "covariance_type"),
    "device": ({"device": "abacus"}, "abacus"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_say_what_to_do(rows, case):
    parameters, message = ERRORS[case]
    with pytest.raises((ValueError, RuntimeError), match=message):
        GMM(**parameters).fit(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_singular_without_a_floor_is_named(kind):
    X = np.ones((30, 3))
    with pytest.raises(ValueError, match=r"covariance.* is singular .*Raise reg_covar"):
        GMM(covariance_type=kind, reg_covar=0).fit(X)


def test_fewer_rows_than_columns_stand_on_the_floor():
    X = np.random.default_rng(0).normal(size=(6, 20))
    detector = GMM(reg_covar=0.1).fit(X)
    assert np.isfinite(detector.score_samples(5 * X)).all()


def test_constant_and_duplicated_columns_stand_on_the_floor(rows):
    X = np.column_stack([rows, rows[:, 0], np.full(len(rows), 7.0)])
    detector = GMM(3, random_state=0).fit(X)
    usual = detector.score_samples(X)
    assert np.isfinite(usual).all()
    assert detector.score_samples(X[:1] + np.eye(6)[5])[0] < usual.min()  # a constant that changes is seen
    with pytest.raises(ValueError, match=r"covariance of component .* is singular .*Raise reg_covar"):
        GMM(3, reg_covar=0, random_state=0).fit(X)


def test_a_model_file_keeps_it(rows, tmp_path):
    detector = GMM(3, covariance_type="tied", random_state=0).fit(rows)
    model_file.save(detector, tmp_path / "gmm.odkit")
    np.testing.assert_array_equal(
        model_file.load(tmp_path / "gmm.odkit").score_samples(rows), detector.score_samples(rows)
    )
    detector.means_ = detector.means_[:, :2]
    model_file.save(detector, tmp_path / "bad.odkit")
    with pytest.raises(model_file.ModelFileError, match=r"GMM.*means_"):
        model_file.load(tmp_path / "bad.odkit")


ADBENCH = {  # ROC AUC in %, four full components on standardised columns, fitted on all rows, mean of three seeds
    "14_glass": 87.8, "18_Ionosphere": 91.9, "20_letter": 90.8, "29_Pima": 58.9, "38_thyroid": 96.2, "40_vowels": 96.0,
    "47_yeast": 41.0, "4_breastw": 96.3, "6_cardio": 71.4, "7_Cardiotocography": 49.2,
}  # fmt: skip


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ADBENCH)
def test_adbench(data_home, name):
    with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as data:
        X, truth = data["X"].astype(float), data["y"] == 1
    spread = X.std(axis=0)
    X = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    rocs = [roc_auc_score(truth, -GMM(4, random_state=seed).fit(X).score_samples(X)) for seed in range(3)]
    assert 100 * np.mean(rocs) == pytest.approx(ADBENCH[name], abs=5)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("unit", [1e-170, 1e-160, 1e-150, 1e170])
def test_values_without_squares_are_refused_and_nothing_else_is_heard(covariance_type, unit):
    X = np.random.default_rng(0).normal(size=(60, 3)) * unit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="leave the range of float64"):
            GMM(2, covariance_type=covariance_type, reg_covar=0.0).fit(X)


@pytest.mark.parametrize("covariance_type", KINDS)
def test_numbers_whose_squares_keep_their_digits_give_the_same_model(covariance_type):
    X = np.random.default_rng(0).normal(size=(60, 3))
    plain = GMM(covariance_type=covariance_type, reg_covar=0.0).fit(X).score_samples(X)
    tiny = GMM(covariance_type=covariance_type, reg_covar=0.0).fit(np.ldexp(X, -460))
    np.testing.assert_allclose(tiny.score_samples(np.ldexp(X, -460)) - 3 * 460 * np.log(2), plain, atol=1e-10)
