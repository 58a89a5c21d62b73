"""A file is there whole or not at all, also when the writer fails, is killed or races with another."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from odkit.atomic import whole_file


def test_the_name_appears_at_the_end(tmp_path):
    target = tmp_path / "scores.csv"
    with whole_file(target) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert os.listdir(tmp_path) == ["scores.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    target = tmp_path / "scores.csv"
    target.write_bytes(b"old")

    def fail():
        with whole_file(target) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_a_killed_writer_leaves_no_part_under_the_name(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from odkit.atomic import whole_file\n"
        "with whole_file(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    target = tmp_path / "scores.csv"
    target.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", code, target], check=False).returncode == -9
    assert target.read_bytes() == b"old"
    (left,) = set(os.listdir(tmp_path)) - {"scores.csv"}
    assert left.startswith(".")
    assert left.endswith(".tmp")


def test_two_writers_do_not_mix(tmp_path):
    target = tmp_path / "scores.csv"

    def write(letter):
        for _ in range(20):
            with whole_file(target) as file:
                for _ in range(50):
                    file.write(letter * 1000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in (b"a" * 50_000, b"b" * 50_000)
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_permissions_are_those_of_an_ordinary_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with whole_file(tmp_path / "whole"):
        pass
    assert stat.S_IMODE((tmp_path / "whole").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with whole_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "no" / "scores.csv"):
        pass
