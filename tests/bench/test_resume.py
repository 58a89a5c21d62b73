"""A run folder over time: resumed, changed, renamed, merged, with another disk or another session in the way."""

import os
import subprocess
import sys

import numpy as np
import pytest

from odkit.bench import remeasure
from odkit.bench import run as runner
from odkit.bench.config import parse_config
from odkit.bench.ledger import Ledger
from odkit.bench.plan import make_plan
from odkit.bench.report import report_html, write_report
from odkit.bench.run import run
from odkit.bench.score_files import beside, write_maps, write_scores
from odkit.bench.tables import read_results
from tests.bench.test_report import invoke
from tests.bench.test_run import HOSTILE, cells, config, entries


def as_text(one) -> str:
    return one.model_dump_json(by_alias=True)


def begin(tmp_path, one, **how):
    return run(one, as_text(one), tmp_path, **how)


def test_a_run_with_some_seeds_missing_has_a_report(tmp_path):
    two = config(seeds=[0, 1])
    begin(tmp_path, two)
    with Ledger(tmp_path) as ledger:
        ledger._sql.execute("DELETE FROM cells WHERE seed=1")
    half = read_results(tmp_path)
    assert half.protocols() == []
    write_report(half, tmp_path / "page.html")
    write_report(half, tmp_path / "page.md")


def test_the_newest_text_of_a_configuration_counts_also_for_finished_cells(tmp_path):
    begin(tmp_path, config(metrics=["roc_auc", "ap"]))
    renamed = {"id": "renamed", "class": f"{HOSTILE}:Polite"}
    later = config(detectors=[renamed], metrics=["roc_auc", "ap"], rank_by=["ap"], rope=0.05)
    assert begin(tmp_path, later).resumed == 1
    results = read_results(tmp_path)
    assert (results.config.rank_by, results.config.rope) == (("ap",), 0.05)
    assert set(results.cells["detector"]) == set(cells(tmp_path)) == {"renamed"}
    assert "renamed" in report_html(results)


def test_a_declared_limit_that_is_lifted_lets_the_cell_run(tmp_path):
    small = {"id": "polite", "class": f"{HOSTILE}:Polite", "max_train_rows": 10}
    assert begin(tmp_path, config(detectors=[small])).statuses == {"skipped": 1}
    assert "declared for at most 10 training rows" in cells(tmp_path)["polite"]["error_tail"]
    assert begin(tmp_path, config(detectors=[small])).resumed == 1
    assert begin(tmp_path, config(detectors=[{**small, "max_train_rows": 20}])).resumed == 1
    assert begin(tmp_path, config()).statuses == {"ok": 1}


def test_finished_cells_start_nothing(tmp_path, monkeypatch):
    many = config(seeds=list(range(1000)), limits={"timeout_s": 20, "memory_mb": 300})
    plan = make_plan(many)
    with Ledger(tmp_path, create=True) as ledger, ledger._transaction():
        for number, cell in enumerate(plan.cells):
            path, sha = write_scores(tmp_path, cell.cell_id, np.arange(30.0) + number)
            row = {**cell.record(), "status": "ok", "score_path": path, "score_sha": sha}
            ledger._sql.execute(
                f"INSERT INTO cells ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
            )
            ledger._put_metrics(cell.cell_id, {"roc_auc": (1, 0.5)})
    monkeypatch.setattr(runner, "fork_server", None)  # whoever starts a process fails, and who reads a data set
    monkeypatch.setattr(remeasure, "load", None)
    summary = begin(tmp_path, many)
    assert (summary.planned, summary.resumed, summary.measured) == (1000, 1000, 0)


def test_strict_counts_what_failed_before(tmp_path):
    two = config(detectors=entries("Polite", "Raises"))
    assert begin(tmp_path, two).failed == 1
    again = begin(tmp_path, two)
    assert (again.resumed, again.failed) == (2, 1)


def test_a_full_disk_is_advice_and_the_same_command_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(Ledger, "put", full_disk)
    with pytest.raises(RuntimeError, match=r"the ledger cannot be written .*give the same command again"):
        begin(tmp_path, config())
    monkeypatch.undo()
    assert begin(tmp_path, config()).statuses == {"ok": 1}


def full_disk(self, cell, metrics):
    self._sql.execute("PRAGMA max_page_count=1")
    self._sql.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")


def test_a_ledger_that_is_none_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("no database" * 1000)
    assert "ledger.sqlite cannot be read" in invoke("status", tmp_path, code=2)


def test_merging_takes_maps_refuses_a_live_run_and_says_what_reports_leave_out(tmp_path):
    begin(tmp_path / "a", config(detectors=entries("Polite")))
    begin(tmp_path / "b", config(detectors=entries("GivesConstant")))
    row = cells(tmp_path / "a")["Polite"]
    write_maps(tmp_path / "a", row["score_path"], np.ones((3, 2, 2)))
    said = invoke("merge", tmp_path / "a", tmp_path / "b", "--into", tmp_path / "all")
    assert "not shown, here and in reports: Polite" in said
    assert "not shown" in invoke("status", tmp_path / "all")
    assert np.load(beside(tmp_path / "all" / row["score_path"])).shape == (3, 2, 2)
    both = config(detectors=entries("Polite", "GivesConstant"))
    assert begin(tmp_path / "all", both).resumed == 2
    assert read_results(tmp_path / "all").left_out == ()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with Ledger(tmp_path / "all") as ledger:
            import psutil

            started = psutil.Process(sleeper.pid).create_time()
            ledger._sql.execute("UPDATE runs SET pid=?, pid_started=?", (sleeper.pid, started))
        assert "is running on this folder" in invoke("merge", tmp_path / "a", "--into", tmp_path / "all", code=2)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_own_classes_are_found_in_the_working_folder_and_beside_the_configuration(tmp_path):
    body = "from tests.bench.hostile import Polite\n\n\nclass Mine(Polite):\n    pass\n"
    for folder, module in (("here", "mine_here"), ("there", "mine_there")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{module}.py").write_text(body)
    text = "datasets: [samples/payments]\nprotocol: {mode: in_sample}\nmetrics: [roc_auc]\ndetectors:\n"
    text += "  - {id: one, class: 'mine_here:Mine'}\n  - {id: two, class: 'mine_there:Mine'}\n"
    (tmp_path / "there" / "own.yaml").write_text(text)
    assert parse_config(text)
    command = [sys.executable, "-c", "from odkit.cli import main; main()", "bench", "run", "../there/own.yaml"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [*command, "--run-dir", tmp_path / "run", "--strict"],
        cwd=tmp_path / "here", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 ok" in done.stdout
