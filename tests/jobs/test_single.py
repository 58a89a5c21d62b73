"""Fit on files, score files: the numbers are the detector's, every row is there, and the reasons are in words."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import odkit
from odkit import ECOD, KNN, catalog, model_file
from odkit.jobs import blockwise, choice, single
from odkit.jobs.fitted import Fitted, load
from odkit.jobs.selection import Source
from odkit.jobs.single import fit, score
from odkit.jobs.tables import write
from odkit.scores import anomaly_score
from tests.toys import Deviation


@pytest.fixture
def frame():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(rng.normal(50, 5, size=(120, 3)), columns=["volt", "ampere", "watt"])
    frame.insert(0, "id", [f"{i:04d}" for i in range(120)])
    frame["kind"] = ["day"] * 80 + ["night"] * 39 + ["eclipse"]
    frame.loc[17, "ampere"] = 500.0
    return frame


@pytest.fixture
def path(frame, tmp_path):
    frame.to_csv(tmp_path / "meters.csv", index=False)
    return tmp_path / "meters.csv"


FEATURES = ["volt", "ampere", "watt"]


def test_scores_are_the_detectors_own(frame, path):
    scored = score(Source([path], ids=["id"], columns=["volt,ampere", "watt"]), ECOD(contamination=0.05))
    expected = ECOD(contamination=0.05).fit(frame[FEATURES])
    assert scored.frame.columns.tolist() == ["id", "anomaly_score", "is_outlier"]
    np.testing.assert_array_equal(scored.frame["anomaly_score"], anomaly_score(expected, frame[FEATURES]))
    assert scored.frame["id"].tolist() == frame["id"].tolist()
    assert scored.flagged == 6 == scored.frame["is_outlier"].sum()
    assert (scored.unscored, scored.n_features, scored.notes) == (0, 3, [])


def test_the_top_rows_come_with_reasons(path):
    scored = score(Source([path], ids=["id"], ignore=["kind"]), Deviation(), top=3)
    scores = scored.frame.set_index("id")["anomaly_score"]
    assert [record["id"] for record in scored.top] == scores.nlargest(3).index.tolist()
    first = scored.top[0]
    assert first["id"] == "0017"
    reason = first["reasons"][0]
    assert (reason["feature"], reason["value"], reason["direction"], reason["odd"]) == ("ampere", 500.0, "high", True)
    assert reason["share"] > 0.9
    assert sum(each["share"] for each in first["reasons"]) <= 1 + 1e-12
    assert [each["share"] for each in first["reasons"]] == sorted((r["share"] for r in first["reasons"]), reverse=True)


def test_reasons_about_text_speak_in_text(path):
    scored = score(Source([path], ids=["id"], columns=["kind"]), ECOD(), on_text="codes", top=1)
    (reason,) = scored.top[0]["reasons"]
    assert (reason["value"], reason["expected"], reason["direction"]) == ("eclipse", "day", "rare")
    assert reason["usual"] == "day 67%"


def test_a_detector_without_explain_is_explained_by_trying(path, monkeypatch):
    monkeypatch.delattr(Deviation, "explain")
    scored = score(Source([path], ids=["id"], ignore=["kind"]), Deviation(), top=1)
    assert scored.top[0]["reasons"][0]["feature"] == "ampere"
    assert scored.top[0]["reasons"][0]["share"] > 0.9
    with pytest.raises(ValueError, match="Deviation gives no reasons; leave --explain out"):
        score(Source([path], ids=["id"], ignore=["kind"]), Deviation(), explain=1)


def test_where_columns_are_mixed_there_are_no_reasons_but_a_note(path):
    scored = score(Source([path], ids=["id"], ignore=["kind"]), make_pipeline(PCA(2), Deviation()), top=1)
    assert scored.top[0]["reasons"] == []
    assert "no reasons: PCA mixes columns" in scored.notes[0]


def test_reasons_can_go_into_the_result(path):
    scored = score(Source([path], ids=["id"], ignore=["kind"]), ECOD(), explain=2, top=0)
    assert scored.frame.columns.tolist()[3:] == ["top_1", "top_1_share", "top_2", "top_2_share"]
    assert scored.frame.loc[17, "top_1"] == "ampere"
    assert scored.top == []


def test_rows_are_numbered_where_nothing_names_them(frame, path, tmp_path):
    one = score(Source([path], ignore=["kind", "id"]), Deviation())
    assert one.frame["row"].tolist() == list(range(120))
    frame[:40].to_csv(tmp_path / "a.csv", index=False)
    frame[40:].to_csv(tmp_path / "b.csv", index=False)
    two = score(Source([tmp_path / "a.csv", tmp_path / "b.csv"], ignore=["kind", "id"]), Deviation())
    assert two.frame["file"].tolist() == ["a.csv"] * 40 + ["b.csv"] * 80
    assert two.frame["row"].tolist() == [*range(40), *range(80)]
    np.testing.assert_array_equal(two.frame["anomaly_score"], one.frame["anomaly_score"])
    assert one.top[0]["row"] == 17


def test_batches_change_no_score(path, monkeypatch):
    whole = score(Source([path], ids=["id"], ignore=["kind"]), ECOD(), explain=1)
    monkeypatch.setattr(single, "BATCH", 7)
    seen = []
    pieces = score(
        Source([path], ids=["id"], ignore=["kind"]), ECOD(), explain=1, progress=lambda *stage: seen.append(stage)
    )
    pd.testing.assert_frame_equal(pieces.frame, whole.frame, check_exact=True)
    assert seen[0] == ("reading meters.csv", 0, 0)
    assert seen[1] == ("fitting ECOD on 120 rows x 3 columns", 0, 0)
    assert seen[2] == ("scoring", 0, 120)
    assert seen[-1] == ("scoring", 120, 120)


def test_large_work_loads_the_compiled_kernels_first(path, monkeypatch):
    loaded = []
    monkeypatch.setattr(single, "NUMPY_CELLS", 100)
    monkeypatch.setattr(single, "import_module", loaded.append)
    score(Source([path], ids=["id"], ignore=["kind"]), Deviation())
    assert loaded == ["numba"]


def test_a_model_scores_as_the_detector_that_it_was(frame, path, tmp_path):
    source = Source([path], ids=["id"])
    fitted = fit(source, ECOD(), on_text="codes")
    fitted.save(tmp_path / "meters.odkit")
    direct = score(source, ECOD(), on_text="codes", explain=2)
    shuffled = frame.sample(frac=1, random_state=0)[["kind", "watt", "id", "ampere", "volt"]]
    shuffled.to_parquet(tmp_path / "later.parquet")
    later = score(Source([tmp_path / "later.parquet"], ids=["id"]), load(tmp_path / "meters.odkit"), explain=2)
    pd.testing.assert_frame_equal(
        later.frame.sort_values("id", ignore_index=True), direct.frame, check_exact=True, check_dtype=False
    )
    assert later.top == direct.top
    assert model_file.inspect(tmp_path / "meters.odkit")["notes"]["data"]["rows"] == 120


def test_equal_fits_give_equal_model_files(path, tmp_path):
    for name in ("a.odkit", "b.odkit"):
        fit(Source([path], ids=["id"]), ECOD(random_state=0), on_text="codes").save(tmp_path / name)
    assert model_file.fingerprint(tmp_path / "a.odkit") == model_file.fingerprint(tmp_path / "b.odkit")


def test_text_columns_of_a_model_are_read_as_text(frame, tmp_path):
    frame = frame.assign(kind=["007"] * 80 + ["7"] * 40)[["id", "volt", "kind"]]
    frame.to_csv(tmp_path / "a.csv", index=False)
    columns = fit(Source([tmp_path / "a.csv"], ids=["id"]), ECOD()).columns
    assert columns.text == []
    mixed = frame.assign(kind=frame["kind"].where(frame["kind"] == "7", "x7"))
    mixed.to_csv(tmp_path / "b.csv", index=False)
    fitted = fit(Source([tmp_path / "b.csv"], ids=["id"]), ECOD(), on_text="codes")
    mixed.assign(kind="7").to_csv(tmp_path / "c.csv", index=False)
    scored = score(Source([tmp_path / "c.csv"], ids=["id"]), fitted)
    assert scored.notes == []


def test_a_model_of_python_scores_files_too(frame, path, tmp_path):
    named = KNN(3).fit(frame[FEATURES])
    nameless = make_pipeline(StandardScaler(), KNN()).fit(frame[FEATURES].to_numpy())
    for detector, ignore in ((named, []), (nameless, ["kind"])):
        model_file.save(detector, tmp_path / "model.odkit")
        scored = score(Source([path], ids=["id"], ignore=ignore), load(tmp_path / "model.odkit"), top=1)
        rows = frame[FEATURES] if detector is named else frame[FEATURES].to_numpy()
        np.testing.assert_array_equal(scored.frame["anomaly_score"], anomaly_score(detector, rows))
        assert "what is usual is taken from this file" in scored.notes[0]
        assert scored.top[0]["reasons"][0]["feature"] == "ampere"


def test_what_a_model_does_not_use_or_know_is_noted(frame, path, tmp_path):
    fitted = fit(Source([path], ids=["id"], ignore=["watt"]), ECOD(), on_text="codes")
    frame.loc[5, "kind"] = "dusk"
    frame.to_csv(tmp_path / "later.csv", index=False)
    scored = score(Source([tmp_path / "later.csv"], ids=["id"]), fitted, top=1)
    assert scored.notes == [
        "column 'kind' holds 'dusk', not seen at fit: counted as rarer than all",
        "not used by the model: 'watt'",
    ]


def test_notes_that_contradict_the_detector_are_refused(frame, path, tmp_path):
    fitted = fit(Source([path], ids=["id"], ignore=["kind"]), ECOD())
    other = Fitted(ECOD().fit(frame[["watt", "volt"]]), fitted.columns, {}, [])
    other.save(tmp_path / "model.odkit")
    with pytest.raises(ValueError, match="name different columns"):
        load(tmp_path / "model.odkit")


def test_missing_values_stop_the_job_or_stay_without_a_score(frame, tmp_path):
    frame.loc[[3, 99], "watt"] = [np.nan, np.inf]
    path = tmp_path / "gaps.csv"
    frame.to_csv(path, index=False)
    source = Source([path], ids=["id"], ignore=["kind"])
    with pytest.raises(
        ValueError,
        match=r"gaps.csv: 2 of 120 rows .* in column 'watt' \(the first is row 3.*--nan null.*nan_policy=neutral",
    ):
        score(source, ECOD())
    scored = score(Source([path], ids=["id"], ignore=["kind"], nan="null"), ECOD(), explain=1)
    expected = ECOD().fit(frame[FEATURES].drop([3, 99]))
    assert scored.unscored == 2
    assert scored.frame.loc[[3, 99]].drop(columns=["id", "top_1_share"]).isna().all().all()
    np.testing.assert_array_equal(
        scored.frame["anomaly_score"].drop([3, 99]), anomaly_score(expected, frame[FEATURES].drop([3, 99]))
    )
    assert "2 of 120 rows have missing or infinite values and got no score" in scored.notes
    assert len(scored.frame) == 120


def test_a_detector_that_takes_gaps_gets_them(frame, tmp_path):
    frame.loc[3, "watt"] = np.nan
    path = tmp_path / "gaps.csv"
    frame.to_csv(path, index=False)
    for scale in ("none", "standard"):
        detector = choice.make_detector("ecod", params=["nan_policy=neutral"], scale=scale)
        scored = score(Source([path], ids=["id"], ignore=["kind"]), detector, top=120)
        assert scored.unscored == 0
        assert np.isfinite(scored.frame["anomaly_score"]).all()
    gap = next(record for record in scored.top if record["id"] == "0003")
    assert all(reason["value"] is None for reason in gap["reasons"] if reason["direction"] == "missing")
    with pytest.raises(ValueError, match="--nan null"):
        score(Source([path], ids=["id"], ignore=["kind"]), choice.make_detector("knn", scale="standard"))
    frame.assign(watt=np.nan).to_csv(path, index=False)
    with pytest.raises(ValueError, match="every row has missing"):
        score(Source([path], ids=["id"], ignore=["kind"], nan="null"), KNN())


def test_vectors_beside_a_table_are_no_features(tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 2))
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(50))
    scored = score(Source([tmp_path / "a.npz"]), ECOD())
    assert scored.n_features == 2
    assert scored.notes == ["left out, because it is a vector beside the table: 'y'"]
    keyed = score(Source([tmp_path / "a.npz"], ids=["y"]), ECOD())
    assert keyed.frame["y"].tolist() == list(range(50))
    assert keyed.notes == []


def test_the_truth_is_carried_under_its_own_name(frame, tmp_path):
    frame.assign(is_outlier=0).to_csv(tmp_path / "a.csv", index=False)
    scored = score(Source([tmp_path / "a.csv"], ids=["id,is_outlier"], ignore=["kind"]), ECOD())
    assert scored.frame.columns.tolist() == ["id", "truth_is_outlier", "anomaly_score", "is_outlier"]
    frame.assign(anomaly_score=0).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match="'anomaly_score' is also a column of the result"):
        score(Source([tmp_path / "a.csv"], ids=["id", "anomaly_score"], ignore=["kind"]), ECOD())


def test_a_column_named_several_times_is_meant_once(path):
    once = score(Source([path], ids=["id"], ignore=["kind"]), ECOD())
    again = score(Source([path], ids=["id", "id,id", "id"], ignore=["kind", "kind"]), ECOD())
    pd.testing.assert_frame_equal(again.frame, once.frame)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_result_of_an_earlier_scoring_is_no_feature(frame, tmp_path, suffix):
    plain, again = tmp_path / f"plain{suffix}", tmp_path / f"again{suffix}"
    write(frame, plain)
    first = score(Source([plain], ids=["id"], ignore=["kind"]), ECOD(), explain=1)
    result = first.frame.drop(columns="id").assign(p_value=0.5, truth_is_outlier=False, row=range(len(frame)))
    write(frame.join(result), again)
    second = score(Source([again], ids=["id"], ignore=["kind"]), ECOD(), explain=1)
    pd.testing.assert_frame_equal(second.frame, first.frame)
    assert second.notes == [
        "left out, because they are the result of an earlier scoring: 'anomaly_score', 'is_outlier', 'top_1', "
        "'top_1_share', 'p_value', 'truth_is_outlier', 'row'"
    ]
    asked = score(Source([again], ids=["id"], columns=["volt", "p_value"]), ECOD())
    assert (asked.n_features, asked.notes) == (2, [])
    blocks = blockwise.fit(Source([again], ids=["id"], ignore=["kind"]), ECOD(compression=0.1))
    assert (blocks.columns.names, blocks.notes) == (FEATURES, second.notes)


def test_a_file_of_nothing_but_results_is_named_as_such(path, tmp_path):
    first = score(Source([path], ids=["id"], ignore=["kind"]), ECOD(), explain=1)
    write(first.frame, tmp_path / "scored.csv")
    message = "'anomaly_score', 'is_outlier', .* are the result of an earlier scoring, and there is no other column"
    with pytest.raises(ValueError, match=message):
        score(Source([tmp_path / "scored.csv"], ids=["id"]), ECOD())


@pytest.mark.parametrize("rows", [1, 30])
def test_rows_that_nothing_tells_apart_are_noted(tmp_path, rows):
    write(pd.DataFrame(np.ones((rows, 2)), columns=["a", "b"]), tmp_path / "same.csv")
    assert score(Source([tmp_path / "same.csv"]), ECOD()).notes == [
        "all scores are equal: nothing in these columns tells the rows apart"
        if rows > 1
        else "a single row has no others to be compared with; fit on more rows, and score it with --model"
    ]


def test_without_a_score_beside_them_such_names_are_features(frame, tmp_path):
    frame.assign(p_value=np.linspace(0, 1, 120), row=1.0).to_csv(tmp_path / "a.csv", index=False)
    scored = score(Source([tmp_path / "a.csv"], ids=["id"], ignore=["kind"]), ECOD())
    assert (scored.n_features, scored.notes) == (5, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["idd"]}, r"--id: meters.csv has no column 'idd'; did you mean 'id'"),
        ({"columns": ["Volt"]}, r"--columns: meters.csv has no column 'Volt'; did you mean 'volt'"),
        ({"columns": ["volt,amp"]}, r"--columns: meters.csv has no column 'amp'; did you mean 'ampere'"),
        ({"ignore": ["zzz"]}, r"--ignore: meters.csv has no column 'zzz'; there are 'id', 'volt'"),
        ({"ids": ["id"], "columns": ["id"]}, "'id' is in --columns and in --id"),
    ],
)
def test_unknown_columns_are_named(path, options, message):
    with pytest.raises(ValueError, match=message):
        score(Source([path], **options), ECOD())


def test_columns_belong_to_the_fit(path):
    fitted = fit(Source([path], ids=["id"], ignore=["kind"]), ECOD())
    with pytest.raises(ValueError, match="--columns belongs to the fit"):
        score(Source([path], ids=["id"], columns=["volt"]), fitted)


def test_detectors_are_chosen_in_words():
    detector = choice.choose(None, "KNN", 0.2, params=["n_neighbors=7", "aggregation=mean", "p=1.5", "n_jobs=none"])
    assert detector.get_params()["n_neighbors"] == 7
    assert (detector.aggregation, detector.p, detector.n_jobs, detector.contamination) == ("mean", 1.5, None, 0.2)
    assert choice.choose(None).get_params() == ECOD().get_params()
    assert choice.choose(None, seed=3).random_state == 3
    scaled = choice.choose(None, "knn", scale="robust")
    assert [type(step).__name__ for _, step in scaled.steps] == ["RobustScaler", "KNN"]
    for words, message in [
        ({"detector": "ecood"}, "detector 'ecood' is not known; did you mean 'ecod'"),
        ({"params": ["tails=none"]}, "ECOD has no parameter 'tails'; did you mean 'tail'"),
        ({"params": ["tail"]}, "--param 'tail': a name, an equals sign and a value"),
        ({"detector": "knn", "seed": 0}, "KNN draws no random numbers"),
        ({"detector": "patch-gaussian"}, "PatchGaussian takes images, not tables; use it from Python"),
        ({"model": "m.odkit", "detector": "knn"}, "--detector belongs to the fit"),
        ({"model": "m.odkit", "params": ["a=1"]}, "--param belongs to the fit"),
        ({"model": "m.odkit", "seed": 0}, "--seed belongs to the fit"),
    ]:
        with pytest.raises(ValueError, match=message):
            choice.choose(words.pop("model", None), **words)


def test_the_catalog_names_classes_that_are_there():
    for name, entry in catalog.DETECTORS.items():
        cls = catalog.detector_class(name)
        assert cls.__name__ == entry.cls
        assert cls.__module__ == entry.module
        assert entry.cls.lower() == name.replace("-", "")
        for text in (entry.assumes, entry.cost, entry.fails):
            assert 10 < len(text) < 110


def test_a_series_is_scored_as_a_whole(tmp_path, monkeypatch):
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"when": pd.date_range("2024-03-01", periods=300, freq="5min").astype(str)})
    frame["level"] = rng.normal(size=300)
    frame.loc[150:170, "level"] += 6
    frame.to_csv(tmp_path / "series.csv", index=False)
    monkeypatch.setattr(single, "BATCH", 50)
    detector = choice.choose(None, "moving-energy", params=["window=20"])
    scored = score(Source([tmp_path / "series.csv"], ids=["when"]), detector, top=3)
    expected = odkit.MovingEnergy(window=20).fit(frame[["level"]])
    np.testing.assert_array_equal(scored.frame["anomaly_score"], anomaly_score(expected, frame[["level"]]))
    assert 150 < frame.index[frame["when"] == scored.top[0]["when"]][0] < 170
    frame.loc[7, "level"] = np.nan
    frame.to_csv(tmp_path / "series.csv", index=False)
    with pytest.raises(ValueError, match="a series with steps left out is another series"):
        score(Source([tmp_path / "series.csv"], ids=["when"], nan="null"), detector)
