"""Files, folders and patterns as one list, in one order."""

import pytest

from odkit.jobs.inputs import expand, relative


@pytest.fixture
def folder(tmp_path):
    for name in ("b.csv", "a/2.parquet", "a/10.parquet", "_meta.csv", ".hidden.csv", "_x/y.csv", "c.CSV.GZ"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def names(files, folder):
    return [file.relative_to(folder).as_posix() for file in files]


def test_a_folder_gives_all_its_files_by_path(folder):
    assert names(expand([folder]), folder) == ["a/10.parquet", "a/2.parquet", "b.csv", "c.CSV.GZ"]


def test_the_order_of_arguments_is_kept(folder):
    given = [folder / "b.csv", f"{folder}/a/*.parquet"]
    assert names(expand(given), folder) == ["b.csv", "a/10.parquet", "a/2.parquet"]
    assert relative(expand(given)) == ["b.csv", "a/10.parquet", "a/2.parquet"]
    assert relative(expand([folder / "b.csv"])) == ["b.csv"]
    assert names(expand([f"{folder}/**/*.parquet"]), folder) == ["a/10.parquet", "a/2.parquet"]


def test_a_name_with_magic_letters_is_a_file_where_there_is_one(folder):
    (folder / "x[1].csv").write_text("x")
    assert names(expand([folder / "x[1].csv"]), folder) == ["x[1].csv"]


def test_what_would_lose_or_double_rows_is_an_error(folder):
    with pytest.raises(ValueError, match="named twice"):
        expand([folder, folder / "a" / "2.parquet"])
    (folder / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"holds 'notes\.txt', which cannot be read in pieces"):
        expand([folder])
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no file to read"):
        expand([folder / "empty"])
    with pytest.raises(FileNotFoundError, match="no file fits the pattern"):
        expand([f"{folder}/*.npz"])
