"""Models in files: equal bits, and refusals that name the file."""

import json

import jax
import numpy as np
import pytest

from tests.vision.nets import GROUPS, LITE, RESIDUAL, SMALL, model, pixels
from tilewright.errors import ArgumentError
from tilewright.vision import load, save


@pytest.mark.parametrize(
    "net", [SMALL, LITE, GROUPS, RESIDUAL], ids="b lite groups resnext".split()
)
def test_what_is_saved_is_loaded(net, tmp_path):
    one = model(net)
    save(one, tmp_path / "net.safetensors")
    other = load(tmp_path / "net.safetensors")
    assert (other.net, other.preprocessing, other.labels) == (net, one.preprocessing, one.labels)
    ours, theirs = (jax.tree.leaves((m.weights, m.kept)) for m in (one, other))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    assert other.fingerprint == one.fingerprint


def test_the_answers_are_the_same_bits(tmp_path):
    one = model()
    save(one, tmp_path / "net.safetensors")
    other = load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(one.logits(pixels(2)), other.logits(pixels(2)))


def header_of(path):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["tilewright"])


def changed(path, **header):
    from safetensors.numpy import load_file, save_file

    save_file(load_file(path), path, {"tilewright": json.dumps(header_of(path) | header)})
    return path


def test_files_that_do_not_hold_what_they_say(tmp_path):
    path = tmp_path / "net.safetensors"
    save(model(), path)
    fields = header_of(path)["net"]
    cases = [
        ("of another version: 'vision 9'", dict(format="vision 9")),
        (r"safetensors: classifier.weight is 5x\d+, but", dict(net=fields | {"classes": 7})),
        ("labels must be 5", dict(labels=["a"])),
        ("has a header that cannot be read", dict(net={})),
        ("has a header that cannot be read", dict(net=3)),
    ]
    for words, header in cases:
        save(model(), path)
        with pytest.raises(ArgumentError, match=words):
            load(changed(path, **header))
    save(model(), path)
    with pytest.raises(ArgumentError, match=r"net\.safetensors: .*this net needs"):
        load(path, "b1")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArgumentError, match="is not a safetensors file"):
        load(path)


def test_the_same_model_is_the_same_file(tmp_path):
    for name in "ab":
        save(model(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
