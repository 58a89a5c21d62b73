"""Every card loads as it says; golden values and conventions of the formats; errors that name both sides."""

import gzip
from collections import Counter
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from odkit.datasets import get_card, list_cards, load, readers


@pytest.mark.parametrize(
    "suite", ["tabular-adbench", "tabular-macro", "image-features", "image-pixels", "series", "severity"]
)
def test_every_set_loads_as_its_card_says(data_home, suite):
    for card in list_cards(suite=suite):
        data = load(card.id, data_home=data_home, verify=False)  # test_store hashes every file
        parts = [part for part in (data.X, data.train, data.test) if part is not None]
        assert sum(map(len, parts)) == card.n
        assert (data.X is None) == (data.train is not None) == (data.test is not None) == (card.n_train is not None)
        labelled = parts[-1]
        assert data.is_outlier.dtype == bool
        assert data.is_outlier.shape == labelled.shape[:1]
        assert round(data.is_outlier.mean(), 5) == card.outlier_rate
        for part in parts:
            assert part.dtype in (
                (np.uint8,) if data.classes is not None and part.ndim == 3 else (np.float32, np.float64)
            )
            assert part.flags.c_contiguous
            assert part.dtype == np.uint8 or np.isfinite(part).all()
        if card.feature_names:
            assert len(data.feature_names) == card.d
        if data.severity is not None:
            assert np.array_equal(data.severity > 0, data.is_outlier)


@pytest.mark.parametrize("card_id", ["samples/payments", "samples/telemetry", "samples/toy_images", "samples/graded"])
def test_the_samples_load_without_a_data_folder(tmp_path, card_id):
    data = load(card_id, data_home=tmp_path)
    assert len(data.X) == data.card.n
    assert 0 < data.is_outlier.mean() < 0.5


def test_integers_become_float64_and_float32_stays(data_home):
    assert load("adbench/20_letter", data_home=data_home).X.dtype == np.float64  # stored as uint8
    assert load("features/CIFAR10_0", data_home=data_home).X.dtype == np.float32


def test_nab_windows_have_inclusive_ends(data_home):
    data = load("nab/artificialWithAnomaly/art_daily_jumpsup", data_home=data_home)
    assert data.windows.tolist() == np.array([["2014-04-10T16:15:00", "2014-04-12T01:45:00"]], "M8[s]").tolist()
    inside = np.flatnonzero(data.is_outlier)
    assert np.array_equal(data.timestamps[inside[[0, -1]]], data.windows[0])
    assert len(inside) == inside[-1] - inside[0] + 1 == 403
    assert not load("nab/artificialNoAnomaly/art_flatline", data_home=data_home).windows.size


def test_no_nab_window_meets_the_first_15_percent(data_home):
    for card in list_cards("series"):
        if card.id.startswith("nab/"):
            data = load(card.id, data_home=data_home, verify=False)
            assert not data.is_outlier[: int(0.15 * card.n)].any()


def test_ucr_ranges_are_half_open_from_zero(data_home):
    """The series are one recording with different planted stretches: two differ where one of them was changed."""
    whole, ranges = [], []
    for number in (136, 137, 138):
        data = load(f"ucr/{number}_InternalBleeding{number - 119}", data_home=data_home)
        whole.append(np.concatenate([data.train, data.test])[:7500, 0])
        ranges.append(len(data.train) + np.flatnonzero(data.is_outlier)[[0, -1]])
    assert np.array_equal(ranges, [[3198, 3308], [4485, 4586], [4187, 4196]])
    changed = np.flatnonzero(whole[0] != whole[1])
    assert set(changed) <= {*range(3198, 3309), *range(4485, 4587)}
    assert {3198, 3308, 4485, 4586} <= set(changed)


def test_smap_and_smd_have_their_channels(data_home):
    smap, smd = load("smap/P-1", data_home=data_home), load("smd/machine-1-2", data_home=data_home)
    assert (smap.train.shape, smap.test.shape) == ((2872, 25), (8505, 25))
    assert smd.test.shape == (23694, 38)


def test_magnetic_tiles_keep_defects_with_an_empty_mask(data_home):
    data = load("image/magnetic_tile", data_home=data_home)
    assert Counter(data.classes.tolist()) == {
        "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "free": 952, "uneven": 103,
    }  # fmt: skip
    empty = data.is_outlier & ~data.masks.any(axis=(1, 2))
    assert Counter(data.classes[empty].tolist()) == {"uneven": 6}
    assert (data.severity[empty] == 1).all()
    assert not data.masks[data.classes == "free"].any()
    share = data.masks.mean(axis=(1, 2))
    assert share[data.severity == 1].max() < 0.0025 <= share[data.severity == 2].min()
    assert share[data.severity == 2].max() < 0.05 <= share[data.severity == 3].min()


def test_mnist_digits(data_home):
    data = load("image/mnist", data_home=data_home)
    assert (data.X.shape, data.X.dtype) == ((10000, 28, 28), np.uint8)
    assert data.classes[:5].tolist() == ["7", "2", "1", "0", "4"]  # the first test digits, known to everyone
    known = np.random.default_rng(0).permutation(10)[:6]
    assert sorted(map(int, get_card("image/mnist").normal)) == sorted(known.tolist())
    assert np.array_equal(data.is_outlier, ~np.isin(data.classes.astype(int), known))


def test_wine_grades_become_severity(data_home):
    data = load("severity/winequality-white", data_home=data_home)
    assert np.array_equal(data.severity, np.maximum(0, 6 - data.classes.astype(int)))
    assert np.bincount(data.severity).tolist() == [3258, 1457, 163, 20]
    assert data.feature_names[7:9] == ("density", "pH")
    assert 0.98 < data.X[:, 7].min() < data.X[:, 7].max() < 1.04


def test_macro_wine_holds_columns_of_wine_quality(data_home):
    """Why the two share a family: its rows are density, pH, sulphates, alcohol of the graded wines."""
    macro = load("macro/ovrbench/wine", data_home=data_home)
    graded = [load(f"severity/winequality-{colour}", data_home=data_home).X for colour in ("red", "white")]
    known = {tuple(row) for row in np.vstack(graded)[:, 7:].round(6).tolist()}
    assert all(tuple(row) in known for row in np.vstack([macro.train, macro.test]).round(6).tolist())


def test_a_damaged_file_is_refused_with_both_hashes(tmp_path):
    card = get_card("severity/winequality-red")
    file = tmp_path / card.files[0].path
    file.parent.mkdir()
    file.write_bytes(b"1," * (card.files[0].bytes // 2))
    with pytest.raises(ValueError, match=rf"has sha256 [0-9a-f]{{64}}, the card says {card.files[0].sha256}"):
        load(card.id, data_home=tmp_path)


def test_a_wrong_shape_is_refused_with_both_counts_even_unverified(tmp_path):
    file = tmp_path / "severity" / "winequality-red.csv"
    file.parent.mkdir()
    file.write_text("1,2,6\n1,2,3\n")
    with pytest.raises(ValueError, match=r"n is 2, the card says 1599; d is 2, the card says 11; outlier_rate is 0\.5"):
        load("severity/winequality-red", data_home=tmp_path, verify=False)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no series/nab/.*speed_7578\.csv in .*; set ODKIT_DATA_HOME .*fetch"
    ):
        load("nab/realTraffic/speed_7578", data_home=tmp_path)


def test_weights_are_no_data_set():
    with pytest.raises(ValueError, match=r"is no data set but network weights; odkit\.datasets\.path names its file"):
        load("weights/mobilenet_v1_0.5_160")


def test_pickled_objects_are_never_opened(tmp_path, monkeypatch):
    card = get_card("adbench/42_WBC")
    file = tmp_path / card.files[0].path
    file.parent.mkdir(parents=True)
    np.savez(file, X=np.array([[{}]], dtype=object), y=np.zeros(1))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load(card.id, data_home=tmp_path, verify=False)


def test_a_wrong_idx_file_is_named(tmp_path):
    file = tmp_path / "x.gz"
    file.write_bytes(gzip.compress(b"\x00\x00\x0d\x01" + b"\x00" * 8))
    with pytest.raises(ValueError, match=r"starts with 00000d01, 000008 is needed"):
        readers._idx(file)


def test_a_data_set_is_frozen():
    data = load("samples/graded")
    with pytest.raises(FrozenInstanceError):
        data.X = None
    assert replace(data, X=data.X[:3]).X.shape == (3, 6)
