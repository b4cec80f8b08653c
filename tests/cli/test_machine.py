"""`tilewright machine`: what it prints, and one sentence where it cannot."""

import pytest
from typer.testing import CliRunner

from tests.machines import STATED
from tilewright import calibrate
from tilewright.calibrate import DisturbedError
from tilewright.cli.app import app
from tilewright.machine import machine

JOB = """
import numpy as np
import jax

def product(x, y):
    return x @ y

def loop(x, n):
    return jax.lax.fori_loop(0, n, lambda _, y: y @ y, x)

arguments = (np.zeros((64, 64), np.float32),) * 2
some = (np.zeros((64, 64), np.float32), np.int32(3))
def broken(x, y):
    return x @ y.nothing

number = 3
odd = (np.zeros((64, 63), np.float32), np.zeros((64, 64), np.float32))
"""


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.py"
    path.write_text(JOB)
    return path


def run(*words):
    return CliRunner().invoke(app, ["machine", *map(str, words)])


def test_show():
    everything = run("show").stdout
    assert "cpu:epyc-9755" in everything
    assert "ipu:pod64" in everything
    assert "× a server" in everything
    line = next(line for line in everything.splitlines() if "ipu:gc200 " in line)
    assert f" {1472 * 16 * 1.325 / 460.8:.3g} " in line, "its own memory beside a server's"
    one = run("show", "cpu:epyc-9755").stdout
    assert "memory.L2.size" in one
    assert "1 MiB" in one
    assert "data sheet" in one


def test_measure_prints_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr(calibrate, "calibrate", lambda: STATED)
    mine = tmp_path / "mine.toml"
    mine.write_text(run("measure").stdout)
    assert machine(mine).chip == STATED.chip


def test_a_busy_host_is_a_sentence(monkeypatch):
    def busy():
        raise DisturbedError("This host is too busy to be measured.")

    monkeypatch.setattr(calibrate, "calibrate", busy)
    done = run("measure")
    assert done.exit_code == 2
    assert "too busy" in done.stderr
    assert done.stdout == ""


def test_compare(job):
    text = run("compare", f"{job}:product", "--on", "cpu", "--on", "cpu:epyc-9755").stdout
    assert "AMD EPYC 9755" in text
    assert "rank" in text
    text = run("compare", f"{job}:loop", "--arguments", "some", "--run").stdout
    assert "loop, modelled" in text


def test_turns_may_be_given(job):
    few, many = (
        run("compare", f"{job}:loop", "--arguments", "some", "--on", "ipu:gc200", "--trips", turns)
        for turns in ("while0=1", "while0=1000000")
    )
    assert few.exit_code == many.exit_code == 0
    assert few.stdout != many.stdout


def test_a_file_that_is_none(tmp_path):
    """A sentence, not a traceback, with the line in it."""
    for text, said in (
        ("def f(: pass", "fails: SyntaxError: invalid syntax"),
        ("\nimport no_such_module", "fails at line 2: ModuleNotFoundError"),
    ):
        path = tmp_path / "wrong.py"
        path.write_text(text)
        done = run("compare", f"{path}:f")
        assert done.exit_code == 2
        assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("job.py",), "The job must be FILE.py:FUNCTION"),
        (("none.py:f",), "none.py is not a Python file"),
        (("JOB:other",), "has no 'other'"),
        (("JOB:number",), "must be a function, not 3"),
        (("JOB:product", "--arguments", "number"), "must be a tuple of arguments, not 3"),
        (("JOB:product", "--on", "cpu:epic"), "There is no machine 'cpu:epic'"),
        (("JOB:loop", "--arguments", "some"), "How often while0 turns is not known"),
        (("JOB:loop", "--arguments", "some", "--trips", "while0"), "--trips takes NAME=TURNS"),
        (("JOB:product", "--arguments", "odd"), "job.py fails at line 6: TypeError: dot_general"),
        (("JOB:broken",), "job.py fails at line 14: AttributeError"),
        (("JOB:product", "--on", "cpu", "--on", "cpu"), "twice"),
    ],
)
def test_one_sentence(job, words, said):
    done = run("compare", *(word.replace("JOB", str(job)) for word in words))
    assert done.exit_code == 2
    assert said in done.stderr
