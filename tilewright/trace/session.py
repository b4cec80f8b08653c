"""What all scopes of one call of `trace` share, and what rules see of an equation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from tilewright.graph.ir import Value
from tilewright.trace import jax_internals as internals

Results = Sequence[Value] | Value
Rule = Callable[..., Results]


class Parameters(dict[str, Any]):
    """The parameters of one equation, which know of themselves whether they were read."""

    def __init__(self, params: dict[str, Any]):
        super().__init__(params)
        self.unread = dict.fromkeys(params)

    def __getitem__(self, name: str) -> Any:
        self.unread.pop(name, None)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.unread.pop(name, None)
        return super().get(name, default)


@dataclass
class Session:
    """What all scopes of one call of `trace` share."""

    rules: dict[str, Rule]
    ignored: Mapping[str, Collection[str]]
    data: dict[Any, Any] = field(default_factory=dict)
    inside_kept: int = 0
    """How many kept traces, inside of each other, are being inlined."""

    def representative(self, array: Any) -> Any:
        """The first array met that is the same memory: it is read once, not twice.

        What data *hold* decides nothing, or new data would be another program.
        """
        if internals.is_extended(jax.typeof(array)):
            return array
        memory = np.asarray(array).__array_interface__
        place = memory["data"][0], memory["strides"], memory["typestr"], array.shape
        return self.data.setdefault(place, array)
