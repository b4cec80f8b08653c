"""What a small job leaves: a page that stands alone, JSON without NaN, tables."""

import json
import re

import pandas as pd
import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS, cut
from tilewright.alpha.scale.report.files import report_of, write_report
from tilewright.alpha.scale.scored import Scored
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.scale_features import NAMES


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "job"
    found = walk(PRICES, SMALL, folder)
    return folder, found, write_report(found)


def test_the_page_stands_alone_and_is_small(job):
    folder, _, said = job
    text = (folder / "report.html").read_text()
    assert said.headline in text
    assert not re.search(r'(src|href)="?http', text)
    assert len(text) < 300_000
    for word in ("How to read it", "CRPS", "Keep in mind", "Does nine of ten hold?",
                 "What it listens to"):  # fmt: skip
        assert word in text
    assert text.count("<svg") == text.count("</svg>") >= 6
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).casefold().split()


def test_json_says_the_same(job):
    folder, _, said = job
    content = json.loads((folder / "report.json").read_text())
    assert content["headline"] == said.headline
    assert content["windows"]["days"] == [w.day for w in WINDOWS[:-1]]
    models = content["series"]["real"]["models"]
    assert {"net", "EWMA", "HAR", "linear", "ridge", "OLS"} <= set(models)
    assert "boosting" not in models
    assert {len(content["effects"]), len(NAMES)} == {28}
    assert len(pd.read_csv(folder / "scores.csv")) == 3 * len(models)


def test_forecasts_are_log_returns_in_one_table(job):
    folder, *_ = job
    whole = pd.read_parquet(folder / "forecasts")
    assert len(whole) == 5 * 21 * 3
    row = whole.iloc[0]
    place = PRICES.days.index(row["date"])
    stock = PRICES.names.index(row["instrument"])
    came = PRICES.values[place + 1, stock] / PRICES.values[place, stock]
    assert 2.718281828459045 ** row["outcome"] == pytest.approx(came, rel=1e-5)
    assert row["q01"] < row["q05"] < row["q50"] < row["q95"] < row["q99"]
    assert row["expected_shortfall_05"] < row["q05"]


def test_nothing_is_written_without_a_whole_window(tmp_path):
    found = walk(cut(320), SMALL, tmp_path / "job")
    assert write_report(found) is None
    assert not (tmp_path / "job" / "report.html").exists()


def test_a_finished_job_is_not_read_again(tmp_path, monkeypatch):
    """Until a file is missing, a window is new, or the version is another."""
    folder = tmp_path / "job"
    found = walk(cut(400), SMALL, folder)
    said, page = report_of(found), folder / "report.html"
    page.write_text("as it was")
    with monkeypatch.context() as patch:
        patch.setattr(Scored, "load", None)
        assert report_of(walk(cut(400), SMALL, folder)) == said
    assert page.read_text() == "as it was"
    for lost in (page, folder / "scores.csv", next((folder / "forecasts").iterdir())):
        lost.unlink()
        assert report_of(found) == said
        assert lost.exists()
    assert "How to read it" in page.read_text()
    page.write_text("of fewer windows")
    longer = walk(PRICES, SMALL, folder)
    assert report_of(longer) is not None
    assert "How to read it" in page.read_text()
    page.write_text("of another version")
    monkeypatch.setattr("tilewright.__version__", "0.0.0")
    report_of(longer)
    assert "0.0.0" in page.read_text()


def test_a_report_of_before_is_written_again(tmp_path):
    folder = tmp_path / "job"
    found = walk(cut(400), SMALL, folder)
    said = write_report(found)
    assert said is not None
    for damaged in ("{}", "[", "[]"):
        (folder / "report.json").write_text(damaged)
        assert report_of(found) == said
        assert json.loads((folder / "report.json").read_text())["headline"] == said.headline
