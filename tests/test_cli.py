"""The command line: results on stdout, notes on stderr, one sentence and exit code 2 for what the user can mend."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import odkit
from odkit import cli, model_file
from odkit.datasets import sample_path
from odkit.scores import anomaly_score


@pytest.fixture
def odkit_(monkeypatch, capsys, tmp_path):
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("warnings.showwarning", None)  # main sets it; put it back afterwards

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["odkit", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def meters(tmp_path):
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(50, 5, size=(200, 3)), columns=["volt", "ampere", "watt"]).round(3)
    frame.loc[17, "ampere"] = 500.0
    frame.insert(0, "id", [f"M{i:03d}" for i in range(200)])
    frame.to_csv(tmp_path / "meters.csv", index=False)
    return frame


def test_the_bundled_sample_in_one_command(odkit_, tmp_path):
    code, out, err = odkit_(
        "score", sample_path("payments.csv"), "--id", "payment_id", "--on-text", "codes", "-c", 0.02, "--out", "s.csv"
    )
    assert (code, err) == (0, "")
    assert out.startswith("payments.csv: 3,000 rows x 8 columns, ECOD: 60 rows flagged as outliers (2.0%)")
    assert out.rstrip().endswith("written: s.csv (payment_id, anomaly_score, is_outlier)")
    for word in ("because of", "expected", "usually", "share", "times_usual", "high", "outlier"):
        assert word in out
    scored = pd.read_csv(tmp_path / "s.csv")
    assert len(scored) == 3000
    assert scored["is_outlier"].sum() == 60
    truth = pd.read_csv(sample_path("payments_truth.csv"))["payment_id"]
    assert scored.nlargest(60, "anomaly_score")["payment_id"].isin(truth).sum() >= 0.5 * len(truth)


def test_shuttle(odkit_, data_home, tmp_path):
    path = data_home / "tabular" / "adbench" / "32_shuttle.npz"
    code, out, err = odkit_("score", path, "--out", "s.parquet", "--top", 5, "--id", "y")
    assert (code, err) == (0, "")
    assert "49,097 rows x 9 columns" in out
    assert "column_5" in out
    scored = pd.read_parquet(tmp_path / "s.parquet")
    X = np.load(path)["X"].astype(float)
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(odkit.ECOD().fit(X), X))


def test_fit_then_score(odkit_, meters, tmp_path):
    code, out, _ = odkit_("fit", "meters.csv", "--id", "id", "--param", "tail_cap=20", "-o", "m.odkit")
    assert code == 0
    assert re.search(r"fitted on +200 rows of meters.csv", out)
    assert "tail_cap=20" in out
    assert model_file.fingerprint("m.odkit") in out
    code, out, err = odkit_("score", "meters.csv", "--id", "id", "--model", "m.odkit", "--out", "s.csv", "--explain")
    assert (code, err) == (0, "")
    assert "M017" in out
    scored = pd.read_csv("s.csv")
    detector = odkit.ECOD(tail_cap=20.0).fit(meters[["volt", "ampere", "watt"]])
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(detector, meters[["volt", "ampere", "watt"]]))
    assert scored.columns.tolist()[3:] == [f"top_{i}{s}" for i in (1, 2, 3) for s in ("", "_share")]
    code, out, _ = odkit_("inspect", "m.odkit")
    assert code == 0
    assert "volt, ampere, watt" in out


@pytest.fixture
def days(tmp_path):
    """Ordinary rows, and a day with ten rows that are not."""
    rng = np.random.default_rng(9)
    for name, n, odd in (("ordinary", 800, 0), ("today", 300, 10)):
        frame = pd.DataFrame(rng.normal(50, 5, size=(n, 3)), columns=["volt", "ampere", "watt"])
        frame.loc[: odd - 1, "ampere"] += 100
        frame.to_csv(tmp_path / f"{name}.csv", index=False)


def test_p_values_against_ordinary_rows(odkit_, days):
    code, out, err = odkit_("score", "today.csv", "--reference", "ordinary.csv", "--fdr", 0.2, "--out", "s.csv")
    assert (code, err) == (0, "")
    assert "Conformal of ECOD: 10 rows flagged as outliers (3.3%)" in out
    assert "p-value" in out
    scored = pd.read_csv("s.csv")
    np.testing.assert_array_equal(np.flatnonzero(scored["is_outlier"]), np.arange(10))
    detector = odkit.Conformal(odkit.ECOD(), random_state=0).fit(pd.read_csv("ordinary.csv"))
    np.testing.assert_array_equal(scored["p_value"], detector.p_values(pd.read_csv("today.csv")))
    assert odkit_("fit", "ordinary.csv", "--p-values", "-c", "0.1", "-o", "m.odkit")[0] == 0
    code, _, err = odkit_("score", "today.csv", "--model", "m.odkit", "--fdr", 0.2, "--out", "again.csv")
    assert (code, err) == (0, "")
    pd.testing.assert_frame_equal(pd.read_csv("again.csv"), scored)
    odkit_("score", "today.csv", "--model", "m.odkit", "--out", "again.csv")
    flags = pd.read_csv("again.csv")["is_outlier"]
    np.testing.assert_array_equal(flags, scored["p_value"] <= 0.1)


def test_too_few_ordinary_rows_are_said(odkit_, days):
    code, out, err = odkit_("score", "today.csv", "--reference", "ordinary.csv", "--fdr", 0.05)
    assert code == 0
    assert ": 0 rows flagged" in out
    assert err.startswith(
        "note: 240 calibration rows give p-values of 0.0041 at the least, so among 300 rows fewer than"
    )
    assert "25 outliers cannot be flagged at --fdr 0.05" in err


def test_consensus_and_auto(odkit_, days):
    code, out, _ = odkit_("score", "today.csv", "-d", "consensus", "--seed", 0, "-c", "auto", "--out", "s.csv")
    assert code == 0
    assert "Consensus: " in out
    flags = pd.read_csv("s.csv")["is_outlier"]
    assert flags[:10].sum() >= 9
    assert flags.sum() < 45


def test_json_is_one_document_on_stdout(odkit_, meters):
    code, out, err = odkit_("score", "meters.csv", "--id", "id", "--json", "--top", 2)
    result = json.loads(out)
    assert (code, err, result["rows"], result["detector"], len(result["top"])) == (0, "", 200, "ECOD", 2)
    assert result["top"][0]["reasons"][0].keys() >= {"feature", "value", "expected", "direction", "share", "usual"}
    code, out, _ = odkit_("fit", "meters.csv", "--id", "id", "-o", "m.odkit", "--json")
    assert json.loads(out)["class"] == "ECOD"
    assert json.loads(odkit_("inspect", "m.odkit", "--json")[1])["n_features"] == 3
    assert {entry["name"] for entry in json.loads(odkit_("detectors", "--json")[1])} >= {"ecod", "knn"}
    assert json.loads(odkit_("info", "--json")[1])["odkit"] == odkit.__version__


def test_json_has_null_for_what_json_lacks(odkit_, meters, tmp_path):
    meters.assign(watt=meters["watt"].mask(meters.index == 4)).to_csv("gaps.csv", index=False)
    code, out, _ = odkit_("score", "gaps.csv", "--id", "id", "--param", "nan_policy=neutral", "--json", "--top", 200)
    assert code == 0
    gap = next(record for record in json.loads(out)["top"] if record["id"] == "M004")
    assert [r["value"] for r in gap["reasons"] if r["feature"] == "watt"] == [None]


def test_notes_go_to_stderr(odkit_, meters):
    meters.assign(kind="x").to_csv("kinds.csv", index=False)
    code, out, err = odkit_("score", "kinds.csv", "--id", "id", "--on-text", "drop")
    assert (code, err) == (0, "note: left out, because they hold no numbers: 'kind'\n")
    assert "note" not in out


def test_lists_and_facts(odkit_):
    code, out, _ = odkit_("detectors")
    assert code == 0
    for word in ("ecod", "knn", "assumes", "fails where", "cost"):
        assert word in out
    code, out, _ = odkit_("info")
    assert code == 0
    for word in ("numpy", "numba", "cores", "blas", "devices", "cpu"):
        assert word in out
    code, out, _ = odkit_("datasets", "list", "--suite", json.loads(odkit_("datasets", "list", "--json")[1])[0]["id"])
    assert code == 2
    code, out, _ = odkit_("datasets", "list")
    assert "samples/payments" in out
    code, out, _ = odkit_("datasets", "path", "samples/payments")
    assert out.strip() == str(sample_path("payments.csv"))
    code, out, _ = odkit_("datasets", "verify", "samples/payments")
    assert (code, "ok" in out) == (0, True)
    code, out, err = odkit_("datasets", "path", "samples/payment")
    assert code == 2
    assert "samples/payment" in err


def test_a_data_set_that_differs_fails_the_check(odkit_, monkeypatch, tmp_path):
    monkeypatch.setenv("ODKIT_DATA_HOME", str(tmp_path))
    code, out, _ = odkit_("datasets", "verify", "adbench/14_glass")
    assert code == 1
    assert "missing" in out


def test_help_teaches_by_example(odkit_):
    for words in (["--help"], ["score", "-h"], ["fit", "--help"], ["datasets", "--help"], []):
        code, out, err = odkit_(*words)
        assert code in (0, 2)  # without words it is a usage error of some releases of typer
        assert "odkit score" in out + err or "odkit fit" in out + err
        assert "Examples" in out + err
    code, out, _ = odkit_("--version")
    assert (code, out) == (0, f"odkit {odkit.__version__}\n")


def write(path, content):
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)


def folder() -> dict[str, bytes | None]:
    return {path.name: None if path.is_dir() else path.read_bytes() for path in Path().iterdir()}


def spoil_text(meters):
    meters.assign(kind=["a", "b"] * 100).to_csv("meters.csv", index=False)


def spoil_gap(meters):
    meters.assign(watt=meters["watt"].mask(meters.index == 4)).to_csv("meters.csv", index=False)


def other_model(meters):
    model_file.save(odkit.ECOD().fit(meters[["volt", "watt"]].rename(columns={"watt": "watts"})), "m.odkit")


def plain_model(meters):
    model_file.save(odkit.ECOD().fit(meters.drop(columns="id")), "m.odkit")


SCORE = ["score", "meters.csv", "--id", "id", "--out", "out.csv"]
BAD = {
    "missing file": (None, ["score", "meter.csv", "--out", "out.csv"], "there is no file meter.csv; there is 'meters"),
    "missing folder": (None, ["score", "no/meters.csv"], "there is no file no/meters.csv"),
    "a folder": (lambda m: os.mkdir("d.csv"), ["score", "d.csv"], "d.csv is a folder"),
    "suffix": (lambda m: write("a.xlsx", "x"), ["score", "a.xlsx"], "a.xlsx cannot be read by its suffix; readable"),
    "empty": (lambda m: write("meters.csv", ""), SCORE, "meters.csv is empty: 0 bytes"),
    "header only": (lambda m: write("meters.csv", "id,a\n"), SCORE, "meters.csv has 2 columns and no rows"),
    "ragged": (lambda m: write("meters.csv", "id,a\n1,2\n1,2,3\n"), SCORE, "Expected 2 fields in line 3, saw 3"),
    "text": (spoil_text, SCORE, "column 'kind' holds text ('a'), and detectors take numbers; say --on-text codes"),
    "identifier": (None, ["score", "meters.csv", "--on-text", "codes"], "'id' holds 200 different texts in 200 rows"),
    "gap": (spoil_gap, SCORE, "meters.csv: 1 of 200 rows have missing or infinite values, in column 'watt' (the first"),
    "unknown id": (None, ["score", "meters.csv", "--id", "idd"], "--id: meters.csv has no column 'idd'; did you mean"),
    "unknown column": (None, [*SCORE, "--columns", "Volt,watt"], "no column 'Volt'; did you mean 'volt'?"),
    "unknown detector": (None, [*SCORE, "--detector", "eccod"], "'eccod' is not known; did you mean 'ecod'?"),
    "unknown param": (None, [*SCORE, "--param", "tial=none"], "ECOD has no parameter 'tial'; did you mean 'tail'"),
    "bad param": (None, [*SCORE, "--param", "tail_cap=-1"], "'tail_cap' parameter of ECOD must be"),
    "param without value": (None, [*SCORE, "--param", "tail_cap"], "--param 'tail_cap': a name, an equals sign"),
    "bad contamination": (None, [*SCORE, "-c", "0.9"], "'contamination' parameter of ECOD must be"),
    "useless seed": (None, [*SCORE, "-d", "knn", "--seed", "1"], "KNN draws no random numbers"),
    "output suffix": (None, ["score", "meters.csv", "--out", "out.xlsx"], "cannot write out.xlsx: its suffix must be"),
    "output folder": (None, ["score", "meters.csv", "--out", "no/out.csv"], "there is no folder"),
    "output is input": (None, ["score", "meters.csv", "--out", "meters.csv"], "it is also an input"),
    "model over table": (None, ["fit", "meters.csv", "-o", "m.csv"], "cannot write a model to m.csv"),
    "missing model": (None, [*SCORE, "--model", "m.odkit"], "there is no model file m.odkit"),
    "garbage model": (
        lambda m: write("m.odkit", b"\x80\x04abc"),
        [*SCORE, "-m", "m.odkit"],
        "m.odkit: a pickle, which",
    ),
    "text as model": (None, [*SCORE, "-m", "meters.csv"], "meters.csv: no model file of odkit"),
    "cut model": (lambda m: write("m.odkit", b"PK\x03\x04abc"), [*SCORE, "-m", "m.odkit"], "damaged or cut short"),
    "model of other columns": (other_model, [*SCORE, "-m", "m.odkit"], "'watts'; did you mean 'watt'?"),
    "model and detector": (other_model, [*SCORE, "-m", "m.odkit", "-d", "knn"], "--detector belongs to the fit"),
    "rate": (None, [*SCORE, "--fdr", "1.5"], "--fdr 1.5: a share between 0 and 1"),
    "model without p-values": (plain_model, [*SCORE, "-m", "m.odkit", "--fdr", "0.1"], "the model has no p-values"),
    "reference and model": (plain_model, [*SCORE, "-m", "m.odkit", "--reference", "meters.csv"], "--reference belongs"),
    "p-values of a series": (None, [*SCORE, "-d", "moving-energy", "--p-values"], "not exchangeable"),
    "own reference": (None, [*SCORE, "--fdr", "0.05"], "a file with outliers in it cannot be its own reference"),
    "p-values by auto": (None, [*SCORE, "--reference", "meters.csv", "-c", "auto"], "p-values need a share"),
    "itself as reference": (None, [*SCORE, "--reference", "meters.csv"], "cannot be its own reference"),
    "small reference": (
        lambda m: m.to_csv("ordinary.csv", index=False),
        [*SCORE, "--reference", "ordinary.csv", "--fdr", "0.01"],
        "p-values of 0.0164 at the least",
    ),
    "too few rows": (lambda m: m[:4].to_csv("meters.csv", index=False), [*SCORE, "-d", "knn"], "KNN: too few"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_the_user_can_mend_is_one_sentence(odkit_, meters, case):
    spoil, words, message = BAD[case]
    if spoil is not None:
        spoil(meters)
    before = folder()
    code, out, err = odkit_(*words)
    assert message in err
    assert err.startswith("odkit: ")
    assert err.count("\n") == 1
    assert (code, out) == (2, "")
    assert folder() == before


def test_wrong_words_are_usage_errors(odkit_, meters):
    for words in (
        ["scor"],
        ["score"],
        [*SCORE, "--nope"],
        [*SCORE, "--on-text", "guess"],
        [*SCORE, "-c", "some"],
        ["fit", "meters.csv"],
    ):
        code, out, err = odkit_(*words)
        assert code == 2
        assert "Traceback" not in out + err


def test_a_single_row_is_counted_as_one(odkit_, meters):
    meters[:1].to_csv("one.csv", index=False)
    code, out, err = odkit_("score", "one.csv", "--id", "id")
    assert code == 0
    assert out.startswith("one.csv: 1 row x 3 columns, ECOD: 0 rows flagged as outliers (0.0%)")
    assert err.startswith("note: a single row has no others to be compared with")


def test_help_of_the_harness_shows_names_of_own_data(odkit_):
    code, out, _ = odkit_("bench", "add-data", "--help")
    assert code == 0
    assert "a configuration names it as own/NAME among its" in " ".join(out.replace("│", " ").split())


def test_what_fails_on_the_way_is_said_and_leaves_nothing(odkit_, meters, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = odkit_(*SCORE)
    said = "odkit failed: OSError: [Errno 28] No space left on device: 'out.csv' (--debug shows where)\n"
    assert (code, err) == (1, said)
    assert os.listdir() == ["meters.csv"]


def test_debug_shows_the_traceback(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("warnings.showwarning", None)
    monkeypatch.setattr(sys, "argv", ["odkit", "score", "no.csv", "--debug"])
    with pytest.raises(FileNotFoundError, match=r"no\.csv"):
        cli.main()


@pytest.mark.filterwarnings("always")
def test_warnings_are_notes(odkit_, meters):
    meters.assign(watt=np.nan).to_csv("meters.csv", index=False)
    code, _, err = odkit_("score", "meters.csv", "--id", "id", "--param", "nan_policy=neutral")
    assert code == 0
    assert err.startswith("note: ")
    assert "watt" in err


def test_text_of_a_file_cannot_control_the_terminal(odkit_, meters):
    meters.assign(id=[f"\x1b[31m{i}" for i in range(200)]).to_csv("meters.csv", index=False)
    code, out, _ = odkit_("score", "meters.csv", "--id", "id")
    assert code == 0
    assert "\x1b" not in out


def test_rich_markup_in_a_file_is_text(odkit_, meters):
    meters.rename(columns={"volt": "[red]volt[/red]"}).assign(id="[bold]x[/bold]").to_csv("meters.csv", index=False)
    code, out, _ = odkit_("score", "meters.csv", "--id", "id", "--top", 50)
    assert code == 0
    assert "[red]volt[/red]" in out
    assert "[bold]x[/bold]" in out


def test_the_module_runs_as_a_command(tmp_path, meters):
    done = subprocess.run(
        [sys.executable, "-m", "odkit", "score", "meters.csv", "--id", "id", "--top", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "200 rows x 3 columns, ECOD: 20 rows flagged" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    from odkit.jobs import reporters

    with reporters.progress() as report:
        report("reading", 0, 0)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with reporters.progress() as report:
        report("scoring a file", 5, 10)
    assert "scoring a file" in capsys.readouterr().err


def test_a_missing_part_of_the_harness_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "odkit.bench.config", None)
    monkeypatch.setattr("warnings.showwarning", None)
    monkeypatch.setattr("sys.argv", ["odkit", "bench", "configs"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "pip install 'odkit[bench]'" in capsys.readouterr().err
