"""A frame goes in, the same kind of frame with the same index comes out, and columns are picked by name."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import ECOD, Conformal
from odkit.frame import score_frame
from odkit.scores import anomaly_score, explain
from tests.toys import Deviation


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["volt", "ampere", "watt"])
    frame.loc[7, "ampere"] = 30.0
    return frame


@pytest.fixture(scope="module")
def detector(frame):
    return Deviation(contamination=0.1).fit(frame)


def test_numbers_are_those_of_the_detector(detector, frame):
    scored = score_frame(detector, frame)
    assert scored.columns.tolist() == ["anomaly_score", "is_outlier"]
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(detector, frame))
    np.testing.assert_array_equal(scored["is_outlier"], detector.predict(frame) == -1)
    assert scored["is_outlier"].dtype == bool


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(list("aab") * 13 + ["z"]),
        pd.MultiIndex.from_product([range(8), list("vwxyz")]),
        pd.date_range("2024-01-01", periods=40, tz="Europe/Amsterdam"),
        pd.RangeIndex(100, 20, -2),
    ],
    ids=["repeated", "multi", "time", "descending"],
)
def test_the_index_is_kept(detector, frame, index):
    scored = score_frame(detector, frame.set_axis(index), keys="watt", top=2)
    pd.testing.assert_index_equal(scored.index, index)
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(detector, frame))
    np.testing.assert_array_equal(scored["watt"], frame["watt"])


def test_a_slice_keeps_its_index(detector, frame):
    scored = score_frame(detector, frame.iloc[30:3:-3])
    pd.testing.assert_index_equal(scored.index, frame.index[30:3:-3])
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(detector, frame)[30:3:-3])


KINDS = {
    "polars": (pl.from_pandas, pl.DataFrame, lambda out: out.to_pandas()),
    "arrow table": (pa.Table.from_pandas, pa.Table, lambda out: out.to_pandas()),
    "arrow batch": (pa.RecordBatch.from_pandas, pa.Table, lambda out: out.to_pandas()),
    "arrow reader": (lambda f: pa.Table.from_pandas(f).to_reader(), pa.Table, lambda out: out.to_pandas()),
    "arrow columns in pandas": (
        lambda f: pa.Table.from_pandas(f).to_pandas(types_mapper=pd.ArrowDtype),
        pd.DataFrame,
        lambda out: out,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_returns_itself(detector, frame, kind):
    make, returned, to_pandas = KINDS[kind]
    keyed = frame.assign(id=[f"row {i}" for i in range(40)], flag=True)
    expected = score_frame(detector, keyed, keys="id", ignore="flag", top=2)
    scored = score_frame(detector, make(keyed), keys="id", ignore="flag", top=2)
    assert isinstance(scored, returned)
    pd.testing.assert_frame_equal(to_pandas(scored), expected, check_dtype=False)


class Capsule:
    """The least an Arrow producer must offer."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_any_arrow_producer_is_taken(detector, frame):
    scored = score_frame(detector, Capsule(pa.Table.from_pandas(frame)))
    assert isinstance(scored, pa.Table)
    np.testing.assert_array_equal(scored["anomaly_score"].to_numpy(), anomaly_score(detector, frame))


def test_an_array_returns_a_pandas_frame(frame):
    X = frame.to_numpy()
    scored = score_frame(Deviation().fit(X), X, top=1)
    assert scored["top_1"][7] == "column_1"
    pd.testing.assert_index_equal(scored.index, pd.RangeIndex(40))


def test_numbers_of_every_type_mean_the_same(detector, frame):
    whole = (frame * 10).round().clip(0, 250)
    expected = score_frame(detector, whole)["anomaly_score"]
    for form in ("int16", "uint8", "float32", "Int64", "Float32", "double[pyarrow]", "uint16[pyarrow]"):
        scores = score_frame(detector, whole.astype(form))["anomaly_score"]
        np.testing.assert_allclose(scores, expected, rtol=1e-5, err_msg=form)
    for form in (pl.UInt8, pl.Float32, pl.Int64):
        scores = score_frame(detector, pl.from_pandas(whole).cast(form))["anomaly_score"].to_numpy()
        np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_columns_are_picked_by_name(detector, frame):
    expected = score_frame(detector, frame)
    pd.testing.assert_frame_equal(score_frame(detector, frame[["watt", "volt", "ampere"]]), expected)


def test_a_detector_without_names_takes_the_columns_as_they_stand(frame):
    detector = Deviation().fit(frame.to_numpy())
    keyed = frame.assign(id=range(40))
    np.testing.assert_array_equal(
        score_frame(detector, keyed, keys=["id"])["anomaly_score"], anomaly_score(detector, frame.to_numpy())
    )
    with pytest.raises(ValueError, match=r"3 columns without names and the frame has 4: 'volt', .* keys or ignore"):
        score_frame(detector, keyed)


def test_reasons_are_the_largest_contributions_and_their_shares(detector, frame):
    parts = explain(detector, frame)
    scored = score_frame(detector, frame, top=3)
    for i in (0, 7, 22):
        order = np.argsort(-parts[i])
        assert [scored.loc[i, f"top_{k}"] for k in (1, 2, 3)] == [frame.columns[j] for j in order]
        shares = [scored.loc[i, f"top_{k}_share"] for k in (1, 2, 3)]
        np.testing.assert_allclose(shares, parts[i][order] / parts[i].sum())
    assert scored.loc[7, "top_1"] == "ampere"


def test_columns_of_several_levels_are_named_by_their_tuples(detector, frame):
    columns = pd.MultiIndex.from_tuples([("pump", "volt"), ("pump", "ampere"), ("fan", "watt")])
    levels = frame.set_axis(columns, axis=1)
    scored = score_frame(Deviation(contamination=0.1).fit(levels), levels, top=3)
    assert scored.loc[7, "top_1"] == ("pump", "ampere")
    plain = score_frame(detector, frame, top=3)
    for rank in ("top_1", "top_2", "top_3"):
        assert [name[1] for name in scored[rank]] == plain[rank].tolist()
    carried = score_frame(detector.__class__().fit(levels.iloc[:, :2]), levels, keys=[("fan", "watt")], top=1)
    assert carried.columns.tolist() == [("fan", "watt"), "anomaly_score", "is_outlier", "top_1", "top_1_share"]


class Signed(Deviation):
    def explain(self, X):
        return np.array([[3.0, -5.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -3.0]])


@pytest.mark.parametrize("convert", [lambda f: f, pl.from_pandas, pa.Table.from_pandas])
def test_only_what_raises_the_score_is_a_reason(frame, convert):
    scored = score_frame(Signed().fit(frame), convert(frame[:3]), top=4)
    scored = scored if isinstance(scored, pd.DataFrame) else scored.to_pandas()
    names = scored[["top_1", "top_2", "top_3", "top_4"]].astype(object)
    assert names.isna().to_numpy().tolist() == [[False, False, True, True], [True] * 4, [True] * 4]
    assert names.loc[0, "top_1"] == "volt"
    assert names.loc[0, "top_2"] == "watt"
    assert scored.loc[0, ["top_1_share", "top_2_share", "top_3_share"]].tolist() == [0.75, 0.25, 0.0]
    assert scored.loc[1, "top_1_share"] == 0.0


def test_pipelines_and_foreign_detectors(frame):
    pipeline = make_pipeline(StandardScaler(), Deviation()).fit(frame)
    scored = score_frame(pipeline, frame[["watt", "ampere", "volt"]], top=1)
    np.testing.assert_array_equal(scored["anomaly_score"], anomaly_score(pipeline, frame))
    np.testing.assert_array_equal(scored["is_outlier"], pipeline.predict(frame) == -1)
    assert scored.loc[7, "top_1"] == "ampere"
    forest = IsolationForest(n_estimators=10, random_state=0).fit(frame)
    scored = score_frame(forest, frame)
    np.testing.assert_array_equal(scored["is_outlier"], forest.predict(frame) == -1)
    with pytest.raises(TypeError, match="IsolationForest gives no contributions"):
        score_frame(forest, frame, top=1)


class Calibrated(Deviation):
    """A wrapper's own decision: the frame must ask for it, not rebuild it from offset_."""

    def predict(self, X):
        return np.where(self.p_values(X) < 0.5, -1, 1)

    def p_values(self, X):
        return np.linspace(0, 1, len(X))


def test_a_detector_with_p_values_brings_them_and_its_own_flags(frame):
    scored = score_frame(Calibrated().fit(frame), frame)
    np.testing.assert_array_equal(scored["p_value"], np.linspace(0, 1, 40))
    assert scored["is_outlier"].sum() == 20


def test_the_truth_is_carried_under_its_own_name(detector, frame):
    truth = frame.assign(is_outlier=np.arange(40) == 7)
    scored = score_frame(detector, truth, keys="is_outlier")
    assert scored.columns.tolist() == ["truth_is_outlier", "anomaly_score", "is_outlier"]
    np.testing.assert_array_equal(scored["truth_is_outlier"], truth["is_outlier"])


def test_a_feature_can_be_a_key_too(detector, frame):
    assert score_frame(detector, frame, keys=["watt"]).columns[0] == "watt"


WRONG = {
    "missing": (lambda f: f.drop(columns="watt"), {}, ["lacks 1 of the 3 columns that Deviation", "'watt'"]),
    "misspelt": (lambda f: f.rename(columns={"volt": "volts"}), {"ignore": "volts"}, ["did you mean 'volts'"]),
    "extra": (lambda f: f.assign(id=1), {}, ["not fitted on column 'id'", "keys"]),
    "repeated": (lambda f: pd.concat([f, f[["watt"]]], axis=1), {}, ["more than one column 'watt'"]),
    "text": (lambda f: f.assign(volt="high"), {}, ["'volt' holds str", "'high'", "Convert it to float"]),
    "objects": (lambda f: f.astype({"volt": object}), {}, ["'volt' holds object"]),
    "time": (lambda f: f.assign(volt=pd.Timestamp("2024-01-01")), {}, ["'volt' holds datetime64"]),
    "category": (lambda f: f.assign(volt=pd.Categorical(["x"] * 40)), {}, ["'volt' holds category"]),
    "complex": (lambda f: f.astype({"volt": complex}), {}, ["'volt' holds complex"]),
    "unknown key": (lambda f: f, {"keys": "wat"}, ["keys names 'wat'", "did you mean 'watt'"]),
    "unknown ignore": (lambda f: f, {"ignore": ["zzz"]}, ["ignore names 'zzz'", "there are 'volt'"]),
    "key collides": (lambda f: f.assign(anomaly_score=1), {"keys": "anomaly_score"}, ["key 'anomaly_score'", "rename"]),
    "two truths": (
        lambda f: f.assign(is_outlier=1, truth_is_outlier=1),
        {"keys": ["is_outlier", "truth_is_outlier"]},
        ["key 'truth_is_outlier'"],
    ),
    "missing value": (lambda f: f.mask(f > 20), {}, ["NaN in column 'ampere'", "first is row 7"]),
    "empty": (lambda f: f[:0], {}, ["0 sample"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_frames_are_named(detector, frame, case):
    spoil, options, words = WRONG[case]
    with pytest.raises(ValueError) as caught:
        score_frame(detector, spoil(frame), **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas, lambda f: f.convert_dtypes()])
def test_nulls_are_named_in_every_kind(detector, frame, convert):
    with pytest.raises(ValueError, match=r"NaN in column 'ampere' \(1 of 40 rows, the first is row 7\)"):
        score_frame(detector, convert(frame.mask(frame > 20)))


def test_decimals_are_refused_by_name(detector, frame):
    decimals = pa.Table.from_pandas(frame)
    decimals = decimals.set_column(0, "volt", decimals["volt"].cast(pa.decimal128(20, 5), safe=False))
    for made in (decimals, pl.from_arrow(decimals), decimals.to_pandas(types_mapper=pd.ArrowDtype)):
        with pytest.raises(ValueError, match=r"'volt' holds [Dd]ecimal"):
            score_frame(detector, made)


@pytest.mark.parametrize("given", [[[1.0, 2.0, 3.0]], pl.LazyFrame({"a": [1]}), "payments.csv", None])
def test_what_is_no_frame_is_refused(detector, given):
    with pytest.raises(TypeError, match="a pandas or polars DataFrame"):
        score_frame(detector, given)


def test_pandas_frames_are_scored_without_importing_polars():
    code = (
        "import sys, numpy as np\n"
        "from odkit.frame import score_frame\n"
        "from tests.toys import Deviation\n"
        "X = np.arange(12.0).reshape(6, 2)\n"
        "score_frame(Deviation().fit(X), X, top=1)\n"
        "assert 'polars' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_p_values_come_through_a_pipeline():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 2)), columns=["a", "b"])
    pipeline = make_pipeline(StandardScaler(), Conformal(ECOD(), random_state=0)).fit(X)
    scored = score_frame(pipeline, X)
    np.testing.assert_array_equal(scored["p_value"], pipeline[-1].p_values(pipeline[:-1].transform(X)))
    with pytest.raises(ValueError, match="top=-1"):
        score_frame(pipeline, X, top=-1)


@pytest.mark.parametrize("top", [-1, 2.0, "2", True, None])
def test_a_number_of_reasons_that_is_none_is_named(detector, frame, top):
    with pytest.raises(ValueError, match=f"top={top!r}; a number of reasons"):
        score_frame(detector, frame, top=top)


def test_a_single_key_needs_no_list_whatever_its_name_is_made_of(frame):
    X = frame.to_numpy()
    numbered = pd.DataFrame(X).assign(truth="x").rename(columns={"truth": 9})
    fitted = Deviation().fit(X)
    assert score_frame(fitted, numbered, keys=9)[9].tolist() == ["x"] * len(X)
    levels = numbered.set_axis(pd.MultiIndex.from_tuples([("a", 0), ("a", 1), ("a", 2), ("id", "")]), axis=1)
    assert score_frame(fitted, levels, keys=("id", "")).shape == (len(X), 3)
    with pytest.raises(ValueError, match="keys names 7, which the frame lacks"):
        score_frame(fitted, numbered, keys=7)
