"""`Stateful`: a program that keeps a state, and overwrites it at each call.

In: a step's program, and the values that its state begins with. Out: a callable of the rest of its
arguments, which returns what the step gives besides the new state. The state's arrays are made
once, here; a call writes them in place.

A call may also be made in two halves (`split.py`): `prepare()` does, before the tick is known, what
hangs on the state alone; `answer(x)` what is left. Results are the same bits.

Every `Stateful` has a state of its own, and one call at a time: calls of one from several threads
wait for each other, calls of its forks do not. A call that is refused changes nothing. One that is
interrupted half-way (Ctrl-C) leaves a state that is neither old nor new: from then on calls raise
RuntimeError until it is reset or set.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tilewright.codegen.link import Loaded
from tilewright.errors import ArgumentError
from tilewright.runtime import signals
from tilewright.runtime.executable import Executable, in_form
from tilewright.runtime.made import Origin
from tilewright.runtime.memory import aligned
from tilewright.runtime.signature import Signature
from tilewright.runtime.split import Split
from tilewright.tree import MismatchError

if TYPE_CHECKING:
    from tilewright.report import Profile

Arrays = Mapping[int, Sequence[np.ndarray]]
"""Leaves of arguments, by the argument's number."""


class Stateful(Executable):
    """Call it tick by tick; or `answer` each tick and `prepare` for the next.

    `late` counts the answers that had to prepare first, because nobody had; `calls` all answers and
    whole steps.
    """

    def __init__(
        self,
        compiled: Origin,
        initial: Arrays,
        *,
        loaded: Loaded | None = None,
        signature: Signature | None = None,
        present: Arrays | None = None,
    ):
        signature = signature or Signature(compiled.image.interface)
        held = {number: list(map(_copy, leaves)) for number, leaves in (present or initial).items()}
        super().__init__(compiled, loaded=loaded, signature=replace(signature, held=held))
        self._initial, self._held = initial, held
        self.lock, self._broken = threading.RLock(), False
        self._split: Split | None = None
        self.late = self.calls = 0

    # Running

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The whole step."""
        with self.lock:
            split = self._split
            if split is not None:
                self._settle()
                split.prepared = False
            return self._advance(super().__call__, args, named)

    def answer(self, *args: Any, **named: Any) -> Any:
        """The step's result for a tick, and no work that could have been done before it.

        Prepares first where nobody has since the last tick, and counts that in `late`.
        """
        with self.lock:
            split = self._split or self._made_split()
            late = not split.prepared
            if late or self._broken:
                self.prepare()
            self._broken = True
            try:  # as in `_advance`, without a call more
                result = split.answer(*args, **named)
            except ArgumentError:
                self._broken = False
                raise
            self._broken = split.prepared = False
            split.unsettled = split.settles
            self.calls += 1
            self.late += late
            return result

    def ticker(self) -> Callable[[Any], Any]:
        """`answer` of a single array for most ticks, at least cost: those for which all is
        prepared, and that are exactly as compiled for. Of others it does nothing, and gives None.
        """
        lock, watcher = self.lock, signals.watcher
        with lock:  # two made at once would each keep a part of the state
            split = self._split or self._made_split()
            if split.way is None:
                return nothing
            split.expected()
        frame, _ = split.way
        apply = frame.apply

        def tick(x: Any) -> Any:
            with lock:
                if not split.prepared or self._broken or not watcher.awake:
                    return None
                self._broken = True  # where a signal's handler raises, it stays so
                memory = split.next
                if apply((x,), memory):
                    self._broken = False
                    return None
                self._broken = split.prepared = False
                split.unsettled = split.settles
                self.calls += 1
                return memory[0]

        tick.frame = frame  # type: ignore[attr-defined]  # lives as long
        return tick

    def prepare(self) -> None:
        """What can be done before the next tick, unless it is done: the state is then settled, and
        all computed that hangs on it alone."""
        with self.lock:
            split = self._split or self._made_split()
            if split.unsettled or self._broken:
                self._settle()
                self._check()
            if not split.prepared:
                split.prepare()

    def start(self, *args: Any, **named: Any) -> NoReturn:
        raise ArgumentError(
            "A program with a state is called, not started in the background: call it, or a fork."
        )

    def bind(self, *args: Any, **named: Any) -> Stateful:
        """As `Executable.bind`; the state is a copy of this one's."""
        with self.lock:
            self._settle()
            signature = self.signature.bind(args, named)
            packed = self.compiled.bound(signature.fixed)
            loaded = self._loaded if packed.image.object is self.image.object else None
            return self._like(packed, loaded, signature)

    def refusing_gaps(self) -> Stateful:
        """The same, with a copy of the state; a call that is given a float32 that is not finite is
        refused, and changes nothing."""
        with self.lock:
            self._settle()
            self._check()
            return self._like(self.compiled, self._loaded, replace(self.signature, finite=True))

    def fork(self) -> Stateful:
        """The same program with a copy of the state, from here on its own."""
        with self.lock:
            self._settle()
            self._check()
            return self._like(self.compiled, self._loaded, self.signature)

    def save(self, path: str | os.PathLike[str]) -> None:
        """As `Executable.save`; the file holds the state as it began, not as it is."""
        self.compiled.save(Path(path), self.signature.bound, self._initial)

    @property
    def _begins_with(self) -> Arrays:
        return self._initial

    # The state

    @property
    def state(self) -> Any:
        """A copy of the state: the argument's pytree, or a tuple of them where there are several.

        What is assigned to it has that structure, and is copied.
        """
        with self.lock:
            self._settle()
            self._check()
            found = tuple(self._tree(number) for number in self.image.interface.state)
        return found[0] if len(found) == 1 else found

    @state.setter
    def state(self, value: Any) -> None:
        given = self._given(value)
        with self.lock:
            self._write(given)

    def reset(self) -> None:
        """The state as it began."""
        with self.lock:
            self._write(self._initial)

    def arrays(self) -> list[np.ndarray]:
        """The state's own arrays, leaf by leaf; whoever writes to them calls `written` then.

        Not while another thread may call.
        """
        with self.lock:
            self._settle()
            self._check()
            return [leaf for leaves in self._held.values() for leaf in leaves]

    def written(self) -> None:
        """What has been computed beforehand from `arrays` is to be forgotten."""
        with self.lock:
            if self._split is not None:
                self._split.forget()

    def _given(self, value: Any) -> Arrays:
        """Checked leaves; nothing is written before all are known to fit."""
        numbers, signature = self.image.interface.state, self.signature
        values = (value,) if len(numbers) == 1 else value
        if not isinstance(values, tuple | list) or len(values) != len(numbers):
            names = ", ".join(signature.names[i] for i in numbers)
            raise ArgumentError(f"The state is a tuple of {len(numbers)} values: {names}.")
        found = {}
        for number, own in zip(numbers, values, strict=True):
            try:
                leaves = signature.arguments[number].flatten(own, signature.names[number])
            except MismatchError as error:
                raise ArgumentError(str(error)) from None
            found[number] = [
                signature.plain(signature.first(number) + i, leaf) for i, leaf in enumerate(leaves)
            ]
        return found

    def _tree(self, number: int) -> Any:
        signature = self.signature
        first, leaves = signature.first(number), [np.array(leaf) for leaf in self._held[number]]
        forms = {i - first: form for i, form in self.image.interface.forms_in.items() if i >= first}
        return signature.arguments[number].unflatten(in_form(leaves, forms) if forms else leaves)

    def _write(self, values: Arrays) -> None:
        for number, leaves in values.items():
            for mine, leaf in zip(self._held[number], leaves, strict=True):
                mine[...] = leaf
        self._broken = False
        if self._split is not None:
            self._split.forget()

    # Looking inside

    def profile(self, *args: Any, **named: Any) -> Profile:
        """As `Executable.profile`, on a copy of the state."""
        return Executable.profile(self.fork(), *args, **named)

    def trips(self, *args: Any, **named: Any) -> dict[str, Any]:
        """As `Executable.trips`, on a copy of the state."""
        return Executable.trips(self.fork(), *args, **named)

    def __repr__(self) -> str:
        """`<Stateful step(x: float32[3]) -> float32, state: 2 arrays, 1 thread>`"""
        count = sum(map(len, self._held.values()))
        shown, threads = super().__repr__().replace("Executable", "Stateful").rsplit(", ", 1)
        return f"{shown}, state: {count} array{'s' * (count != 1)}, {threads}"

    # Within the lock

    def _advance(self, run: Callable, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        if self._broken:
            self._check()
        self._broken = True
        try:
            result = run(*args, **named)
        except ArgumentError:  # it was refused, and nothing was run
            self._broken = False
            raise
        self._broken = False
        self.calls += 1
        return result

    def _check(self) -> None:
        if self._broken:
            raise RuntimeError(
                "A call was interrupted, and the state is neither old nor new: reset it, or set it."
            )

    def _settle(self) -> None:
        if self._split is not None and self._split.unsettled:
            self._check()
            self._broken = True
            self._split.settle()
            self._broken = False

    def _made_split(self) -> Split:
        self._split = Split(self.compiled.parts, self.signature, self.image.interface)
        return self._split

    def _like(self, compiled: Origin, loaded: Loaded | None, signature: Signature) -> Stateful:
        return Stateful(
            compiled, self._initial, loaded=loaded, signature=signature, present=self._held
        )


def nothing(x: Any) -> None:
    """No tick is as most are."""


def _copy(array: np.ndarray) -> np.ndarray:
    """On lines of its own."""
    made, _ = aligned(array.shape, array.dtype, array.nbytes)
    made[...] = array
    return made
