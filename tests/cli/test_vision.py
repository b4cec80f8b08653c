"""`tilewright vision`: what it prints, and one sentence where it cannot."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.vision.nets import model
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
