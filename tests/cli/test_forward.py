"""The commands that train nets of sequences, from outside: one sentence for a mistake."""

import pandas as pd
import pytest

from tests.cli.test_alpha import run
from tests.sequence.forward.small import PRICES, WINDOWS

SETTINGS = """
train = 70
test = 21
hidden = 4
seeds = 1
epochs = 2
patience = 2
batch_size = 8
steps_back = 16
warm_up = 8
validation = 0.3
"""


@pytest.fixture
def files(tmp_path):
    """A table of prices, and options that make a job small."""
    frame = pd.DataFrame(PRICES.values, columns=list(PRICES.names))
    frame.insert(0, "day", list(PRICES.days))
    frame.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "s.toml").write_text(SETTINGS)
    return tmp_path / "t.parquet", "--settings", tmp_path / "s.toml"


def test_a_job_and_going_on_with_it(files, tmp_path):
    first = ("--first", WINDOWS[-2].day, "--out", tmp_path / "job")
    done = run("lstm", "walk-forward", *files, *first)
    assert done.exit_code == 0, done.output
    assert f"2 of 2, 0:00 left: {WINDOWS[-2].day} real: log score" in done.output
    assert "No verdict: 21 test days are too few" in done.output
    for name in ("report.html", "report.json", "scores.csv", "forecasts"):
        assert (tmp_path / "job" / name).exists()
    again = run("lstm", "walk-forward", "--out", tmp_path / "job")
    assert again.exit_code == 0
    assert "of 2" not in again.output
    other = run("lstm", "walk-forward", *files, *first, "--hidden", "5")
    assert other.exit_code == 2
    assert "belongs to another job (hidden 4, not 5)" in " ".join(other.output.split())


def test_nets_of_today(files, tmp_path):
    done = run("lstm", "fit", *files, "--out", tmp_path / "nets")
    assert done.exit_code == 0, done.output
    assert PRICES.days[-1] in done.output
    assert "S2" in done.output
    assert len(list((tmp_path / "nets" / "fits").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit",), "Which prices? Give a table, or --demo"),
        (("fit", "no.csv"), "There is no file no.csv"),
        (("walk-forward", "--out", "nowhere"), "nowhere is not the folder of a job"),
        (("walk-forward", "x.csv", "--demo"), "--demo brings its own prices"),
        (("walk-forward", "--demo", "--target", "mean"), "--target must be one of"),
        (("prune",), "Which prices? Give a table, or --demo"),
        (("prune", "--demo", "--density", "2"), "density must be above 0 to 1, not 2"),
    ],
)
def test_mistakes(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run("lstm", *arguments)
    assert found.exit_code == 2
    assert words in " ".join(found.output.split())
    assert not list(tmp_path.iterdir())
