"""`tilewright vision`: what it prints, and one sentence where it cannot."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.vision.nets import model
from tilewright.bench.one_net import Times
from tilewright.cli.app import app
from tilewright.vision import save


def run(*words):
    return CliRunner().invoke(app, ["vision", *map(str, words)])


@pytest.fixture
def folder(tmp_path):
    """Two images, a file that is none, and a net's weights."""
    (tmp_path / "images").mkdir()
    for seed in range(2):
        values = np.random.default_rng(seed).integers(0, 256, (40, 50, 3)).astype(np.uint8)
        Image.fromarray(values).save(tmp_path / "images" / f"{seed}.png")
    (tmp_path / "images" / "bad.jpg").write_text("no image")
    save(model(), tmp_path / "net.safetensors")
    return tmp_path


def test_predict(folder):
    arguments = [folder / "images", "--weights", folder / "net.safetensors", "--top", "2"]
    refused = run("predict", *arguments)
    assert refused.exit_code == 2
    assert "bad.jpg is not an image" in refused.stderr
    done = run("predict", *arguments, "--skip", "--out", folder / "out.csv")
    assert done.exit_code == 0, done.output
    assert "bad.jpg is not an image" in done.stdout
    lines = (folder / "out.csv").read_text().splitlines()
    assert lines[0] == "image,rank,class,probability"
    assert len(lines) == 5
    first, second = (line.split(",") for line in lines[1:3])
    assert first[2] in "abcde"
    assert 1 >= float(first[3]) >= float(second[3])


def test_mistakes_are_one_sentence(folder):
    (folder / "empty").mkdir()
    net = ("--weights", folder / "net.safetensors")
    cases = [
        (["none.jpg", *net], "There is no file none.jpg"),
        ([folder / "empty", *net], "holds no images"),
        ([folder / "images", "--weights", "none.pth"], "There is no file none.pth"),
        ([folder / "images" / "bad.jpg", "--skip", *net], "None of the files is an image"),
    ]
    for words, sentence in cases:
        done = run("predict", *words)
        assert done.exit_code == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_train_and_its_page(tmp_path):
    for number in range(40):
        image = np.random.default_rng(number).integers(0, 60, (32, 32, 3)) + 150 * (number % 2)
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "set" / "ab"[number % 2] / f"{number:02}.png"
        Image.fromarray(image.astype(np.uint8)).save(path)
    (tmp_path / "set" / "a" / "broken.png").write_text("no image")
    save(model(), tmp_path / "net.safetensors")
    words = ["train", tmp_path / "set", "--weights", tmp_path / "net.safetensors"]
    words += ["--stage", "features", "--out", tmp_path / "job"]
    refused = run(*words)
    assert refused.exit_code == 2
    assert "broken.png is not an image" in refused.stderr
    (tmp_path / "job" / "job.json").unlink()
    done = run(*words, "--skip")
    assert done.exit_code == 0, done.output
    assert "report.html" in done.stdout
    assert "1 images could not be read" in (tmp_path / "job" / "report.html").read_text()
    answer = run(
        "predict",
        tmp_path / "set" / "a" / "00.png",
        "--weights",
        tmp_path / "job/model.safetensors",
    )
    assert "a" in answer.stdout


def test_export(folder):
    from tilewright.vision import load

    done = run("export", folder / "net.safetensors", folder / "again.safetensors")
    assert done.exit_code == 0
    assert load(folder / "again.safetensors").fingerprint == model().fingerprint
    assert run("export", folder / "net.safetensors", folder / "x.pb").exit_code == 2


def test_train_mistakes(tmp_path):
    cases = [
        (["train", "nowhere"], "There is no file or folder nowhere"),
        (["train", tmp_path], "holds no folders"),
        (["--demo", "--minutes", "0"], "minutes must be above 0"),
        (["--demo", "--stage", "all", "--out", tmp_path / "o"], "stage must be one of features"),
    ]
    for words, sentence in cases:
        done = run(*words)
        assert done.exit_code == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_help_teaches():
    assert "--demo" in run().stdout
    assert "report.html" in run("train", "--help").stdout


@pytest.mark.slow
def test_bench_says_times_and_shares(tmp_path):
    words = ["bench", "lite0", "--size", "32", "--batch", "1", "--rounds", "1"]
    done = run(*words, "--out", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert row["batch"] == 1
    assert row["times"]["tilewright"] > 0
    assert 0 < row["gflops"] < row["peak"]
    assert "tilewright" in done.stdout


def test_a_contender_that_sits_a_batch_out_leaves_its_cell_empty():
    row = Times(3, {"tilewright": 1.0, "PyTorch": 2.0}, "PyTorch", 2.0, 50.0, 100.0)
    cells = row.cells(("tilewright", "JAX", "PyTorch"))
    assert cells == ("3", "1.00", "", "2.00", "2.00x PyTorch", "50%")


def test_bench_refuses_in_one_sentence():
    cases = [(["resnet18"], "net must be one of")]
    for words, sentence in cases:
        done = run("bench", *words)
        assert done.exit_code == 2
        assert sentence in done.stderr
