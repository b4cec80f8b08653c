"""The command from outside: exit codes, one sentence, nothing half-written."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.alpha.market import prices
from tilewright.alpha.job import Job
from tilewright.cli import NOTHING_TO_READ
from tilewright.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def table(path, days=620, change=lambda values: values):
    made = prices(days)
    values = change(made.values.copy())
    lines = [",".join(["day", *made.names])]
    for day, row in zip(made.days, values, strict=True):
        lines.append(",".join([day, *("" if np.isnan(v) else f"{v:.6f}" for v in row)]))
    path.write_text("\n".join(lines))
    return path


def with_gap(values):
    values[30:, 1] = np.nan
    return values


BAD = {
    "no table": ((), "Name a table of prices, or say --demo."),
    "missing": (("nothing.csv",), "There is no file nothing.csv."),
    "both": (("nothing.csv", "--demo"), "leave out it or nothing.csv"),
    "machine": (("--demo", "--machine", "abacus"), "Unknown machine 'abacus'"),
    "precision": (("--demo", "--precision", "int4"), "Unknown precision 'int4'"),
    "sampler": (("--demo", "--sampler", "gibbs"), "Unknown sampler 'gibbs'"),
    "windows": (("--demo", "--windows", "0"), "windows must be 1 or more"),
    "minutes": (("--demo", "--minutes", "0"), "minutes must be above 0"),
    "endless": (("--demo", "--minutes", "inf"), "minutes must be above 0"),
    "no number": (("--demo", "--minutes", "nan"), "minutes must be above 0"),
    "seed": (("--demo", "--seed", str(2**64)), "seed must be 18446744073709551615 or less"),
    "chains": (("--demo", "--chains", str(10**30)), "chains must be 1000000 or less"),
    "preset": (("--preset", "walk"), "Unknown preset 'walk'"),
    "rows": (("--rows", "100"), "--rows belongs to --preset talk"),
    "no rows": (("--preset", "talk", "--rows", "0"), "rows must be 1 or more"),
    "preset and table": (("--preset", "talk", "--demo"), "makes its own rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_sentence(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = BAD[case]
    done = run("alpha", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_gaps_name_column_and_row(tmp_path):
    done = run("alpha", table(tmp_path / "t.csv", change=with_gap), "--out", tmp_path / "o")
    assert done.exit_code == 2
    assert "column 'S1', row 31: a price is missing" in done.stderr
    assert not (tmp_path / "o").exists()


def split(values):
    values[300:, 1] /= 4
    return values


def test_suspicions_are_shown_and_strict_refuses(tmp_path):
    path = table(tmp_path / "t.csv", days=560, change=split)
    refused = run("alpha", path, "--out", tmp_path / "o", "--strict")
    assert refused.exit_code == 2
    assert "1 things look wrong: --strict refuses" in refused.stderr
    assert "S1" in refused.stdout
    assert "not adjusted" in refused.stdout
    assert not (tmp_path / "o").exists()


def test_too_few_rows(tmp_path):
    done = run("alpha", table(tmp_path / "t.csv", days=400), "--out", tmp_path / "o")
    assert done.exit_code == 2
    assert "days of prices, and the table has 400" in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_table_becomes_a_report_and_a_second_run_is_refused_or_free(tmp_path):
    arguments = ["alpha", table(tmp_path / "t.csv"), "--out", tmp_path / "o", "--no-compare"]
    arguments += "--windows 2 --controls 1 --warmup 60 --draws 60 --leapfrogs 8 --hidden 3".split()
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    assert "report.html" in first.stdout
    assert (tmp_path / "o" / "report.html").stat().st_size > 1e6
    kept = {p: p.read_bytes() for p in (tmp_path / "o" / "windows").iterdir()}
    assert run(*arguments).exit_code == 0
    assert {p: p.read_bytes() for p in (tmp_path / "o" / "windows").iterdir()} == kept
    refused = run(*arguments, "--seed", "1")
    assert refused.exit_code == 2
    assert "belongs to another job (seed 0, not 1)" in refused.stderr
    assert {p: p.read_bytes() for p in (tmp_path / "o" / "windows").iterdir()} == kept


SMALL = (
    "--windows 2 --controls 0 --warmup 4 --draws 6 --leapfrogs 2 --hidden 3 --no-compare".split()
)


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    arguments = ["alpha", table(tmp_path / "t.csv"), "--out", tmp_path / "o", *SMALL]
    save = Job.save

    def full(self, result):
        if result.index:
            raise OSError(28, "No space left on device", str(self.path("real", 1)))
        save(self, result)

    with monkeypatch.context() as patched:
        patched.setattr("tilewright.alpha.job.Job.save", full)
        done = run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "real-0001.npz cannot be written: No space left on device." in done.stderr
    assert [p.name for p in (tmp_path / "o" / "windows").iterdir()] == ["real-0000.npz"]
    assert run(*arguments).exit_code in (0, NOTHING_TO_READ)  # so few draws may well disagree


def test_every_window_failed(tmp_path):
    arguments = ["alpha", table(tmp_path / "t.csv"), "--out", tmp_path / "o", *SMALL]
    done = run(*arguments, "--draws", "4", "--warmup", "1", "--leapfrogs", "1")
    assert done.exit_code == 3 == NOTHING_TO_READ
    assert "No verdict: every window failed" in done.stdout
    assert "Nothing was controlled" in done.stdout


@pytest.mark.parametrize("module", ["typer", "rich.live", "pandas", "jax", "arviz"])
def test_ctrl_c_while_modules_are_loaded(module, tmp_path):
    arguments = ["alpha", str(table(tmp_path / "t.csv")), "--out", str(tmp_path / "o"), *SMALL]
    code = f"""
import sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
sys.argv = ["tilewright", *{arguments!r}]
from tilewright.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (PermissionError(13, "Permission denied", "x"), "x: Perm"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(error, words, monkeypatch, tmp_path):
    def refused(path):
        raise error

    monkeypatch.setattr("tilewright.alpha.tables.read_prices", refused)
    done = run("alpha", "t.csv", "--out", tmp_path / "o")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr


def test_help_teaches():
    text = run("alpha", "mean", "--help").stdout
    assert "--demo" in text
    assert "report.html" in text
    commands = run("alpha", "--help").stdout
    assert "whose options are in `mean --help`" in " ".join(commands.split())
    assert all(name in commands for name in ("mean", "walk-forward", "predict", "append", "demo"))


def test_commands_start_without_jax():
    code = (
        "import sys, tilewright.cli.app; "
        "print([m for m in ('jax', 'pandas', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
