"""Cards, suites and the answers to a wrong name."""

import csv
import json
from collections import Counter

import pytest

from odkit.datasets import get_card, list_cards, suite, suite_sha256, suites
from odkit.datasets.cards import FORMATS, read_card
from odkit.datasets.readers import _READERS
from odkit.datasets.shelf import card_ids

GOOD = """
id = "x/y"
modality = "tabular"
family = "y"
format = "rows_npz"
n = 10
d = 2
outlier_rate = 0.1
protocols = ["in_sample"]
licence = "MIT"
[source]
repository = "owner/name"
commit = "abc"
how = "verbatim"
[[files]]
path = "a/b.npz"
bytes = 5
sha256 = "%s"
""" % ("0" * 64)


def _read(tmp_path, text):
    file = tmp_path / "y.toml"
    file.write_text(text)
    return read_card(file, "x/y")


def test_every_card_keeps_the_schema():
    cards = list_cards()
    assert len({card.id for card in cards}) == len(cards) == len(card_ids())
    assert Counter(card.modality for card in cards) == {
        "tabular": 152,
        "image": 15,
        "series": 106,
        "severity": 3,
        "weights": 1,
    }


def test_every_format_has_a_reader():
    assert set(_READERS) | {"weights_npz"} == set(FORMATS)
    assert {card.format for card in list_cards()} == set(FORMATS)


def test_the_cards_name_every_file_of_the_manifest(data_home):
    named = Counter(file.path for card in list_cards() if not card.bundled for file in card.files)
    with (data_home / "MANIFEST.csv").open(newline="") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    assert set(named) == set(manifest)
    shared = {path: count for path, count in named.items() if count > 1}
    assert shared == {"series/nab/labels/combined_windows.json": 41}
    for card in list_cards():
        for entry in () if card.bundled else card.files:
            row = manifest[entry.path]
            assert (entry.sha256, entry.bytes) == (row["sha256"], int(row["bytes"]))
            assert entry.upstream == row["upstream_path"]
            assert card.source.repository == row["upstream"].removeprefix("github.com/")
            assert card.source.commit.startswith(row["commit"])
            assert card.licence == row["licence"]
            origin = (
                "verbatim" if row["how"].startswith("verbatim") else "cut" if "entries of" in row["how"] else "re-saved"
            )
            assert entry.origin == origin
            facts = json.loads(row["facts"] or "{}")
            if "anomaly_fraction" in facts:
                assert card.outlier_rate == pytest.approx(facts["anomaly_fraction"], abs=6e-5)


def test_families_join_correlated_sets():
    family = {card.id: card.family for card in list_cards()}
    for together in [
        ("adbench/2_annthyroid", "adbench/38_thyroid"),
        ("adbench/30_satellite", "adbench/19_landsat", "adbench/31_satimage-2", "macro/oddbench/SatelliteAnomaly"),
        ("adbench/6_cardio", "adbench/7_Cardiotocography"),
        ("adbench/4_breastw", "adbench/42_WBC"),
        ("adbench/16_http", "adbench/34_smtp"),
        ("severity/winequality-red", "severity/winequality-white", "macro/ovrbench/wine"),
        ("features/CIFAR10_0", "features/CIFAR10_4"),
    ]:
        assert len({family[card_id] for card_id in together}) == 1
    assert family["adbench/45_wine"] != family["severity/winequality-red"]  # cultivars, not grades
    assert len({family[card_id] for card_id in suite("tabular-adbench")}) == 22
    groups = {
        "nab artificial",
        "nab awscloudwatch",
        "nab adexchange",
        "nab traffic",
        "smap",
        "smd",
        "ucr internal bleeding",
    }
    assert {family[card_id] for card_id in suite("series")} == groups


SUITES = {  # name -> sets, first 12 digits of the hash over ids and files; a list that changes takes a new name
    "smoke-v1": (6, "5e46acecb6bc"),
    "tabular-adbench-v1": (28, "8a6a75956ec5"),
    "tabular-macro-v1": (123, "5e1b6540d70d"),
    "image-features-v1": (12, "7b9f870f41f9"),
    "image-pixels-v1": (2, "891c47f7e3ab"),
    "series-v1": (105, "3fa977bbf532"),
    "severity-v1": (4, "fbcfb3058d0c"),
}


def test_suites_are_frozen():
    assert {name: (len(ids), suite_sha256(name)[:12]) for name, ids in suites().items()} == SUITES


def test_a_suite_without_version_is_the_newest():
    assert suite("smoke") == suite("smoke-v1")
    assert [card.id for card in list_cards(suite="smoke")] == list(suite("smoke"))
    assert {card.modality for card in list_cards("severity", suite="severity-v1")} == {"severity"}


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("shuttle", "adbench/32_shuttle"), ("adbench/31_shutle", "adbench/32_shuttle"), ("nab/speed_7587", "speed_7578")],
)
def test_an_unknown_card_names_the_nearest(wrong, near):
    with pytest.raises(ValueError, match=rf"no data set '{wrong}'; the nearest are .*{near}"):
        get_card(wrong)


def test_an_unknown_name_with_nothing_near_says_where_to_look():
    with pytest.raises(ValueError, match=r"no data set 'qqqqq'; odkit datasets list names them all"):
        get_card("qqqqq")
    with pytest.raises(ValueError, match=r"no suite 'tabular'; the nearest are tabular-adbench-v1, tabular-macro-v1"):
        suite("tabular")
    with pytest.raises(ValueError, match=r"no suite 'smoke-v9'; the nearest are smoke-v1"):
        list_cards(suite="smoke-v9")
    with pytest.raises(ValueError, match=r"unknown modality 'tables'; there are tabular"):
        list_cards("tables")


def test_an_id_cannot_leave_the_folder():
    with pytest.raises(ValueError, match="no data set"):
        get_card("../cards/adbench/32_shuttle")


def test_a_good_card_reads(tmp_path):
    card = _read(tmp_path, GOOD)
    assert (card.n, card.n_train, card.protocols, card.files[0].role) == (10, None, ("in_sample",), "data")
    assert card.sha256 == "0" * 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n = 10", "n = 10\nrows = 3", "unknown field rows"),
        ('licence = "MIT"', "", "field licence is missing"),
        ("bytes = 5", "bytes = 5\nsize = 5", r"unknown field files\[0\].size"),
        ('commit = "abc"', "", "field source.commit is missing"),
        ("n = 10", 'n = "10"', "field n is '10', of type str"),
        ("n = 10", "n = 10\nlevels = 3", "field levels is 3, of type int"),
        ("n = 10", "n = true", "field n is True, of type bool"),
        ("n = 10", "n = 0", "no counts of rows"),
        ("n = 10", "n = 10\nn_train = 10", "no counts of rows"),
        ("0.1", "1.1", r"outlier_rate is 1.1"),
        ("outlier_rate = 0.1", "", "outlier_rate is None"),
        ('"tabular"', '"table"', "modality is 'table', allowed are tabular"),
        ('"rows_npz"', '"npz"', "format is 'npz', allowed are"),
        ('["in_sample"]', '["oracle"]', "protocols is 'oracle'"),
        ('["in_sample"]', "[]", "protocols is empty"),
        ("0" * 64, "0" * 63, "64 hexadecimal digits"),
        ("a/b.npz", "../b.npz", "leaves the data folder"),
        ("bytes = 5", 'bytes = 5\nrole = "labels"', "no file has the role 'data'"),
        (
            "bytes = 5",
            'bytes = 5\norigin = "copied"',
            "files.origin is 'copied', allowed are verbatim, cut, re-saved, generated",
        ),
        ('id = "x/y"', 'id = "x/z"', "id is 'x/z' but the file says 'x/y'"),
        ("n = 10", "n = = 10", "not valid TOML"),
    ],
)
def test_a_bad_card_is_refused_with_its_fault(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(ValueError, match=message):
        _read(tmp_path, GOOD.replace(old, new))
