"""The page and the commands, on a made-up run of 10 detectors x 30 sets and on a real small one."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from odkit.bench.commands import app
from odkit.bench.compare import compare_runs
from odkit.bench.config import Config
from odkit.bench.contestants import canonical_json
from odkit.bench.ledger import Ledger
from odkit.bench.markdown import report_markdown
from odkit.bench.report import report_html, write_report
from odkit.bench.summaries import duels, headline, on_complete, over_sets
from odkit.bench.tables import read_results
from tests.browser import draw, needs_browser

DETECTORS = [f"{library}.D{i}" for library in ("odkit", "pyod") for i in range(5)]
PROTOCOL = {"mode": "contaminated", "split": "stratified"}


def made_up(run_dir, *, gain: float = 0.0, sets: int = 30, sick: str = "pyod.D4", sick_sets: int = 5):
    """A ledger as a run would leave it: skill grows with the detector's number, one detector fails on five sets."""
    config = Config.model_validate(
        {"datasets": ["samples/*"], "protocol": PROTOCOL, "detectors": [{"id": name} for name in DETECTORS],
         "metrics": ["roc_auc", "ap"]}
    )  # fmt: skip
    protocol = canonical_json(config.protocol[0].identity())
    rng = np.random.default_rng(0)
    with Ledger(run_dir, create=True) as ledger:
        ledger.claim(
            "run", json.dumps(config.model_dump(mode="json", by_alias=True, exclude_defaults=True)), "made up", "0"
        )
        ledger.release()
        records = []
        for s in range(sets):
            level = rng.uniform(0.6, 0.8)
            for i, name in enumerate(DETECTORS):
                key = {"cell_id": f"{s:03d}-{name}", "dataset": f"set{s}", "family": f"family{s // 2}",
                       "modality": "tabular", "protocol_json": protocol, "detector": name, "seed": 0}  # fmt: skip
                records.append(key)
                failed = name == sick and s < sick_sets
                value = min(1.0, level + 0.01 * (i % 5) + rng.normal(0, 0.004) + gain * (name == "odkit.D4"))
                rest = {"status": "timeout" if failed else "ok", "error_tail": "<b>too</b> slow" if failed else "",
                        "fit_s": 0.01 * (i + 1), "score_s": 0.001, "n_train": 70, "n_test": 30, "d": 3,
                        "outlier_rate": 0.1, "train_dup": 0.0, "test_overlap": 0.0, "constant_columns": 0,
                        "roc_low": value - 0.05, "roc_high": value + 0.05, "n_unique_scores": 30, "peak_rss_mb": 5.0,
                        "leak": "the scores depend on the batch" if name == "pyod.D0" else ""}  # fmt: skip
                metrics = {} if failed else {"roc_auc": (1, value), "ap": (1, value / 2)}
                ledger.put({**key, **rest}, metrics)
        ledger.plan("run", records)
    return read_results(run_dir)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("run"))


def test_ranks_follow_the_skill_and_failures_rank_last(results):
    (protocol,) = results.protocols()
    panel = results.panel(protocol, "roc_auc")
    assert panel.blocks.shape == (15, 10)
    assert panel.ranks["odkit.D4"] < panel.ranks["odkit.D2"] < panel.ranks["odkit.D0"]
    assert panel.blocks["pyod.D4"].isna().sum() == 3  # five sets of families 0, 0, 1, 1, 2
    assert (panel.complete.shape, panel.complete_ranks["pyod.D4"] < panel.ranks["pyod.D4"]) == ((12, 10), True)
    table = headline(results, protocol)
    assert table.loc["pyod.D4", ["ok", "failed"]].tolist() == [25, 5]
    assert table.loc["odkit.D4", "elo"] > table.loc["odkit.D0", "elo"]
    pairs = duels(results, protocol)[["a", "b"]]
    assert [tuple(pair) for pair in pairs.to_numpy()] == [(f"odkit.D{i}", f"pyod.D{i}") for i in range(5)]


def test_the_page_is_small_and_loads_nothing(results, tmp_path):
    assert write_report(results, tmp_path / "page.html") < 2 * 2**20
    page = (tmp_path / "page.html").read_text()
    assert not re.findall(r"(?:src|href)\s*=|https?://|@import|url\(", page)
    assert page.index("Failures and warnings") < page.index("What was run") < page.index("rank roc_auc")
    assert "&lt;b&gt;too&lt;/b&gt; slow" in page
    assert "the scores depend on the batch" in page
    assert page.count("<svg") == 2


def test_the_tables_as_markdown(results, tmp_path):
    write_report(results, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| odkit.D4 |" in text
    assert "Without a result: pyod.D4 timeout 5." in text
    assert "Scores depend on the batch: pyod.D0." in text
    assert "odkit.D4, odkit's best by rank" in text


def test_the_page_says_what_changed(results, tmp_path):
    better = made_up(tmp_path, gain=0.05)
    page = report_html(better, results)
    assert "What changed" in page
    table = compare_runs(better, results).set_index("detector")
    assert table.loc["odkit.D4", "P(better)"] > 0.95
    assert table.loc["odkit.D0", ["P(same)", "largest"]].tolist() == [1.0, 0.0]


def test_who_fails_everywhere_is_last_in_every_table_and_empties_none(tmp_path):
    broken = made_up(tmp_path, sick="odkit.D4", sick_sets=30)
    (protocol,) = broken.protocols()
    panel = broken.panel(protocol, "roc_auc")
    assert panel.ranks["odkit.D4"] == 10
    table = headline(broken, protocol)
    assert table.index[-1] == "odkit.D4"
    assert table.loc["odkit.D4", ["ok", "failed"]].tolist() == [0, 30]
    assert panel.complete.shape == (15, 9)
    assert "odkit.D4" not in on_complete(broken, protocol).index
    assert over_sets(broken, protocol).loc["odkit.D4", "sets"] == 0
    page = report_html(broken)
    assert "each of the 9 detectors that finished any" in page
    assert "odkit.D4 10.00" in page  # in the diagram


def test_means_over_sets_stand_beside_means_over_families(results):
    (protocol,) = results.protocols()
    values = results.cells.pivot(index="dataset", columns="detector", values="roc_auc")
    table = over_sets(results, protocol)
    assert table.loc["odkit.D4", "roc_auc, sets"] == pytest.approx(values["odkit.D4"].mean())
    assert table.loc["pyod.D4", ["sets", "families"]].tolist() == [25, 12]
    assert table.loc["pyod.D4", "roc_auc, sets"] == pytest.approx(values["pyod.D4"].mean())
    complete = on_complete(results, protocol)
    kept = values[[int(name[3:]) // 2 > 2 for name in values.index]]  # families 0, 1 and 2 have a failure
    assert complete.loc["odkit.D4", "roc_auc"] == pytest.approx(kept["odkit.D4"].mean())
    page, text = report_html(results), report_markdown(results)
    assert "Complete cases: the 12 families that 10 detectors finished" in page
    assert "Means over data sets beside means over families" in page
    assert text.count("| detector |") == 3


def test_a_failure_where_the_other_run_finished_is_a_regression(tmp_path):
    made_up(tmp_path / "a", sick="odkit.D4", sick_sets=30)
    made_up(tmp_path / "b", sick_sets=0)
    assert "odkit.D4 no longer finishes 30 cells" in invoke("compare", tmp_path / "a", tmp_path / "b", code=1)
    invoke("compare", tmp_path / "b", tmp_path / "a")


def test_every_ranked_metric_is_shown_by_data_set(tmp_path):
    few = made_up(tmp_path, sets=4)
    few = replace(few, config=few.config.model_copy(update={"rank_by": ("roc_auc", "ap")}))
    page, text = report_html(few), report_markdown(few)
    for metric in ("roc_auc", "ap"):
        assert f"{metric} by data set (colour" in page
        assert f"{metric} by data set, mean over seeds.\n\n| detector | set0 | set1 | set2 | set3 |" in text


def test_what_is_separated_is_said_in_words(results):
    text = report_markdown(results)
    assert re.search(r"Holm over 45 pairs on roc_auc separates at 0.05: odkit.D4 from .*odkit.D0", text)


@needs_browser
def test_a_browser_draws_the_page_and_sorts_a_table(results, tmp_path):
    write_report(results, tmp_path / "page.html")
    click = "document.querySelectorAll('table.sort')[2].tHead.rows[0].cells[0].click()"
    drawn = draw((tmp_path / "page.html").read_text(), tmp_path, script=click)
    headline = drawn.dom.split('class="sort"')[3]
    names = re.findall(r"<tr><td[^>]*>((?:odkit|pyod)\.D\d)</td>", headline)
    assert names == sorted(DETECTORS)
    assert drawn.console == []
    assert drawn.picture > 50_000  # an empty page of this size takes some 15 kB


def invoke(*arguments, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_commands_from_run_to_export(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(
        "datasets: [samples/graded]\nprotocol: {mode: in_sample}\nmetrics: [roc_auc, c_index]\n"
        "detectors:\n  - {id: max-abs-z, class: odkit.bench.baselines.MaxAbsZ}\n"
        "  - {id: raises, class: 'tests.bench.hostile:Raises'}\n  - {id: absent, class: no.such.Thing}\n"
    )
    run_dir = tmp_path / "run"
    assert "3 cells" in invoke("plan", config)
    assert "1 ok, 1 skipped" in invoke("run", config, "--run-dir", run_dir, "--mem", "1G", "--strict", code=3)
    again = invoke("run", config, "--run-dir", run_dir, "--strict", code=3)  # what failed before still counts
    assert "3 were finished; nothing to run" in again
    assert "absent cannot be imported: ModuleNotFoundError" in again
    shown = invoke("status", run_dir)
    assert "as planned" in shown
    assert "skipped 1 of absent: cannot be imported" in shown
    cell = re.search(r"^([0-9a-f]{12}) error", shown, re.M).group(1)
    assert "ZeroDivisionError" in invoke("show", cell, "--run-dir", run_dir)
    rows = [json.loads(line) for line in invoke("export", run_dir).splitlines()]
    assert {row["detector"]: row["status"] for row in rows} == {
        "max-abs-z": "ok",
        "raises": "error",
        "absent": "skipped",
    }
    assert {row["seed"] for row in rows} == {0}
    assert 0.5 < next(row["c_index"] for row in rows if row["detector"] == "max-abs-z") <= 1
    assert invoke("export", run_dir, "--canonical") == invoke("export", run_dir, "--canonical")
    invoke("export", run_dir, "--parquet", tmp_path / "cells.parquet")
    assert "MB" in invoke("report", run_dir, "-o", tmp_path / "page.html", "--baseline", run_dir)
    assert "1 cells" not in invoke("merge", run_dir, "--into", tmp_path / "all")
    assert "max-abs-z" in invoke("compare", run_dir, tmp_path / "all")


def test_compare_exits_1_on_a_regression(results, tmp_path):
    made_up(tmp_path / "a", gain=-0.05)
    made_up(tmp_path / "b")
    assert "odkit.D4 is worse by more than the ROPE" in invoke("compare", tmp_path / "a", tmp_path / "b", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "smok", "--run-dir", "x"], "smoke"),
        (["run", "smoke", "--run-dir", "x", "--mem", "lots"], "900M or 4G"),
        (["status", "nowhere"], "no run folder"),
        (["plan", "smoke", "--only", "nonsense"], "det=PATTERN"),
        (["run", "smoke", "--run-dir", "x", "--timeout", "-5"], "limits: timeout_s: Input should be greater than 0"),
    ],
)
def test_a_bad_argument_is_one_line_and_exit_code_2(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in invoke(*arguments, code=2)


def test_the_commands_are_mounted():
    from odkit.cli import app as whole

    result = CliRunner().invoke(whole, ["bench", "configs"])
    assert result.exit_code == 0
    assert {"smoke", "tabular-adbench", "tabular-macro"} <= set(result.output.split())


def test_a_run_that_has_just_begun_has_a_report(results, tmp_path):
    begun = replace(results, cells=results.cells.assign(roc_auc=np.nan, ap=np.nan, status="missing"))
    assert begun.protocols() == []
    assert write_report(begun, tmp_path / "page.html") > 0
    write_report(begun, tmp_path / "page.md")
