"""A model comes back from its file to the bit, and a file that lies is refused by name before it does harm."""

import copy
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler, StandardScaler

import odkit
from odkit.base import Detector
from odkit.catalog import DETECTORS as CATALOG
from odkit.catalog import Entry
from odkit.model_file import ModelFileError, classes, fingerprint, inspect, load, save
from odkit.scores import anomaly_score
from tests.registry import DETECTORS, SERIES, name
from tests.toys import Deviation


class Pair(NamedTuple):
    first: np.ndarray
    second: object


class Hoard(Detector):
    """Keeps one attribute of every kind that a model file may hold, and one that it makes again."""

    _rebuilt = ("_tree",)

    def __init__(self, *, contamination=0.1, option=None):
        self.contamination = contamination
        self.option = option

    def _fit(self, X):
        self.mean_ = X.mean(axis=0)
        self.inner_ = Deviation(scale=2.0).fit(X)
        self._things = {
            "numbers": [1, -2.5, float("inf"), float("-inf"), True, None, 10**30],
            "numpy": (np.float32(0.1), np.int16(-3), np.bool_(True), np.float64("nan"), np.dtype("float32")),
            "text": "naïve \x00 café",
            7: {"deep": [(), {}, ("a",)]},
            "dotted.and/odd key": np.arange(3),
            "dotted/and.odd key": np.arange(4),
        }
        self._pair = Pair(np.asfortranarray(X[:3]), (np.array(["ab", "c"]), np.empty((0, 2)), np.array(5)))
        self._small = (X[:2].astype(np.float32), X[0] > 0, np.arange(3, dtype=np.uint8), X[::7, 1])
        self._rebuild()

    def _rebuild(self):
        self._tree = lambda X: X - self.mean_

    def _score(self, X):
        return -np.abs(self._tree(X)).sum(axis=1)


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    for cls in (Deviation, Hoard):
        monkeypatch.setitem(CATALOG, cls.__name__.lower(), Entry(cls.__module__, cls.__name__, "", "", ""))
    monkeypatch.setitem(classes.RECORDS, "Pair", Pair.__module__)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(11).normal(size=(60, 3))


@pytest.fixture
def frame(X):
    return pd.DataFrame(X, columns=["volt", "ampère", "power [W]"])


def same(a, b) -> bool:
    """Equal in type, content and, for arrays, dtype."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes("A") == b.tobytes("A")
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Detector):
        return same(dict(sorted(vars(a).items())), dict(sorted(vars(b).items())))
    return a == b or (a != a and b != b)


registered = [*DETECTORS, *SERIES]


@pytest.mark.parametrize("detector", registered, ids=name)
@pytest.mark.parametrize("form", ["float64", "float32", "frame"])
def test_every_detector_comes_back_to_the_bit(detector, frame, tmp_path, form):
    X = frame if form == "frame" else frame.to_numpy(form)
    fitted = clone(detector).fit(X)
    save(fitted, tmp_path / "a.odkit")
    loaded = load(tmp_path / "a.odkit")
    assert type(loaded) is type(fitted)
    assert str(loaded.get_params()) == str(fitted.get_params())  # text: an estimator inside equals only itself
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    if hasattr(fitted, "explain"):
        np.testing.assert_array_equal(loaded.explain(X), fitted.explain(X))
    if hasattr(fitted, "merge"):
        loaded.merge(fitted)
    save(load(tmp_path / "a.odkit"), tmp_path / "b.odkit")
    assert (tmp_path / "a.odkit").read_bytes() == (tmp_path / "b.odkit").read_bytes()


@pytest.mark.parametrize(
    "detector",
    [
        odkit.ClassConditionalGaussian(covariance="class", fpr=0.1, random_state=0),
        odkit.ClassConditionalGaussian(covariance="relative", n_blocks=2, reject_label="none", fpr=0.1, random_state=0),
        odkit.LatentGMM(fpr=0.1, random_state=0),
        odkit.LatentGMM(components=3, covariance_type="diag", fpr=0.1, random_state=0),
        odkit.LevelMahalanobis(subspace=("npca", 0.9), fpr=0.1),
        odkit.PatchGaussian(sigma=0.5, fpr=0.1),
    ],
    ids=name,
)
def test_image_detectors_come_back_to_the_bit(detector, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.repeat(["a", "bc"], 30)
    if isinstance(detector, odkit.LevelMahalanobis):
        X = [X[:, :3], X]
    if isinstance(detector, odkit.PatchGaussian):
        X = [X.reshape(15, 4, 2, 2), X.reshape(15, 16, 1, 1)]
    fitted = detector.fit(X, y)
    save(fitted, tmp_path / "a.odkit")
    loaded = load(tmp_path / "a.odkit")
    methods = [m for m in ("score_samples", "predict", "predict_class", "mask") if hasattr(fitted, m)]
    for method in methods:
        np.testing.assert_array_equal(getattr(loaded, method)(X), getattr(fitted, method)(X))
    save(loaded, tmp_path / "b.odkit")
    assert fingerprint(tmp_path / "a.odkit") == fingerprint(tmp_path / "b.odkit")


def test_a_detector_behind_a_foreign_encoder_is_refused_by_name(X, tmp_path):
    fitted = odkit.LatentGMM(encoder=np.tanh, fpr=0.1, random_state=0).fit(X)
    with pytest.raises(ModelFileError, match=r"model.encoder is a numpy.ufunc.*set_params\(encoder=None\)"):
        save(fitted, tmp_path / "a.odkit")
    save(copy.copy(fitted).set_params(encoder=None), tmp_path / "a.odkit")  # what the message offers
    alone = load(tmp_path / "a.odkit")
    np.testing.assert_array_equal(alone.score_samples(np.tanh(X)), fitted.score_samples(X))


def test_every_kind_of_state_comes_back(X, tmp_path):
    fitted = Hoard(option={"nested": [Deviation(label="unfitted"), 1]}).fit(X)
    save(fitted, tmp_path / "hoard.odkit")
    loaded = load(tmp_path / "hoard.odkit")
    states = [{k: v for k, v in vars(d).items() if k not in ("_tree", "option")} for d in (fitted, loaded)]
    states = [dict(sorted(state.items())) for state in states]
    for attribute in states[0]:
        assert same(states[0][attribute], states[1][attribute]), attribute
    assert loaded.option["nested"][0].label == "unfitted"
    assert not hasattr(loaded.option["nested"][0], "mean_")
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    assert not loaded.mean_.flags.writeable


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler()],
        [RobustScaler(quantile_range=(10, 90))],
        [MinMaxScaler((-1, 1))],
        [SimpleImputer(), PCA(2, random_state=0)],
        [SimpleImputer(strategy="constant", fill_value=3.0), StandardScaler(with_mean=False)],
        ["passthrough", PCA(whiten=True)],
    ],
    ids=str,
)
def test_pipelines_come_back_to_the_bit(frame, tmp_path, steps):
    if isinstance(steps[0], SimpleImputer):
        frame = frame.mask(frame > 1.5)
    named = [(f"step {i}", step if isinstance(step, str) else clone(step)) for i, step in enumerate(steps)]
    fitted = Pipeline([*named, ("detector", Deviation())]).fit(frame)
    save(fitted, tmp_path / "a.odkit")
    loaded = load(tmp_path / "a.odkit")
    np.testing.assert_array_equal(anomaly_score(loaded, frame), anomaly_score(fitted, frame))
    np.testing.assert_array_equal(loaded.predict(frame), fitted.predict(frame))
    assert inspect(tmp_path / "a.odkit")["offset"] == fitted[-1].offset_
    if steps[0] != "passthrough":
        assert loaded.feature_names_in_.tolist() == frame.columns.tolist()


def test_equal_models_have_equal_bytes_and_fingerprints(X, tmp_path):
    for path in ("a", "b"):
        save(Deviation().fit(X), tmp_path / path)
        os.utime(tmp_path / path, (1e9, 1e9))
    save(Deviation(scale=2.0).fit(X), tmp_path / "c")
    a, b, c = (fingerprint(tmp_path / path) for path in "abc")
    assert a == b != c
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_joblib_makes_of_a_model_has_its_fingerprint(X, tmp_path):
    for detector in (odkit.ECOD(compression=0.1), odkit.Mahalanobis(fpr=0.1)):
        joblib.dump(detector.fit(X), tmp_path / "model.joblib")  # makes two arrays of one that is found twice
        save(detector, tmp_path / "a")
        save(joblib.load(tmp_path / "model.joblib"), tmp_path / "b")
        assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


@pytest.mark.parametrize("kind", ["default", "pandas", "polars"])
def test_the_kind_of_output_of_a_step_comes_back(frame, tmp_path, kind):
    pipeline = make_pipeline(StandardScaler(), odkit.ECOD()).set_output(transform=kind).fit(frame)
    save(pipeline, tmp_path / "a")
    loaded = load(tmp_path / "a")
    assert type(loaded[:-1].transform(frame)) is type(pipeline[:-1].transform(frame))
    np.testing.assert_array_equal(loaded.score_samples(frame), pipeline.score_samples(frame))


def test_a_kind_of_output_that_scikit_learn_has_not_is_refused(frame, tmp_path):
    pipeline = make_pipeline(StandardScaler(), odkit.ECOD()).fit(frame)
    pipeline[0]._sklearn_output_config = {"transform": "print"}
    save(pipeline, tmp_path / "a")
    with pytest.raises(ModelFileError, match=r"_sklearn_output_config is \{'transform': 'print'\}"):
        load(tmp_path / "a")


@pytest.mark.parametrize("attribute", ["_missing", "skewness_sign_"])
def test_text_where_ecod_has_numbers_is_refused(X, tmp_path, attribute):
    detector = odkit.ECOD().fit(X)
    setattr(detector, attribute, getattr(detector, attribute).astype("U5"))
    save(detector, tmp_path / "a")
    with pytest.raises(ModelFileError, match="holds no such numbers"):
        load(tmp_path / "a")


@pytest.mark.parametrize(
    ("detector", "attributes"),
    [
        (odkit.Mahalanobis(fpr=0.1), ["location_", "weights_"]),
        (odkit.PCAReconstruction(1), ["components_", "location_", "scale_"]),
        (odkit.AutoEncoder(max_steps=1, n_members=1), ["weights_", "location_", "constant_features_"]),
        (odkit.AutoEncoder(max_steps=1, n_members=1, error="mse", hidden=(3, 2)), ["biases_", "scale_"]),
    ],
    ids=name,
)
def test_a_state_that_cannot_score_is_refused_when_it_is_loaded(X, tmp_path, detector, attributes):
    state = vars(detector.fit(X)).copy()

    def refused(wrong):
        vars(detector).update(state | wrong)
        save(detector, tmp_path / "a")
        with pytest.raises(ModelFileError, match=f"model \\({type(detector).__name__}\\)"):
            load(tmp_path / "a")

    for attribute in attributes:
        value = state[attribute]
        for change in (lambda array: array.astype("U9"), lambda array: array[..., :1]):
            refused({attribute: [change(array) for array in value] if isinstance(value, list) else change(value)})


def test_an_array_at_several_places_is_stored_and_read_once(X, tmp_path):
    detector = Deviation().fit(X)
    detector._copies = {"a": detector.mean_, "b": (detector.mean_,)}
    save(detector, tmp_path / "a.odkit")
    assert len(_members(tmp_path / "a.odkit")) == 2
    loaded = load(tmp_path / "a.odkit")
    assert loaded._copies["a"] is loaded._copies["b"][0] is loaded.mean_


def test_members_are_ordinary_npy_files(X, tmp_path):
    save(Deviation().fit(X), tmp_path / "a.odkit")
    with zipfile.ZipFile(tmp_path / "a.odkit") as zipped:
        assert zipped.namelist() == ["meta.json", "model/mean_.npy"]
        np.testing.assert_array_equal(np.load(io.BytesIO(zipped.read("model/mean_.npy"))), X.mean(axis=0))


def test_inspect_reads_the_card_and_no_array(frame, tmp_path):
    save(Deviation(scale=3.0).fit(frame), tmp_path / "a.odkit", notes={"rows": 60})
    _edit(tmp_path / "a.odkit", members={"model/mean_.npy": lambda body: body[:-8] + b"\xff" * 8})
    card = inspect(tmp_path / "a.odkit")
    assert card["class"] == "Deviation"
    assert card["params"] == {"contamination": 0.1, "label": None, "scale": 3.0}
    assert card["feature_names"] == frame.columns.tolist()
    assert card["notes"] == {"rows": 60}
    assert card["versions"]["odkit"] == odkit.__version__
    assert card["arrays"]["model/mean_.npy"]["shape"] == [3]
    assert card["fingerprint"] == fingerprint(tmp_path / "a.odkit")
    json.dumps(card)


def test_inspect_of_a_pipeline_shows_its_steps(frame, tmp_path):
    save(make_pipeline(StandardScaler(), Deviation()).fit(frame), tmp_path / "a.odkit")
    card = inspect(tmp_path / "a.odkit")
    assert [step["class"] for _, step in card["params"]["steps"]] == ["StandardScaler", "Deviation"]
    assert card["n_features"] == 3


UNSTORABLE = {
    "function": (lambda d: setattr(d, "hook_", len), "model.hook_ is a builtin_function_or_method"),
    "generator": (lambda d: setattr(d, "rng_", np.random.default_rng(0)), "model.rng_ is a numpy.random"),
    "object array": (
        lambda d: setattr(d, "mixed_", np.array([[1, "a"]], object)),
        "model.mixed_ .* object need pickle",
    ),
    "complex": (lambda d: setattr(d, "phase_", np.ones(2, complex)), "model.phase_"),
    "long double": (lambda d: setattr(d, "wide_", np.ones(2, np.longdouble)), "model.wide_"),
    "structured": (lambda d: setattr(d, "table_", np.zeros(2, "i4,f8")), "model.table_"),
    "masked": (lambda d: setattr(d, "masked_", np.ma.ones(2)), "model.masked_"),
    "deep": (lambda d: setattr(d, "state_", {"a": [1, {2, 3}]}), "model.state_.a.1 is a set"),
    "foreign tuple": (lambda d: setattr(d, "pair_", time.gmtime(0)), "model.pair_ is a time.struct_time"),
    "odd key": (lambda d: setattr(d, "state_", {(1, 2): 3}), "model.state_ is a dict"),
    "shadowed method": (lambda d: setattr(d, "predict", 3), "model.predict .* no such attribute"),
    "random state": (lambda d: setattr(d, "label", np.random.RandomState(0)), "model.label"),
}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_what_needs_pickle_is_named(X, tmp_path, case):
    change, message = UNSTORABLE[case]
    detector = Deviation().fit(X)
    change(detector)
    with pytest.raises(ModelFileError, match=f"{message}.*joblib or skops"):
        save(detector, tmp_path / "a.odkit")
    assert os.listdir(tmp_path) == []


def test_what_is_no_known_estimator_is_named(X, tmp_path):
    class Stranger(Deviation):
        pass

    with pytest.raises(ModelFileError, match=r"model is a .*Stranger: model files know .*PCA"):
        save(Stranger().fit(X), tmp_path / "a.odkit")
    pipeline = make_pipeline(FunctionTransformer(), Deviation()).fit(X)
    with pytest.raises(ModelFileError, match=r"model.steps.0.1 is a .*FunctionTransformer"):
        save(pipeline, tmp_path / "a.odkit")
    with pytest.raises(ModelFileError, match=r"model.steps.0.1.indicator_ is a .*MissingIndicator"):
        save(make_pipeline(SimpleImputer(add_indicator=True), Deviation()).fit(X), tmp_path / "a.odkit")
    with pytest.raises(ModelFileError, match="a fitted detector"):
        save({"a": 1}, tmp_path / "a.odkit")
    with pytest.raises(NotFittedError):
        save(Deviation(), tmp_path / "a.odkit")
    with pytest.raises(NotFittedError):
        save(make_pipeline(StandardScaler(), Deviation()), tmp_path / "a.odkit")
    with pytest.raises(ValueError, match="JSON"):
        save(Deviation().fit(X), tmp_path / "a.odkit", notes={"worst": float("nan")})
    assert os.listdir(tmp_path) == []


# ---- hostile files -------------------------------------------------------------------------------------------------


def _members(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as zipped:
        return {member: zipped.read(member) for member in zipped.namelist()}


def _write(path, members: list[tuple[str, bytes]], compression=zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for member, body in members:
            zipped.writestr(member, body)


def _edit(path, meta=None, members=None) -> None:
    """Rewrite a model file as an attacker would: a valid zip around changed contents."""
    bodies = _members(path)
    for member, change in (members or {}).items():
        bodies[member] = change(bodies[member])
    if meta is not None:
        described = json.loads(bodies["meta.json"])
        described = meta(described) or described
        bodies["meta.json"] = json.dumps(described).encode()
    _write(path, list(bodies.items()))


def _entry(**changes):
    return lambda meta: meta["arrays"]["model/mean_.npy"].update(changes)


def _model(**changes):
    return lambda meta: meta["model"].update(changes)


def _state(**changes):
    return lambda meta: meta["model"]["state"].update(changes)


def _param(**changes):
    return lambda meta: meta["model"]["params"].update(changes)


def _npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


MEAN = "model/mean_.npy"
EDITS = {
    "another format": ({"meta": lambda m: m.update(format="skops")}, "format 'skops'"),
    "newer schema": ({"meta": lambda m: m.update(schema_version=2, versions={"odkit": "9.1"})}, "newer odkit: '9.1'"),
    "schema zero": ({"meta": lambda m: m.update(schema_version=0)}, "schema_version 0"),
    "schema of another type": ({"meta": lambda m: m.update(schema_version=True)}, "schema_version True"),
    "no versions": ({"meta": lambda m: m.pop("versions") and None}, "versions"),
    "notes of another type": ({"meta": lambda m: m.update(notes=[])}, "notes"),
    "meta a list": ({"meta": lambda m: [m]}, "not an object"),
    "NaN in meta": ({"meta": _param(contamination=float("nan"))}, "constant NaN"),
    "meta not JSON": ({"members": {"meta.json": lambda b: b[:-5]}}, "meta.json: not valid JSON"),
    "meta too deep": ({"members": {"meta.json": lambda b: b"[" * 100_000}}, "meta.json: not valid JSON"),
    "meta with a huge integer": ({"members": {"meta.json": lambda b: b"9" * 10_000}}, "meta.json: not valid JSON"),
    "meta not text": ({"members": {"meta.json": lambda b: b"\xff\xfe\xfd"}}, "meta.json: not valid JSON"),
    "unknown class": ({"meta": _model(**{"class": "os.system"})}, "class 'os.system' is not known"),
    "class of another type": ({"meta": _model(**{"class": ["ECOD"]})}, "class .'ECOD'. is not known"),
    "transformer for a detector": ({"meta": _model(**{"class": "StandardScaler"})}, "model .StandardScaler.*'contam"),
    "no estimator": ({"meta": lambda m: m.update(model={"is": "tuple", "items": []})}, "describes no estimator"),
    "unknown kind of value": ({"meta": _param(label={"is": "pickle", "value": "x"})}, "model.label: not a value"),
    "untagged object": ({"meta": _param(label={"value": 3})}, "model.label: not a value"),
    "unknown record": ({"meta": _param(label={"is": "record", "name": "Popen", "fields": {}})}, "model.label: not"),
    "object dtype": ({"meta": _param(label={"is": "dtype", "value": "|O"})}, "model.label: not a value"),
    "giant scalar": ({"meta": _param(label={"is": "scalar", "dtype": "<U999999999", "value": "a"})}, "data type"),
    "unknown parameter": ({"meta": _param(hook="x")}, "no parameter or attribute 'hook'"),
    "parameter out of range": ({"meta": _param(contamination=0.9)}, "contamination.*must be"),
    "parameter of another type": ({"meta": _param(contamination="0.1")}, "contamination.*must be"),
    "method overwritten": ({"meta": _state(score_samples=3)}, "attribute 'score_samples'"),
    "dunder attribute": ({"meta": _state(__class__=3)}, "attribute '__class__'"),
    "parameter as state": ({"meta": _state(scale=3)}, "attribute 'scale'"),
    "not fitted": ({"meta": _model(state={})}, "arrays|not fitted"),
    "columns not counted": ({"meta": _state(n_features_in_="3")}, "n_features_in_ is '3'"),
    "columns without count": ({"meta": lambda m: m["model"]["state"].pop("n_features_in_") and None}, "n_features_in"),
    "names too few": ({"meta": _state(feature_names_in_={"is": "objects", "items": ["a"]})}, "must be 3 names"),
    "names no text": ({"meta": _state(feature_names_in_={"is": "objects", "items": [1, 2, 3]})}, "must be 3 names"),
    "offset not a number": ({"meta": _state(offset_={"is": "float", "value": "nan"})}, "offset_ is nan"),
    "offset text": ({"meta": _state(offset_="low")}, "offset_ is 'low'"),
    "state refused by the detector": ({"meta": _state(mean_=[1, 2])}, r"model \(Deviation\)"),
    "array not listed": ({"meta": lambda m: m["arrays"].clear()}, "not the members"),
    "array unknown": ({"meta": _state(mean_={"is": "array", "member": "model/other.npy"})}, "is not there"),
    "array with an odd key": ({"meta": _state(mean_={"is": "array", "member": ["x"]})}, "is not there"),
    "object array": ({"meta": _entry(dtype="|O")}, r"mean_.npy: dtype '\|O'"),
    "structured array": ({"meta": _entry(dtype=[["a", "<f8"]])}, "mean_.npy: dtype"),
    "big-endian array": ({"meta": _entry(dtype=">f8")}, "mean_.npy: dtype '>f8'"),
    "void array": ({"meta": _entry(dtype="|V24")}, "mean_.npy: dtype"),
    "shape of 1e13": ({"meta": _entry(shape=[10**13])}, "needs 80000000000128 bytes and 152"),
    "shape of 1e9": ({"meta": _entry(shape=[10**9])}, "needs 8000000128 bytes and 152"),
    "negative shape": ({"meta": _entry(shape=[-3])}, "is no shape"),
    "shape of booleans": ({"meta": _entry(shape=[True, 3])}, "is no shape"),
    "shape with too many axes": ({"meta": _entry(shape=[1] * 40 + [3])}, "is no shape"),
    "empty but enormous": (
        {"meta": _entry(shape=[0, 2**61, 2**61], dtype="<f8"), "members": {MEAN: lambda b: b[:128]}},
        "needs|no array has shape",
    ),
    "order": ({"meta": _entry(order="K")}, "order 'K'"),
    "entry incomplete": ({"meta": lambda m: m["arrays"][MEAN].pop("sha256") and None}, "needs dtype"),
    "other digest": ({"meta": _entry(sha256="0" * 64)}, "sha256"),
    "header says otherwise": ({"members": {MEAN: lambda b: _npy(np.arange(3))}}, "its header"),
    "header with code": ({"members": {MEAN: lambda b: b.replace(b"(3,)", b"exit")}}, "its header"),
    "data changed": ({"members": {MEAN: lambda b: b[:-1] + bytes([b[-1] ^ 1])}}, "sha256"),
    "data longer": ({"members": {MEAN: lambda b: b + b"\0" * 8}}, "needs 152 bytes and 160"),
    "data pickled": ({"members": {MEAN: lambda b: pickle.dumps(np.arange(3.0))}}, "bytes"),
}


@contextmanager
def _memory_below(limit):
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit


@pytest.mark.parametrize("case", EDITS)
def test_a_file_that_lies_is_refused(X, tmp_path, case):
    edits, message = EDITS[case]
    save(Deviation().fit(X), tmp_path / "a.odkit")
    _edit(tmp_path / "a.odkit", **edits)
    loaded = set(sys.modules)
    # room for Python's own objects; the smallest lie above claims 8 GB
    with _memory_below(2_000_000), pytest.raises(ModelFileError, match=message):
        load(tmp_path / "a.odkit")
    assert set(sys.modules) == loaded


def _bomb(path, members):
    _write(path, [*members.items(), ("model/zeros.npy", bytes(20_000_000))], zipfile.ZIP_DEFLATED)


def _patch_directory(path, members):
    """Same bytes for every member, and a directory that claims that there are more."""
    _write(path, list(members.items()))
    body = bytearray(path.read_bytes())
    struct.pack_into("<H", body, len(body) - 12, 60_000)
    path.write_bytes(body)


def _zip64(path, members):
    """A 64-bit directory record that claims four thousand million members."""
    _write(path, list(members.items()))
    body = path.read_bytes()
    count = 4_000_000_000
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, count * 46, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, len(body) - 22, 1)
    path.write_bytes(body[:-22] + record + locator + body[-22:])


def _overlap(path, members):
    """Two directory entries for the same stored bytes, so that little is stored and much is claimed."""
    _write(path, [*members.items(), ("a", members["meta.json"])])
    body = path.read_bytes()
    at = body.rindex(b"PK\x01\x02")
    path.write_bytes(body[: at + 42] + struct.pack("<I", 0) + body[at + 46 :])


CONTAINERS = {
    "empty": (lambda p, m: p.write_bytes(b""), "no model file of odkit .it is empty"),
    "text": (lambda p, m: p.write_text("a,b\n1,2\n"), "no model file"),
    "pickle": (lambda p, m: p.write_bytes(pickle.dumps(Deviation())), "a pickle, which can run code"),
    "cut": (lambda p, m: p.write_bytes(p.read_bytes()[:-30]), "damaged or cut short"),
    "half": (lambda p, m: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "damaged or cut short"),
    "only a beginning": (lambda p, m: p.write_bytes(b"PK\x03\x04"), "damaged or cut short"),
    "comment": (lambda p, m: p.write_bytes(p.read_bytes()[:-2] + b"\x03\0abc"), "damaged or cut short"),
    "bomb": (_bomb, "is compressed"),
    "parent folder": (lambda p, m: _write(p, [*m.items(), ("../x", b"")]), "'../x' has a name"),
    "absolute": (lambda p, m: _write(p, [*m.items(), ("/etc/x", b"")]), "'/etc/x' has a name"),
    "drive": (lambda p, m: _write(p, [*m.items(), ("C:x", b"")]), "'C:x' has a name"),
    "folder": (lambda p, m: _write(p, [*m.items(), ("model/", b"")]), "'model/' has a name"),
    "unicode": (lambda p, m: _write(p, [*m.items(), ("mo\u200bdel", b"")]), "has a name"),
    "no meta": (lambda p, m: _write(p, [("model/mean_.npy", m[MEAN])]), "no meta.json"),
    "unlisted member": (lambda p, m: _write(p, [*m.items(), ("setup.py", b"")]), "not the members"),
    "many members": (lambda p, m: _write(p, [*m.items(), *((f"m{i}", b"") for i in range(10_001))]), "10003 members"),
    "large meta": (lambda p, m: _write(p, [("meta.json", b" " * (17 << 20)), (MEAN, m[MEAN])]), "bytes, more than"),
    "claimed members": (_patch_directory, "60000 members"),
    "claimed members, 64 bit": (_zip64, "4000000000 members"),
    "overlapping members": (_overlap, "claim more bytes|not the members|damaged"),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_a_container_that_lies_is_refused(X, tmp_path, case):
    spoil, message = CONTAINERS[case]
    path = tmp_path / "a.odkit"
    save(Deviation().fit(X), path)
    spoil(path, _members(path))
    size = path.stat().st_size
    for read in (load, inspect):
        with _memory_below(2 * size + 8_000_000), pytest.raises(ModelFileError, match=message):
            read(path)


def test_a_duplicate_member_is_refused(X, tmp_path):
    path = tmp_path / "a.odkit"
    save(Deviation().fit(X), path)
    members = _members(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        _write(path, [*members.items(), (MEAN, members[MEAN])])
    with pytest.raises(ModelFileError, match=r"mean_.npy' is there twice"):
        load(path)


def test_a_file_above_the_limit_is_refused_unread(X, tmp_path):
    save(Deviation().fit(X), tmp_path / "a.odkit")
    with pytest.raises(ModelFileError, match="more than max_bytes=100"):
        load(tmp_path / "a.odkit", max_bytes=100)


def test_every_flipped_byte_is_noticed_or_harmless(X, tmp_path):
    """Bytes that carry the model change nothing unnoticed; the rest (dates, file modes) change no score."""
    path = tmp_path / "a.odkit"
    fitted = Deviation().fit(X)
    save(fitted, path)
    whole, expected = path.read_bytes(), fitted.score_samples(X)
    unnoticed = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            loaded = load(path)
        except ModelFileError:
            continue
        unnoticed += 1
        np.testing.assert_array_equal(loaded.score_samples(X), expected)
    assert unnoticed < 120


def _spoiled(rng, node):
    """A copy of a JSON tree with one value replaced, dropped or doubled."""
    wrong = [None, True, -1, 2**70, 1e308, "", "x", [], {}, {"is": "array"}, [[]], {"is": "estimator"}, "<f8", 0]
    if isinstance(node, dict) and node and rng.random() < 0.9:
        key = rng.choice(sorted(node))
        changed = dict(node)
        if rng.random() < 0.1:
            del changed[key]
        else:
            changed[key] = _spoiled(rng, node[key])
        return changed
    if isinstance(node, list) and node and rng.random() < 0.9:
        i = rng.randrange(len(node))
        return [*node[:i], *([] if rng.random() < 0.1 else [_spoiled(rng, node[i])]), *node[i + 1 :]]
    return rng.choice(wrong)


def test_fuzzed_files_are_refused_or_score(X, tmp_path):
    """ODKIT_FUZZ_SECONDS=60 for a longer run. A spoiled file is refused by name or loads a detector that works."""
    rng = random.Random(0)
    path = tmp_path / "a.odkit"
    models = [
        odkit.ECOD().fit(X.round(1)),
        odkit.KNN().fit(X),
        odkit.CorrelatedVote(order=2, memory=5, corr_window=4, rho=0.0).fit(X),
        odkit.LevelMahalanobis(widths=(1, 2), fpr=0.1).fit(X),
        make_pipeline(StandardScaler(), odkit.ECOD(aggregation="paper")).fit(X),
    ]
    files = []
    for model in models:
        save(model, path)
        files.append(_members(path))
    end = time.monotonic() + float(os.environ.get("ODKIT_FUZZ_SECONDS", 8))
    refused = scored = 0
    while refused < 100 or time.monotonic() < end:
        members = dict(rng.choice(files))
        if rng.random() < 0.7:
            meta = _spoiled(rng, json.loads(members["meta.json"]))
            members["meta.json"] = json.dumps(meta).encode()
        else:
            members = _spoiled_array(rng, members)
        _write(path, list(members.items()))
        if rng.random() < 0.2:
            body = bytearray(path.read_bytes())
            for _ in range(rng.randint(1, 4)):
                body[rng.randrange(len(body))] = rng.randrange(256)
            path.write_bytes(body[: rng.randint(1, len(body))] if rng.random() < 0.3 else body)
        try:
            loaded = load(path)
        except ModelFileError:
            refused += 1
            continue
        # another number of columns, a transformer without its arrays: errors that scikit-learn finds when it scores;
        # RuntimeError: a device that is not on this machine, which the message names
        with suppress(ValueError, TypeError, AttributeError, RuntimeError):
            loaded.score_samples(X)
            scored += 1
    assert scored > 0


def _spoiled_array(rng, members):
    """One array's numbers changed and its digest made to fit: only the detector's own check can notice."""
    import hashlib

    name = rng.choice([member for member in members if member != "meta.json"])
    body = bytearray(members[name])
    start = 10 + int.from_bytes(body[8:10], "little")
    meta = json.loads(members["meta.json"])
    width = np.dtype(meta["arrays"][name]["dtype"]).itemsize
    if len(body) > start:
        at = start + width * rng.randrange((len(body) - start) // width)
        body[at : at + width] = rng.randbytes(width)
    meta["arrays"][name]["sha256"] = hashlib.sha256(body[start:]).hexdigest()
    return members | {name: bytes(body), "meta.json": json.dumps(meta).encode()}


def test_wild_arrays_crash_no_detector():
    """In a process of its own: a kernel that runs off the end of an array kills it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.wild_arrays"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode} after {done.stdout[-200:]!r}\n{done.stderr[-500:]}"
    assert done.stdout.count("\n") > 200


def test_a_file_of_schema_1_still_loads():
    """Written by odkit 0.1.0; it stays as it is, and whatever reads it later must give these scores."""
    path = Path(__file__).parent / "golden" / "model-schema-1.odkit"
    detector = load(path)
    rows = pd.DataFrame({"volt": [230.0, 300, 231], "ampere": [5.0, 5, 9]})
    np.testing.assert_allclose(
        anomaly_score(detector, rows), [0.7576857016975165, 8.427729674737677, 18.06027079469156], rtol=1e-12
    )
    assert detector[-1].offset_ == pytest.approx(-2.367123614131617, rel=1e-12)
    assert inspect(path)["notes"] == {"written": "by odkit 0.1.0"}
