"""`Model`: a recurrent net with its weights, and the programs that run it.

In: what `load` made of somebody's weights. Out: compiled windows, streams and sliding windows,
which agree to the bit. Weights are NumPy arrays in float32, in the order of `models/recurrent.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property, partial
from math import inf
from numbers import Integral
from typing import Any

import numpy as np

from tilewright.compiler import compile
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.models import recurrent
from tilewright.models.recurrent import Recurrent, Weights
from tilewright.runtime.executable import Executable
from tilewright.runtime.stateful import Stateful
from tilewright.sequence.drift import TENTHS, Drift, drift
from tilewright.sequence.precision import (
    FASTEST_FIRST,
    Error,
    checked,
    error,
    exact,
    in_precision,
    law_of,
)
from tilewright.sequence.scaler import Pair, fold_input, one_after_other
from tilewright.sequence.slide import Slide
from tilewright.sequence.stream import Stream


@frozen(eq=False)
class Model:
    """What the net is, and its weights.

    Where these have a scaler of the inputs in them, `scaler` is it: products in a lower precision
    round what is scaled.
    """

    net: Recurrent
    weights: Weights
    scaler: Pair | None = None

    def window(
        self,
        batch: int,
        steps: int,
        *,
        precision: str | None = None,
        tolerance: float | None = None,
        data: Any = None,
        tiles: int | None = None,
    ) -> Executable:
        """A program from inputs (batch, steps, inputs), float32, to answers (batch, outputs).

        With a head on every step answers are (batch, steps, outputs). Every window starts from a
        zero state. `precision` is one of `precision.py`'s, float32 by default; or the fastest is
        taken that keeps the error on `data` (batch, steps, inputs) within `tolerance`: its root
        mean square over the deviation of the answers.

        Raises `ArgumentError` for sizes below one, a precision unknown, and a tolerance without
        data, or one that float32 itself does not keep.
        """
        import jax

        _check_sizes(batch=batch, steps=steps)
        precision = self._precision(precision, tolerance, data)
        weights = in_precision(self.weights, precision, self.scaler)
        inputs = jax.ShapeDtypeStruct((batch, steps, self.net.inputs), np.float32)
        run = partial(_window, self.net)
        run.__name__ = "window"  # what a C program calls it
        program = compile(run, weights, inputs, tiles=tiles, law=law_of(precision))
        return program.bind(weights)

    def error(self, precision: str, data: Any) -> Error:
        """What a window in that precision errs on `data` (batch, steps, inputs).

        Raises `ArgumentError` for data of another shape, and for such as all have one answer.
        """
        xs = checked(data, self.net.inputs)
        return self._error(precision, xs, exact(self.net, self.weights, xs))

    def _error(self, precision: str, xs: np.ndarray, wanted: np.ndarray) -> Error:
        return error(self.window(*xs.shape[:2], precision=precision)(xs), wanted)

    def drift(self, precision: str, ticks: Any) -> Drift:
        """What a stream in that precision errs over very many ticks (ticks, streams, inputs).

        Raises `ArgumentError` for ticks of another shape, fewer than ten, or such as all have one
        answer; and as `stream` does.
        """
        xs = np.asarray(ticks, np.float32)
        if xs.ndim != 3 or xs.shape[2] != self.net.inputs or len(xs) < TENTHS or not xs.size:
            raise ArgumentError(
                f"ticks must have the shape (ticks, streams, {self.net.inputs}), and be {TENTHS} "
                f"or more, not {xs.shape}."
            )
        stream = self.stream(xs.shape[1], precision=precision, tiles=1)
        return drift(self.net, self.weights, stream, xs)

    def _precision(self, precision: str | None, tolerance: float | None, data: Any) -> str:
        """The one that is given, or the fastest that keeps the tolerance, or float32."""
        if tolerance is not None and precision is not None:
            raise ArgumentError("Give precision or tolerance, not both.")
        if tolerance is not None:
            return self._fastest(tolerance, data)
        if data is not None:
            raise ArgumentError("data are for a tolerance, which is missing.")
        return precision or "float32"

    def _fastest(self, tolerance: float, data: Any) -> str:
        if not isinstance(tolerance, int | float | np.number) or not 0 < tolerance < inf:
            raise ArgumentError(f"tolerance must be a number above 0, not {tolerance!r}.")
        if data is None:
            raise ArgumentError("tolerance needs data: windows (batch, steps, inputs).")
        xs = checked(data, self.net.inputs)
        wanted, found = exact(self.net, self.weights, xs), None
        for precision in FASTEST_FIRST:
            found = self._error(precision, xs, wanted)
            if found.rms <= tolerance:
                return precision
        raise ArgumentError(
            f"No precision keeps a tolerance of {tolerance:g} on these data: float32 errs {found}."
        )

    def stream(
        self,
        streams: int = 1,
        *,
        precision: str | None = None,
        tolerance: float | None = None,
        data: Any = None,
        nan: str = "refuse",
        tiles: int | None = None,
    ) -> Stream:
        """Answers to ticks as they come, for streams that have a state each, zero at first.

        `precision`, or `tolerance` and `data`, are as of `window`. `nan` says what becomes of ticks
        that are not finite: "refuse", "hold" or "pass". Raises `ArgumentError` for a net with a
        layer that runs backward, and as `window` does.
        """
        _check_sizes(streams=streams)
        state = recurrent.zero_state(self.net, (streams,))
        precision = self._precision(precision, tolerance, data)
        program = self._stepping(recurrent.step, state, streams, precision, tiles)
        return Stream(self.fingerprint, precision, program, streams, self.net.inputs, nan)

    def slide(
        self,
        steps: int,
        streams: int = 1,
        *,
        precision: str | None = None,
        tolerance: float | None = None,
        data: Any = None,
        nan: str = "refuse",
        tiles: int | None = None,
    ) -> Slide:
        """Answers of a window over the last `steps` ticks that moves by a tick, for such streams.

        Raises `ArgumentError` as `stream` does.
        """
        _check_sizes(steps=steps, streams=streams)
        state = recurrent.zero_sliding(self.net, streams, steps)
        precision = self._precision(precision, tolerance, data)
        program = self._stepping(recurrent.slide, state, streams, precision, tiles)
        return Slide(self.fingerprint, precision, program, streams, self.net.inputs, nan, steps)

    @cached_property
    def fingerprint(self) -> str:
        """Of the net and its weights: states go with those that they came from."""
        import jax

        digest = hashlib.sha256(repr(self.net).encode())
        for leaf in jax.tree.leaves((self.weights, self.scaler)):
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()

    def _stepping(
        self, step: Callable, state: Any, streams: int, precision: str, tiles: int | None
    ) -> Stateful:
        import jax

        if not self.net.is_causal:
            raise ArgumentError("A net with a layer that runs backward has no answer at each tick.")
        weights = in_precision(self.weights, precision, self.scaler)
        x = jax.ShapeDtypeStruct((streams, self.net.inputs), np.float32)
        run = partial(_step, step, self.net)
        run.__name__ = step.__name__
        law = law_of(precision)
        program = compile(run, weights, state, x, tiles=tiles, state="state", law=law)
        assert isinstance(program, Stateful)
        return program.bind(weights)


def on_raw_inputs(model: Model, scaler: Pair) -> Model:
    """The same net, of inputs that a scaler has not been at."""
    weights, inner = fold_input(model.weights, scaler), model.scaler
    return Model(model.net, weights, scaler if inner is None else one_after_other(scaler, inner))


def _window(net: Recurrent, weights: Weights, xs: Any) -> Any:
    return recurrent.window(net, weights, xs)


def _step(step: Callable, net: Recurrent, weights: Weights, state: Any, x: Any) -> Any:
    return step(net, weights, state, x)


def _check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ArgumentError(f"{name} must be a whole number above 0, not {size!r}.")
