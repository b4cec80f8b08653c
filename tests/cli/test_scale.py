"""The commands of the scale net from outside: one sentence for a mistake, nothing half-written."""

import numpy as np
import pandas as pd
import pytest

from tests.alpha.scale.small import PRICES, WINDOWS
from tests.cli.test_alpha import run

SETTINGS = """
train = 60
test = 21
hidden = 2
chains = 2
sequence = 3
rivals = "few"
[chain]
climb = 5
warmup = 20
rewarm = 2
draws = 6
doublings = 2
"""


def table(path, first: int = 0, last: int = 430):
    frame = pd.DataFrame(PRICES.values[first:last], columns=list(PRICES.names))
    frame.insert(0, "day", list(PRICES.days[first:last]))
    frame.to_parquet(path)
    return path


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "s.toml").write_text(SETTINGS, "utf-8-sig")  # as some editors of Windows do
    return "--settings", tmp_path / "s.toml"


def test_from_a_table_to_tomorrow(tmp_path, settings):
    job = tmp_path / "job"
    first = run("alpha", "walk-forward", table(tmp_path / "t.parquet", 0, 405), "--out", job,
                *settings)  # fmt: skip
    assert first.exit_code in (0, 3), first.output  # so few draws may well disagree
    assert (job / "report.html").exists()
    scored = {p.name: p.read_bytes() for p in (job / "scored").iterdir()}
    assert len(scored) == 4
    more = run("alpha", "append", job, table(tmp_path / "n.parquet", 403, 430))
    assert more.exit_code in (0, 3), more.output
    now = {p.name: p.read_bytes() for p in (job / "scored").iterdir()}
    assert scored.items() < now.items()
    for name in ("a.csv", "a.parquet"):
        assert run("alpha", "predict", job, "--today", "--out", tmp_path / name).exit_code == 0
    one, other = pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")
    np.testing.assert_allclose(one["q05"], other["q05"])
    assert set(one["date"]) == {PRICES.days[-1]}
    shown = run("alpha", "predict", job, "--today")
    assert PRICES.days[-1] in shown.stdout
    assert "S2" in shown.stdout
    page = (job / "report.html").read_bytes()
    assert b"t.parquet" in page
    (job / "report.html").unlink()
    assert run("alpha", "resume", job).exit_code in (0, 3)
    assert (job / "report.html").read_bytes() == page
    (job / "report.html").unlink()
    assert run("alpha", "report", job).exit_code in (0, 3)
    assert (job / "report.html").read_bytes() == page


def test_fit_and_predict(tmp_path, settings):
    done = run("alpha", "fit", table(tmp_path / "t.parquet"), "--out", tmp_path / "m", *settings)
    assert done.exit_code == 0, done.output
    assert "predict" in done.stdout
    shown = run("alpha", "predict", tmp_path / "m", "--today")
    assert shown.exit_code == 0
    assert PRICES.days[-1] in shown.stdout


def test_a_day_without_a_price_of_one(tmp_path, settings):
    """One market was closed, or an instrument is gone: the day counts all the same."""
    job = tmp_path / "m"
    done = run("alpha", "fit", table(tmp_path / "t.parquet", 0, 428), "--out", job, *settings)
    assert done.exit_code == 0, done.output
    day = pd.read_parquet(table(tmp_path / "n.parquet", 428, 429)).assign(S1=None)
    day.to_csv(tmp_path / "n.csv", index=False)
    for name in ("n.csv", "n.parquet"):
        day.to_parquet(tmp_path / "n.parquet")
        more = run("alpha", "append", job, tmp_path / name)
        assert more.exit_code == 0, more.output
    shown = run("alpha", "predict", job).stdout
    assert PRICES.days[428] in shown
    assert "S2" in shown
    assert "S1" not in shown


def test_brackets_are_part_of_a_name(tmp_path, settings):
    """To a terminal's markup, `[red]` is a colour and `[/B]` a mistake."""
    frame = pd.read_parquet(table(tmp_path / "t.parquet"))
    names = {"S0": "BRK[/B]", "S1": "ES[red]"}
    frame.rename(columns=names).to_parquet(tmp_path / "t.parquet")
    folder = tmp_path / "[m]"
    done = run("alpha", "fit", tmp_path / "t.parquet", "--out", folder, *settings)
    assert done.exit_code == 0, done.output
    assert "[m]" in done.stdout
    shown = run("alpha", "predict", folder)
    assert shown.exit_code == 0, shown.output
    for name in names.values():
        assert name in shown.stdout


def test_days_may_be_row_numbers_and_splits_are_pointed_at(tmp_path, settings):
    frame = pd.read_parquet(table(tmp_path / "t.parquet")).drop(columns="day")
    frame.loc[frame.index[350:], "S1"] /= 4
    frame.to_parquet(tmp_path / "rows.parquet")
    done = run("alpha", "fit", tmp_path / "rows.parquet", "--out", tmp_path / "m", *settings)
    assert done.exit_code == 0, done.output
    assert "a split that was not adjusted for" in " ".join(done.stdout.split())
    assert "430 to that of 431" in run("alpha", "predict", tmp_path / "m", "--today").stdout


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_of_forecasts_is_whole_or_as_it_was(name, tmp_path, settings, monkeypatch):
    run("alpha", "fit", table(tmp_path / "t.parquet"), "--out", tmp_path / "m", *settings)
    (tmp_path / name).write_text("of yesterday")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    done = run("alpha", "predict", tmp_path / "m", "--out", tmp_path / name)
    assert done.exit_code == 2
    assert f"{name}: No space left on device." in done.stderr
    assert (tmp_path / name).read_text() == "of yesterday"


def test_dates_of_toml(tmp_path, settings):
    day = PRICES.days[400]
    with (tmp_path / "s.toml").open("w") as file:
        file.write(f"first = {day}\n{SETTINGS}")
    prices = table(tmp_path / "t.parquet")
    done = run("alpha", "walk-forward", prices, "--out", tmp_path / "job", *settings)
    assert done.exit_code in (0, 3), done.output
    assert day in {path.name[:10] for path in (tmp_path / "job" / "scored").iterdir()}


BAD = {
    "no file": (("walk-forward", "nothing.csv", "--out", "o"), "There is no file nothing.csv."),
    "no job": (("resume", "o"), "o is not a folder."),
    "no job to predict": (("predict", "."), "is not the folder of a job of the scale net."),
    "no toml": (("fit", "t.parquet", "--out", "o", "--settings", "x.toml"), "x.toml cannot be"),
    "toml": (("fit", "t.parquet", "--out", "o", "--settings", "bad.toml"), "is not TOML"),
    "chain": (("fit", "t.parquet", "--out", "o", "--settings", "chain.toml"), "chain must be a"),
    "name": (("fit", "t.parquet", "--out", "o", "--settings", "name.toml"), "setting 'units'"),
    "test": (("walk-forward", "t.parquet", "--out", "o", "--test", "0"), "test must be 1 or more"),
    "first": (("walk-forward", "t.parquet", "--out", "o", "--first", "x"), "first must be an ISO"),
    "first, as no day is written": (
        ("walk-forward", "t.parquet", "--out", "o", "--first", "20160101"),
        "first must be an ISO",
    ),
    "features": (("fit", "t.parquet", "--out", "o", "--settings", "f.toml"), "a list of names"),
    "a split": (
        ("fit", "split.parquet", "--out", "o", "--settings", "s.toml", "--strict"),
        "look wrong",
    ),
    "few days": (("walk-forward", "t.parquet", "--out", "o"), "the table has 430"),
    "out": (("predict", "o", "--out", "x.xls"), "--out must end with .csv or .parquet"),
    "constant": (
        ("fit", "still.parquet", "--out", "o", "--settings", "s.toml"),
        "column 'S1' is constant: all of its 430 prices are 10.",
    ),
    "no duckdb file": (("fit", "d.duckdb", "--out", "o", "--sql", "select 1"), "duckdb"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_sentence(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "t.parquet")
    still = pd.read_parquet(tmp_path / "t.parquet").assign(S1=10.0)
    still.to_parquet(tmp_path / "still.parquet")
    split = pd.read_parquet(tmp_path / "t.parquet")
    split.loc[split.index[350:], "S1"] /= 4
    split.to_parquet(tmp_path / "split.parquet")
    (tmp_path / "s.toml").write_text(SETTINGS)
    (tmp_path / "f.toml").write_text("features = 3")
    (tmp_path / "bad.toml").write_text("train = = 3")
    (tmp_path / "chain.toml").write_text("chain = 3")
    (tmp_path / "name.toml").write_text("units = 3")
    arguments, words = BAD[case]
    done = run("alpha", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_what_needs_no_name_still_does():
    assert "There is no file nothing.csv" in run("alpha", "nothing.csv").stderr
    assert "walk-forward" in run("alpha", "--help").stdout


def test_another_job_is_refused_and_left_alone(tmp_path, settings):
    job = tmp_path / "job"
    run("alpha", "walk-forward", table(tmp_path / "t.parquet", 0, 340), "--out", job, *settings)
    kept = {p: p.read_bytes() for p in job.rglob("*.npz")}
    refused = run("alpha", "walk-forward", tmp_path / "t.parquet", "--out", job, *settings,
                  "--seed", "1")  # fmt: skip
    assert refused.exit_code == 2
    assert "belongs to another job (seed 0, not 1)" in refused.stderr
    assert {p: p.read_bytes() for p in job.rglob("*.npz")} == kept
    assert WINDOWS[0].day in {p.name[:10] for p in kept}
