"""A net that runs tick by tick, for one or more streams that know nothing of each other.

In: a program with a state. Out: what `Stream` and `Slide` share: answers, states by stream, and
what to do about ticks that are no numbers. One call at a time; others wait.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.files import Written
from tilewright.runtime.stateful import Stateful, nothing
from tilewright.sequence.rates import Rates, measured
from tilewright.sequence.snapshot import Snapshot

POLICIES = ("refuse", "hold", "pass")
_ARRAY = np.ndarray


class Running(ABC):
    """Ticks in, answers out; states by the number of their stream."""

    kind: str
    """The way it is run; states of another kind are refused."""

    def __init__(
        self, model: str, precision: str, program: Stateful, streams: int, inputs: int, nan: str
    ):
        if nan not in POLICIES:
            raise ArgumentError(f"nan must be one of {', '.join(POLICIES)}, not {nan!r}.")
        self.model, self.precision, self.nan = model, precision, nan
        self.program = program = program.refusing_gaps() if nan == "refuse" else program
        self._answer, self._natively = program.answer, nan != "hold"
        self._quick: Callable[[Any], Any] = self._first
        self.streams, self.inputs = streams, inputs
        self._begun = np.zeros(streams, np.int64)
        """What `program.calls` was, so to say, when each stream began."""
        self._shape, self._alone = (streams, inputs), (inputs,) if streams == 1 else None
        self._every = list(range(streams))
        self._last = np.full((streams, inputs), np.nan, np.float32)
        self._lock = program.lock

    # Ticks

    def answer(self, x: Any, only: Sequence[int] | None = None) -> np.ndarray:
        """Ticks (streams, inputs), float32, to answers (streams, outputs).

        A single stream also takes (inputs,), and gives (outputs,). With `only`, x has a row for
        each of these streams, and so has the answer; the others stay as they are (their rows are
        computed for nothing).

        Raises `ArgumentError` for other shapes and dtypes, and for NaN and infinity as `nan` says:
        "refuse" them, "hold" the last value of that feature in their place (there must be one), or
        let them "pass". States are then as they were.
        """
        if only is None:
            found = self._quick(x)
            if found is not None:
                return found
        return self._tick(self._answer, x, only)

    def _first(self, x: Any) -> Any:
        """From now on ticks are answered the short way, if there is one."""
        self._quick = self.program.ticker() if self._natively else nothing
        return self._quick(x)

    def __call__(self, x: Any, only: Sequence[int] | None = None) -> np.ndarray:
        """The same as one program: nothing is left to be prepared."""
        return self._tick(self.program, x, only)

    def prepare(self) -> None:
        """All that can be done before the next tick; the next answer waits for less."""
        self.program.prepare()

    @property
    def late(self) -> int:
        """Answers that had to prepare first, because nobody had."""
        return self.program.late

    def export(self, folder: str | os.PathLike[str], name: str, *, tiles: int = 1) -> Written:
        """Leave it as a library for C and C++ (`Executable.export`), with the same policy."""
        return self.program.export(folder, name, nan=self.nan, tiles=tiles)

    def rates(self, seconds: float = 1.0) -> Rates:
        """Measured now, on a copy: from tick to answer, and the work between two ticks."""
        return measured(self.program.fork(), (self.streams, self.inputs), seconds)

    def _tick(self, run: Callable, x: Any, only: Sequence[int] | None) -> np.ndarray:
        """What most ticks are is checked natively, by the program; others are looked at here."""
        if only is None and type(x) is _ARRAY and self._natively:
            try:
                if x.shape == self._shape:
                    return run(x)
                if x.shape == self._alone:
                    return run(x[None])[0]
            except ArgumentError:  # said below, in words for ticks
                pass
        with self._lock:
            if only is not None:
                return self._some(run, x, self._numbers(only))
            x = _array(x)
            if self.streams == 1 and x.ndim == 1:
                return run(self._checked(x[None], self._every))[0]
            return run(self._checked(x, self._every))

    def _some(self, run: Callable, x: Any, numbers: list[int]) -> np.ndarray:
        """The others' rows are put back afterwards."""
        rows = self._checked(x, numbers)
        full = np.zeros((self.streams, self.inputs), np.float32)
        full[numbers] = rows
        others = np.setdiff1d(np.arange(self.streams), numbers)
        kept = [self._rows(array)[others] for array in self._arrays()]
        found = run(full)
        self._begun[others] += 1
        for array, rows in zip(self._arrays(), kept, strict=True):
            self._rows(array)[others] = self._waiting(rows)
        self.program.written()
        return found[numbers]

    # States, by stream

    @property
    def ticks(self) -> np.ndarray:
        """(streams,): those that each has seen since it began."""
        return self.program.calls - self._begun

    def save(self, stream: int = 0) -> Snapshot:
        """The state of one stream."""
        with self._lock:
            number = self._number(stream)
            arrays = tuple(self._taken(np.array(a[number])) for a in self._arrays())
            last, ticks = np.array(self._last[number]), self.program.calls - self._begun[number]
            return Snapshot(self.model, self.precision, self.kind, arrays, last, int(ticks))

    def restore(self, snapshot: Snapshot, stream: int = 0) -> None:
        """A state that `save` gave, of this model run this way, in this precision, for any of its
        streams.

        Raises `ArgumentError` for any other; the state is then as it was.
        """
        with self._lock:
            number, arrays = self._number(stream), self._arrays()
            self._check_snapshot(snapshot, arrays)
            for array, saved in zip(arrays, snapshot.arrays, strict=True):
                array[number] = self._put(saved)
            self._last[number] = snapshot.last
            self._begun[number] = self.program.calls - snapshot.ticks
            self.program.written()

    def fork(self, source: int, target: int) -> None:
        """From here on stream `target` goes on from where `source` is."""
        with self._lock:
            from_, to = self._number(source), self._number(target)
            for array in (*self._arrays(), self._last, self._begun):
                array[to] = array[from_]
            self.program.written()

    def reset(self, stream: int | None = None) -> None:
        """One stream, or all, as before the first tick."""
        with self._lock:
            if stream is None:
                self.program.reset()
            numbers = list(range(self.streams)) if stream is None else [self._number(stream)]
            for array in self._arrays():
                array[numbers] = 0
            self._last[numbers], self._begun[numbers] = np.nan, self.program.calls
            self.program.written()

    def _check_snapshot(self, snapshot: Any, arrays: Sequence[np.ndarray]) -> None:
        if not isinstance(snapshot, Snapshot):
            raise ArgumentError(f"snapshot must be a Snapshot, not {type(snapshot).__name__}.")
        if snapshot.kind != self.kind:
            raise ArgumentError(f"The state is of a {snapshot.kind}, not of a {self.kind}.")
        if snapshot.model != self.model:
            raise ArgumentError("The state is of another model: its net or its weights differ.")
        if snapshot.precision != self.precision:
            raise ArgumentError(f"The state is in {snapshot.precision}, not in {self.precision}.")
        wanted = [(a.dtype, a.shape[1:]) for a in arrays] + [(np.float32, (self.inputs,))]
        if [(a.dtype, a.shape) for a in (*snapshot.arrays, snapshot.last)] != wanted:
            raise ArgumentError("The state has arrays of other shapes than the model's.")

    # What a state is made of

    @abstractmethod
    def _arrays(self) -> list[np.ndarray]:
        """The state's own arrays that have a row for each stream."""

    def _rows(self, array: np.ndarray) -> np.ndarray:
        return array

    def _waiting(self, rows: np.ndarray) -> np.ndarray:
        """Rows of streams that a tick has passed by."""
        return rows

    def _taken(self, row: np.ndarray) -> np.ndarray:
        """One stream's row as it is saved, whatever the others have seen."""
        return row

    def _put(self, row: np.ndarray) -> np.ndarray:
        """And as it is restored."""
        return row

    # Checks

    def _number(self, stream: int) -> int:
        is_whole = isinstance(stream, int | np.integer) and not isinstance(stream, bool)
        if not is_whole or not 0 <= stream < self.streams:
            raise ArgumentError(
                f"There is no stream {stream!r}: it was compiled for {self.streams}, from 0 on."
            )
        return int(stream)

    def _numbers(self, only: Sequence[int]) -> list[int]:
        if not isinstance(only, Iterable):
            raise ArgumentError(f"only must be numbers of streams, not {only!r}.")
        numbers = [self._number(stream) for stream in only]
        if len(set(numbers)) < len(numbers):
            raise ArgumentError(f"only names a stream twice: {numbers}.")
        return numbers

    def _checked(self, x: Any, numbers: Sequence[int]) -> np.ndarray:
        """The ticks of these streams as finite rows, or as they are where they may pass."""
        x = x if isinstance(x, np.ndarray) else _array(x)
        if x.shape != (len(numbers), self.inputs):
            self._refuse_shape(x, len(numbers))
        if x.dtype != np.float32:
            if x.dtype != np.float64:
                raise ArgumentError(f"x has dtype {x.dtype}, but the net takes float32.")
            with np.errstate(over="ignore"):  # is infinite, and treated so
                x = x.astype(np.float32)
        if self.nan == "pass":
            return x
        if not np.isfinite(x).all():
            x = self._without_gaps(x, numbers)
        if self.nan == "hold":
            self._last[list(numbers)] = x
        return x

    def _refuse_shape(self, x: np.ndarray, count: int) -> None:
        if x.ndim == 2 and x.shape[0] != count:
            raise ArgumentError(f"x has ticks for {x.shape[0]} streams, where there are {count}.")
        if x.ndim == 2:
            raise ArgumentError(f"x has {x.shape[1]} features, but the net takes {self.inputs}.")
        raise ArgumentError(
            f"x has shape {x.shape}, not (streams, features) = ({count}, {self.inputs})."
        )

    def _without_gaps(self, x: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
        filled = x
        if self.nan == "hold":
            filled = np.where(np.isfinite(x), x, self._last[list(numbers)])
        gaps = np.argwhere(~np.isfinite(filled))
        if gaps.size:
            row, feature = gaps[0]
            why = ", and there is no earlier value to hold" if self.nan == "hold" else ""
            raise ArgumentError(
                f"x is {x[row, feature]} in stream {numbers[row]}, feature {feature}{why}."
            )
        return filled


def _array(x: Any) -> np.ndarray:
    """Of rows that are equally long."""
    try:
        return np.asarray(x)
    except ValueError:
        raise ArgumentError("x holds no rows of numbers that are equally long.") from None
