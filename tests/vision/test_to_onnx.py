"""Nets written as ONNX answer as they do here."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vision.nets import GROUPS, LITE, RESIDUAL, SMALL, model, pixels
from tilewright.errors import ArgumentError
from tilewright.models.convolutional import Norm
from tilewright.models.efficientnet import EfficientNet
from tilewright.vision.saved import export
from tilewright.vision.to_onnx import to_onnx

EVEN = EfficientNet(width=0.25, depth=0.3, size=32, classes=5, pad="even")


def test_what_goes_with_it():
    onnx = pytest.importorskip("onnx")
    made = onnx.load_from_string(to_onnx(model()))
    found = {entry.key: entry.value for entry in made.metadata_props}
    assert '"resize": 36' in found["preprocessing"]
    assert found["labels"] == '["a", "b", "c", "d", "e"]'


def test_what_cannot_be_written(tmp_path):
    grouped = model(replace(LITE, norm=Norm("group")))
    with pytest.raises(ArgumentError, match="Only nets with batch norms"):
        to_onnx(grouped)
    with pytest.raises(ArgumentError, match=r"must end with \.safetensors or \.onnx, not \.pb"):
        export(model(), tmp_path / "x.pb")


@pytest.mark.peers
@pytest.mark.parametrize(
    "net", [SMALL, LITE, GROUPS, RESIDUAL, EVEN], ids="b lite groups resnext even".split()
)
def test_onnxruntime_agrees(net, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    one, images = model(net), pixels(3)
    export(one, tmp_path / "net.onnx")
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    (theirs,) = session.run(None, {"images": images.astype(np.float32)})
    ours = one.logits(images)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * float(np.abs(theirs).max()))
