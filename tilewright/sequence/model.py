"""`Model`: a recurrent net with its weights, and the programs that run it.

In: what `load` made of somebody's weights. Out: compiled windows, streams and sliding windows,
which agree to the bit. Weights are NumPy arrays in float32, in the order of `models/recurrent.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from tilewright.compiler import compile
from tilewright.errors import ArgumentError
from tilewright.models import recurrent
from tilewright.models.recurrent import Recurrent, Weights
from tilewright.runtime.executable import Executable
from tilewright.runtime.stateful import Stateful
from tilewright.sequence.slide import Slide
from tilewright.sequence.stream import Stream


@dataclass(frozen=True, eq=False)
class Model:
    """What the net is, and its weights."""

    net: Recurrent
    weights: Weights

    def window(self, batch: int, steps: int, *, tiles: int | None = None) -> Executable:
        """A program from inputs (batch, steps, inputs), float32, to answers (batch, outputs).

        With a head on every step answers are (batch, steps, outputs). Every window starts from a
        zero state. Raises `ArgumentError` for sizes below one.
        """
        import jax

        _check_sizes(batch=batch, steps=steps)
        inputs = jax.ShapeDtypeStruct((batch, steps, self.net.inputs), np.float32)
        run = partial(_window, self.net)
        return compile(run, self.weights, inputs, tiles=tiles).bind(self.weights)

    def stream(self, streams: int = 1, *, nan: str = "refuse", tiles: int | None = None) -> Stream:
        """Answers to ticks as they come, for streams that have a state each, zero at first.

        `nan` says what becomes of ticks that are not finite: "refuse", "hold" or "pass".
        Raises `ArgumentError` for a net with a layer that runs backward.
        """
        _check_sizes(streams=streams)
        state = recurrent.zero_state(self.net, (streams,))
        program = self._stepping(recurrent.step, state, streams, tiles)
        return Stream(self.fingerprint, program, streams, self.net.inputs, nan)

    def slide(
        self, steps: int, streams: int = 1, *, nan: str = "refuse", tiles: int | None = None
    ) -> Slide:
        """Answers of a window over the last `steps` ticks that moves by a tick, for such streams.

        Raises `ArgumentError` as `stream` does.
        """
        _check_sizes(steps=steps, streams=streams)
        state = recurrent.zero_sliding(self.net, streams, steps)
        program = self._stepping(recurrent.slide, state, streams, tiles)
        return Slide(self.fingerprint, program, streams, self.net.inputs, nan, steps)

    @cached_property
    def fingerprint(self) -> str:
        """Of the net and its weights: states go with those that they came from."""
        import jax

        digest = hashlib.sha256(repr(self.net).encode())
        for leaf in jax.tree.leaves(self.weights):
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()

    def _stepping(self, step: Callable, state: Any, streams: int, tiles: int | None) -> Stateful:
        import jax

        if not self.net.is_causal:
            raise ArgumentError("A net with a layer that runs backward has no answer at each tick.")
        x = jax.ShapeDtypeStruct((streams, self.net.inputs), np.float32)
        run = partial(_step, step, self.net)
        program = compile(run, self.weights, state, x, tiles=tiles, state="state")
        assert isinstance(program, Stateful)
        return program.bind(self.weights)


def _window(net: Recurrent, weights: Weights, xs: Any) -> Any:
    return recurrent.window(net, weights, xs)


def _step(step: Callable, net: Recurrent, weights: Weights, state: Any, x: Any) -> Any:
    return step(net, weights, state, x)


def _check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if type(size) is not int or size < 1:
            raise ArgumentError(f"{name} must be a whole number above 0, not {size!r}.")
