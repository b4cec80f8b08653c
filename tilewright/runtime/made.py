"""`Made`: an Image, and what it shows of how it was made, where that is no compiler's work.

An Executable runs the `image` of what it is given. One that `compile` makes is a `Compilation`
(`compilation.py`), which has the rest from the compiler; this one is for programs made by hand, and
for those that are run once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from tilewright.frozen import frozen
from tilewright.image import Image, Parts


class Origin(Protocol):
    """What an Executable asks for."""

    @property
    def image(self) -> Image: ...
    @property
    def graph(self) -> Any: ...
    @property
    def program(self) -> Any: ...
    @property
    def llvm(self) -> str: ...
    @property
    def stages(self) -> Any: ...
    def bound(self, fixed: Mapping[int, np.ndarray]) -> Origin:
        """The same for inputs that are fixed, by position, with their work done beforehand."""
        ...

    def save(
        self,
        path: Path,
        bound: Mapping[int, Sequence[np.ndarray]],
        initial: Mapping[int, Sequence[np.ndarray]] = ...,
    ) -> None:
        """Leave it in a file, with the leaves of arguments that are bound, by their number, and
        those that a state begins with."""
        ...

    def export(
        self,
        signature: Any,
        initial: Mapping[int, Sequence[np.ndarray]],
        folder: Path,
        name: str,
        nan: str = "refuse",
        tiles: int = 1,
    ) -> Any:
        """Leave it as a library for C, with what the signature has bound, and such a state."""
        ...

    @property
    def parts(self) -> Parts:
        """What answers, settles and prepares, of a step with a state."""
        ...


@frozen(eq=False)
class Made:
    """A program without a graph."""

    image: Image
    program: Any = None
    llvm: str = ""
    graph: Any = None
    stages: Any = None

    def bound(self, fixed: Mapping[int, np.ndarray]) -> Self:
        """Nothing is known to be done beforehand."""
        return self

    @property
    def parts(self) -> Parts:
        raise ValueError("A program made by hand has no graph that could be split.")

    def export(
        self,
        signature: Any,
        initial: Any,
        folder: Path,
        name: str,
        nan: str = "refuse",
        tiles: int = 1,
    ) -> Any:
        raise ValueError("A program made by hand has no graph that could be compiled for others.")

    def save(self, path: Path, bound: Any, initial: Any = None) -> None:
        raise ValueError("A program made by hand has no graph that a file could hold.")
