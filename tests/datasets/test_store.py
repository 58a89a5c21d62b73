"""Where files lie and whether they are intact."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from odkit.datasets import get_card, get_data_home, list_cards, path, rows, sample_path, verify


def test_the_argument_goes_before_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("ODKIT_DATA_HOME", str(tmp_path / "variable"))
    assert get_data_home(tmp_path / "argument") == tmp_path / "argument"
    assert get_data_home() == tmp_path / "variable"
    assert get_data_home("~") == Path.home()


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder of Linux")
def test_without_folders_the_cache_of_the_user_is_meant(tmp_path, monkeypatch):
    monkeypatch.delenv("ODKIT_DATA_HOME", raising=False)
    monkeypatch.setattr("odkit.datasets.home.__file__", str(tmp_path / "a" / "b" / "c" / "home.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert get_data_home() == tmp_path / "cache" / "odkit" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert get_data_home() == Path.home() / ".cache" / "odkit" / "data"
    (tmp_path / "shared" / "data").mkdir(parents=True)
    monkeypatch.setattr("odkit.datasets.home.__file__", str(tmp_path / "repository" / "odkit" / "datasets" / "home.py"))
    assert get_data_home() == tmp_path / "shared" / "data"


def test_rows_say_where_a_set_is(tmp_path):
    table = {row["id"]: row for row in rows(data_home=tmp_path)}
    assert len(table) == len(list_cards())
    assert table["samples/payments"]["where"] == "bundled"
    assert table["severity/winequality-red"] == {
        "id": "severity/winequality-red",
        "modality": "severity",
        "family": "wine quality",
        "n": 1599,
        "d": 11,
        "outlier_rate": 0.46529,
        "licence": "CC BY 4.0 (UCI)",
        "where": "absent",
    }
    file = tmp_path / "severity" / "winequality-red.csv"
    file.parent.mkdir()
    file.touch()
    assert [row["where"] for row in rows(modality="severity", data_home=tmp_path)] == ["bundled", "here", "absent"]
    assert [row["id"] for row in rows(suite="image-pixels")] == ["image/magnetic_tile", "image/mnist"]


def test_verify_tells_ok_missing_and_mismatch(tmp_path):
    ids = ["samples/payments", "severity/winequality-red", "severity/winequality-white"]
    card = get_card(ids[1])
    file = tmp_path / card.files[0].path
    file.parent.mkdir()
    file.write_bytes(b"0" * card.files[0].bytes)
    good, wrong, missing = verify(ids, data_home=tmp_path)
    assert (good.id, good.status) == (ids[0], "ok")
    assert (wrong.id, wrong.status) == (ids[1], "mismatch")
    assert card.files[0].sha256 in wrong.detail
    assert str(file) in wrong.detail
    assert (missing.id, missing.status) == (ids[2], "missing")
    file.write_bytes(b"0")
    assert verify(ids[1:2], data_home=tmp_path)[0].detail.endswith("has 1 bytes, the card says 84028")


def test_a_damaged_file_is_worse_than_a_missing_one(tmp_path):
    file = tmp_path / get_card("nab/realTraffic/speed_7578").files[0].path
    file.parent.mkdir(parents=True)
    file.touch()
    (check,) = verify(["nab/realTraffic/speed_7578"], data_home=tmp_path)
    assert check.status == "mismatch"
    assert "has 0 bytes" in check.detail
    assert "there is no file" in check.detail


def test_every_file_in_the_data_folder_is_intact(data_home):
    assert [check for check in verify(data_home=data_home) if check.status != "ok"] == []


def test_path_gives_a_file_or_the_folder_of_several(data_home):
    assert path("adbench/32_shuttle", data_home=data_home) == data_home / "tabular/adbench/32_shuttle.npz"
    assert path("nab/realTraffic/speed_7578", data_home=data_home).name == "speed_7578.csv"
    assert path("image/magnetic_tile", data_home=data_home) == data_home / "image/magnetic_tile"
    assert path("weights/mobilenet_v1_0.5_160", data_home=data_home).suffix == ".npz"


@pytest.mark.parametrize(
    ("card_id", "remedy"),
    [
        ("adbench/32_shuttle", r"download it with odkit\.datasets\.fetch\('adbench/32_shuttle'\)"),
        ("nab/realTraffic/speed_7578", "download it"),
        ("macro/ovrbench/wine", "re-saved from psorus/Outformer at 99aebce03692 and cannot be downloaded"),
    ],
)
def test_a_missing_file_comes_with_its_remedy(tmp_path, card_id, remedy):
    with pytest.raises(FileNotFoundError, match=f"{card_id}: there is no .* in .*; set ODKIT_DATA_HOME to .*{remedy}"):
        path(card_id, data_home=tmp_path)


def test_an_unknown_sample_names_the_samples():
    with pytest.raises(ValueError, match=r"no sample 'paymets\.csv'; there are graded\.csv, payments\.csv"):
        sample_path("paymets.csv")


def test_an_installed_package_finds_its_cards_and_samples(tmp_path):
    """The wheel carries both folders inside the package: rebuild that layout and read from elsewhere."""
    import odkit

    package = Path(odkit.__file__).parent
    site = tmp_path / "site" / "odkit"
    (site / "datasets").mkdir(parents=True)
    for name in ("__init__.py", "atomic.py"):
        (site / name).symlink_to(package / name)
    for file in (package / "datasets").glob("*.py"):
        (site / "datasets" / file.name).write_bytes(file.read_bytes())
    for name in ("cards", "samples"):
        (site / "datasets" / name).symlink_to(package.parent / "datasets" / name)
    code = (
        "import odkit.datasets as d; print(d.sample_path('payments.csv')); print(len(d.load('samples/graded').X));"
        "import sys; print(*{'pandas', 'sklearn', 'scipy', 'numba', 'torch', 'pooch'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(site.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(site / "datasets" / "samples" / "payments.csv"), "600", ""]
