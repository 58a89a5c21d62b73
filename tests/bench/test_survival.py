"""What a detector says, prints, leaves behind and pulls down is its own, and never the end of the run."""

import numpy as np
import psutil
import pytest

from odkit.bench.processes import MOST_LOG
from odkit.bench.run import run
from odkit.bench.tables import read_results
from tests.bench.test_run import HOSTILE, cells, config, entries


def test_text_that_no_file_can_hold_is_kept_as_its_escape(tmp_path):
    whispers = {"id": "whispers", "class": f"{HOSTILE}:SpeaksLatin1", "params": {"aloud": False}}
    summary = run(config(detectors=[*entries("SpeaksLatin1", "Polite"), whispers]), "", tmp_path)
    found = cells(tmp_path)
    assert summary.statuses == {"ok": 2, "error": 1}
    assert "caf\\udce9.csv" in found["SpeaksLatin1"]["error_tail"]
    assert "caf\\udce9.csv" in found["whispers"]["warnings"]


def test_defaults_that_cannot_be_sent_run_and_resume(tmp_path):
    odd = config(detectors=entries("OddDefaults"))
    assert run(odd, "", tmp_path).statuses == {"ok": 1}
    assert run(odd, "", tmp_path).resumed == 1


def test_a_threshold_is_one_number_or_none(tmp_path):
    svm = {"id": "svm", "class": "sklearn.svm.OneClassSVM"}
    run(config(detectors=[*entries("OffsetInABox", "OffsetIsNone"), svm], metrics=["f1"]), "", tmp_path)
    found = cells(tmp_path)
    assert {name: row["status"] for name, row in found.items()} == dict.fromkeys(found, "ok")
    assert found["OffsetInABox"]["threshold"] == 4.0
    assert found["OffsetIsNone"]["threshold"] is None
    assert found["svm"]["threshold"] is not None


def test_a_probe_that_is_refused_is_a_note_and_one_that_finds_a_memory_a_leak(tmp_path):
    run(config(detectors=entries("RefusesFarRows", "Remembers")), "", tmp_path)
    found = cells(tmp_path)
    assert (found["RefusesFarRows"]["status"], found["RefusesFarRows"]["leak"]) == ("ok", "not probed: ValueError")
    assert "scores of training rows" in found["Remembers"]["leak"]


def test_scores_beyond_single_precision_are_kept_in_double(tmp_path):
    huge = config(detectors=entries("Huge"))
    run(huge, "", tmp_path)
    row = cells(tmp_path)["Huge"]
    assert np.isfinite(np.load(tmp_path / row["score_path"])).all()
    assert run(huge.model_copy(update={"metrics": ("roc_auc", "ap")}), "", tmp_path).measured == 1


def test_an_undefined_metric_is_none_and_no_error(tmp_path):
    few = {"mode": "contaminated", "split": "stratified", "max_rows": 12}
    names = ("c_index", "c_index_outliers", "tau_b", "severity_auc_min")
    graded = config(datasets=["samples/graded"], protocol=few, metrics=names, seeds=list(range(8)))
    assert run(graded, graded.model_dump_json(by_alias=True), tmp_path).statuses == {"ok": 8}
    cells = read_results(tmp_path).cells
    assert cells["c_index_outliers"].isna().any()
    assert cells["c_index"].notna().all()


def test_what_a_detector_prints_is_cut_and_its_end_is_kept(tmp_path, monkeypatch):
    largest = 0
    original = psutil.Process.memory_info

    def looked_at(self):
        nonlocal largest
        logs = (tmp_path / "logs").glob("*.log")
        largest = max([largest, *(log.stat().st_size for log in logs)])
        return original(self)

    monkeypatch.setattr(psutil.Process, "memory_info", looked_at)
    run(config(detectors=entries("Talks")), "", tmp_path)
    row = cells(tmp_path)["Talks"]
    assert row["status"] == "crash"
    assert "the last words" in row["error_tail"]
    assert len(row["error_tail"]) < 5000
    assert 0 < largest < 6 * MOST_LOG  # 300 MB would stand there if nobody cut it


def test_memory_beyond_the_cap_is_one_kind_of_failure_whatever_the_figure(tmp_path):
    run(config(detectors=entries("Swells"), limits={"timeout_s": 60, "memory_mb": 200}), "", tmp_path)
    row = cells(tmp_path)["Swells"]
    assert (row["status"], row["error_type"]) == ("oom", "memory")
    assert "resident memory" in row["error_tail"]


def test_what_a_detector_has_started_ends_with_its_cell(tmp_path):
    before = sleepers()
    assert run(config(detectors=entries("LeavesASleeper")), "", tmp_path).statuses == {"ok": 1}
    assert not sleepers() - before


def sleepers() -> set[int]:
    found = psutil.process_iter(["cmdline", "status"])
    return {
        process.pid
        for process in found
        if "time.sleep(54321)" in " ".join(process.info["cmdline"] or [])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    }


def test_who_ends_the_fork_server_does_not_take_the_neighbour_along(tmp_path):
    slow = {"id": "slow", "class": f"{HOSTILE}:Slow", "params": {"seconds": 1.5}, "seeds": [0]}
    summary = run(config(detectors=[slow, *entries("EndsTheServer")]), "", tmp_path, jobs=2)
    assert summary.statuses == {"ok": 1, "crash": 1}
    assert cells(tmp_path)["slow"]["status"] == "ok"


@pytest.mark.parametrize("limit", ["RLIMIT_CPU", "RLIMIT_AS"])
def test_a_lower_limit_of_the_session_is_kept(limit, monkeypatch):
    import resource

    from odkit.bench import limits

    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: (50, 50))
    monkeypatch.setattr(resource, "setrlimit", lambda what, pair: asked.append(pair))
    limits._lower(getattr(resource, limit), 600)
    limits._lower(getattr(resource, limit), 20)
    assert asked == [(50, 50), (20, 20)]
