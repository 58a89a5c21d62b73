"""`odkit score` with a folder for --out: the words and the exit codes."""

import json
import signal
import sys

import numpy as np
import pandas as pd
import pytest

from odkit import ECOD, cli, model_file
from odkit.jobs import run


@pytest.fixture
def odkit_(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, beside the model m.odkit and the files in/*: code, out, err."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("warnings.showwarning", None)  # main sets it; put it back afterwards
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["volt", "ampere"])
    frame.insert(0, "id", np.arange(60))
    model_file.save(ECOD(contamination=0.1).fit(frame[["volt", "ampere"]]), "m.odkit")
    (tmp_path / "in").mkdir()
    for i in range(3):
        frame[20 * i : 20 * i + 20].to_parquet(tmp_path / "in" / f"{i}.parquet", index=False)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["odkit", "score", *words])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return call


JOB = ["--model", "m.odkit", "--id", "id", "--out", "out"]


def test_done_and_done_before(odkit_):
    code, out, err = odkit_("in/*.parquet", *JOB, "--workers", "2", "--memory", "4GB", "--explain")
    assert (code, err) == (0, "")
    assert out.startswith("out: 60 rows in 3 parts, 6 flagged as outliers (10.0%)\n3 parts made in ")
    assert pd.read_parquet("out").columns.tolist()[:5] == ["id", "anomaly_score", "is_outlier", "top_1", "top_1_share"]
    code, out, _ = odkit_("in/*.parquet", *JOB, "--explain", "--json")
    assert (code, json.loads(out)["skipped"], json.loads(out)["rows"]) == (0, 3, 60)


def test_exit_codes(odkit_, tmp_path, monkeypatch):
    good = (tmp_path / "in" / "1.parquet").read_bytes()
    (tmp_path / "in" / "1.parquet").write_bytes(good[:-20])
    code, _, err = odkit_("in/", *JOB)
    assert (code, (tmp_path / "out").exists()) == (2, False)
    assert err.startswith(
        "odkit: 1 of 3 files cannot be scored, so none was: 1.parquet: 1.parquet is no readable Parquet"
    )
    code, out, err = odkit_("in/", *JOB, "--on-error", "skip")
    assert (code, out.split(",")[0]) == (3, "out: 40 rows in 2 parts")
    assert err.startswith("note: left out: 1.parquet: ")
    (tmp_path / "in" / "1.parquet").write_bytes(good)
    assert odkit_("in/", *JOB)[0] == 0
    code, _, err = odkit_("in/", *JOB, "--nan", "null")
    assert (code, "--overwrite" in err) == (2, True)
    assert odkit_("in/", *JOB, "--nan", "null", "--overwrite", "--verify")[0] == 0

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.Folder, "write_success", full)
    code, _, err = odkit_("in/", *JOB[:-1], "new/")
    assert code == 1
    assert err.startswith("odkit failed: JobFailed: cannot write to new: No space left on device; what is done is kept")


def test_stopped_by_hand(odkit_, monkeypatch):
    monkeypatch.setattr(run.Job, "run", lambda *_, **__: run.JobResult(signal=signal.SIGINT))
    code, _, err = odkit_("in/", *JOB)
    assert (code, err) == (130, "note: stopped by hand; give the same command again to go on\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in/", "--out", "out"], "a job needs a model"),
        (["in/", *JOB, "--columns", "volt"], "--columns belongs to the fit"),
        (["in/", *JOB, "--detector", "knn"], "--detector belongs to the fit"),
        (["in/", *JOB, "--memory", "1kB"], "--memory 1kB is too little"),
        (["in/", *JOB, "--fdr", "0.1"], "--fdr compares all rows with each other"),
        (["in/", *JOB, "--p-values"], "the model has no p-values"),
        (["no/*.csv", *JOB], "no file fits the pattern no/*.csv"),
        (["in/", *JOB[:-1], "scores.csv", "--workers", "2"], "--workers is for jobs"),
        (["in/", *JOB[:-1], "scores.csv", "--verify"], "--verify is for jobs"),
    ],
)
def test_wrong_words(odkit_, words, message, tmp_path):
    code, out, err = odkit_(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "m.odkit"]


def test_fit_in_blocks(odkit_, tmp_path, monkeypatch, capsys):
    def fit(*words):
        monkeypatch.setattr(sys, "argv", ["odkit", "fit", "in/", "--id", "id", "-o", "b.odkit", *words])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    code, printed = fit("--memory", "1kB")
    assert (code, (tmp_path / "b.odkit").exists()) == (2, False)
    assert "ECOD keeps every row it is fitted on; say --param compression=0.01" in printed.err
    code, printed = fit("--memory", "1kB", "--param", "compression=0.01")
    assert (code, "60 rows of 0.parquet" in printed.out, "2.parquet" in printed.out) == (0, True, True)
    detector = model_file.load("b.odkit")
    assert (detector.n_samples_seen_, detector.feature_names_in_.tolist()) == (60, ["volt", "ampere"])
    assert odkit_("in/", "--model", "b.odkit", "--id", "id", "--out", "out")[0] == 0
