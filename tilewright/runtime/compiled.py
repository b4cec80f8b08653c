"""What the compiler hands to the runtime: `Compiled`. Pure data.

A program's inputs are its hidden constants, then one array per leaf of the arguments; a leaf that
is a PRNG key (a dtype of JAX's) is carried as uint32 with a last dimension of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from tilewright.codegen.host import CompiledObject
from tilewright.graph.ir import Type
from tilewright.runtime.tree import Tree


@dataclass(frozen=True)
class Streamed:
    """The top-level map: its instances, and which leaves have one row for each of them.

    `inputs` counts program inputs without the hidden constants, `outputs` all outputs.
    """

    count: int
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled function. Without trees it is flat.

    `in_tree` is the tree of the tuple of arguments. Without it every argument is one array. Without
    `out_tree` the result is the only output, or the tuple of all of them.
    """

    object: CompiledObject
    inputs: tuple[Type, ...]
    outputs: tuple[Type, ...]
    shared_bytes: int = 0
    tile_bytes: int = 0
    constants: tuple[np.ndarray, ...] = ()
    tiles: int = 1  # logical tiles
    workers: int = 1  # threads at most; fewer give the same bits
    maps: int = 0  # queues
    loops: tuple[str, ...] = ()  # names of counted trips
    name: str = "program"  # of the function
    in_tree: Tree | None = None
    out_tree: Tree | None = None
    argument_names: tuple[str, ...] = ()
    positional: int | None = None  # arguments that may be given by position; None: all
    # Leaves that are PRNG keys, with their generator, and those of no data, with "float0".
    forms_in: Mapping[int, Any] = field(default_factory=lambda: MappingProxyType({}))
    forms_out: Mapping[int, Any] = field(default_factory=lambda: MappingProxyType({}))
    streamed: Streamed | None = None
    pack: Callable[[Mapping[int, np.ndarray]], Compiled] | None = None
    """The program for inputs that are fixed, by position, with their work done beforehand."""
    stages: Any = None
    """What it was compiled from, with `graph`, `program` and `llvm`; made when first asked for."""

    @property
    def graph(self) -> Any:
        return self.stages.graph

    @property
    def program(self) -> Any:
        return self.stages.program

    @property
    def llvm(self) -> str:
        """LLVM text, before LLVM's passes."""
        return self.stages.llvm
