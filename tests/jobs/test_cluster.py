"""A job on a Dask cluster leaves the bytes of a job in threads, goes on where that one stopped, refuses what fails."""

import pickle

import numpy as np
import pandas as pd
import pytest

from odkit import ECOD, anomaly_score, model_file
from odkit.jobs import cluster as on_cluster
from odkit.jobs import command, plan, streams
from odkit.jobs.run import JobFailed, JobRefused, score_files

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def address():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, scheduler_port=0
    ) as cluster:
        yield cluster.scheduler.address


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Parquet and CSV files of several parts each, and a model."""
    monkeypatch.setattr(plan, "PART_ROWS", 60)
    monkeypatch.setattr(streams, "CSV_ROWS", 64)
    frame = pd.DataFrame(np.random.default_rng(4).normal(size=(400, 3)), columns=["u", "v", "w"])
    (tmp_path / "in").mkdir()
    frame[:250].to_parquet(tmp_path / "in" / "a.parquet", index=False, row_group_size=30)
    frame[250:].to_csv(tmp_path / "in" / "b.csv", index=False)
    model_file.save(ECOD().fit(frame), tmp_path / "m.odkit")
    return frame, [tmp_path / "in"], tmp_path / "m.odkit"


def parts(folder):
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def test_the_bytes_are_those_of_threads_and_progress_is_told(job, address, tmp_path, monkeypatch):
    frame, inputs, model = job
    score_files(model, inputs, tmp_path / "threads", workers=1)
    seen = []
    monkeypatch.chdir(tmp_path)
    result = score_files(model, ["in"], "dask", dask=address, progress=seen.append)
    assert parts(tmp_path / "dask") == parts(tmp_path / "threads")
    assert (tmp_path / "dask" / "_SUCCESS").read_bytes() == (tmp_path / "threads" / "_SUCCESS").read_bytes()
    assert (result.rows, result.parts) == (400, 8)
    assert (seen[-1].rows, seen[-1].new_rows, round(seen[-1].share, 2)) == (400, 400, 1.0)
    scored = pd.concat(map(pd.read_parquet, sorted((tmp_path / "dask").glob("part-*"))))
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(model_file.load(model), frame))


def test_a_job_that_threads_began_goes_on_there(job, address, tmp_path):
    _, inputs, model = job
    out = tmp_path / "out"
    score_files(model, inputs, out)
    whole = parts(out)
    for name in list(whole)[::2]:
        (out / name).unlink()
    result = score_files(model, inputs, out, dask=address)
    assert (parts(out) == whole, result.skipped) == (True, 4)


def test_a_bad_part_is_named_and_the_others_are_kept(job, address, tmp_path):
    frame, inputs, model = job
    frame.loc[300, "v"] = np.nan
    frame[250:].to_csv(inputs[0] / "b.csv", index=False)
    with pytest.raises(JobFailed, match=r"b.csv.*missing or infinite values, in column 'v' \(the first is row 50"):
        score_files(model, inputs, tmp_path / "out", dask=address)
    result = score_files(model, inputs, tmp_path / "out", dask=address, on_error="skip")
    assert len(result.failed) == 1
    assert result.parts >= 5


def test_what_cannot_run_there_is_refused_before_anything_is_written(job, address, tmp_path, monkeypatch):
    _, inputs, model = job
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="a Dask cluster has its own"):
        score_files(model, inputs, out, dask=address, workers=2)
    monkeypatch.setattr(on_cluster, "PATIENCE", 0.2)
    with pytest.raises(JobRefused, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        score_files(model, inputs, out, dask="tcp://127.0.0.1:9")
    monkeypatch.setattr(on_cluster, "PATIENCE", 10)
    monkeypatch.setattr(on_cluster, "_look", lambda names: ("0.0.1", []))
    with pytest.raises(JobRefused, match=r"has odkit 0.0.1, this is"):
        score_files(model, inputs, out, dask=address)
    monkeypatch.setattr(on_cluster, "_look", lambda names: (on_cluster.odkit.__version__, names[:1]))
    with pytest.raises(JobRefused, match="does not see"):
        score_files(model, inputs, out, dask=address)
    assert not out.exists()
    with pytest.raises(ValueError, match="--dask is for jobs"):
        command.refuse_job_options(None, None, None, False, False, address)


def test_parts_are_sent_without_what_counts_here(tmp_path):
    from odkit.jobs.manifest import Folder
    from odkit.jobs.parts import Parts

    counted = []
    parts = Parts(Folder(tmp_path), None, digest="", batch=1, progress=lambda rows, read: counted.append(rows))
    sent = pickle.loads(pickle.dumps(parts))
    sent._progress(1, 1.0)
    assert counted == []
    parts._progress(1, 1.0)
    assert counted == [1]
