"""A user's own labelled tables."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from odkit.bench.commands import app
from odkit.bench.config import parse_config
from odkit.bench.plan import make_plan
from odkit.datasets import add_dataset, get_card, list_cards, load, rows, verify


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    is_outlier = rng.random(80) < 0.1
    return rng.normal(size=(80, 3)) + 5 * is_outlier[:, None], is_outlier


def test_what_goes_in_comes_out(tmp_path, table):
    X, is_outlier = table
    X[3, 1] = np.nan
    card = add_dataset(
        "pumps", X, is_outlier, feature_names=["a", 'b "q"', "ç"], notes="two\nlines", data_home=tmp_path
    )
    assert card == get_card("own/pumps", data_home=tmp_path)
    back = load("own/pumps", data_home=tmp_path)
    np.testing.assert_array_equal(back.X, X)
    np.testing.assert_array_equal(back.is_outlier, is_outlier)
    assert back.feature_names == ("a", 'b "q"', "ç")
    assert card.notes == "two\nlines"
    assert [check.status for check in verify(["own/pumps"], data_home=tmp_path)] == ["ok"]
    assert {row["id"]: row["where"] for row in rows(data_home=tmp_path)}["own/pumps"] == "here"
    assert not list(tmp_path.glob("**/.*"))


def test_single_precision_stays(tmp_path, table):
    add_dataset("half", table[0].astype(np.float32), table[1].astype(int), data_home=tmp_path)
    assert load("own/half", data_home=tmp_path).X.dtype == np.float32


def test_the_cards_of_another_folder_are_not_seen(tmp_path, table):
    add_dataset("pumps", *table, data_home=tmp_path / "mine")
    assert "own/pumps" in {card.id for card in list_cards(data_home=tmp_path / "mine")}
    assert "own/pumps" not in {card.id for card in list_cards(data_home=tmp_path / "yours")}


def test_a_copy_under_another_name_joins_the_family(tmp_path, table):
    X, is_outlier = table
    add_dataset("pumps", X, is_outlier, family="water", data_home=tmp_path)
    order = np.random.default_rng(1).permutation(len(X))
    copy = add_dataset("copy", X[order][:, [2, 0, 1]], is_outlier[order], data_home=tmp_path)
    assert copy.family == "water"
    assert add_dataset("near", X + 1e-3, is_outlier, data_home=tmp_path).family == "near"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("../pumps", {}, "letters, digits"),
        ("pumps", {"X": [["a"], ["b"]]}, "no number"),
        ("pumps", {"X": [1.0, 2.0]}, r"shape \(2,\)"),
        ("pumps", {"X": np.empty((0, 2))}, "at least one of each"),
        ("pumps", {"X": [[1.0], [np.inf]]}, "infinite"),
        ("pumps", {"is_outlier": [0, 1, 1]}, "one label per row"),
        ("pumps", {"is_outlier": [0, 2]}, "holds 0, 2"),
        ("pumps", {"is_outlier": [0, 0]}, "both must occur"),
        ("pumps", {"is_outlier": ["no", "yes"]}, "holds 'no', 'yes'"),
        ("pumps", {"is_outlier": np.array(["no", np.nan], object)}, "missing in 1 rows, the first is row 1"),
        ("pumps", {"is_outlier": [0.0, np.nan]}, "missing in 1 rows, the first is row 1"),
        ("pumps", {"feature_names": ["a", "b"]}, "2 feature names for 1 columns"),
    ],
)
def test_unfit_tables_leave_nothing_behind(tmp_path, name, change, words):
    given = {"X": [[1.0], [2.0]], "is_outlier": [0, 1]} | change
    with pytest.raises(ValueError, match=words):
        add_dataset(name, **given, data_home=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_name_is_taken_once(tmp_path, table):
    add_dataset("pumps", *table, data_home=tmp_path)
    with pytest.raises(ValueError, match="is there already"):
        add_dataset("pumps", *table, data_home=tmp_path)


def test_the_command_makes_a_set_that_a_run_can_name(tmp_path, table):
    frame = pd.DataFrame(table[0], columns=["x", "y", "z"]).assign(key=range(80), bad=table[1].astype(int))
    frame.to_csv(tmp_path / "pumps.csv", index=False)
    words = ["add-data", "pumps", str(tmp_path / "pumps.csv"), "--label", "bad", "--data", str(tmp_path / "home")]
    done = CliRunner().invoke(app, [*words, "--ignore", "key"])
    assert done.exit_code == 0, done.output
    assert f"own/pumps: 80 rows, 3 columns, {table[1].mean():.2%} outliers" in done.output
    text = "datasets: [own/*]\nprotocol: {mode: in_sample}\ndetectors: [{id: odkit.ECOD}]"
    plan = make_plan(parse_config(text), data_home=str(tmp_path / "home"))
    assert [cell.dataset for cell in plan.cells] == ["own/pumps"]
    frame.to_csv(tmp_path / "semicolons.csv", index=False, sep=";")
    german = [
        "add-data",
        "german",
        str(tmp_path / "semicolons.csv"),
        "--label",
        "bad",
        "--data",
        str(tmp_path / "home"),
    ]
    assert "--delimiter ';'" in CliRunner().invoke(app, german).output
    done = CliRunner().invoke(app, [*german, "--ignore", "key", "--delimiter", ";"])
    assert done.exit_code == 0, done.output
    wrong = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "other"), "--ignore", "nothing"])
    assert wrong.exit_code == 2
    assert "no column 'nothing'" in wrong.output
