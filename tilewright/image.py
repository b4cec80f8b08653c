"""`Image`: a compiled program as pure data, all that running it takes.

In: what the emitter knows of a program, its machine code, and how it is called. Out: one artefact,
which the cache keeps as bytes and the runtime runs, without JAX, and without a compiler where the
machine code is this host's.

A program's inputs are its constants, then one array per leaf of the arguments; a leaf that is a
PRNG key (a dtype of JAX's) is carried as uint32 with a last dimension of its own.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import Type, numpy_dtype
from tilewright.tree import Tree

_NOTHING: Mapping[int, Any] = MappingProxyType({})


@frozen
class CompiledObject:
    """Machine code: one or more object files that are linked together when loaded."""

    parts: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """For a file: the number of parts, their lengths, the parts."""
        lengths = [len(part) for part in self.parts]
        return struct.pack(f"<{len(lengths) + 1}Q", len(lengths), *lengths) + b"".join(self.parts)

    @staticmethod
    def from_bytes(data: bytes) -> CompiledObject:
        (count,) = struct.unpack_from("<Q", data)
        lengths = struct.unpack_from(f"<{count}Q", data, 8)
        ends = list(itertools.accumulate(lengths, initial=8 * (count + 1)))
        return CompiledObject(tuple(data[a:b] for a, b in itertools.pairwise(ends)))


@frozen
class Streamed:
    """The top-level map: its instances, and which leaves have one row for each of them.

    `inputs` counts program inputs without the constants, `outputs` all outputs.
    """

    count: int
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


@frozen(eq=False)
class Interface:
    """How a program is called. Without trees it is flat.

    `state` are the arguments, by number, whose new values a call writes over the old: its result is
    what there is besides, and `outputs`, `out_tree` and `forms_out` are of that.

    `inputs` are the leaves of the arguments, without the program's constants. `in_tree` is the tree
    of the tuple of arguments. Without it every argument is one array. Without `out_tree` the result
    is the only output, or the tuple of all of them.
    """

    inputs: tuple[Type, ...] = ()
    outputs: tuple[Type, ...] = ()
    name: str = "program"  # of the function
    in_tree: Tree | None = None
    out_tree: Tree | None = None
    argument_names: tuple[str, ...] = ()
    positional: int | None = None  # arguments that may be given by position; None: all
    # Leaves that are PRNG keys, with their generator, and those of no data, with "float0".
    forms_in: Mapping[int, Any] = field(default_factory=lambda: _NOTHING)
    forms_out: Mapping[int, Any] = field(default_factory=lambda: _NOTHING)
    state: tuple[int, ...] = ()

    @property
    def types(self) -> tuple[tuple[Type, ...], tuple[Type, ...]]:
        return self.inputs, self.outputs


@frozen(eq=False)
class Image:
    """A program. `object` is empty as long as it has not been compiled.

    `shared_work` says whether there is any for more threads than one; `tiles` how many of them
    there may be at most, by the user's wish. Fewer give the same bits.

    `overwrites` are the inputs that a run writes to, counted behind the constants of its own text.
    `once` is the program that gives further constants: it takes those that the function closes
    over (and the arguments, where some are bound), and is run once, before all calls.
    """

    interface: Interface = field(default_factory=Interface)
    object: CompiledObject = field(default_factory=lambda: CompiledObject(()))
    constants: tuple[np.ndarray, ...] = ()
    shared_bytes: int = 0
    tile_bytes: int = 0
    shared_work: bool = False
    tiles: int | None = None
    maps: int = 0  # queues
    loops: tuple[str, ...] = ()  # names of counted trips
    streamed: Streamed | None = None
    overwrites: tuple[int, ...] = ()
    once: Image | None = None

    def given(self, arrays: Sequence[np.ndarray]) -> Image:
        """With arrays for the first inputs: the rest are the arguments.

        Raises ValueError for arrays of other types: a program believes what it is given.
        """
        for array, kind in zip(arrays, self.interface.inputs, strict=False):
            if (array.dtype, array.shape) != (kind.numpy, kind.shape):
                raise ValueError(f"an array of {array.dtype}{list(array.shape)} in place of {kind}")
        interface = replace(self.interface, inputs=self.interface.inputs[len(arrays) :])
        return replace(self, interface=interface, constants=(*self.constants, *arrays))

    def to_bytes(self) -> bytes:
        """A line of JSON, then the machine code. It is the program of a graph: flat."""
        fields = {name: getattr(self, name) for name in _PLAIN}
        fields["inputs"] = types_to_json(self.interface.inputs)
        fields["outputs"] = types_to_json(self.interface.outputs)
        fields["constants"] = [
            (a.dtype.name, base64.b64encode(a.tobytes()).decode()) for a in self.constants
        ]
        fields["streamed"] = self.streamed and vars(self.streamed)
        fields["once"] = self.once and base64.b64encode(self.once.to_bytes()).decode()
        return json.dumps(fields).encode() + b"\n" + self.object.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> Image:
        line, _, content = data.partition(b"\n")
        fields = json.loads(line)
        streamed, once = fields["streamed"], fields["once"]
        return Image(
            interface=Interface(
                types_from_json(fields["inputs"]), types_from_json(fields["outputs"])
            ),
            object=CompiledObject.from_bytes(content),
            constants=tuple(
                np.frombuffer(base64.b64decode(text), numpy_dtype(name))
                for name, text in fields["constants"]
            ),
            streamed=streamed and Streamed(**{k: _tuples(v) for k, v in streamed.items()}),
            once=once and Image.from_bytes(base64.b64decode(once)),
            **{name: _tuples(fields[name]) for name in _PLAIN},
        )


@frozen(eq=False)
class Parts:
    """Of a step with a state (see `graph/tick.py`): programs that leave arrays for each other.

    Each takes those that are `carried` before the step's own leaves.
    """

    answer: Image
    settle: Image
    prepare: Image
    carried: tuple[Type, ...]


_PLAIN = ("shared_bytes", "tile_bytes", "shared_work", "tiles", "maps", "loops", "overwrites")


def types_to_json(types: Sequence[Type]) -> list[Any]:
    return [(kind.dtype, kind.shape) for kind in types]


def types_from_json(content: Sequence[Any]) -> tuple[Type, ...]:
    return tuple(Type(dtype, tuple(shape)) for dtype, shape in content)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
