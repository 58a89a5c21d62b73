"""Every format gives the same table, what is wrong with a file is said with its name, and writing is all or nothing."""

import gzip
import os

import numpy as np
import pandas as pd
import pytest

from odkit.jobs.formats import check_output
from odkit.jobs.tables import read, write


@pytest.fixture
def frame():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(30, 3)) * [1, 1e-9, 1e9], columns=["volt", "ampere", "watt"])
    return frame.assign(count=np.arange(30), id=[f"{i:03d}" for i in range(30)])


def write_as(frame, path):
    if path.name.endswith(".parquet"):
        frame.to_parquet(path)
    elif path.name.endswith(".npz"):
        np.savez(path, X=frame.to_numpy(), y=np.zeros(len(frame)))
    elif path.name.endswith(".npy"):
        np.save(path, frame.to_numpy())
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.parquet", "A.CSV"])
def test_named_columns_come_back_to_the_bit(frame, tmp_path, name):
    table = read([write_as(frame, tmp_path / name)], text=["id"])
    pd.testing.assert_frame_equal(table.frame, frame, check_exact=True)
    assert table.beside == []


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_arrays_get_numbered_columns(frame, tmp_path, name):
    numbers = frame[["volt", "ampere", "watt"]]
    table = read([write_as(numbers, tmp_path / name)])
    assert table.frame.columns.tolist()[:3] == ["column_0", "column_1", "column_2"]
    np.testing.assert_array_equal(table.frame.to_numpy()[:, :3], numbers.to_numpy())
    assert table.beside == (["y"] if name == "a.npz" else [])


def test_the_only_table_of_an_npz_file_needs_no_name(tmp_path):
    np.savez(tmp_path / "a.npz", rows=np.ones((3, 2)), when=np.arange(3), cube=np.ones((3, 2, 2)))
    table = read([tmp_path / "a.npz"])
    assert table.frame.columns.tolist() == ["column_0", "column_1", "when"]
    assert table.beside == ["when"]


def test_several_files_are_one_table(frame, tmp_path):
    paths = [
        write_as(frame[:10], tmp_path / "a.csv"),
        write_as(frame[10:][frame.columns[::-1]], tmp_path / "b.parquet"),
    ]
    table = read(paths, text=["id"])
    pd.testing.assert_frame_equal(table.frame, frame)
    assert table.sizes == [10, 20]


def test_csv_without_header_quotes_marks_and_blank_lines(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,2\n3,4\n")
    assert read([tmp_path / "a.csv"], header=False).frame.to_dict("list") == {"column_0": [1, 3], "column_1": [2, 4]}
    (tmp_path / "b.csv").write_bytes('\ufeffname,"a, b"\n"two\nlines",1\n\n"naïve",2\n'.encode())
    table = read([tmp_path / "b.csv"])
    assert table.frame.to_dict("list") == {"name": ["two\nlines", "naïve"], "a, b": [1, 2]}
    (tmp_path / "c.csv").write_text("a;b\n1;2\n")
    assert read([tmp_path / "c.csv"], delimiter=";").frame.to_dict("list") == {"a": [1], "b": [2]}


def test_a_column_is_text_or_not_as_a_whole(tmp_path):
    rows = ["1"] * 300_000 + ["x"]
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{row},2\n" for row in rows))
    column = read([tmp_path / "a.csv"]).frame["a"]
    assert {type(value) for value in column} == {str}


def test_stored_index_columns_are_ordinary_columns(frame, tmp_path):
    frame.set_index("id").to_parquet(tmp_path / "a.parquet")
    assert "id" in read([tmp_path / "a.parquet"]).frame.columns


CONTENTS = {
    "empty.csv": (b"", "empty.csv is empty: 0 bytes"),
    "blank.csv": (b"\n\n", "blank.csv is empty: no line"),
    "header.csv": (b"a,b\n", "header.csv has 2 columns and no rows"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", "ragged.csv is no well-formed CSV file: Expected 2 fields in line 3, saw 3"),
    "long.csv": (b"a,b\n1,2,3\n1,2,3\n", "long.csv is no .* its first row has more fields than its header has names"),
    "quote.csv": (b'a,b\n1,"2\n3,4\n', "quote.csv is no well-formed CSV file: EOF inside string"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "twice.csv has more than one column 'a'"),
    "unnamed.csv": (b"a,,b\n1,2,3\n", "unnamed.csv: column 2 has no name"),
    "numbers.csv": (b"1,2.5\n3,4\n", "numbers.csv begins with 1, 2.5, which looks like a row.*--no-header"),
    "semicolon.csv": (b"a;b\n1;2\n", "semicolon.csv has one column, named 'a;b'.*--delimiter ';'"),
    "tabs.csv": (b"a\tb\n1\t2\n", r"tabs.csv has one column.*--delimiter \$'\\t'"),
    "latin.csv": ("a,b\nnaïve,2\n".encode("latin-1"), "latin.csv is not UTF-8 text"),
    "plain.csv.gz": (b"a,b\n1,2\n", "plain.csv.gz is a damaged gzip file"),
    "cut.csv.gz": (gzip.compress(b"a,b\n" + os.urandom(999).hex().encode())[:-20], "cut.csv.gz is a damaged gzip file"),
    "text.parquet": (b"a,b\n1,2\n", r"text.parquet is no readable Parquet file: .*[^.]$"),
    "text.npz": (b"a,b\n1,2\n", "text.npz is no readable file of numpy arrays"),
    "cut.npy": (b"\x93NUMPY\x01\x00", "cut.npy is no readable file of numpy arrays"),
    "table.xlsx": (b"PK", "table.xlsx cannot be read by its suffix; readable are .csv"),
    "table": (b"a,b\n1,2\n", "table cannot be read by its suffix"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name):
    content, message = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read([tmp_path / name])


def test_arrays_that_are_no_table_are_refused(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones((2, 2)), b=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"needs an array X of rows and columns; it has a \(2, 2\), b \(2, 3\)"):
        read([tmp_path / "two.npz"])
    np.save(tmp_path / "vector.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"it has X \(3,\)"):
        read([tmp_path / "vector.npy"])
    np.save(tmp_path / "objects.npy", np.array([[1, "a"]], object))
    with pytest.raises(ValueError, match="no readable file of numpy arrays: Object arrays"):
        read([tmp_path / "objects.npy"])
    np.savez(tmp_path / "nothing.npz")
    with pytest.raises(ValueError, match="it has no array"):
        read([tmp_path / "nothing.npz"])


def test_missing_files_and_folders(tmp_path):
    (tmp_path / "payments.csv.gz").touch()
    with pytest.raises(FileNotFoundError, match=r"no file .*payments.csv; there is 'payments.csv.gz'"):
        read([tmp_path / "payments.csv"])
    with pytest.raises(FileNotFoundError, match="no file"):
        read([tmp_path / "no" / "payments.csv"])
    with pytest.raises(IsADirectoryError, match=r"is a folder; name the files in it, or .*--out FOLDER"):
        read([tmp_path])


def test_files_of_other_columns_are_named(frame, tmp_path):
    paths = [write_as(frame, tmp_path / "a.csv"), write_as(frame.rename(columns={"volt": "v"}), tmp_path / "b.csv")]
    with pytest.raises(ValueError, match=r"b.csv has not the columns of a.csv: 'v', 'volt'"):
        read(paths)


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_what_is_written_reads_back_and_is_a_function_of_the_frame(frame, tmp_path, name):
    scored = frame[["id", "volt"]].assign(is_outlier=frame["volt"] > 0)
    scored.loc[3, "volt"] = np.nan
    write(scored, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    write(scored, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    pd.testing.assert_frame_equal(read([tmp_path / name], text=["id"]).frame, scored, check_exact=True)
    assert os.listdir(tmp_path) == [name]


def test_outputs_that_cannot_be_written_are_refused_first(frame, tmp_path):
    source = write_as(frame, tmp_path / "in.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(source)
    for target, error, message in [
        ("out.xlsx", ValueError, "suffix must be one of"),
        ("in.csv", ValueError, "it is also an input"),
        ("link.csv", ValueError, "it is also an input"),
        ("no/out.csv", FileNotFoundError, "there is no folder"),
        ("in.csv/out.csv", FileNotFoundError, "there is no folder"),
        ("folder.csv", IsADirectoryError, "it is a folder"),
    ]:
        with pytest.raises(error, match=message):
            check_output(tmp_path / target, [source], [".csv", ".parquet"])
    with pytest.raises(ValueError, match=r"the name of a table; use the suffix \.odkit"):
        check_output(tmp_path / "model.csv", [], [])
    check_output(tmp_path / "out.csv", [source], [".csv"])
    check_output(tmp_path / "model", [source], [])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused_first(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="is not writable"):
        check_output(tmp_path / "out.csv", [], [".csv"])


def test_keys_are_read_to_the_letter_and_other_columns_are_not(tmp_path):
    (tmp_path / "a.csv").write_text("id,x,kind\nNA,1,NA\nnull,2,b\n007,nan,c\n,4,d\n")
    frame = read([tmp_path / "a.csv"], keys=["id"]).frame
    assert frame["id"].tolist()[:3] == ["NA", "null", "007"]
    gaps = [(row, column) for row, column in zip(*np.nonzero(frame.isna().to_numpy()), strict=True)]
    assert gaps == [(0, 2), (2, 1), (3, 0)]
    assert frame["x"].dtype == float
    plain = read([tmp_path / "a.csv"], header=False, keys=["column_0"]).frame
    assert plain["column_0"].tolist()[1] == "NA"


def test_a_file_named_twice_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"a\.csv is named twice"):
        read([tmp_path / "a.csv", tmp_path / "." / "a.csv"])


@pytest.mark.parametrize("given", ["\\t", "\t"])
def test_the_tab_as_it_comes_from_a_shell(tmp_path, given):
    (tmp_path / "a.csv").write_text("x\ty\n1\t2\n")
    assert read([tmp_path / "a.csv"], delimiter=given).frame.columns.tolist() == ["x", "y"]
    with pytest.raises(ValueError, match="one character is needed"):
        read([tmp_path / "a.csv"], delimiter=";;")


def test_an_empty_line_of_a_single_column_is_a_row(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n\n3\n")
    assert read([tmp_path / "a.csv"]).frame["x"].isna().tolist() == [False, True, False]
