"""Downloads against a small server of our own: what arrives is checked, what cannot be downloaded says so."""

import json
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from odkit.datasets import download, fetch, get_card, load


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder served over HTTP in place of the public host."""
    folder = tmp_path / "public"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        monkeypatch.setattr(download, "PUBLIC", f"http://127.0.0.1:{host.server_port}")
        yield folder
        host.shutdown()


def _publish(folder, card_id, data_home, number=0):
    card = get_card(card_id)
    target = folder / card.source.repository / card.source.commit / card.files[number].upstream
    target.parent.mkdir(parents=True)
    target.write_bytes((data_home / card.files[number].path).read_bytes())
    return target


def test_fetch_brings_the_file_and_keeps_it(server, tmp_path, data_home):
    published = _publish(server, "severity/winequality-red", data_home)
    file = fetch("severity/winequality-red", data_home=tmp_path / "home")
    assert file == tmp_path / "home" / "severity" / "winequality-red.csv"
    assert load("severity/winequality-red", data_home=tmp_path / "home").X.shape == (1599, 11)
    published.unlink()
    assert fetch("severity/winequality-red", data_home=tmp_path / "home") == file  # intact: no second download


def test_fetch_refuses_another_file(server, tmp_path, data_home):
    published = _publish(server, "severity/winequality-red", data_home)
    published.write_bytes(b"0" + published.read_bytes()[1:])
    with pytest.raises(
        ValueError, match=r"has sha256 .*, the card says c9614512.* is not the file that the card describes"
    ):
        fetch("severity/winequality-red", data_home=tmp_path / "home")
    assert not any(file.is_file() for file in (tmp_path / "home").rglob("*"))


def test_nab_windows_are_cut_to_the_series_with_a_card(server, tmp_path, data_home):
    card_id = "nab/realTraffic/speed_7578"
    _publish(server, card_id, data_home)
    published = _publish(server, card_id, data_home, number=1)
    windows = json.loads(published.read_text()) | {"realTweets/Twitter_volume_UPS.csv": []}
    published.write_text(json.dumps(windows, indent=4))  # the published file: more series, wider indent
    fetch(card_id, data_home=tmp_path / "home")
    assert load(card_id, data_home=tmp_path / "home").is_outlier.sum() == 116


def test_a_resaved_file_cannot_be_downloaded(tmp_path):
    with pytest.raises(
        ValueError, match=r"wine\.npz cannot be downloaded: it was re-saved from psorus/Outformer at 99aebce"
    ):
        fetch("macro/ovrbench/wine", data_home=tmp_path)


def test_samples_need_no_download(tmp_path):
    assert fetch("samples/payments", data_home=tmp_path).name == "payments.csv"


def test_without_pooch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "odkit\[download\]"'):
        fetch("severity/winequality-red", data_home=tmp_path)
