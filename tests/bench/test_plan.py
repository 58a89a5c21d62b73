import pytest

from odkit.bench import plan
from odkit.bench.config import Config, Protocol, bundled, load_config, parse_config
from odkit.bench.contestants import build, canonical_json, resolve
from odkit.bench.plan import make_plan
from tests.bench import hostile

POLITE = {"id": "polite", "class": "tests.bench.hostile:Polite"}
SLOW = {"id": "slow", "class": "tests.bench.hostile:Slow"}


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


def test_longest_first():
    sizes = [cell.size for cell in make_plan(config(datasets=["samples/*"])).cells]
    assert sizes == sorted(sizes, reverse=True)


def test_canonical_json_sorts_and_knows_no_nan():
    assert canonical_json({"b": 0.1, "a": [1, None]}) == '{"a":[1,null],"b":0.1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


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
    with pytest.raises(ValueError, match="empty"):
        make_plan(config(), only=["ds=nothing"])
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
        ("- a list", "a table of keys is expected"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_a_bad_configuration_names_the_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_config(text)


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
