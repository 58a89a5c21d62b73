"""The page about a scored table: what it says is true, it loads nothing, escapes everything, and works in a browser."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from odkit import ECOD, KNN
from odkit.jobs import single, tables
from odkit.jobs.fitted import load
from odkit.jobs.selection import Source
from odkit.report import gather, report_html, write_report
from tests.browser import draw, needs_browser

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with every kind of column, a model of it, and its scores."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(3)
    n = 600
    frame = pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in range(n)],
            "when": pd.date_range("2025-01-01", periods=n, freq="h").astype(str),
            "site": rng.choice(["north", "south", EVIL], n, p=[0.6, 0.3, 0.1]),
            EVIL: rng.normal(50, 5, n),
            "count": rng.integers(0, 12, n),
            "kind": rng.choice(["a", "b", "c"], n),
            "flat": 1.0,
        }
    )
    truth = np.zeros(n, int)
    truth[[17, 200, 431, 555]] = 1
    frame.loc[[17, 200, 431], EVIL] = [500.0, -300.0, 420.0]
    frame["fraud"] = truth
    frame.to_csv(folder / "rows.csv", index=False)
    source = Source([folder / "rows.csv"], ids=["id", "when", "site"], ignore=["fraud"])
    model = single.fit(source, ECOD(contamination=0.02), on_text="codes")
    model.save(folder / "model.odkit")
    scored = single.score(source, load(folder / "model.odkit"), explain=3)
    tables.write(scored.frame, folder / "scored.csv")
    return folder


@pytest.fixture(scope="module")
def material(folder):
    return gather(
        folder / "scored.csv", model=folder / "model.odkit", data=[folder / "rows.csv"], labels="fraud", group="site"
    )


@pytest.fixture(scope="module")
def page(material):
    return report_html(material, command="odkit report scored.csv -o page.html")


def payload(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="payload">(.*?)</script>', page, re.S)[1])


def test_the_page_is_one_small_file_that_loads_nothing(page, material, tmp_path):
    assert not re.findall(r"(?:src|href)\s*=|https?://|@import|url\(", page)
    assert page.count("<script") == 2  # the counts for the slider, and the script: none came from the data
    assert "&lt;script&gt;alert(1)" in page
    assert write_report(material, tmp_path / "page.html") < 200_000
    assert write_report(material, tmp_path / "static.html", static=True, top=100) < 200_000
    static = (tmp_path / "static.html").read_text()
    assert "<script" not in static
    assert 'id="threshold"' not in static


def test_the_page_has_every_part(page):
    order = ["Anomaly report", "Data", "Model", "Warnings", "Scores", "most anomalous rows", "Features", "Over time",
             "By site", "Against the labels", "odkit report scored.csv -o page.html"]  # fmt: skip
    places = [page.index(part, page.index("<body>")) for part in order]
    assert places == sorted(places)
    assert page.count("<svg") == 1 + 3 + 2 + 1  # scores, features but the flat one, time, precision over recall
    assert "fitted on</dt><dd>600 rows of rows.csv" in page
    assert "contamination=0.02" in page
    assert "Every value is 1." in page


def test_the_most_anomalous_rows_and_why(page, material):
    rows = payload(page)["rows"]
    order = np.argsort(-material.score, kind="stable")[:20]
    assert [row["name"].split(",")[0] for row in rows] == [f"id {i:04d}" for i in order]
    first = rows[0]["reasons"][0]
    assert (first["feature"], first["value"], first["direction"]) == (EVIL, "500", "high")
    assert rows[0]["marks"][0] == 500.0
    assert "usually" in page


def test_the_slider_counts_what_lies_above(page, material):
    slider = payload(page)["slider"]
    places = slider["low"] + slider["span"] * np.arange(240) / 239
    assert slider["flagged"] == [int((material.score > at).sum()) for at in places]
    assert slider["hits"] == [int((material.score[material.is_outlier] > at).sum()) for at in places]
    assert (slider["rows"], slider["outliers"]) == (600, 4)
    assert slider["start"] == pytest.approx(-material.model.detector.offset_)


def test_the_labels_are_counted(material, page):
    found = int((material.flagged & material.is_outlier).sum())
    flagged = int(material.flagged.sum())
    assert f'<th>precision</th><td class="n">{found / flagged:.3f}' in page
    assert f'<th>recall</th><td class="n">{found / 4:.3f}' in page


@needs_browser
def test_a_browser_sorts_the_table_marks_the_row_and_moves_the_threshold(page, tmp_path):
    script = """
      document.querySelector('#rows thead').rows[0].cells[4].click();
      document.querySelector('#rows tbody').rows[0].click();
      const slider = document.getElementById('threshold');
      slider.value = 0; slider.dispatchEvent(new Event('input'));
    """
    drawn = draw(page, tmp_path, script=script, size="420,3000")
    assert drawn.console == []
    body = drawn.dom.split('id="rows"')[1].split("</table>")[0]
    scores = [float(value) for value in re.findall(r'data-v="([0-9.]+)"', body)]
    assert scores == sorted(scores)
    assert re.search(r'<tr data-row="19"[^>]*class="chosen"', body)
    assert "score" in drawn.dom.split('id="detail"')[1][:200]
    assert "of 600 rows" in drawn.dom.split('id="told"')[1][:80]
    assert drawn.picture > 50_000


def test_large_tables_make_no_large_page_and_every_spike_is_drawn(tmp_path):
    rng = np.random.default_rng(0)
    n = 200_000
    score = rng.normal(10, 1, n)
    score[123_456] = 30.0
    frame = pd.DataFrame(
        {"at": np.arange(n), "anomaly_score": score, "is_outlier": (score > 12.7) & (np.arange(n) != 123_456)}
    )
    frame.to_parquet(tmp_path / "scored.parquet")
    page = report_html(gather(tmp_path / "scored.parquet", time="at"), static=True)
    assert len(page) < 120_000
    timeline = page.split("Anomaly score over time")[1].split("</svg>")[0]
    assert frame["is_outlier"].sum() > 400 == timeline.count("<circle")
    x = 44 + int(940 * 123_456 / (n - 1)) + 0.5
    assert f"{x:.1f} 15.6" in timeline  # the unflagged spike reaches the top of the figure
    assert f"{frame['is_outlier'].sum() - 400:,} flagged rows have no point of their own" in page


def test_the_scored_file_alone_is_enough(folder):
    material = gather(folder / "scored.csv")
    page = report_html(material)
    assert material.time.name == "when"
    assert material.group.name == "site"
    assert "Features" not in page.split("<body>")[1]
    assert payload(page)["rows"][0]["reasons"][0]["feature"] == EVIL  # from top_1
    assert "Against the labels" not in page


def test_rows_are_found_by_their_keys_in_any_order(folder, tmp_path, material):
    rows = pd.read_csv(folder / "rows.csv", dtype=str)
    rows.sample(frac=1, random_state=0).to_csv(tmp_path / "shuffled.csv", index=False)
    again = gather(folder / "scored.csv", model=folder / "model.odkit", data=[tmp_path / "shuffled.csv"])
    np.testing.assert_array_equal(again.X.to_numpy(), material.X.to_numpy())
    rows.iloc[:-3].to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(ValueError, match=r"3 of 600 rows of scored.csv are not in it, the first is .*0597"):
        gather(folder / "scored.csv", data=[tmp_path / "short.csv"])
    rows.assign(id="1", when="x", site="y").to_csv(tmp_path / "same.csv", index=False)
    with pytest.raises(ValueError, match="599 are repeated"):
        gather(folder / "scored.csv", data=[tmp_path / "same.csv"])


def test_rows_without_keys_are_found_by_file_and_number(tmp_path):
    rng = np.random.default_rng(1)
    paths = [tmp_path / "rows" / f"{name}.csv" for name in "ab"]
    paths[0].parent.mkdir()
    for path in paths:
        pd.DataFrame(rng.normal(size=(50, 2)), columns=["u", "v"]).to_csv(path, index=False)
    scored = single.score(Source(paths), KNN())
    tables.write(scored.frame.sample(frac=1, random_state=0), tmp_path / "scored.csv")
    material = gather(tmp_path / "scored.csv", data=[tmp_path / "rows"])
    first = material.scored.iloc[0]
    expected = pd.read_csv(tmp_path / "rows" / first["file"]).iloc[int(first["row"])]
    np.testing.assert_allclose(material.X.iloc[0], expected)


def test_doubts_about_the_data_are_named(folder, tmp_path):
    rows = pd.read_csv(folder / "rows.csv", dtype={"id": str})
    rows["count"] = np.where(rows["count"] > 5, np.nan, rows["count"])
    rows[EVIL] += 40
    rows["kind"] = "new"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    source = Source([tmp_path / "rows.csv"], ids=["id"], ignore=["fraud", "when", "site"], nan="null")
    scored = single.score(source, load(folder / "model.odkit"))
    (tmp_path / "out").mkdir()
    scored.frame.to_parquet(tmp_path / "out" / "part-00000-0.parquet")
    page = report_html(gather(tmp_path / "out", model=folder / "model.odkit", data=[tmp_path / "rows.csv"]))
    for words in ("has no _SUCCESS", "have no score", "values are missing", "lie outside of", "not seen at the fit",
                  "differ from those of the fit"):  # fmt: skip
        assert words in page, words
    scored.frame.assign(anomaly_score=scored.frame["anomaly_score"] + 1).to_parquet(tmp_path / "other.parquet")
    page = report_html(gather(tmp_path / "other.parquet", model=folder / "model.odkit", data=[tmp_path / "rows.csv"]))
    assert "other scores than the file has" in page


def test_flat_scores_and_texts_of_truth(tmp_path):
    frame = pd.DataFrame({"row": range(8), "anomaly_score": 2.0, "is_outlier": False, "truth_is_outlier": ["True"] * 8})
    frame.to_csv(tmp_path / "flat.csv", index=False)
    page = report_html(gather(tmp_path / "flat.csv"))
    assert "All scores are equal" in page
    assert '<th>missed</th><td class="n">8</td>' in page


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda f: f.drop(columns="anomaly_score"), {}, "no column 'anomaly_score', so it is no scored file"),
        (lambda f: f, {"labels": "site"}, "--labels: 'site' holds '.*'; 0 and 1"),
        (lambda f: f.assign(grade=range(len(f))), {"labels": "grade"}, "--labels: 'grade' holds 2; 0 and 1"),
        (lambda f: f, {"labels": "fruad"}, "--labels: no column 'fruad'"),
        (lambda f: f, {"time": "site"}, "--time: 'site' holds neither dates nor numbers"),
        (lambda f: f, {"group": "sites"}, "--group: no column 'sites'; did you mean 'site'"),
        (lambda f: f.assign(anomaly_score=np.nan), {}, "no row has a score"),
    ],
)
def test_what_cannot_be_reported_is_said(folder, tmp_path, change, options, words):
    change(pd.read_csv(folder / "scored.csv")).to_csv(tmp_path / "scored.csv", index=False)
    with pytest.raises(ValueError, match=words):
        report_html(gather(tmp_path / "scored.csv", **options))


def test_the_command(folder, tmp_path, monkeypatch, capsys):
    from odkit.cli import app

    out = tmp_path / "page.html"
    monkeypatch.setattr("sys.argv", ["odkit", "report", "scored file.csv"])
    app(["report", str(folder / "scored.csv"), "-o", str(out), "--top", "3"], standalone_mode=False)
    assert "600 rows" in capsys.readouterr().out
    assert "odkit report &#39;scored file.csv&#39;" in out.read_text()
    with pytest.raises(ValueError, match=r"suffix must be one of .html"):
        app(["report", str(folder / "scored.csv"), "-o", str(tmp_path / "page.csv")], standalone_mode=False)
