"""Trained nets from wherever they are, and what is said of those that do not fit."""

import numpy as np
import pytest

from tests.models.nets import weights_of
from tests.vision.nets import LITE, RESIDUAL, SMALL, model
from tilewright.errors import ArgumentError
from tilewright.vision import imagenet, load
from tilewright.vision.from_torch import state_dict
from tilewright.vision.loading import _built, guessed
from tilewright.vision.names import SPELLINGS, as_built, parted
from tilewright.vision.nets import from_fields, module, named, to_fields
from tilewright.vision.preprocessing import IMAGENET_MEAN, Preprocessing


def tensors(net, spelling="timm"):
    weights, kept = weights_of(module(net).start, net)
    return state_dict(net, weights, kept, spelling)


@pytest.mark.parametrize("net", [SMALL, LITE, RESIDUAL], ids="b lite resnext".split())
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_read(net, spelling):
    given = tensors(net, spelling)
    found = load(given, net, labels="vwxyz")
    assert found.labels == tuple("vwxyz")
    for name, array in state_dict(net, found.weights, found.kept, spelling).items():
        np.testing.assert_array_equal(array, given[name])


def test_nets_are_found_by_their_shapes():
    for name in ("b0", "lite1", "b1-g16", "resnext101_64x4d"):
        net = named(name, classes=7)
        assert guessed(_shapes(net)) == name


def _shapes(net):
    """A state dict without numbers."""
    import jax

    from tilewright.vision.from_torch import shapes_of

    empty = jax.tree.map(lambda like: np.broadcast_to(np.float32(0), like.shape), shapes_of(net))
    return state_dict(net, *empty)


def test_how_a_package_builds_its_nets():
    b0, lite, b7 = named("b0"), named("lite0"), named("b7")
    assert as_built(b0, "lukemelas") == b0
    assert (as_built(b0, "timm").pad, as_built(b0, "timm").norm.epsilon) == ("even", 1e-5)
    assert as_built(b0, "timm", "tf_efficientnet_b0") == b0
    assert as_built(lite, "timm") == lite == as_built(lite, "timm", "tf_efficientnet_lite0")
    own = as_built(lite, "timm", "efficientnet_lite0.ra_in1k")
    assert (own.pad, own.norm.epsilon) == ("even", 1e-5)
    assert as_built(b0, "torchvision").norm.epsilon == 1e-5
    assert as_built(b7, "torchvision").norm.epsilon == 1e-3


@pytest.mark.parametrize("spelling, name, size, resize", [
    # as the packages' own sources say
    ("lukemelas", "efficientnet-b0", 224, 256), ("lukemelas", "efficientnet-b7", 600, 632),
    ("lukemelas", "efficientnet-lite4", 300, 332), ("timm", "tf_efficientnet_b4", 380, 412),
    ("timm", "efficientnet_b0", 224, 256), ("timm", "efficientnet_b1", 224, 224),
    ("timm", "efficientnet_b2", 256, 256), ("timm", "efficientnet_b4", 320, 320),
    ("timm", "efficientnet_b7", 600, 632), ("timm", "tf_efficientnet_lite3", 300, 332),
    ("timm", "tf_efficientnet_lite4", 380, 413), ("timm", "efficientnet_lite0", 224, 256),
    ("torchvision", "efficientnet_b1", 240, 256), ("torchvision", "efficientnet_b2", 288, 288),
    ("torchvision", "efficientnet_b3", 300, 320), ("torchvision", "resnext50_32x4d", 224, 256),
])  # fmt: skip
def test_sizes_that_a_package_reads(spelling, name, size, resize):
    net = _built(name, {}, spelling)
    found = imagenet.usual(net, spelling)
    assert (found.size, found.resize) == (size, resize)
    lite = "lite" in name and name != "efficientnet_lite0"
    assert found.mean == ((127 / 255,) * 3 if lite else IMAGENET_MEAN)
    bilinear = name in ("tf_efficientnet_lite3", "tf_efficientnet_lite4", "resnext50_32x4d")
    assert found.interpolation == ("bilinear" if bilinear else "bicubic")


@pytest.mark.parametrize("name, read", [
    # timm/models/efficientnet.py
    ("tf_efficientnet_b0_ns", (224, 256, "center", IMAGENET_MEAN)),
    ("tf_efficientnet_b0.ns_jft_in1k", (224, 256, "center", IMAGENET_MEAN)),
    ("tf_efficientnet_b3_aa", (300, 332, "center", IMAGENET_MEAN)),
    ("tf_efficientnet_b1_ap", (240, 272, "center", (0.5,) * 3)),
    ("tf_efficientnet_b1.ap_in1k", (240, 272, "center", (0.5,) * 3)),
    ("efficientnet_b0.ra_in1k", (224, 256, "center", IMAGENET_MEAN)),
    ("efficientnet_b0.ra4_e3600_r224_in1k", (224, 248, "center", (0.5,) * 3)),
    ("efficientnet_b1.ra4_e3600_r240_in1k", (240, 266, "center", (0.5,) * 3)),
    ("efficientnet_b5.sw_in12k_ft_in1k", (448, 448, "squash", IMAGENET_MEAN)),
    ("efficientnet_b5.sw_in12k", (416, 437, "center", IMAGENET_MEAN)),
])  # fmt: skip
def test_nets_of_timm_s_that_were_trained_in_ways_of_their_own(name, read):
    """By the names they have, and by those they had before there were tags."""
    net = _built(name, {}, "timm")
    found = imagenet.usual(net, "timm", parted(name)[1])
    assert (found.size, found.resize, found.crop, found.mean) == read
    assert net.pad == ("same" if name.startswith("tf_") else "even")


def test_a_name_comes_with_its_preprocessing(monkeypatch):
    monkeypatch.setattr("tilewright.vision.loading.nets.named", lambda name, **changes: SMALL)
    assert load(tensors(SMALL), "tf_efficientnet_b0_ap").preprocessing.std == (0.5,) * 3
    assert load(tensors(SMALL), "tf_efficientnet_b0_ns").preprocessing.mean == IMAGENET_MEAN


def test_their_preprocessing():
    assert imagenet.usual(LITE).resize == round(32 / 0.875)
    config = dict(input_size=(3, 240, 240), crop_pct=0.95, interpolation="bicubic", mean=(0.5,) * 3)
    found = imagenet.of_timm(config, Preprocessing())
    assert (found.size, found.resize, found.mean) == (240, 252, (0.5,) * 3)
    assert found.crop == "center"
    assert imagenet.of_timm(config | {"crop_mode": "squash"}, Preprocessing()).crop == "squash"
    with pytest.raises(ArgumentError, match="This net's images are cut by 'border', which is not"):
        imagenet.of_timm(config | {"crop_mode": "border"}, Preprocessing())


def test_nets_by_name_go_to_and_fro():
    for name in ("b0", "lite4", "b2-g16", "resnext101_32x8d"):
        assert from_fields(to_fields(named(name))) == named(name)
    assert named("b0-g16").group == 16


def test_one_sentence_each(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"")
    given = tensors(LITE)
    short = {name: array for name, array in given.items() if name != "bn2.bias"}
    cases = [
        (lambda: load("nothing.pth"), "There is no file nothing.pth"),
        (lambda: load(tmp_path / "x.h5"), r"must be \.safetensors, \.pt"),
        (lambda: load(3), 'source must be "lite0", a path'),
        (lambda: load({"x": np.zeros(3)}), "no EfficientNet or ResNeXt that is known: they hold x"),
        (lambda: load(given), "fit none of the nets that are known: say which, by net="),
        (lambda: load(given, "b9"), "net must be one of b0, b1.*not 'b9'"),
        (lambda: load(given, "lite0"), r"conv_stem|blocks\.\d.* but this net needs"),
        (lambda: load(given, SMALL), "conv_stem.weight is 32x3x3x3, but this net needs 8x3x3x3"),
        (lambda: load(short, LITE), r"The weights have no bn2\.bias, which this net needs"),
        (lambda: load(given, LITE, labels=["a"]), "labels must be 5"),
    ]
    for call, words in cases:
        with pytest.raises(ArgumentError, match=words) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_a_model_is_taken_as_it_is():
    one = model()
    assert load(one) is one
    assert load(one, preprocessing=Preprocessing(16, 16)).preprocessing.size == 16
