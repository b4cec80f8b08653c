"""What PyTorch's packages call the weights of a net, as a tree of names of the net's own form.

    "lukemelas"     efficientnet-pytorch and its lite form    _blocks.0._depthwise_conv.weight
    "timm"          pytorch-image-models                      blocks.0.0.conv_dw.weight
    "torchvision"   (of ResNeXt timm's are the same)          features.1.0.block.0.0.weight

They also say how the nets of that package pad and what epsilon their norms have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tilewright.frozen import frozen
from tilewright.models import efficientnet, resnext
from tilewright.models.convolutional import Normed, Plain, Statistics
from tilewright.models.efficientnet import Block, EfficientNet
from tilewright.models.resnext import ResNeXt

LUKEMELAS, TIMM, TORCHVISION = SPELLINGS = ("lukemelas", "timm", "torchvision")
MARKS = {
    "_conv_stem.weight": LUKEMELAS,
    "conv_stem.weight": TIMM,
    "features.0.0.weight": TORCHVISION,
    "layer1.0.conv1.weight": TORCHVISION,
}
"""An array that only that package's state dicts have."""


@frozen
class Spelling:
    """Names of an EfficientNet's parts: of a convolution and of its norm, of a dense layer."""

    stem: tuple[str, str]
    block: Callable[[int, int, int, Block], tuple[list[tuple[str, str]], list[str]]]
    """From a block's stage, turn and number: its convolutions, and its squeeze and excite."""
    head: tuple[str, str]
    classes: str


def _lukemelas(stage: int, turn: int, number: int, of: Block) -> Any:
    at = f"_blocks.{number}."
    pairs = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
    pairs = pairs if of.expand is None else [("_expand_conv", "_bn0"), *pairs]
    return [(at + c, at + n) for c, n in pairs], [f"{at}_se_reduce", f"{at}_se_expand"]


def _timm(stage: int, turn: int, number: int, of: Block) -> Any:
    at = f"blocks.{stage}.{turn}."
    names = ["conv_dw", "conv_pw"] if of.expand is None else ["conv_pw", "conv_dw", "conv_pwl"]
    pairs = [(at + name, f"{at}bn{i + 1}") for i, name in enumerate(names)]
    return pairs, [f"{at}se.conv_reduce", f"{at}se.conv_expand"]


def _torchvision(stage: int, turn: int, number: int, of: Block) -> Any:
    at = f"features.{stage + 1}.{turn}.block."
    excited = 1 if of.expand is None else 2
    places = [0, 2] if of.expand is None else [0, 1, 3]
    pairs = [(f"{at}{place}.0", f"{at}{place}.1") for place in places]
    return pairs, [f"{at}{excited}.fc1", f"{at}{excited}.fc2"]


EFFICIENTNETS = {
    LUKEMELAS: Spelling(("_conv_stem", "_bn0"), _lukemelas, ("_conv_head", "_bn1"), "_fc"),
    TIMM: Spelling(("conv_stem", "bn1"), _timm, ("conv_head", "bn2"), "classifier"),
    TORCHVISION: Spelling(
        ("features.0.0", "features.0.1"), _torchvision, ("features.8.0", "features.8.1"),
        "classifier.1",
    ),
}  # fmt: skip


def spelling_of(tensors: Any) -> str | None:
    """Whose state dict this is."""
    return next((spelling for mark, spelling in MARKS.items() if mark in tensors), None)


OLD_TAGS = ("_ap", "_ns", "_aa", "_ra")
"""How timm's names of nets ported from TensorFlow ended, before they had tags."""


def parted(name: str) -> tuple[str, str]:
    """A net and the tag that says how it was trained, or none: both of "tf_efficientnet_b0_ns" and
    of "tf_efficientnet_b0.ns_jft_in1k" are ("tf_efficientnet_b0", "ns...")."""
    net, _, tag = name.partition(".")
    old = next((end for end in OLD_TAGS if net.startswith("tf_") and net.endswith(end)), "")
    return net.removesuffix(old), tag or old.removeprefix("_")


def as_built(net: Any, spelling: str, name: str = "") -> Any:
    """The net as that package builds it: how it pads, and its norms.

    timm has both kinds of padding: TensorFlow's where the name begins with "tf_". Of its lite nets
    the others are one that it trained itself, "efficientnet_lite0", so "lite0" is TensorFlow's.
    """
    if isinstance(net, ResNeXt) or spelling == LUKEMELAS:
        return net
    own = name.startswith("efficientnet_")
    tensorflow = spelling == TIMM and (name.startswith("tf_") or (net.lite and not own))
    deep = spelling == TORCHVISION and net.size > efficientnet.SCALES["b4"][2]
    epsilon = 1e-3 if tensorflow or deep else 1e-5
    return replace(
        net, pad="same" if tensorflow else "even", norm=replace(net.norm, epsilon=epsilon)
    )


def tree_of_names(net: Any, spelling: str) -> Any:
    """(Weights, Kept) with the name of an array at each leaf."""
    if isinstance(net, ResNeXt):
        return _resnext(net)
    return _efficientnet(net, EFFICIENTNETS[spelling])


def _efficientnet(net: EfficientNet, spelling: Spelling) -> Any:
    stem, head = normed(*spelling.stem), normed(*spelling.head)
    weights, kept = [], []
    for number, (stage, turn) in enumerate(_places(net)):
        of = net.blocks[number]
        pairs, excite = spelling.block(stage, turn, number, of)
        parts = [normed(*pair) for pair in pairs]
        plains = tuple(map(plain, excite)) if of.squeezed else ()
        weights.append(efficientnet.BlockWeights(tuple(w for w, _ in parts), plains))
        kept.append(tuple(k for _, k in parts))
    classes = plain(spelling.classes)
    return (
        efficientnet.Weights(stem[0], tuple(weights), head[0], classes),
        efficientnet.Kept(stem[1], tuple(kept), head[1]),
    )


def _places(net: EfficientNet) -> Iterator[tuple[int, int]]:
    return ((stage, turn) for stage, turns in enumerate(net.repeats) for turn in range(turns))


def _resnext(net: ResNeXt) -> Any:
    stem, weights, kept = normed("conv1", "bn1"), [], []
    places = [(stage + 1, turn) for stage, n in enumerate(net.repeats) for turn in range(n)]
    for (stage, turn), of in zip(places, net.blocks, strict=True):
        at = f"layer{stage}.{turn}."
        parts = [normed(f"{at}conv{i}", f"{at}bn{i}") for i in (1, 2, 3)]
        around = normed(f"{at}downsample.0", f"{at}downsample.1") if of.around else (None, None)
        weights.append(resnext.BlockWeights(tuple(w for w, _ in parts), around[0]))
        kept.append(resnext.BlockKept(tuple(k for _, k in parts), around[1]))
    return (
        resnext.Weights(stem[0], tuple(weights), plain("fc")),
        resnext.Kept(stem[1], tuple(kept)),
    )


def normed(name: str, norm: str) -> tuple[Any, Any]:
    """Names of a convolution's arrays and its norm's, and of what the norm keeps."""
    weights = Normed(f"{name}.weight", f"{norm}.weight", f"{norm}.bias")
    return weights, Statistics(f"{norm}.running_mean", f"{norm}.running_var")


def plain(name: str) -> Any:
    return Plain(f"{name}.weight", f"{name}.bias")
