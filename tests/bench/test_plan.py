import re

import numpy as np
import pytest

from odkit.bench import plan
from odkit.bench.config import Config, Protocol, bundled, load_config, parse_config
from odkit.bench.contestants import build, canonical_json, resolve
from odkit.bench.plan import make_plan
from tests.bench import hostile

POLITE = {"id": "polite", "class": "tests.bench.hostile:Polite"}
SLOW = {"id": "slow", "class": "tests.bench.hostile:Slow"}
GOOD = "suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a}]"


def config(**changes) -> Config:
    given = {
        "datasets": ["samples/payments"],
        "protocol": {"mode": "in_sample"},
        "seeds": [0, 1],
        "detectors": [POLITE, SLOW],
        "metrics": ["roc_auc"],
    }
    return Config.model_validate({**given, **changes})


def ids(made) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for cell in made.cells:
        found.setdefault(cell.contestant.id, set()).add(cell.cell_id)
    return found


def test_seeds_are_for_what_draws():
    assert {name: len(cells) for name, cells in ids(make_plan(config())).items()} == {"polite": 1, "slow": 2}
    drawn = config(protocol={"mode": "contaminated", "split": "stratified"})
    assert {name: len(cells) for name, cells in ids(make_plan(drawn)).items()} == {"polite": 2, "slow": 2}


def test_an_identity_holds_what_decides_the_scores_and_nothing_else(monkeypatch):
    before = ids(make_plan(config()))
    spelled = config(detectors=[POLITE, {**SLOW, "params": {"seconds": 0.2}}], metrics=["roc_auc", "ap"])
    assert ids(make_plan(spelled)) == before
    renamed = config(protocol={"mode": "in_sample", "only": ["samples/*"]}, limits={"timeout_s": 5})
    assert ids(make_plan(renamed)) == before
    other = ids(make_plan(config(detectors=[POLITE, {**SLOW, "params": {"seconds": 0.3}}])))
    assert other["polite"] == before["polite"]
    assert not other["slow"] & before["slow"]
    assert not ids(make_plan(config(protocol={"mode": "in_sample", "scaler": "standard"})))["polite"] & before["polite"]


def test_a_raised_bench_version_makes_that_detector_new_and_no_other(monkeypatch):
    import odkit.bench.baselines as baselines

    entries = [{"id": name, "class": f"odkit.bench.baselines.{name}"} for name in ("MaxAbsZ", "Constant")]
    before = ids(make_plan(config(detectors=entries)))
    monkeypatch.setattr(baselines.MaxAbsZ, "bench_version", 2, raising=False)
    after = ids(make_plan(config(detectors=entries)))
    assert after["Constant"] == before["Constant"]
    assert not after["MaxAbsZ"] & before["MaxAbsZ"]


def test_a_class_that_cannot_be_imported_is_recorded_not_raised():
    entry = config(detectors=[{"id": "absent", "class": "no_such_package.Detector"}]).detectors[0]
    assert "ModuleNotFoundError" in resolve(entry).missing


def test_nested_classes_are_built_and_versioned():
    params = {"detector": {"class": "pyod.models.hbos.HBOS", "params": {"n_bins": 7}}, "one_row_at_a_time": True}
    detector = build("odkit.adapters.pyod.PyOD", params, None)
    assert detector.detector.n_bins == 7
    entry = config(detectors=[{"id": "x", "class": "odkit.adapters.pyod.PyOD", "params": params}]).detectors[0]
    assert resolve(entry).version.startswith("bench-1+")


def test_the_seed_is_random_state_and_a_foreign_class_comes_adapted():
    assert build("tests.bench.hostile:Slow", {}, 7).random_state == 7
    assert type(build("pyod.models.iforest.IForest", {}, 7)).__name__ == "PyOD"
    assert isinstance(build("tests.bench.hostile:Polite", {}, None), hostile.Polite)


def test_a_random_state_of_the_configuration_is_kept_and_names_the_cell():
    entries = [{"id": f"s{i}", "class": SLOW["class"], "params": {"random_state": i}} for i in (7, 8)]
    made = make_plan(config(detectors=entries))
    assert [(cell.contestant.id, cell.seed, cell.contestant.seeded) for cell in made.cells] in (
        [("s7", 0, False), ("s8", 0, False)], [("s8", 0, False), ("s7", 0, False)]
    )  # fmt: skip
    assert build(SLOW["class"], {"random_state": 7}, 0).random_state == 7


def test_defaults_that_no_process_can_be_sent_are_part_of_the_identity_only():
    entry = config(detectors=[{"id": "odd", "class": "tests.bench.hostile:OddDefaults"}]).detectors[0]
    odd = resolve(entry)
    assert (odd.missing, odd.given) == ("", {})
    assert canonical_json(odd.params) == (
        '{"cap":"float(inf)","key":"tests.bench.hostile.OddDefaults.<lambda>","mark":"<tests.bench.hostile.Unlike '
        'object>","metric":"numpy.linalg.norm"}'
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [(lambda: 0, "odd: params cannot be sent"), (hostile.Unlike(), "odd: params mark: .*known by its address")],
)
def test_given_parameters_must_reach_another_process_and_be_known_there(value, message):
    with pytest.raises(ValueError, match=message):
        make_plan(
            config(detectors=[{"id": "odd", "class": "tests.bench.hostile:OddDefaults", "params": {"mark": value}}])
        )


def test_whatever_happens_on_import_is_a_reason_and_stops_nobody(tmp_path, monkeypatch):
    (tmp_path / "exits_on_import.py").write_text("raise SystemExit('usage: FILE')")
    monkeypatch.syspath_prepend(tmp_path)
    for path, words in (("exits_on_import:Detector", "SystemExit"), ("odkit.KN", "no class KN; did you mean .*KNN")):
        entry = config(detectors=[{"id": "x", "class": path}]).detectors[0]
        assert re.search(words, resolve(entry).missing)


def test_a_tuple_has_a_spelling():
    found = build("odkit.Mahalanobis", {"subspace": {"tuple": ["pca", 0.9]}}, 0)
    assert found.subspace == ("pca", 0.9)


def test_longest_first():
    sizes = [cell.size for cell in make_plan(config(datasets=["samples/*"])).cells]
    assert sizes == sorted(sizes, reverse=True)


def test_canonical_json_sorts_and_writes_what_json_has_not_as_text():
    assert canonical_json({"b": 0.1, "a": [1, None]}) == '{"a":[1,null],"b":0.1}'
    assert canonical_json([float("nan"), float("-inf")]) == '["float(nan)","float(-inf)"]'
    assert canonical_json([np.linalg.norm, lambda: 0]) == (
        '["numpy.linalg.norm","tests.bench.test_plan.test_canonical_json_sorts_and_writes_what_json_has_not_as_text'
        '.<locals>.<lambda>"]'
    )
    assert canonical_json([hostile.Unlike()]) == '["<tests.bench.hostile.Unlike object>"]'


@pytest.mark.parametrize("name", bundled())
def test_bundled_configurations_are_valid_and_plan(name):
    parsed, text = load_config(name)
    assert parse_config(text) == parsed
    if name != "speed":  # it times generated rows and plans no cells
        assert make_plan(parsed).cells


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": ["samples/paymentz"]}, "did you mean samples/payments"),
        ({"datasets": [], "suite": "smokey"}, "smoke"),
        ({"metrics": ["roc_acu"]}, "did you mean roc_auc"),
        ({"detectors": [{**SLOW, "params": {"second": 1}}]}, "no parameter second; it has seconds"),
        ({"detectors": [POLITE, {**POLITE, "id": "again"}]}, "the same detector"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(changes, message):
    with pytest.raises(ValueError, match=message):
        make_plan(config(**changes))


def test_only_picks_and_says_what_it_does_not_know():
    assert set(ids(make_plan(config(), only=["det=sl*"]))) == {"slow"}
    assert set(ids(make_plan(config(), only=["det=sl*,ds=samples/*"]))) == {"slow"}
    with pytest.raises(ValueError, match="empty: no data set matches 'nothing'"):
        make_plan(config(), only=["ds=nothing"])
    with pytest.raises(ValueError, match="no detector matches 'plite'; did you mean polite"):
        make_plan(config(), only=["det=plite,ds=samples/*"])
    with pytest.raises(ValueError, match="write det=PATTERN"):
        make_plan(config(), only=["detector=slow"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a}]\nlimit: {}", "limit: .*did you mean limits"),
        ("suite: smoke\nprotocol: {mode: in_sample, scalar: none}\ndetectors: [{id: a}]", "did you mean scaler"),
        ("suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a, parms: {}}]", "did you mean params"),
        ("suite: smoke\nprotocol: {mode: one_class}\ndetectors: [{id: a}]", "needs a split"),
        ("suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a}, {id: a}]", "given twice: a"),
        ("protocol: {mode: in_sample}\ndetectors: [{id: a}]", "either suite or datasets"),
        ("suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a}]\nrank_by: [x]", "x is not among metrics"),
        ("suite: smoke\nsuite: x\nprotocol: {mode: in_sample}", "line 2.*column 1"),
        (GOOD + "\nmetrics: []", "metrics: .*at least 1"),
        (GOOD + "\nmetrics: [ap, ap]", "metrics must differ, given twice: ap"),
        (GOOD + "\nseeds: []", "seeds: .*at least 1"),
        (GOOD + "\nseeds: [0, 0]", "seeds must differ, given twice: 0"),
        (GOOD + "\nseeds: [-1]", "seeds.0: .*greater than or equal to 0"),
        (GOOD + "\nlimits: {timeout_s: .inf}", "timeout_s: .*less than or equal"),
        ("suite: smoke\nprotocol: []\ndetectors: [{id: a}]", "protocol: .*at least 1"),
        ("- a list", "a table of keys is expected"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_a_bad_configuration_names_the_place(text, message):
    with pytest.raises(ValueError, match=re.compile(message, re.S)):
        parse_config(text)


def test_a_number_with_an_exponent_is_a_number():
    text = "suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a, params: {tol: 1e-3, name: 1e-3x, n: 1e}}]"
    assert parse_config(text).detectors[0].params == {"tol": 1e-3, "name": "1e-3x", "n": "1e"}


def test_toml_and_yaml_say_the_same(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text(
        'suite = "smoke"\n[protocol]\nmode = "in_sample"\n[limits]\nthreads = 2\n'
        '[[detectors]]\nid = "a"\nclass = "x:Y"\n'
    )
    yaml = tmp_path / "run.yaml"
    yaml.write_text(
        "suite: smoke\nprotocol: {mode: in_sample}\ndetectors: [{id: a, class: 'x:Y'}]\nlimits: {threads: 2}\n"
    )
    assert load_config(toml)[0] == load_config(yaml)[0]
    assert load_config(yaml)[0].protocol == (Protocol(mode="in_sample"),)


def test_a_file_that_is_not_there_is_answered_with_the_bundled_names(tmp_path):
    with pytest.raises(ValueError, match="smoke"):
        load_config("smok")
    with pytest.raises(ValueError, match="no such file"):
        load_config(tmp_path / "x.yaml")
    with pytest.raises(ValueError, match="ends in"):
        load_config(tmp_path / "x.json")


def test_who_does_not_compete_is_not_imported(monkeypatch):
    met = []
    monkeypatch.setattr(plan, "resolve", lambda entry: met.append(entry.id) or resolve(entry))
    make_plan(config(), only=["det=polite"])
    assert met == ["polite"]
