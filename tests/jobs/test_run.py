"""Jobs: rows out are rows in, in order; whatever stops a job, the same call brings it to the same end."""

import errno
import fcntl
import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from odkit import ECOD, Conformal, anomaly_score, jobs, model_file, score_frame
from odkit.jobs import plan, run, streams
from odkit.jobs.run import JobFailed, JobLocked, JobRefused, score_files

FEATURES = ["volt", "ampere", "watt"]
FILES, ROWS = 4, 150


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(plan, "PART_ROWS", 60)
    monkeypatch.setattr(streams, "CSV_ROWS", 64)


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(50, 5, size=(FILES * ROWS, 3)), columns=FEATURES)
    frame.insert(0, "id", [f"{i:05d}" for i in range(len(frame))])
    frame["unused"] = 1.0
    return frame


@pytest.fixture
def model(frame, tmp_path):
    path = tmp_path / "m.odkit"
    model_file.save(ECOD().fit(frame[FEATURES][::2]), path)
    return path


@pytest.fixture
def folder(frame, tmp_path):
    """Four files of three parts each."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(FILES):
        frame[i * ROWS : (i + 1) * ROWS].to_parquet(folder / f"{i}.parquet", index=False, row_group_size=30)
    return folder


@pytest.fixture
def expected(frame, model):
    return anomaly_score(model_file.load(model), frame[FEATURES])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def contents(out: Path, *, parts_only: bool = False) -> dict[str, bytes]:
    """Every file by its path, but for the lock."""
    files = out.glob("part-*") if parts_only else out.rglob("*")
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.is_file() and path.name != ".lock"}


def read(out: Path) -> pd.DataFrame:
    return pyarrow.concat_tables(map(parquet.read_table, sorted(out.glob("part-*")))).to_pandas()


def break_page(path: Path) -> bytes:
    """Spoil the last row group of a Parquet file, not its footer; returns what stood there."""
    good = path.read_bytes()
    offset = parquet.read_metadata(path).row_group(4).column(1).data_page_offset
    path.write_bytes(good[:offset] + b"\xff" * 60 + good[offset + 60 :])
    return good


def test_rows_out_are_rows_in(frame, folder, model, out, expected):
    result = score_files(model, [folder], out, keys=["id"])
    scored = read(out)
    assert scored.columns.tolist() == ["id", "anomaly_score", "is_outlier"]
    assert scored["id"].tolist() == frame["id"].tolist()
    np.testing.assert_array_equal(scored["anomaly_score"], expected)
    flags = model_file.load(model).predict(frame[FEATURES]) == -1
    np.testing.assert_array_equal(scored["is_outlier"], flags)
    assert (result.rows, result.parts, result.skipped, result.flagged) == (600, 12, 0, flags.sum())
    assert (result.failed, result.unscored, result.signal) == ([], 0, None)
    assert json.loads((out / "_SUCCESS").read_text())["rows"] == 600
    assert not (out / ".tmp").exists()


def test_other_libraries_read_the_folder_as_one_table(frame, folder, model, out):
    score_files(model, [folder], out, keys=["id"])
    assert pd.read_parquet(out)["id"].tolist() == frame["id"].tolist()


def test_bytes_depend_on_neither_threads_nor_batch_nor_memory(folder, model, out, tmp_path):
    score_files(model, [folder], out, keys=["id"], workers=1)
    for i, options in enumerate([{"workers": 3, "batch": 7}, {"memory": "8GB", "batch": 11}]):
        again = tmp_path / f"again{i}"
        score_files(model, [folder], again, keys=["id"], **options)
        assert contents(again) == contents(out)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv"])
def test_csv_scores_are_those_of_parquet(frame, model, out, expected, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    frame["id"] += '\n, "quoted"'
    frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    result = score_files(model, [path], out, keys=["id"], batch=20)
    assert result.parts == 10
    scored = read(out)
    assert scored["id"].tolist() == frame["id"].tolist()
    np.testing.assert_array_equal(scored["anomaly_score"], expected)
    assert score_files(model, [path], out, keys=["id"]).skipped == 10


def test_rows_without_keys_are_named_by_file_and_number(frame, folder, model, out, tmp_path):
    frame[:70].to_csv(tmp_path / "x.csv", index=False)
    score_files(model, [folder / "0.parquet", tmp_path / "x.csv"], out)
    scored = read(out)
    assert scored["file"].tolist() == ["in/0.parquet"] * 150 + ["x.csv"] * 70
    assert scored["row"].tolist() == [*range(150), *range(70)]
    score_files(model, [tmp_path / "x.csv"], tmp_path / "single")
    assert read(tmp_path / "single").columns.tolist() == ["row", "anomaly_score", "is_outlier"]


def test_p_values_and_reasons(frame, folder, out, tmp_path):
    detector = Conformal(ECOD(), random_state=0).fit(frame[FEATURES])
    model_file.save(detector, tmp_path / "c.odkit")
    score_files(tmp_path / "c.odkit", [folder], out, keys=["id"], top=2)
    expected = score_frame(detector, frame, keys="id", ignore="unused", top=2)
    pd.testing.assert_frame_equal(read(out), expected, check_exact=True, check_dtype=False)


def test_gaps(frame, folder, model, out, tmp_path):
    frame.loc[[3, 4, 5, 149], "ampere"] = np.nan
    frame[:150].to_parquet(folder / "0.parquet", index=False, row_group_size=30)
    with pytest.raises(JobFailed, match=r"0\.parquet, rows 0 to 59: .*3 of 60 rows.*'ampere'.*first is row 3"):
        score_files(model, [folder], out, keys=["id"], workers=1)
    result = score_files(model, [folder], tmp_path / "nulls", keys=["id"], nan="null", batch=3)
    scored = read(tmp_path / "nulls")
    assert result.unscored == 4
    assert scored.index[scored["anomaly_score"].isna()].tolist() == [3, 4, 5, 149]
    assert scored["is_outlier"].isna().sum() == 4
    good = frame.dropna()
    np.testing.assert_array_equal(
        scored["anomaly_score"].dropna(), anomaly_score(model_file.load(model), good[FEATURES])
    )


def test_a_finished_job_is_left_alone(folder, model, out, monkeypatch):
    score_files(model, [folder], out, keys=["id"])
    before = contents(out)
    monkeypatch.setattr(streams.ParquetStream, "blocks", None)
    result = score_files(model, [folder], out, keys=["id"], verify=True)
    assert (result.skipped, result.parts, result.rows) == (12, 12, 600)
    assert contents(out) == before


def test_damaged_and_missing_parts_are_made_again(folder, model, out):
    score_files(model, [folder], out, keys=["id"])
    before = contents(out)
    first, second, third, *_ = sorted(out.glob("part-*"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    (out / "_parts" / f"{third.name[5:-8]}.json").write_text("{")
    assert score_files(model, [folder], out, keys=["id"]).skipped == 9
    assert contents(out) == before
    spoiled = bytearray(first.read_bytes())
    spoiled[8] ^= 1  # same size, same footer
    first.write_bytes(spoiled)
    assert score_files(model, [folder], out, keys=["id"]).skipped == 12
    assert score_files(model, [folder], out, keys=["id"], verify=True).skipped == 11
    assert contents(out) == before


def test_the_first_failure_stops_a_job_which_then_goes_on(folder, model, out, tmp_path):
    score_files(model, [folder], tmp_path / "whole", keys=["id"])
    good = break_page(folder / "2.parquet")
    with pytest.raises(JobFailed, match=r"2\.parquet, rows 120 to 149: .*\. 8 parts are done and kept"):
        score_files(model, [folder], out, keys=["id"], workers=1)
    assert not (out / "_SUCCESS").exists()
    (folder / "2.parquet").write_bytes(good)
    assert score_files(model, [folder], out, keys=["id"]).skipped == 6  # the repaired file is scored anew
    assert contents(out, parts_only=True) == contents(tmp_path / "whole", parts_only=True)


def test_skipped_failures_are_noted_and_tried_again(folder, model, out, tmp_path):
    score_files(model, [folder], tmp_path / "whole", keys=["id"])
    page, footer = break_page(folder / "1.parquet"), (folder / "3.parquet").read_bytes()
    (folder / "3.parquet").write_bytes(footer[:-9])
    for _ in range(2):
        result = score_files(model, [folder], out, keys=["id"], on_error="skip")
        assert result.parts == 8
        assert ["3.parquet" in result.failed[0], "1.parquet, rows 120 to 149" in result.failed[1]] == [True, True]
        assert not (out / "_SUCCESS").exists()
    (folder / "1.parquet").write_bytes(page)
    (folder / "3.parquet").write_bytes(footer)
    result = score_files(model, [folder], out, keys=["id"], on_error="skip")
    assert (result.failed, result.skipped, result.parts) == ([], 6, 12)
    assert contents(out, parts_only=True) == contents(tmp_path / "whole", parts_only=True)
    assert (out / "_SUCCESS").exists()


def test_a_bad_line_ends_a_csv_file_not_the_rows_before_it(frame, folder, model, out, tmp_path):
    path = tmp_path / "x.csv"
    frame[:200].to_csv(path, index=False)
    good = path.read_text()
    lines = good.splitlines(keepends=True)
    lines[151] = lines[151].rstrip() + ",9\n"
    path.write_text("".join(lines))
    result = score_files(model, [path, folder], out, keys=["id"], on_error="skip")
    assert (
        "x.csv, rows from 128 on: x.csv is no well-formed CSV file: Expected 5 fields in line 152" in result.failed[0]
    )
    assert result.rows == 128 + 600
    path.write_text(good)
    assert score_files(model, [path, folder], out, keys=["id"]).rows == 200 + 600
    assert read(out)["id"].tolist() == [*frame["id"][:200], *frame["id"]]


def test_text_where_numbers_were_is_named_by_row(frame, model, out, tmp_path):
    frame = frame.astype({"watt": object})
    frame.loc[130, "watt"] = "much"
    frame.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(JobFailed, match=r"'watt' was numbers at fit and holds text here \('much' in row 130\)"):
        score_files(model, [tmp_path / "x.csv"], out)


BAD = {
    "a column is missing": (lambda f: f.drop(columns="watt"), "1.parquet: the model was fitted on 3 columns.*'watt'"),
    "a column is text": (
        lambda f: f.assign(watt="x"),
        "1.parquet: column 'watt' was numbers at fit and holds .*string",
    ),
    "a key is missing": (lambda f: f.drop(columns="id"), "1.parquet: column 'id', which --id names, is missing"),
    "a key has another type": (lambda f: f.assign(id=1), "1.parquet: column 'id' is .*string in other files and int64"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_change_of_schema_is_refused_before_anything_is_written(frame, folder, model, out, case):
    change, message = BAD[case]
    change(frame[:150]).to_parquet(folder / "1.parquet", index=False)
    with pytest.raises(JobRefused, match=f"1 of 4 files cannot be scored, so none was: {message}"):
        score_files(model, [folder], out, keys=["id"])
    assert not out.exists()
    result = score_files(model, [folder], out, keys=["id"], on_error="skip")
    assert (result.rows, len(result.failed)) == (450, 1)


def test_columns_in_another_order_and_more_of_them_are_harmless(frame, folder, model, out, expected):
    moved = frame[["watt", "id", "volt", "ampere"]].assign(new="x")
    moved[150:300].to_parquet(folder / "1.parquet", index=False)
    score_files(model, [folder], out, keys=["id"])
    np.testing.assert_array_equal(read(out)["anomaly_score"], expected)


def test_a_model_of_other_columns(folder, out, tmp_path):
    model_file.save(ECOD().fit(pd.DataFrame({"x": [1.0, 2, 3]})), tmp_path / "x.odkit")
    with pytest.raises(JobRefused, match=r"4 of 4 files cannot be scored.*'x'"):
        score_files(tmp_path / "x.odkit", [folder], out)
    model_file.save(ECOD().fit(np.eye(3)), tmp_path / "n.odkit")
    with pytest.raises(
        ValueError, match=r"fitted on 3 columns without names, and 0\.parquet has 4: .*--id or --ignore"
    ):
        score_files(tmp_path / "n.odkit", [folder], out, keys=["id"])
    assert not out.exists()
    assert score_files(tmp_path / "n.odkit", [folder], out, keys=["id"], ignore=["unused"]).rows == 600


def test_empty_files(frame, folder, model, out, tmp_path):
    frame[:0].to_parquet(folder / "1.parquet", index=False)  # filters of Spark and Dask leave such files
    frame[:0].to_csv(folder / "5.csv", index=False)
    assert score_files(model, [folder], out, keys=["id"]).rows == 450
    with pytest.raises(JobRefused, match=r"no row in '1\.parquet', '5\.csv'"):
        score_files(model, [folder / "1.parquet", folder / "5.csv"], tmp_path / "none")
    (folder / "1.parquet").write_bytes(b"")
    with pytest.raises(JobRefused, match=r"1\.parquet is empty: 0 bytes"):
        score_files(model, [folder], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def _touch(frame, folder, model, out):
    os.utime(folder / "1.parquet", ns=(1, 1))


def _other_model(frame, folder, model, out):
    model_file.save(ECOD().fit(frame[FEATURES]), model)


REFUSALS = {
    "another model": (_other_model, {}, "was begun with model"),
    "another option": (lambda *_: None, {"nan": "null"}, "was begun with nan 'error', now it is 'null'"),
    "other keys": (lambda *_: None, {"keys": []}, "was begun with result"),
    "a changed file": (_touch, {}, r"1\.parquet has changed since its rows were scored"),
    "a new file": (
        lambda f, d, *_: f.to_parquet(d / "9.parquet", index=False),
        {},
        r"only one of both has '9\.parquet'",
    ),
    "a missing file": (lambda f, d, *_: (d / "3.parquet").unlink(), {}, r"only one of both has '3\.parquet'"),
    "a foreign file": (lambda f, d, m, out: (out / "a.txt").write_text("mine"), {}, r"also holds 'a\.txt'"),
    "a foreign part": (
        lambda f, d, m, out: (out / "part-00000-00000-00000000.parquet").write_text("mine"),
        {},
        "also holds 'part-00000-00000-00000000.parquet'",
    ),
    "a damaged plan": (lambda f, d, m, out: (out / "_manifest.json").write_text("{"), {}, "is damaged"),
    "another plan": (
        lambda f, d, m, out: (out / "_manifest.json").write_text("{}"),
        {},
        "no plan that this odkit knows",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_folder_of_another_job_is_refused_and_kept(frame, folder, model, out, case):
    score_files(model, [folder], out, keys=["id"])
    change, options, message = REFUSALS[case]
    change(frame, folder, model, out)
    before = contents(out)
    with pytest.raises(JobRefused, match=message):
        score_files(model, [folder], out, **{"keys": ["id"], **options})
    assert contents(out) == before


def test_a_folder_without_a_plan_is_refused_and_kept(folder, model, out):
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    with pytest.raises(JobRefused, match=r"not empty and no job of odkit: it holds 'thesis\.tex'"):
        score_files(model, [folder], out, overwrite=True)
    assert os.listdir(out) == ["thesis.tex"]


def test_overwrite_starts_anew(frame, folder, model, out, expected):
    frame.to_csv(folder / "long.csv", index=False)
    score_files(model, [folder], out, keys=["id"])
    (folder / "long.csv").unlink()
    (folder / "0.parquet").unlink()
    score_files(model, [folder], out, overwrite=True)
    assert read(out)["file"].unique().tolist() == ["1.parquet", "2.parquet", "3.parquet"]
    np.testing.assert_array_equal(read(out)["anomaly_score"], expected[150:])
    assert len(os.listdir(out / "_parts")) == 9


def test_one_writer(folder, model, out):
    score_files(model, [folder], out, keys=["id"])
    before = contents(out)
    with open(out / ".lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(JobLocked, match=rf"another job \(process {os.getpid()} on .*\) writes to"):
            score_files(model, [folder], out, keys=["id"])
    assert contents(out) == before


@pytest.mark.parametrize("at", [1, 2, 5, 12, 40])
def test_a_full_disk_loses_nothing(folder, model, out, tmp_path, monkeypatch, at):
    score_files(model, [folder], tmp_path / "whole", keys=["id"])
    calls, fsync = [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) >= at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobFailed, match="No space left on device; what is done is kept"):
        score_files(model, [folder], out, keys=["id"])
    for path in out.glob("part-*"):
        parquet.read_table(path)
    assert not (out / "_SUCCESS").exists()
    assert not (out / ".tmp").exists()
    monkeypatch.undo()
    monkeypatch.setattr(plan, "PART_ROWS", 60)
    score_files(model, [folder], out, keys=["id"])
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_that_cannot_be_made(folder, model, out, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match=r"cannot write to .*out: Permission denied; choose another"):
        score_files(model, [folder], out)
    monkeypatch.undo()
    with pytest.raises(JobRefused, match="it is a file; a job writes to a folder"):
        score_files(model, [folder], folder / "0.parquet")


def test_a_signal_lets_parts_end_and_the_next_run_goes_on(folder, model, out, tmp_path):
    score_files(model, [folder], tmp_path / "whole", keys=["id"])
    handler = signal.getsignal(signal.SIGTERM)
    seen = []

    def stop(done):
        seen.append(done)
        if len(seen) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    result = score_files(model, [folder], out, keys=["id"], workers=1, progress=stop)
    assert result.signal == signal.SIGTERM
    assert 3 <= result.parts < 12
    assert not (out / "_SUCCESS").exists()
    assert signal.getsignal(signal.SIGTERM) is handler
    rest = []
    again = score_files(model, [folder], out, keys=["id"], progress=rest.append)
    assert again.skipped == result.parts
    assert contents(out) == contents(tmp_path / "whole")
    assert (rest[-1].rows, rest[-1].total_rows, rest[-1].new_rows) == (600, 600, 600 - result.rows)
    assert rest[-1].share == pytest.approx(1)
    assert [done.rows for done in rest] == sorted(done.rows for done in rest)


def test_progress_through_csv_counts_bytes(frame, model, out, tmp_path):
    frame.to_csv(tmp_path / "x.csv.gz", index=False)
    seen = []
    score_files(model, [tmp_path / "x.csv.gz"], out, progress=seen.append)
    assert seen[0].total_rows is None
    assert seen[-1].rows == 600
    assert seen[-1].share == pytest.approx(1, abs=0.05)


def test_wrong_words(folder, model, out):
    for options, message in [
        ({"on_error": "ignore"}, "on_error='ignore' is unknown"),
        ({"nan": "drop"}, "nan='drop' is unknown"),
        ({"keys": ["idd"]}, "--id: 0.parquet has no column 'idd'; did you mean 'id'"),
        ({"memory": "lots"}, "'lots' is no size"),
        ({"memory": "10MB"}, "--memory 10MB is too little: the process with its model takes"),
        ({"workers": -1}, "must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            score_files(model, [folder], out, **options)
    assert not out.exists()


def test_results_and_keys_do_not_share_a_name(frame, folder, model, out, tmp_path):
    for i in range(FILES):
        frame[:150].assign(is_outlier=False).to_parquet(folder / f"{i}.parquet", index=False)
    score_files(model, [folder], out, keys=["id", "is_outlier", "id"])
    assert read(out).columns.tolist() == ["id", "truth_is_outlier", "anomaly_score", "is_outlier"]
    frame.rename(columns={"id": "anomaly_score"}).to_parquet(tmp_path / "x.parquet", index=False)
    with pytest.raises(ValueError, match="'anomaly_score' is also a column of the result"):
        score_files(model, [tmp_path / "x.parquet"], out, keys=["anomaly_score"])


def test_the_api_is_where_it_is_said_to_be():
    assert jobs.score_files is run.score_files
    assert issubclass(jobs.JobRefused, ValueError)


def test_keys_that_look_like_gaps_stay(tmp_path, model, out):
    (tmp_path / "a.csv").write_text("id," + ",".join(FEATURES) + "\nNA,50,50,50\nnull,51,50,50\n")
    score_files(model, [tmp_path / "a.csv"], out, keys=["id"])
    assert read(out)["id"].tolist() == ["NA", "null"]


def test_an_output_within_the_input_is_refused(folder, model):
    with pytest.raises(ValueError, match="would read its own results"):
        score_files(model, [folder], folder / "scores")
    assert not (folder / "scores").exists()
