"""Two ways through a function, depending on a register.

In: a `Function` being written. Out: the same, where both ways have met again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tilewright.codelets.emit.llvm import Function


@contextmanager
def branch(function: Function, condition: str) -> Iterator[Callable[[], None]]:
    """What is written inside runs if `condition`; after a call of what is yielded, if not."""
    then, otherwise, after = (function.name(stem) for stem in ("inside", "outside", "after"))
    current = [otherwise]
    function.do(f"br i1 {condition}, label %{then}, label %{otherwise}")
    function.label(then)

    def switch() -> None:
        function.do(f"br label %{after}")
        function.label(otherwise)
        current.clear()

    yield switch
    function.do(f"br label %{after}")
    if current:
        function.label(otherwise)
        function.do(f"br label %{after}")
    function.label(after)
