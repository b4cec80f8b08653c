"""Memory for the results of a call: NumPy arrays on cache-line boundaries, fresh each time.

In: the types of a program's outputs. Out: *pieces* of raw memory for one call, where in them each
result lies, and the results as arrays on that memory once it is known where its lines begin.

Few bytes in all make one piece, since a piece costs more than a result; more make a piece each, so
that whoever keeps one result does not keep all.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from tilewright.codegen.context import LINE
from tilewright.graph.ir import Type
from tilewright.runtime.memory import address, lasting

TOGETHER = 1024
"""Bytes of results, each on lines of its own, up to which they lie in one piece."""

Words = Sequence[int] | ctypes.Array[ctypes.c_int64]
_BYTE = np.dtype(np.uint8)
_empty, _array = np.empty, np.ndarray


class Results:
    """`places` is what `tw_apply` reads: a piece and a byte, counted from a line, for each."""

    def __init__(self, outputs: Sequence[Type]):
        sizes = [max(LINE, -(-kind.nbytes // LINE) * LINE) for kind in outputs]
        total = sum(sizes)
        if total <= TOGETHER:
            placed = [(0, at) for at in accumulate(sizes, initial=0)][: len(sizes)]
            sizes = [total] if sizes else []
        else:
            placed = [(piece, 0) for piece in range(len(sizes))]
        self._sizes = [size + LINE for size in sizes]
        self._types = [
            (kind.shape, kind.numpy, piece)
            for kind, (piece, _) in zip(outputs, placed, strict=True)
        ]
        self.count = len(outputs)
        self.places = (ctypes.c_int64 * (2 * self.count))(*(n for pair in placed for n in pair))

    def pieces(self) -> tuple[np.ndarray, ...]:
        """Memory for one call."""
        return tuple([np.empty(size, _BYTE) for size in self._sizes])

    def place(self, pieces: Sequence[np.ndarray], shifts: ctypes.Array) -> list[int]:
        """Addresses of the results, and their `shifts`: what `tw_apply` does by itself."""
        found = []
        for number, (_, _, piece) in enumerate(self._types):
            start = address(pieces[piece])
            found.append(-(-start // LINE) * LINE + self.places[2 * number + 1])
            shifts[number] = found[-1] - start
        return found

    def arrays(self, pieces: Sequence[np.ndarray], shifts: Words) -> Sequence[np.ndarray]:
        """The results; `shifts` are the bytes of their pieces where they begin."""
        make = np.ndarray
        return [
            make(shape, dtype, pieces[piece], shift)
            for (shape, dtype, piece), shift in zip(self._types, shifts, strict=True)
        ]


class OneResult(Results):
    """The same for one result, as most steps have: no list is made for it."""

    def __init__(self, outputs: Sequence[Type]):
        super().__init__(outputs)
        (self.size,), ((self.shape, self.dtype, _),) = self._sizes, self._types

    def pieces(self) -> tuple[np.ndarray, ...]:
        return (_empty(self.size, _BYTE),)

    def arrays(self, pieces: Sequence[np.ndarray], shifts: Words) -> Sequence[np.ndarray]:
        return (_array(self.shape, self.dtype, pieces[0], shifts[0]),)


class Lasting(Results):
    """Results that stay, and are read at every call of another program: in one piece of memory
    for what stays. Whoever keeps one keeps all."""

    def pieces(self) -> tuple[np.ndarray, ...]:
        ends = list(accumulate(self._sizes, initial=0))
        memory = lasting(ends[-1])
        return tuple([memory[start:end] for start, end in pairwise(ends)])


def results_of(outputs: Sequence[Type]) -> Results:
    return OneResult(outputs) if len(outputs) == 1 else Results(outputs)
