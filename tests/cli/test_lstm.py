"""`tilewright lstm` and `tilewright export`: what they write, and what they refuse, in words."""

import json
import sys
from subprocess import PIPE, Popen

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.sequence.streams import INPUTS, model, ticks
from tests.talk.test_lstm_page import recorded
from tilewright.cli.app import app
from tilewright.sequence import save
from tilewright.talk import running


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.safetensors"
    save(model("packed"), path)
    return path


def run(*words, **more):
    return CliRunner().invoke(app, list(map(str, words)), **more)


def test_run(net, tmp_path):
    xs = ticks(5, 4)
    np.save(tmp_path / "xs.npy", xs)
    for precision in ("float32", "int8"):
        found = run("lstm", "run", net, tmp_path / "xs.npy", "--out", tmp_path / "y.npy",
                    "--precision", precision)  # fmt: skip
        assert found.exit_code == 0, found.output
        assert "error against float64: at most" in found.output
        wanted = model("packed").window(5, 4, precision=precision)(xs)
        assert np.load(tmp_path / "y.npy").tobytes() == wanted.tobytes()


def test_stream(net):
    xs = ticks(3)
    lines = [",".join(map(repr, x.tolist())) for x in xs]
    found = run("lstm", "stream", net, input="\n".join([lines[0], "1,nan,2", "1,2", *lines[1:]]))
    assert found.exit_code == 0, found.output
    stream = model("packed").stream()
    wanted = [float(np.ravel(stream(x[None]))[0]) for x in xs]
    assert [float(line) for line in found.stdout.split()] == pytest.approx(wanted, rel=1e-6)
    assert len(found.stderr.strip().splitlines()) >= 2


def test_a_field_without_a_number_is_missing(net):
    """It does not move the next field into its place."""
    lines = "1,2,3\n4,,5,6\n4,,6\n4, ,6\n4 5  6\n"
    found = run("lstm", "stream", net, "--nan", "hold", input=lines)
    stream = model("packed").stream()
    xs = np.array([[1, 2, 3], [4, 2, 6], [4, 2, 6], [4, 5, 6]], np.float32)
    wanted = [float(np.ravel(stream(x[None]))[0]) for x in xs]
    assert [float(line) for line in found.stdout.split()] == pytest.approx(wanted, rel=1e-6)
    assert "4,,5,6: x has 4 features" in found.stderr
    found = run("lstm", "stream", net, input=lines)
    assert len(found.stdout.split()) == 2
    assert "4,,6: x is nan in stream 0, feature 1" in found.stderr


def test_a_reader_that_goes_away(net):
    """As `head` does: no error, and nothing more is answered."""
    script = "from tilewright.cli import main; main()"
    command = [sys.executable, "-c", script, "lstm", "stream", str(net)]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("1,2,3\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write("1,2,3\n" * 10)
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_bench(net, tmp_path, told):
    out = tmp_path / "out"
    np.save(tmp_path / "t.npy", np.arange(50) * 1e-4)
    found = run("lstm", "bench", net, "--ticks", 100, "--every", 0.1, "--times",
                tmp_path / "t.npy", "--out", out)  # fmt: skip
    assert found.exit_code == 0, found.output
    assert told
    assert "Plans see" in found.stderr
    content = json.loads((out / "latency.json").read_text())
    names = {histogram["name"] for histogram in content["histograms"]}
    for way in ("saturated", "every 0.1 ms", "at random", "caches emptied", "replayed", "floor"):
        assert f"Python, {way}" in names
    assert (out / "latency.html").stat().st_size > 1000
    assert found.output.count("between ticks: up to") == len(names & {"Python, saturated",
                                                                      "C, saturated"})  # fmt: skip


def test_a_window_that_slides(net):
    found = run("lstm", "bench", net, "--slide", 5, "--ticks", 100, "--every", 0.1)
    assert found.exit_code == 0, found.output
    assert "between ticks: up to" in found.output
    xs, slide = ticks(7), model("packed").slide(5)
    lines = "\n".join(",".join(map(repr, x.tolist())) for x in xs)
    found = run("lstm", "stream", net, "--slide", 5, input=lines)
    wanted = [float(np.ravel(slide(x[None]))[0]) for x in xs]
    assert [float(line) for line in found.stdout.split()] == pytest.approx(wanted, rel=1e-6)


def test_exports(net, tmp_path):
    found = run("lstm", "export", net, "--c", tmp_path / "c", "--name", "tick", "--nan", "hold")
    assert found.exit_code == 0, found.output
    assert "tick_answer" in (header := (tmp_path / "c" / "tick.h").read_text())
    assert "as it was in the tick before" in header
    model("packed").window(1, 4).save(tmp_path / "my model.tw")
    found = run("export", tmp_path / "my model.tw", "--c", tmp_path / "whole")
    assert found.exit_code == 0, found.output
    assert "my_model_window" in (tmp_path / "whole" / "my_model.h").read_text()


def test_the_demo_measures_batches_and_goes_on(tmp_path, monkeypatch, told):
    asked = []

    def measured(step, limit):
        asked.append(step.name)
        return recorded(int(step.name.split()[-1])).outcomes[step.name]

    monkeypatch.setattr(running, "_child", measured)
    found = run("lstm", "--demo", "--out", tmp_path / "demo")
    assert found.exit_code == 0, found.output
    batches = [1, 2, 4, 16, 64, 256, 1024]
    assert sorted(asked) == sorted(f"lstm: batch {batch}" for batch in batches)
    assert "1.50 × PyTorch" in found.output
    page = (tmp_path / "demo" / "lstm.html").read_text()
    assert all(f"<td class=left>batch {batch}</td>" in page for batch in batches)
    run("lstm", "--demo", "--out", tmp_path / "demo")
    assert len(asked) == len(batches)
    assert len(told) == 1
    (tmp_path / "file").write_text("")
    found = run("lstm", "--demo", "--out", tmp_path / "file")
    assert found.exit_code == 2
    assert "is no folder to write to" in " ".join(found.stderr.split())


def test_what_is_wrong_is_said_in_a_sentence(net, tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((3, INPUTS), np.float32))
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "bad.tw").write_bytes(b"no program")
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "complex.npy", np.zeros((2, 3, INPUTS), complex))
    np.savez(tmp_path / "several.npz", a=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "several.npz").read_bytes()[:60])
    out = ("--out", tmp_path / "y.npy")
    for words, said in [
        (("lstm", "run", net, tmp_path / "flat.npy", *out), "data must have the shape"),
        (("lstm", "run", net, tmp_path / "bad.npy", *out), "is no array of numbers"),
        (("lstm", "run", net, tmp_path / "words.npy", *out), "is no array of numbers"),
        (("lstm", "run", net, tmp_path / "complex.npy", *out), "is no array of numbers"),
        (("lstm", "run", net, tmp_path / "several.npz", *out), "is no array of numbers"),
        (("lstm", "run", net, tmp_path / "cut.npz", *out), "is no array of numbers"),
        (("lstm", "bench", net, "--out", tmp_path / "bad.tw"), "File exists"),
        (("lstm", "export", net, "--c", tmp_path, "--window", 3, "--nan", "hold"), "about ticks"),
        (("lstm", "run", net, tmp_path / "no.npy", *out), "There is no file"),
        (("lstm", "run", tmp_path / "no.onnx", tmp_path / "flat.npy", *out), "There is no file"),
        (("lstm", "export", net, "--c", tmp_path, "--name", "9"), "name must be letters"),
        (("lstm", "export", net, "--c", tmp_path, "--precision", "int3"), "precision must be"),
        (("lstm", "export", net, "--c", tmp_path, "--nan", "drop"), "nan must be one of"),
        (("lstm", "export", net, "--c", tmp_path, "--slide", 2, "--window", 3), "not of both"),
        (("export", tmp_path / "bad.tw", "--c", tmp_path), "is no program of tilewright"),
    ]:
        found = run(*words)
        assert found.exit_code == 2, found.output
        assert said in " ".join(found.stderr.split())
        assert "Traceback" not in found.output
    assert not (tmp_path / "y.npy").exists()


def test_help_teaches():
    for words, wanted in [
        (("lstm",), "--demo"),
        (("lstm", "run", "--help"), "error"),
        (("lstm", "bench", "--help"), "floor"),
        (("lstm", "export", "--help"), "C++"),
        (("export", "--help"), "library"),
    ]:
        assert wanted in run(*words).output
