"""Where a net's state dict is in what training scripts keep.

In: a state dict, or a checkpoint that holds one beside other things; names in it may begin with
what wrappers put before them ("module." of DataParallel, "model." of Lightning, "_orig_mod." of
torch.compile). Out: arrays by the names of the net's own package. Where a checkpoint also has the
mean of weights over steps (EMA), the weights themselves are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.vision.names import MARKS

INSIDE = (
    "state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "ema_state_dict",
)  # fmt: skip
"""Under which key the weights are, the first that there is."""
COUNTED = ("n_averaged",)
"""What a wrapper counts: no part of its net."""


def state_dict_in(found: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The innermost mapping that one of those keys leads to."""
    key = next((key for key in INSIDE if isinstance(found.get(key), Mapping)), None)
    return found if key is None else state_dict_in(found[key])


def unwrapped(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same without what all names begin with.

    Raises `ArgumentError` for two nets, and for arrays beside the net: a layer of the wrapper's own
    would change what the net answers.
    """
    heads = {
        name.removesuffix(mark): None
        for name in tensors
        for mark in MARKS
        if name == mark or name.endswith(f".{mark}")
    }
    if not heads or "" in heads:
        return tensors
    if len(heads) > 1:
        raise ArgumentError(
            f"The weights hold more than one net, under {' and '.join(map(repr, heads))}: give one."
        )
    (head,) = heads
    beside = next((n for n in tensors if not n.startswith(head) and n not in COUNTED), None)
    if beside is not None:
        raise ArgumentError(
            f"The weights hold {beside}, which is no part of the net under {head!r}: leave it out."
        )
    return {name.removeprefix(head): one for name, one in tensors.items() if name not in COUNTED}
