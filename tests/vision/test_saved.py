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


def changed(path, **header):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        save_file(arrays, path, {**file.metadata(), **header})
    return path


def test_files_that_do_not_hold_what_they_say(tmp_path):
    path = tmp_path / "net.safetensors"
    save(model(), path)
    fields = json.loads(_header(path)["net"])
    with pytest.raises(ArgumentError, match="of another version: 'tilewright vision 9'"):
        load(changed(path, format="tilewright vision 9"))
    save(model(), path)
    with pytest.raises(ArgumentError, match=r"net.safetensors: classifier.weight is 5x\d+, but"):
        load(changed(path, net=json.dumps(fields | {"classes": 7}), labels="[]"))
    save(model(), path)
    with pytest.raises(ArgumentError, match="has a header that cannot be read"):
        load(changed(path, net="{}"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArgumentError, match="is not a safetensors file"):
        load(path)


def _header(path):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        return file.metadata()
