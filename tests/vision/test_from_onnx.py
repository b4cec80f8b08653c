"""Nets in ONNX as JAX functions: operator by operator as ONNX's reference has it, and whole."""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnx
import pytest

from tests.vision.nets import LITE, RESIDUAL, SMALL, model, pixels
from tilewright.errors import ArgumentError, UnsupportedError
from tilewright.vision import read_onnx
from tilewright.vision.saved import export

RNG = np.random.default_rng(0)
MODELS = {
    # file, an image's height and width
    "ch_PP-OCRv4_det_infer.onnx": (96, 128),
    "ch_PP-OCRv4_rec_infer.onnx": (48, 96),
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": (48, 192),
}


def written(path, kind, shape, *arrays, opset=13, **attributes):
    """A file of one node."""
    from onnx import TensorProto, helper, numpy_helper

    names = [f"w{i}" if a is not None else "" for i, a in enumerate(arrays)]
    node = helper.make_node(kind, ["x", *names], ["y"], **attributes)
    initial = [
        numpy_helper.from_array(np.asarray(a), n) for a, n in zip(arrays, names, strict=True) if n
    ]
    graph = helper.make_graph(
        [node], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], initial,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(onnx.shape_inference.infer_shapes(made), path)
    return path


def f(*shape):
    return RNG.normal(size=shape).astype(np.float32)


IMAGE = (2, 4, 7, 9)
CASES = {
    "conv": (
        "Conv", IMAGE, (f(6, 2, 3, 3), f(6)), dict(group=2, strides=[2, 1], pads=[1, 0, 0, 1]),
    ),
    "conv same": ("Conv", IMAGE, (f(3, 4, 2, 4),), dict(auto_pad="SAME_LOWER", strides=[2, 2])),
    "conv dilated": ("Conv", IMAGE, (f(3, 4, 2, 2),), dict(dilations=[2, 3])),
    "depthwise": ("Conv", IMAGE, (f(4, 1, 5, 5),), dict(group=4, pads=[2, 2, 2, 2])),
    "transposed": ("ConvTranspose", IMAGE, (f(4, 3, 2, 2), f(3)), dict(strides=[2, 2])),
    "transposed, padded": (
        "ConvTranspose", IMAGE, (f(4, 3, 3, 4),),
        dict(strides=[2, 3], pads=[1, 0, 0, 2], output_padding=[1, 0]),
    ),
    "norm": (  # of older operators the reference makes something else than runtimes do
        "BatchNormalization", IMAGE, (f(4), f(4), f(4), f(4) ** 2), dict(epsilon=1e-3, opset=15),
    ),
    "max": ("MaxPool", IMAGE, (), dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])),
    "average": ("AveragePool", IMAGE, (), dict(kernel_shape=[3, 2], strides=[3, 2])),
    "global": ("GlobalAveragePool", IMAGE, (), {}),
    "resize": (
        "Resize", IMAGE, (None, np.array([1, 1, 2, 3], np.float32)),
        dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    ),
    "resize, rounded": (
        "Resize", IMAGE, (None, np.array([1, 1, 2, 3], np.float32)),
        dict(mode="nearest", nearest_mode="round_prefer_ceil"),
    ),
    "resize, some dimensions": (
        "Resize", IMAGE, (None, None, np.array([14, 27])), dict(axes=[2, 3], opset=18),
    ),
    "pad": ("Pad", IMAGE, (np.array([0, 0, 1, 0, 0, 0, 2, 1]), np.float32(3)), {}),
    "pad, some dimensions": (
        "Pad", IMAGE, (np.array([1, 0, 2, 1]), None, np.array([-1, 1])), dict(opset=18),
    ),
    "hard sigmoid": ("HardSigmoid", IMAGE, (), dict(alpha=0.3)),
    "hard swish": ("HardSwish", IMAGE, (), dict(opset=14)),
    "clip": ("Clip", IMAGE, (np.float32(-0.5), np.float32(0.7)), {}),
    "softmax": ("Softmax", (3, 5), (), dict(axis=-1)),
    "mean": ("ReduceMean", IMAGE, (), dict(axes=[2, 3], keepdims=0)),
    "mean of nothing": ("ReduceMean", IMAGE, (), dict(noop_with_empty_axes=1, opset=18)),
    "gemm": ("Gemm", (3, 5), (f(4, 5), f(4)), dict(transB=1, alpha=0.5, beta=2.0)),
    "slice": ("Slice", IMAGE, tuple(np.array(v) for v in ([1, 0], [-1, 9], [2, 3], [1, 2])), {}),
    "transpose": ("Transpose", IMAGE, (), dict(perm=[0, 2, 3, 1])),
    "reshape": ("Reshape", IMAGE, (np.array([0, -1, 3]),), {}),
    "slice of old": ("Slice", IMAGE, (), dict(starts=[1], ends=[-2], axes=[2], opset=9)),
    "flatten": ("Flatten", IMAGE, (), dict(axis=2)),
    "flatten, from the end": ("Flatten", IMAGE, (), dict(axis=-1)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operator_is_the_reference_s(case, tmp_path):
    from onnx.reference import ReferenceEvaluator

    kind, shape, arrays, attributes = CASES[case]
    path = written(tmp_path / "one.onnx", kind, shape, *arrays, **attributes)
    x, graph = f(*shape), read_onnx(path)
    answers: Any = ReferenceEvaluator(str(path)).run(None, {"x": x})
    theirs = np.asarray(answers[0])
    ours = jax.jit(lambda x: graph({}, x))(x)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, 1e-5, 1e-5)


def test_a_resize_of_old_repeats_values(tmp_path):
    """With two inputs; ONNX's reference cannot run it."""
    path = written(tmp_path / "one.onnx", "Resize", IMAGE, np.array([1, 1, 2, 3], "f4"), opset=10)
    x = f(*IMAGE)
    np.testing.assert_array_equal(read_onnx(path)({}, x), x.repeat(2, 2).repeat(3, 3))


def test_a_resize_that_keeps_its_own_shape_is_refused(tmp_path):
    own: Any = dict(mode="nearest", keep_aspect_ratio_policy="not_larger", opset=18)
    sizes = np.array([*IMAGE[:2], IMAGE[2] * 2, IMAGE[3] * 3])
    path = written(tmp_path / "one.onnx", "Resize", IMAGE, None, None, sizes, **own)
    with pytest.raises(UnsupportedError, match="Resize with not_larger does not map"):
        read_onnx(path)({}, f(*IMAGE))


@pytest.mark.parametrize("net", [SMALL, RESIDUAL], ids="b resnext".split())
def test_what_was_written_here_is_read_back(net, tmp_path):
    one, images = model(net), pixels(2)
    export(one, tmp_path / "net.onnx")
    graph = read_onnx(tmp_path / "net.onnx")
    assert graph.shape == (0, 32, 32, 3)
    assert (graph.preprocessing, graph.labels) == (one.preprocessing, one.labels)
    given = images.astype(np.float32)
    logits = one.logits(images)
    scale = 1e-5 * float(np.abs(logits).max())
    np.testing.assert_allclose(jax.jit(graph)(graph.arrays, given), logits, 1e-4, scale)


def test_metadata_that_are_damaged(tmp_path):
    onnx = pytest.importorskip("onnx")
    export(model(LITE), tmp_path / "net.onnx")
    file = onnx.load(tmp_path / "net.onnx")
    for wrong in ("{", "[1]", '{"size": 0}'):
        file.metadata_props[0].value = wrong
        onnx.save(file, tmp_path / "x.onnx")
        with pytest.raises(ArgumentError, match=r"metadata that cannot be read|must be from 1"):
            read_onnx(tmp_path / "x.onnx")


def test_a_program_of_it(tmp_path):
    path = written(tmp_path / "one.onnx", "Conv", IMAGE, f(6, 2, 3, 3), f(6), group=2)
    x, graph = f(*IMAGE), read_onnx(path)
    assert (graph.preprocessing, graph.labels) == (None, ())
    np.testing.assert_allclose(graph.compile(x)(x), graph({}, x), 1e-5, 1e-5)


@pytest.mark.parametrize("given, words", [
    (("LRN", IMAGE), "LRN does not map"),
    (("Conv", (1, 2, 5), f(2, 2, 3)), "Conv of 1 spatial dimensions does not map|of 1 spatial"),
    (("MaxPool", IMAGE), "ceil_mode or dilations"),
    (("Softmax", IMAGE), "over dimensions 1 to 3 together"),
    (("ConvTranspose", IMAGE, f(4, 1, 2, 2)), "in groups does not map"),
    (("Resize", IMAGE, None, np.array([1, 1, 2, 2], "f4")), "nearest, half_pixel, floor does not"),
    (("Pad", IMAGE, np.array([0] * 8)), "Pad by reflect does not map"),
], ids=lambda value: "")  # fmt: skip
def test_what_does_not_map_is_named(given, words, tmp_path):
    kind, *_ = given
    own = {
        "LRN": dict(size=3), "MaxPool": dict(kernel_shape=[2, 2], ceil_mode=1),
        "Softmax": dict(axis=1, opset=11), "ConvTranspose": dict(group=2),
        "Resize": dict(nearest_mode="floor"), "Pad": dict(mode="reflect"),
    }.get(kind, {})  # fmt: skip
    path = written(tmp_path / "one.onnx", *given, **own)
    with pytest.raises(UnsupportedError, match=words):
        read_onnx(path)({}, f(*given[1]))


def test_files_that_are_none(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no net")
    cases = {"x.onnx": "is not an ONNX file", "nowhere.onnx": "cannot be read: No such file"}
    for name, words in cases.items():
        with pytest.raises(ArgumentError, match=words) as raised:
            read_onnx(tmp_path / name)
        assert "\n" not in str(raised.value)


def text(height, width):
    """Dark words on white, as the nets for reading know it."""
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("RGB", (width, height), "white")
    font = ImageFont.load_default(size=height // 2)
    ImageDraw.Draw(page).text((width // 12, height // 5), "tile", "black", font=font)
    return ((np.asarray(page).astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]


@pytest.mark.peers
@pytest.mark.parametrize("name", MODELS)
def test_nets_for_reading_text_agree_with_onnxruntime(name):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    if found is None or found.origin is None:
        pytest.skip("rapidocr-onnxruntime is not installed (make test-peers installs it)")
    path = Path(found.origin).parent / "models" / name
    graph, x = read_onnx(path), np.ascontiguousarray(text(*MODELS[name]))
    (theirs,) = runtime.InferenceSession(str(path)).run(None, {graph.name: x})
    assert theirs.max() > 0.5
    np.testing.assert_allclose(graph.compile(x)(x), theirs, atol=2e-5)
