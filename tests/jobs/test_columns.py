"""What becomes of columns is decided at fit, is the same ever after, and survives the trip through a model file."""

import decimal
import json

import numpy as np
import pandas as pd
import pytest

from odkit.jobs.columns import Columns


@pytest.fixture
def frame():
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "amount": rng.normal(100, 10, 200),
            "count": rng.integers(0, 5, 200),
            "paid": rng.random(200) < 0.5,
            "kind": ["b"] * 120 + ["a"] * 60 + ["d"] * 10 + ["c"] * 10,
        }
    )


def learn(frame, **options):
    return Columns.learn(frame, frame.columns.tolist(), **options)


def test_text_becomes_its_rank_by_frequency(frame):
    columns, dropped = learn(frame, on_text="codes")
    assert dropped == []
    assert columns.features[3].categories == ("b", "a", "c", "d")
    assert columns.features[3].usual == (0.6, 0.3, 0.05, 0.05)
    X, unseen = columns.numbers(frame)
    assert X["kind"].value_counts().to_dict() == {0.0: 120, 1.0: 60, 2.0: 10, 3.0: 10}
    assert unseen == {}
    assert X.dtypes.unique().tolist() == [np.float64]
    np.testing.assert_array_equal(X["paid"], frame["paid"].astype(float))


def test_a_text_not_seen_at_fit_is_rarer_than_all_and_is_named(frame):
    columns, _ = learn(frame, on_text="codes")
    later = frame[:4].assign(kind=["a", "z", "new", None])
    X, unseen = columns.numbers(later)
    np.testing.assert_array_equal(X["kind"], [1.0, 4.0, 4.0, np.nan])
    assert unseen == {"kind": ["new", "z"]}


def test_the_same_words_get_the_same_codes_whatever_else_is_there(frame):
    columns, _ = learn(frame, on_text="codes")
    X, _ = columns.numbers(frame)
    again, _ = columns.numbers(frame[::-1][["kind", "paid", "count", "amount"]].assign(other=1))
    pd.testing.assert_frame_equal(again, X[::-1])
    as_category, _ = columns.numbers(frame.astype({"kind": "category"}))
    pd.testing.assert_frame_equal(as_category, X)


def test_text_is_refused_or_dropped(frame):
    with pytest.raises(ValueError, match=r"column 'kind' holds text \('b'\).*--on-text codes.*--id.*--ignore"):
        learn(frame)
    columns, dropped = learn(frame, on_text="drop")
    assert columns.names == ["amount", "count", "paid"]
    assert dropped == ["kind"]
    with pytest.raises(ValueError, match="no column of numbers is left"):
        learn(frame[["kind"]], on_text="drop")


@pytest.mark.parametrize("value", [{"x": 1}, [1.0, 2.0], np.arange(2)], ids=["struct", "list", "array"])
def test_nested_values_are_no_text(frame, value):
    frame["parts"] = pd.Series([value, None] * 100, dtype=object)
    with pytest.raises(ValueError, match=r"column 'parts' holds nested values .*; say --on-text drop, or"):
        learn(frame.drop(columns="kind"))
    with pytest.raises(ValueError, match=r"column 'parts' holds nested values, which have no codes.*--ignore"):
        learn(frame, on_text="codes")
    assert learn(frame, on_text="drop")[1] == ["kind", "parts"]


def test_identifiers_are_no_categories():
    names = pd.DataFrame({"name": [f"P{i}" for i in range(50)], "few": ["x", "y"] * 25})
    with pytest.raises(ValueError, match=r"'name' holds 50 different texts in 50 rows, as an identifier does"):
        learn(names, on_text="codes")
    many = pd.DataFrame({"name": [f"P{i}" for i in range(1001)] * 3})
    with pytest.raises(ValueError, match=r"'name' holds 1001 different texts"):
        learn(many, on_text="codes")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.date_range("2024-01-01", periods=3), "times"),
        (pd.timedelta_range("1h", periods=3), "durations"),
        ([decimal.Decimal("1.5")] * 3, "decimal values"),
        ([1 + 2j] * 3, "complex values"),
    ],
)
def test_what_has_no_codes_is_named(values, kind):
    frame = pd.DataFrame({"x": [1.0, 2, 3], "odd": values})
    with pytest.raises(ValueError, match=f"'odd' holds {kind}"):
        learn(frame)
    with pytest.raises(ValueError, match=f"'odd' holds {kind}, which have no codes; name it in --id or --ignore"):
        learn(frame, on_text="codes")
    assert learn(frame, on_text="drop")[1] == ["odd"]


def test_numbers_with_gaps_stay_numbers():
    frame = pd.DataFrame(
        {
            "flag": pd.Series([True, None, False], dtype=object),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "empty": pd.Series([None, None, None], dtype=object),
        }
    )
    X, _ = learn(frame)[0].numbers(frame)
    np.testing.assert_array_equal(X, [[1, 1, np.nan], [np.nan] * 3, [0, 3, np.nan]])


def test_missing_columns_and_text_among_numbers_are_named(frame):
    columns, _ = learn(frame, on_text="codes")
    with pytest.raises(
        ValueError, match=r"fitted on 4 columns, of which 1 is missing here: 'amount'; did you mean 'Amo"
    ):
        columns.numbers(frame.rename(columns={"amount": "Amount"}))
    spoilt = frame.astype({"count": object})
    spoilt.loc[7, "count"] = "n/a?"
    with pytest.raises(ValueError, match=r"'count' was numbers at fit and holds text here \('n/a\?' in row 7\)"):
        columns.numbers(spoilt)


def test_columns_survive_json(frame):
    columns, _ = learn(frame, on_text="codes")
    assert Columns.from_json(json.loads(json.dumps(columns.to_json()))) == columns
    assert columns.text == ["kind"]


def test_usual_is_the_middle_of_the_fitted_rows(frame):
    columns, _ = learn(frame, on_text="codes")
    np.testing.assert_allclose(columns.features[0].usual, np.quantile(frame["amount"], [0.05, 0.5, 0.95]))
    long = pd.DataFrame({"x": np.arange(100_000.0), "gap": [np.inf, np.nan] * 50_000})
    x, gap = learn(long)[0].features
    np.testing.assert_allclose(x.usual, [5_000, 50_000, 95_000], rtol=1e-3)
    assert gap.usual == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        3,
        [3],
        [{"name": "a"}],
        [{"name": 3, "categories": None, "usual": [1, 2, 3]}],
        [{"name": "a", "categories": None, "usual": [1, 2]}],
        [{"name": "a", "categories": ["x", 3], "usual": [0.5, 0.5]}],
        [{"name": "a", "categories": ["x"], "usual": ["y"]}],
        [{"name": "a", "categories": 5, "usual": []}],
    ],
)
def test_damaged_notes_are_refused(stored):
    with pytest.raises(ValueError, match="notes about its columns are damaged"):
        Columns.from_json(stored)
