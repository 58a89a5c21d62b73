"""AutoEncoder: the score's parts, units, constant columns, seeds, bad input, and that anything is learnt."""

import logging
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning, NotFittedError

pytest.importorskip("torch")

import torch

from odkit import KNN, AutoEncoder, anomaly_score
from tests import naive
from tests.devices import DEVICES

NO_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"no {name} here", name=name)

sys.meta_path.insert(0, NoTorch())
"""


def small(**kwargs):
    return AutoEncoder(
        **{"max_steps": 60, "n_members": 2, "batch_size": 64, "learning_rate": 0.01, "random_state": 0, **kwargs}
    )


@pytest.fixture(scope="module")
def X():
    """A curve in six dimensions, with noise, in different units."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, size=(300, 2))
    rows = np.column_stack([t[:, 0], t[:, 1], t[:, 0] ** 2, t[:, 0] * t[:, 1], np.sin(t[:, 1]), t.sum(axis=1)])
    return (rows + 0.05 * rng.normal(size=rows.shape)) * [1, 10, 1, 1e-3, 1, 1] + [0, 5, 0, 0, 1e4, 0]


@pytest.fixture(scope="module")
def learnt(X):
    return AutoEncoder(error="mse", hidden=(4,), n_members=2, max_steps=1500, learning_rate=5e-3, random_state=0).fit(X)


# --- the score


@pytest.mark.parametrize("error", ["mse", "pre", "apre"])
@pytest.mark.parametrize("device", DEVICES)
def test_the_score_is_the_mean_of_the_members_errors_by_the_loops(X, error, device):
    X = np.column_stack([X, np.full(len(X), 7.0)])
    test = np.vstack([X[:4], X[:1] * 3, X[:1] + 1])
    detector = small(error=error, alpha=0.7, beta=1.3, min_variance=0.05, device=device).fit(X)
    alpha, beta = {"mse": (1, 0), "pre": (1, 1), "apre": (0.7, 1.3)}[error]
    assert (detector.alpha_, detector.beta_) == (alpha, beta)
    expected = np.zeros(len(test))
    for i, row in enumerate((test - detector.location_) / detector.scale_):
        for e in range(2):
            state = ([a[e].astype(float) for a in part] for part in (detector.weights_, detector.biases_))
            mean, variance = naive.reconstruct(row[:-1], *state, error != "mse")
            if error == "mse":
                expected[i] += (((row[:-1] - mean) ** 2).sum() + row[-1] ** 2) / 2
            else:
                expected[i] += naive.apre(row, [*mean, 0.0], [*variance, 1.0], alpha, beta, 0.05) / 2
    np.testing.assert_allclose(anomaly_score(detector, test), expected, rtol=1e-9)
    np.testing.assert_allclose(detector.explain(test).sum(axis=1), anomaly_score(detector, test), rtol=1e-10)
    deviation, log_variance = detector.explain(test, parts=True)
    np.testing.assert_allclose(deviation + log_variance, detector.explain(test), rtol=1e-12)
    assert (deviation >= 0).all()
    assert error != "mse" or not log_variance.any()
    assert error == "mse" or log_variance[:, :-1].any()


def test_only_the_ratio_of_alpha_and_beta_orders_the_rows(X):
    base = small().fit(X)
    other = small(alpha=5.0, beta=20.0).fit(X)
    np.testing.assert_allclose(anomaly_score(other, X), 10 * anomaly_score(base, X), rtol=1e-9)
    for ours, theirs in zip(base.weights_, other.weights_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(
        small(error="pre", alpha=9).fit(X).score_samples(X), small(error="pre").fit(X).score_samples(X)
    )


def test_the_mean_error_of_the_members_exceeds_the_error_of_their_mean(learnt, X):
    mean, variance = learnt.reconstruct_members(X)
    assert variance is None
    assert mean.shape == (2, *X.shape)
    between = (mean.var(axis=0) / learnt.scale_**2).sum(axis=1)
    joint = (((learnt.reconstruct(X) - X) / learnt.scale_) ** 2).sum(axis=1)
    np.testing.assert_allclose(anomaly_score(learnt, X), joint + between, rtol=1e-9)
    assert (between > 0).all()
    np.testing.assert_array_equal(learnt.expected(X), learnt.reconstruct(X))


def test_variances_come_in_the_units_of_the_columns(X):
    factors = np.array([1.0, 1e3, 1e-3, 1.0, 2.0, 1.0])
    one, other = small(error="pre").fit(X), small(error="pre").fit(X * factors + 3)
    np.testing.assert_allclose(
        other.reconstruct(X * factors + 3), one.reconstruct(X) * factors + 3, rtol=1e-3, atol=1e-3
    )
    variances = (d.reconstruct_members(rows)[1] for d, rows in ((one, X), (other, X * factors + 3)))
    first, second = variances
    np.testing.assert_allclose(second / factors**2, first, rtol=1e-2)
    assert first.shape == (2, *X.shape)


def test_a_row_far_outside_is_finite_and_ever_more_anomalous(learnt, X):
    scores = anomaly_score(learnt, X[:1] + np.array([[10.0**power] for power in (1, 3, 6, 9, 30, 100)]))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
    assert learnt.score_samples(X[:1] + 1e200) == -np.inf  # no float holds its square, and no warning says so


# --- columns that do not vary


def test_a_constant_column_changes_nothing_until_it_moves(X):
    with_constant = np.insert(X, 2, -4.0, axis=1)
    for error in ("mse", "apre"):
        plain, extended = small(error=error).fit(X), small(error=error).fit(with_constant)
        np.testing.assert_array_equal(extended.constant_features_, np.arange(7) == 2)
        np.testing.assert_allclose(extended.score_samples(with_constant), plain.score_samples(X), rtol=1e-12)
        moved = with_constant[:3] + np.eye(7)[2] * 0.1
        alpha = {"mse": 1.0, "apre": 0.5}[error]
        difference = anomaly_score(extended, moved) - anomaly_score(extended, with_constant[:3])
        np.testing.assert_allclose(difference, alpha * 0.01, rtol=1e-6)
        np.testing.assert_array_equal(extended.reconstruct(moved)[:, 2], -4.0)
        np.testing.assert_allclose(extended.explain(moved)[:, 2], alpha * 0.01, rtol=1e-6)


def test_all_but_one_column_constant():
    X = np.column_stack([np.ones(50), np.random.default_rng(0).normal(size=50), np.zeros(50)])
    detector = small(error="mse", check_every=60).fit(X)
    assert [w.shape for w in detector.weights_] == [(2, 1, 1), (2, 1, 1)]
    assert np.argmax(anomaly_score(detector, [[1, 0, 0], [1, 8, 0]])) == 1


# --- that anything is learnt


def test_it_learns(learnt, X):
    assert (learnt.loss_curve_[-1] < 0.2 * learnt.loss_curve_[0]).all()
    scaled = (X - learnt.location_) / learnt.scale_
    made = (learnt.reconstruct(X) - learnt.location_) / learnt.scale_
    right = ((made - scaled) ** 2).sum(axis=1).mean()
    shuffled = ((made - scaled[np.random.default_rng(0).permutation(len(X))]) ** 2).sum(axis=1).mean()
    assert right < 0.1 * shuffled
    assert right < 0.2 * (scaled**2).sum(axis=1).mean()  # the mean alone would reach 1
    start = small(error="mse", hidden=(4,), learning_rate=1e-12, max_steps=1).fit(X)
    assert np.abs(learnt.weights_[0] - start.weights_[0]).mean() > 0.05


@pytest.mark.parametrize("error", ["pre", "apre"])
def test_two_heads_learn(X, error):
    detector = AutoEncoder(
        error=error, hidden=(4,), n_members=2, max_steps=800, min_variance=1e-3, learning_rate=5e-3, random_state=0
    ).fit(X)
    start = small(error=error, hidden=(4,), learning_rate=1e-12, max_steps=1).fit(X)
    for ours, theirs in zip((*detector.weights_, *detector.biases_), (*start.weights_, *start.biases_), strict=True):
        assert np.abs(ours - theirs).mean() > 0.01
    assert (detector.loss_curve_[-1] < detector.loss_curve_[0] - 3).all()
    mean, variance = detector.reconstruct_members(X)
    shuffled = X[np.random.default_rng(0).permutation(len(X))]
    right, wrong = (((rows - mean) ** 2 / variance).sum(axis=-1).mean() for rows in (X, shuffled))
    assert right < 0.1 * wrong


def test_a_row_off_the_curve_stands_out_though_no_column_does(learnt, X):
    off = X[:1].copy()
    off[0, 5] = X[:, 5].max() if off[0, 5] < np.median(X[:, 5]) else X[:, 5].min()
    assert learnt.predict(off)[0] == -1
    assert np.argmax(learnt.explain(off)[0]) == 5


def test_the_variance_head_learns_where_the_noise_is():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(2000, 1))
    noisy = x > 0
    X = np.hstack([x, rng.normal(size=(2000, 1)) * np.where(noisy, 1.5, 0.1)])
    detector = AutoEncoder(error="pre", hidden=(8, 2), min_variance=1e-4, max_steps=1500, learning_rate=5e-3,
                           n_members=2, random_state=0).fit(X)  # fmt: skip
    variance = detector.reconstruct_members(X)[1].mean(axis=0)[:, 1]
    assert np.median(variance[noisy[:, 0]]) > 5 * np.median(variance[~noisy[:, 0]])


# --- seeds, members, settings


def test_the_same_seed_gives_the_same_bits_whatever_happens_outside(X):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    first = small(random_state=3).fit(X)
    torch.manual_seed(6)
    np.random.seed(6)  # noqa: NPY002
    state = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    second = small(random_state=3).fit(X)
    np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))
    np.testing.assert_array_equal(first.loss_curve_, second.loss_curve_)
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002
    assert torch.get_num_threads() == state[2]
    assert not np.array_equal(small(random_state=4).fit(X).score_samples(X), first.score_samples(X))
    unseeded = [small(random_state=None).fit(X).score_samples(X) for _ in range(2)]
    assert not np.array_equal(*unseeded)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_first_members_of_five_are_the_members_of_three(X, early_stopping):
    few = small(n_members=3, early_stopping=early_stopping).fit(X)
    many = small(n_members=5, early_stopping=early_stopping).fit(X)
    for a, b in zip((*few.weights_, *few.biases_), (*many.weights_, *many.biases_), strict=True):
        np.testing.assert_allclose(a, b[:3], rtol=0, atol=1e-6)


def test_early_stopping_holds_out_rows_and_keeps_the_best(X):
    plain = small().fit(X)
    assert plain.validation_curve_ is None
    assert plain.best_step_ is None
    assert plain.n_steps_ == 60
    detector = small(early_stopping=True, max_steps=4000, check_every=10, patience=3, learning_rate=0.02).fit(X)
    assert detector.n_steps_ < 4000
    assert detector.validation_curve_.shape == detector.loss_curve_.shape == (detector.n_steps_ // 10, 2)
    best = detector.validation_curve_.argmin(axis=0)
    assert (detector.best_step_ <= detector.n_steps_).all()
    assert (detector.best_step_ <= (best + 1) * 10).all()


def test_a_warm_start_goes_on_from_where_it_was(X):
    detector = small(warm_start=True, check_every=5, learning_rate=0.01).fit(X)
    end, first = detector.loss_curve_[-1], detector.loss_curve_[0]
    detector.fit(X)
    assert (detector.loss_curve_[0] < (end + first) / 2).all()
    fresh = small(check_every=5, learning_rate=0.01).fit(X)
    np.testing.assert_array_equal(fresh.loss_curve_[0], first)
    with pytest.raises(ValueError, match=r"AutoEncoder: layers .* do not fit .* `hidden` is not .* warm_start=False"):
        detector.set_params(hidden=(2,)).fit(X)
    with pytest.raises(NotFittedError):
        detector.score_samples(X)
    detector.set_params(warm_start=False).fit(X).score_samples(X)


def test_a_warm_start_keeps_the_decision_where_nothing_is_trained(X):
    detector = small(warm_start=True).fit(X)
    before = detector.score_samples(X)
    detector.set_params(learning_rate=1e-12, max_steps=1).fit(X)
    np.testing.assert_allclose(detector.score_samples(X), before, rtol=1e-5)


def test_verbose_logs_every_record(X, caplog):
    with caplog.at_level(logging.INFO, logger="odkit"):
        small(check_every=30).fit(X)
        assert not caplog.records
        small(check_every=30, verbose=True).fit(X)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "AutoEncoder: step 30", "AutoEncoder: step 60"
    ]  # fmt: skip


def test_mixed_precision_trains_to_nearly_the_same(X):
    settings = {"error": "mse", "hidden": (4,), "max_steps": 400, "learning_rate": 5e-3}
    exact, mixed = small(**settings).fit(X), small(**settings, mixed_precision=True).fit(X)
    assert mixed.weights_[0].dtype == np.float32
    assert (mixed.loss_curve_[-1] < 0.5 * mixed.loss_curve_[0]).all()
    assert not np.array_equal(mixed.weights_[0], exact.weights_[0])
    assert spearmanr(mixed.score_samples(X), exact.score_samples(X)).statistic > 0.6


def test_variances_below_the_floor_are_reported(X):
    settings = {"hidden": (4,), "max_steps": 1200, "learning_rate": 1e-2}
    with pytest.warns(UserWarning, match="of all predicted variances lie at or below min_variance=0.9"):
        small(**settings, min_variance=0.9).fit(X)
    small(**settings, min_variance=1e-4).fit(X)


def test_the_papers_settings_are_one_call(X):
    detector = AutoEncoder(
        error="apre", alpha=0.5, beta=2, min_variance=1e-5, batch_size=None, max_steps=50, n_members=1, random_state=0
    ).fit(X)
    assert detector.predict(X).shape == (300,)


# --- bad input


@pytest.mark.parametrize("n", [2, 3, 129, 257, 300])
def test_any_number_of_rows(n):
    """Fewer than a batch, one more than a batch, one row a batch, all rows."""
    X = np.random.default_rng(0).normal(size=(n, 3))
    for batch_size in (1, 128, 256, None):
        detector = small(batch_size=batch_size, max_steps=5).fit(X)
        assert np.isfinite(detector.score_samples(X)).all()
    small(early_stopping=True, max_steps=5).fit(X)


def test_one_column_and_more_columns_than_rows():
    rng = np.random.default_rng(0)
    for shape in ((40, 1), (10, 60), (5, 250)):
        X = rng.normal(size=shape)
        assert np.isfinite(small(max_steps=5).fit(X).score_samples(X)).all()


def test_what_cannot_be_learnt_is_said(X):
    with pytest.raises(ValueError, match="n_samples = 1"):
        small().fit(X[:1])
    with pytest.raises(ValueError, match="all 6 columns are constant"):
        small().fit(np.ones((10, 6)))


def test_divergence_names_epoch_and_learning_rate_and_leaves_no_model(X):
    detector = small().fit(X)
    with pytest.raises(
        ValueError,
        match=r"AutoEncoder: training diverged.*step 2 \(epoch 1, learning rate 1e\+20\).*Lower learning_rate",
    ):
        detector.set_params(learning_rate=1e20).fit(X)
    with pytest.raises(NotFittedError):
        detector.predict(X)


def test_nan_amid_the_training_names_epoch_and_learning_rate_and_leaves_no_model(X, monkeypatch):
    from odkit.nets.autoencoder import AutoEncoderMembers

    gradients, calls = AutoEncoderMembers.gradients, []

    def spoilt(members, x):
        calls.append(len(x))
        return gradients(members, x) * (np.nan if len(calls) > 30 else 1.0)

    detector = small(check_every=20).fit(X)
    monkeypatch.setattr(AutoEncoderMembers, "gradients", spoilt)
    # 300 rows in batches of at most 64 are 5 steps an epoch
    with pytest.raises(ValueError, match=r"NaN, first at step 31 \(epoch 7, learning rate 0.01\). Lower learning_rate"):
        detector.fit(X)
    assert len(calls) == 40
    with pytest.raises(NotFittedError):
        detector.score_samples(X)


@pytest.mark.parametrize(
    "wrong",
    [
        {"error": "mae"}, {"scaling": "minmax"}, {"min_variance": 0}, {"alpha": 0.0}, {"learning_rate": -1.0},
        {"beta": -0.1}, {"n_members": 0}, {"max_steps": 0}, {"batch_size": 0}, {"validation_fraction": 1.0},
        {"hidden": "wide"}, {"patience": 0},
    ],
)  # fmt: skip
def test_wrong_parameters_are_named_with_their_value(X, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"'{name}'.*{value}"):
        small(**wrong).fit(X)


def test_a_missing_device_is_an_error(X):
    if torch.cuda.is_available():
        pytest.skip("has a cuda device")
    with pytest.raises(RuntimeError, match="device='cuda' is not on this machine"):
        small(device="cuda").fit(X)
    detector = small().fit(X)
    with pytest.raises(RuntimeError, match="cuda"):
        detector.set_params(device="cuda").score_samples(X)


def test_missing_torch_is_an_import_error_that_names_the_extra():
    code = (
        NO_TORCH + "from odkit import AutoEncoder\n"
        "try: AutoEncoder().fit([[0.0], [1.0]])\n"
        "except ImportError as error: print(error)"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "pip install 'odkit[torch]'" in output


def test_a_fitted_model_holds_numpy_only_and_scores_without_torch(X, tmp_path):
    import pickle

    detector = small().fit(X)
    (tmp_path / "model").write_bytes(pickle.dumps(detector))
    np.save(tmp_path / "X.npy", X)
    code = (
        NO_TORCH + "import pickle, numpy as np\n"
        "folder = sys.argv[1]\n"
        "detector = pickle.load(open(folder + '/model', 'rb'))\n"
        "np.save(folder + '/scores.npy', detector.score_samples(np.load(folder + '/X.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), detector.score_samples(X))


def test_the_torch_device_agrees_with_the_cpu(X):
    for error in ("mse", "apre"):
        detector = small(error=error).fit(X)
        expected, parts = detector.score_samples(X), detector.reconstruct_members(X)
        detector.set_params(device="torch")
        np.testing.assert_allclose(detector.score_samples(X), expected, rtol=1e-10)
        np.testing.assert_allclose(detector.reconstruct_members(X)[0], parts[0], rtol=1e-10)


# --- real data: label-free, the tolerance of the spec for single networks' mean


@pytest.mark.data
def test_anchors_of_two_sets(data_home):
    from sklearn.metrics import roc_auc_score

    for name, expected in (("4_breastw", 0.983), ("42_WBC", 0.987)):
        with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as file:
            X, y = file["X"].astype(float), file["y"]
        roc = roc_auc_score(y, anomaly_score(AutoEncoder(n_members=3, random_state=0).fit(X), X))
        assert roc == pytest.approx(expected, abs=0.03)
        assert roc == pytest.approx(roc_auc_score(y, anomaly_score(KNN(20).fit(X), X)), abs=0.05)


@pytest.mark.parametrize(("fitted", "now"), [("apre", "mse"), ("mse", "pre")])
def test_an_error_set_after_the_fit_is_that_of_the_next_one(fitted, now):
    X = np.random.default_rng(0).normal(size=(40, 3))
    detector = AutoEncoder(error=fitted, hidden=(3,), n_members=1, max_steps=2, random_state=0).fit(
        X
    )  # heads fit as layers
    scores, made = detector.score_samples(X), detector.reconstruct(X)
    detector.set_params(error=now)
    np.testing.assert_array_equal(detector.score_samples(X), scores)
    np.testing.assert_array_equal(detector.reconstruct(X), made)


@pytest.mark.parametrize("changed", [{"min_variance": 1e-3}, {"alpha": 5.0}, {"beta": 0.0}])
def test_weights_of_the_score_set_after_the_fit_are_those_of_the_next_one(X, changed):
    detector = small().fit(X)
    scores = detector.score_samples(X)
    detector.set_params(**changed)
    np.testing.assert_array_equal(detector.score_samples(X), scores)


# --- that nothing was learnt is said


@pytest.mark.parametrize("scaling", [None, "robust"])
def test_training_values_that_the_network_does_not_see_whole_are_named(X, scaling):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame.loc[0, "d"] = 1e7
    with pytest.warns(
        UserWarning, match=r"AutoEncoder: [12] columns \('d'(, 'e')?\) hold training values beyond 10000"
    ):
        small(scaling=scaling, max_steps=10).fit(frame)


@pytest.mark.parametrize("error", ["mse", "apre"])
def test_members_that_know_less_than_the_means_are_named(X, error):
    with pytest.warns(
        ConvergenceWarning, match=r"AutoEncoder: member 0, 1, 2 ended with the loss .* columns' means alone have"
    ):
        small(error=error, n_members=3, learning_rate=10.0, max_steps=300).fit(X)


@pytest.mark.parametrize("error", ["mse", "apre"])
def test_a_learning_rate_that_moves_nothing_is_named(X, error):
    with pytest.warns(ConvergenceWarning, match=r"AutoEncoder: member .* ended with the loss"):
        small(error=error, learning_rate=1e-7, max_steps=200).fit(X)


@pytest.mark.parametrize("max_steps", [60, 100, 200])
def test_short_fits_are_no_failures(X, max_steps):
    """The loss is still above that of the means of the columns, and falling."""
    for error in ("mse", "apre"):
        AutoEncoder(error=error, max_steps=max_steps, n_members=2, random_state=0).fit(X)


def test_values_whose_squares_overflow_are_refused_without_noise(X):
    with pytest.raises(ValueError, match=r"AutoEncoder: squares of training values overflow .* scaling=None"):
        small(scaling=None).fit(X * 1e200)
    small().fit(X * 1e200)


def test_a_member_lost_before_its_first_record_ends_the_fit(X):
    """It would vote with the weights it was drawn with."""
    from odkit.nets.autoencoder import AutoEncoderMembers

    gradients = AutoEncoderMembers.gradients
    detector = small(n_members=3).fit(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            AutoEncoderMembers, "gradients", lambda self, x: gradients(self, x) * torch.tensor([1, np.nan, 1])
        )
        with pytest.raises(
            ValueError, match=r"AutoEncoder: .*the loss of member 1 is infinite or NaN from step 1 \(epoch 1"
        ):
            detector.fit(X)
    with pytest.raises(NotFittedError):
        detector.score_samples(X)


def test_a_warm_start_with_other_columns_that_vary_is_refused(X):
    first, second = X.copy(), X.copy()
    first[:, 1] = second[:, 4] = 3.0
    detector = small(warm_start=True).fit(first)
    with pytest.raises(ValueError, match=r"AutoEncoder: warm_start .* constant columns were \[1\] then and are \[4\]"):
        detector.fit(second)
    small(warm_start=True).fit(first).fit(first * 2)
    with pytest.raises(ValueError, match=r"AutoEncoder: warm_start .* there were 6 columns then and there are 5 now"):
        small(warm_start=True).fit(X).fit(X[:, :5])
    with pytest.raises(NotFittedError):
        detector.score_samples(X)


def test_a_warm_start_with_swapped_columns_is_refused_by_name(X):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    detector = small(warm_start=True).fit(frame)
    with pytest.raises(
        ValueError, match=r"AutoEncoder: warm_start .* 'b' stands where 'a' was; 'a' stands where 'b' was.*False"
    ):
        detector.fit(frame[list("bacdef")])
    with pytest.raises(NotFittedError):
        detector.score_samples(frame)
    detector.fit(frame).fit(frame)
    small(warm_start=True).fit(X).fit(X[::-1])  # without names the order of the columns cannot be told


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n_members": 3}, "n_members was 2 then and is 3 now"),
        ({"error": "mse"}, "error was 'apre' then and is 'mse' now"),
    ],
)
def test_a_warm_start_of_another_network_is_refused_by_the_parameter(X, changed, said):
    detector = small(warm_start=True).fit(X)
    with pytest.raises(ValueError, match=f"AutoEncoder: warm_start goes on .*, but {said}.* set warm_start=False"):
        detector.set_params(**changed).fit(X)
    small(warm_start=True).fit(X).set_params(error="pre").fit(X)  # the same two heads


def test_a_warm_start_learns_location_and_scale_anew(X):
    detector = small(warm_start=True).fit(X)
    detector.fit(X * 3 + 1)
    np.testing.assert_array_equal(detector.scale_, small().fit(X * 3 + 1).scale_)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha_", np.nan), ("alpha_", "x"), ("beta_", None), ("beta_", -1.0), ("min_variance_", 0.0),
        ("error_", "mae"), ("scale_", np.zeros(6)), ("location_", np.full(6, np.nan)),
    ],
)  # fmt: skip
def test_a_state_that_cannot_score_is_refused(X, name, value):
    detector = small().fit(X)
    detector._check_state()
    setattr(detector, name, value)
    with pytest.raises(ValueError, match=r"AutoEncoder: (error_=|the stored weights)"):
        detector._check_state()


def test_weights_that_are_no_numbers_are_refused(X):
    detector = small().fit(X)
    w, b = detector.weights_, detector.biases_
    for weights, biases in (
        ([weight * np.float32(np.nan) for weight in w], b), (w[:-1], b), ([], []), (None, b), ([np.float32(1)] * 3, b),
        (w[:1], b[:1]), ([weight.astype(float) for weight in w], b), ([weight[:1] for weight in w], b), (w[::-1], b),
    ):  # fmt: skip
        detector.weights_, detector.biases_ = weights, biases
        with pytest.raises(ValueError, match=r"AutoEncoder: .* do not fit together"):
            detector._check_state()


def test_a_reconstruction_needs_no_room_for_all_members_of_all_rows():
    X = np.random.default_rng(0).normal(size=(40_000, 20))
    detector = small(n_members=5, max_steps=5).fit(X[:500])
    tracemalloc.start()
    detector.reconstruct(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * X.nbytes  # 25 times with all at once
    tracemalloc.start()
    size = 2 * detector.reconstruct_members(X)[0].nbytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * size  # the two results themselves, and one piece
    np.testing.assert_allclose(
        detector.reconstruct(X[:9000]), detector.reconstruct_members(X[:9000])[0].mean(axis=0), rtol=1e-12
    )


def test_a_state_of_before_the_floor_was_kept_goes_by_the_parameter(X):
    detector = small(min_variance=0.01).fit(X)
    scores = detector.score_samples(X)
    del detector.min_variance_
    detector._check_state()
    np.testing.assert_array_equal(detector.score_samples(X), scores)


@pytest.mark.data
@pytest.mark.parametrize("error", ["mse", "apre"])
def test_the_loss_falls_on_every_smoke_set(data_home, error):
    for name in ("4_breastw", "42_WBC", "14_glass", "45_wine", "29_Pima", "6_cardio"):
        with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as file:
            X = file["X"].astype(float)
        curve = AutoEncoder(error=error, n_members=2, max_steps=400, random_state=0).fit(X).loss_curve_
        assert (curve[-1] < curve[0]).all(), name


def test_warnings_point_at_the_line_of_the_caller(X):
    with pytest.warns(UserWarning, match="beyond 10000") as caught:
        small(scaling=None, max_steps=10).fit(X * 1e5)
    with pytest.warns(ConvergenceWarning, match="ended with the loss") as convergence:
        small(learning_rate=1e-7, max_steps=200).fit(X)
    assert {warning.filename for warning in (*caught, *convergence)} == {__file__}
