"""Fits on Dask equal local fits, scores are lazy and keep their index, a cluster gives what one process gives."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

import dask  # noqa: E402
import dask.array  # noqa: E402
import dask.dataframe  # noqa: E402

import odkit  # noqa: E402
from odkit.adapters import dask as on_dask  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, scheduler_port=0
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(3000, 3)) @ rng.normal(size=(3, 3)) + [100, 0, -5]
    return pd.DataFrame(mixed, columns=["volt", "ampere", "watt"]).assign(level=rng.integers(0, 9, 3000).astype(float))


def test_ecod_equals_the_local_fit_to_the_bit(frame):
    local = odkit.ECOD(random_state=0).fit(frame)
    found = on_dask.fit(odkit.ECOD(random_state=0), dask.dataframe.from_pandas(frame, npartitions=19))
    np.testing.assert_array_equal(found.score_samples(frame), local.score_samples(frame))
    assert found.feature_names_in_.tolist() == frame.columns.tolist()
    assert (found.n_samples_seen_, found.random_state) == (3000, 0)
    assert found.offset_ == pytest.approx(local.offset_)  # 3000 rows: the sample is all of them


def test_mahalanobis_equals_the_local_fit(frame):
    X = frame.to_numpy()
    local = odkit.Mahalanobis(random_state=0).fit(X)
    found = on_dask.fit(odkit.Mahalanobis(random_state=0), dask.array.from_array(X, chunks=(170, 2)))
    np.testing.assert_allclose(found.score_samples(X), local.score_samples(X), rtol=1e-10)
    np.testing.assert_allclose(found.location_, local.location_, rtol=1e-12)
    assert found.offset_ == pytest.approx(local.offset_, rel=1e-9)


def test_gmm_takes_its_passes_over_the_partitions(frame):
    local = odkit.GMM(2, random_state=0).fit(frame)
    found = on_dask.fit(odkit.GMM(2, random_state=0), dask.dataframe.from_pandas(frame, npartitions=4))
    np.testing.assert_allclose(found.score_samples(frame), local.score_samples(frame), rtol=1e-8)


def test_empty_partitions_are_skipped_and_the_detector_stays_as_it_was(frame):
    rising = frame.sort_values("volt", ignore_index=True)
    parts = dask.dataframe.from_pandas(rising, npartitions=6)
    kept = parts[parts["volt"] > rising["volt"][1499]]  # of the first three partitions nothing is left
    detector = odkit.ECOD()
    found = on_dask.fit(detector, kept)
    assert not hasattr(detector, "offset_")
    assert found.n_samples_seen_ == 1500
    pickle.loads(pickle.dumps(found)).predict(frame)
    scored = on_dask.score(found, kept).compute()
    assert len(scored) == found.n_samples_seen_
    with pytest.raises(ValueError, match="6 partitions without a row"):
        on_dask.fit(detector, parts[parts["volt"] > 1e9])


def test_parts_draw_their_samples_apart(frame):
    X = dask.array.from_array(np.tile(frame.to_numpy(), (10, 1)), chunks=(3000, 4))
    a, b = (on_dask.fit(odkit.ECOD(random_state=seed), X) for seed in (0, 0))
    assert a.offset_ == b.offset_
    rows = a._sample["rows"]
    assert len(rows) == 4096
    assert len(np.unique(rows, axis=0)) > 2000  # ten equal samples would be 410 different rows


@pytest.mark.parametrize("n_jobs", [None, 2, -1])
def test_parts_are_fitted_and_joined_on_one_thread(frame, n_jobs):
    seen = []

    class Spy(odkit.ECOD):
        def _partial_stats(self, X):
            seen.append(self.n_jobs)
            return super()._partial_stats(X)

        def _merge_stats(self, a, b):
            seen.append(self.n_jobs)
            return super()._merge_stats(a, b)

    found = on_dask.fit(Spy(n_jobs=n_jobs, compression=0.1), dask.dataframe.from_pandas(frame, npartitions=3))
    assert seen == [1] * 5
    assert found.n_jobs == n_jobs


def test_scores_are_lazy_and_keep_index_keys_and_types(frame):
    indexed = frame.assign(name=[f"m{i}" for i in range(len(frame))]).set_index(pd.Index(range(5000, 8000), name="at"))
    detector = odkit.ECOD().fit(frame)
    data = dask.dataframe.from_pandas(indexed, npartitions=5)
    lazy = on_dask.score(detector, data, keys="name", top=1)
    assert isinstance(lazy, dask.dataframe.DataFrame)
    assert lazy.divisions == data.divisions
    assert lazy.columns.tolist() == ["name", "anomaly_score", "is_outlier", "top_1", "top_1_share"]
    expected = odkit.score_frame(detector, indexed, keys="name", top=1)
    pd.testing.assert_frame_equal(lazy.compute(), expected, check_dtype=False)
    assert (lazy["is_outlier"].sum().compute(), lazy.dtypes["anomaly_score"]) == (expected["is_outlier"].sum(), float)


def test_arrays_and_pipelines(frame):
    X = frame.to_numpy()
    detector = make_pipeline(StandardScaler(), odkit.KNN(5, n_jobs=2)).fit(X)
    scores = on_dask.score(detector, dask.array.from_array(X, chunks=(700, 2)))
    assert scores.shape == (3000,)
    np.testing.assert_allclose(scores.compute(), odkit.anomaly_score(detector, X), rtol=1e-12)
    assert detector[-1].n_jobs == 2


def test_on_a_cluster_by_client_and_by_address(cluster, frame):
    data = dask.dataframe.from_pandas(frame, npartitions=9)
    local = odkit.ECOD().fit(frame)
    for client in (cluster, cluster.scheduler.address):
        found = on_dask.fit(odkit.ECOD(), data, client=client)
        np.testing.assert_array_equal(found.score_samples(frame), local.score_samples(frame))
    with cluster.as_current():
        scores = on_dask.score(found, data).compute(scheduler=cluster)
    np.testing.assert_array_equal(scores["anomaly_score"], odkit.anomaly_score(local, frame))


def test_what_cannot_be_done_is_said(frame):
    data = dask.dataframe.from_pandas(frame, npartitions=2)
    with pytest.raises(TypeError, match=r"statistics of KNN.*ECOD, Mahalanobis or GMM"):
        on_dask.fit(odkit.KNN(), data)
    with pytest.raises(TypeError, match="statistics of Mahalanobis, with these parameters"):
        on_dask.fit(odkit.Mahalanobis(robust="mcd"), data)
    with pytest.raises(TypeError, match=r"given pandas.*dask.dataframe.DataFrame or a 2-D"):
        on_dask.fit(odkit.ECOD(), frame)
    detector = odkit.ECOD().fit(frame)
    with pytest.raises(TypeError, match=r"given numpy.ndarray"):
        on_dask.score(detector, frame.to_numpy())
    with pytest.raises(ValueError, match="lacks 1 of the 4 columns"):
        on_dask.score(detector, data[["volt", "ampere", "watt"]])
    with pytest.raises(ValueError, match="names of columns"):
        on_dask.score(odkit.ECOD().fit(frame.to_numpy()), data.to_dask_array(lengths=True), top=1)


def test_partitions_too_small_for_a_model_are_joined_with_others():
    rows = np.random.default_rng(3).normal(size=(301, 3))
    rows[:100] = rows[0]  # a partition of equal rows, and the last one has a single row
    fitted = on_dask.fit(odkit.Mahalanobis(), dask.array.from_array(rows, chunks=(100, 3)))
    np.testing.assert_allclose(
        fitted.score_samples(rows), odkit.Mahalanobis().fit(rows).score_samples(rows), rtol=1e-9, atol=1e-9
    )
    with pytest.raises(ValueError, match=r"not fitted yet, after 50 rows .* all rows are equal"):
        on_dask.fit(odkit.Mahalanobis(), dask.array.from_array(np.ones((50, 3)), chunks=(20, 3)))
