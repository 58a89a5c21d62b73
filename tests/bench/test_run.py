"""The runner under detectors that loop, swell, abort and lie, under kill -9, and on its second start."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from odkit.bench.config import Config
from odkit.bench.ledger import Ledger
from odkit.bench.plan import make_plan
from odkit.bench.run import run
from odkit.datasets import load
from odkit.metrics import ranking

HOSTILE = "tests.bench.hostile"


def config(**changes) -> Config:
    given = {
        "datasets": ["samples/payments"],
        "protocol": {"mode": "contaminated", "split": "stratified", "scaler": "standard"},
        "detectors": [{"id": "polite", "class": f"{HOSTILE}:Polite"}],
        "metrics": ["roc_auc"],
        "limits": {"timeout_s": 20, "memory_mb": 300},
    }
    return Config.model_validate({**given, **changes})


def entries(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "class": f"{HOSTILE}:{name}"} for name in names]


def cells(run_dir) -> dict[str, dict]:
    with Ledger(run_dir) as ledger:
        return {row["detector"]: row for row in ledger.rows("SELECT * FROM cells")}


def test_each_hostile_detector_has_its_own_status_and_stops_nobody(tmp_path):
    wanted = {
        "Allocates": "oom", "Swells": "oom", "Aborts": "crash", "Leaves": "crash",
        "Raises": "error", "Exits": "error", "GivesNaN": "nan_scores", "GivesShort": "nan_scores",
        "GivesConstant": "ok", "RanksTheBatch": "ok", "LooksForLabels": "ok", "Unsure": "skipped", "Polite": "ok",
    }  # fmt: skip
    absent = {"id": "absent", "class": "no_such_package.Detector"}
    limits = {"timeout_s": 60, "memory_mb": 200}  # long: what is not meant to time out must not on a busy machine
    summary = run(config(detectors=[*entries(*wanted), absent], limits=limits), "", tmp_path, jobs=2)
    stuck = run(config(detectors=entries("LoopsInC"), limits={"timeout_s": 2}), "", tmp_path)
    found = cells(tmp_path)
    assert stuck.statuses == {"timeout": 1}
    assert {name: found[name]["status"] for name in wanted} == wanted
    assert found["absent"]["status"] == "skipped"
    assert summary.failed == 8
    assert found["Raises"]["error_type"] == "ZeroDivisionError"
    assert "as planned" in found["Raises"]["error_tail"]
    assert found["Aborts"]["error_type"] == "signal SIGABRT"
    assert found["GivesConstant"]["n_unique_scores"] == 1
    assert "batch" in found["RanksTheBatch"]["leak"]
    assert found["Polite"]["leak"] == ""
    assert 0 <= found["Polite"]["peak_rss_mb"] < 200


def test_a_metric_asked_for_later_is_computed_without_a_refit(tmp_path):
    one = config(protocol={"mode": "in_sample"})
    run(one, "", tmp_path)
    before = cells(tmp_path)["polite"]
    more = one.model_copy(update={"metrics": ("roc_auc", "ap", "c_index")})
    summary = run(more, "", tmp_path)
    assert (summary.resumed, summary.measured) == (1, 2)
    assert cells(tmp_path)["polite"] == before
    with Ledger(tmp_path) as ledger:
        values = {row["metric"]: row["value"] for row in ledger.rows("SELECT * FROM metrics")}
    scores = np.load(tmp_path / before["score_path"]).astype(float)
    assert values["ap"] == ranking.ap(load("samples/payments").is_outlier, scores)
    assert values["c_index"] is None  # this set has no grades: looked at, not defined
    assert run(more, "", tmp_path).measured == 0


def test_lost_or_altered_scores_and_asked_for_statuses_run_again(tmp_path):
    two = config(detectors=entries("Polite", "Raises"))
    run(two, "", tmp_path)
    assert run(two, "", tmp_path).resumed == 2
    path = tmp_path / cells(tmp_path)["Polite"]["score_path"]
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert run(two, "", tmp_path).statuses == {"ok": 1}
    assert path.read_bytes() == before
    assert run(two, "", tmp_path, retry=["error"]).statuses == {"error": 1}
    with pytest.raises(ValueError, match="no status eror"):
        run(two, "", tmp_path, retry=["eror"])


def test_a_second_parent_is_refused_while_the_first_lives(tmp_path):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with Ledger(tmp_path, create=True) as ledger:
            ledger.claim("other", "", "suite", "sha")
        with sqlite3.connect(tmp_path / "ledger.sqlite") as sql:
            started = psutil.Process(sleeper.pid).create_time()
            sql.execute("UPDATE runs SET pid=?, pid_started=?", (sleeper.pid, started))
        with pytest.raises(RuntimeError, match=f"process {sleeper.pid} is running"):
            run(config(), "", tmp_path)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert run(config(), "", tmp_path).statuses == {"ok": 1}


def test_scores_that_cannot_be_written_stop_the_run_and_count_for_nothing(tmp_path):
    (tmp_path / "scores").write_text("in the way")
    with pytest.raises(RuntimeError, match="cannot be written"):
        run(config(), "", tmp_path)
    assert cells(tmp_path) == {}
    (tmp_path / "scores").unlink()
    assert run(config(), "", tmp_path).statuses == {"ok": 1}


def test_a_file_that_is_not_the_cards_stops_the_run_before_it_starts(tmp_path, data_home):
    copy = tmp_path / "data" / "tabular" / "adbench"
    copy.mkdir(parents=True)
    (copy / "42_WBC.npz").write_bytes((data_home / "tabular" / "adbench" / "42_WBC.npz").read_bytes() + b"x")
    with pytest.raises(ValueError, match="bytes"):
        run(config(datasets=["adbench/42_WBC"]), "", tmp_path / "run", data_home=str(tmp_path / "data"))


SCRIPT = """
import sys
from odkit.bench.config import Config
from odkit.bench.run import run
run(Config.model_validate_json(sys.argv[2]), "", sys.argv[1], jobs=2)  # no guard: children do not read this file
"""
SLOW = {"id": "slow", "class": f"{HOSTILE}:Slow", "params": {"seconds": 0.25}}
STUCK = {"id": "stuck", "class": f"{HOSTILE}:LoopsInC", "seeds": [0]}  # nothing but a kill ends it
REAL = {"id": "odkit.ECOD", "class": "odkit.ECOD", "seeds": [0]}


def test_kill_9_and_resume_give_the_same_bytes_and_leave_no_child(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    seeds = {"seeds": list(range(6)), "limits": {"timeout_s": 60, "memory_mb": 300}}
    command = [
        sys.executable,
        script,
        killed,
        config(detectors=[STUCK, SLOW, REAL], **seeds).model_dump_json(by_alias=True),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    parent = subprocess.Popen(command, env=environment)
    while len(psutil.Process(parent.pid).children(recursive=True)) < 4:  # tracker, fork server, two cells
        assert parent.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    time.sleep(np.random.default_rng().uniform(0, 0.8))
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left, "a child outlived its parent"
    rest = config(detectors=[SLOW, REAL], **seeds)
    summary = run(rest, "", killed, jobs=2)
    assert summary.planned == summary.resumed + summary.statuses["ok"] == 7
    run(rest, "", undisturbed, jobs=1)
    with Ledger(killed) as one, Ledger(undisturbed) as two:
        assert one.canonical() == two.canonical()
        assert len(one.canonical().splitlines()) == 1 + len(make_plan(rest).cells)


def test_merged_parts_are_the_whole(tmp_path):
    both = config(detectors=entries("Polite", "GivesConstant"))
    run(both, "", tmp_path / "a", only=["det=Polite"])
    run(both, "", tmp_path / "b", only=["det=GivesConstant"])
    run(both, "", tmp_path / "whole")
    with Ledger(tmp_path / "merged", create=True) as target:
        for part in ("a", "b", "b"):
            with Ledger(tmp_path / part) as source:
                target.take(source)
        with Ledger(tmp_path / "whole") as whole:
            assert target.canonical() == whole.canonical()
    assert run(both, "", tmp_path / "merged").resumed == 2


def test_a_ledger_of_another_schema_is_refused(tmp_path):
    Ledger(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as sql:
        sql.execute("PRAGMA user_version=99")
    with pytest.raises(ValueError, match="schema 99"):
        Ledger(tmp_path)
    with pytest.raises(FileNotFoundError, match="no run folder"):
        Ledger(tmp_path / "elsewhere")
