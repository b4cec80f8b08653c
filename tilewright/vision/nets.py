"""The nets there are, by name, and what they have in common.

A net is a frozen dataclass (what it is), and its module has `start`, `predict`, `train`,
`features`, `multiply_adds` and `Weights`. Names are "lite0" to "lite4", "b0" to "b7" (with "-g16":
groups of 16 and an expansion of 4), "resnext50_32x4d" and the like.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.models import efficientnet, resnext
from tilewright.models.convolutional import Norm
from tilewright.models.efficientnet import SCALES, EfficientNet
from tilewright.models.resnext import ResNeXt

Net = EfficientNet | ResNeXt
GROUPED = "-g16"
KINDS = {"efficientnet": EfficientNet, "resnext": ResNeXt}


def named(name: str, **changes: Any) -> Net:
    """Raises `ArgumentError` for a name that is none."""
    try:
        if name.startswith("resnext"):
            return resnext.named(name.removeprefix("resnext"), **changes)
        if name.endswith(GROUPED):
            changes = {"group": 16, "expansion": 4, **changes}
        return efficientnet.named(name.removesuffix(GROUPED), **changes)
    except ValueError:
        known = ", ".join(SCALES)
        raise ArgumentError(
            f"net must be one of {known}, b0-g16, resnext50_32x4d or resnext101_32x8d, not "
            f"{name!r}."
        ) from None


def module(net: Net) -> ModuleType:
    """Where the net's functions are."""
    return efficientnet if isinstance(net, EfficientNet) else resnext


def width(net: Net) -> int:
    """Features that the last layer reads."""
    return net.head.outputs if isinstance(net, EfficientNet) else net.features


def blocks(net: Net) -> int:
    """How many there are."""
    return len(net.blocks)


def to_fields(net: Net) -> dict[str, Any]:
    """As JSON holds them."""
    kind = next(name for name, kind in KINDS.items() if isinstance(net, kind))
    return {"kind": kind, **asdict(net)}


def from_fields(fields: dict[str, Any]) -> Net:
    """What `to_fields` gave. Raises KeyError or TypeError."""
    fields = dict(fields)
    kind = KINDS[fields.pop("kind")]
    fields["norm"] = Norm(**fields["norm"])
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def halved(net: Net) -> Net:
    """The same, of which a step of training keeps in bfloat16 what waits for gradients."""
    return replace(net, norm=replace(net.norm, saved="bfloat16"))


def with_classes(net: Net, classes: int) -> Net:
    """The same with another last layer."""
    return replace(net, classes=classes)
