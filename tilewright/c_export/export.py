"""`export`: a compiled function as a library for C and C++, without Python, JAX or LLVM.

In: a compiled function, what is bound of it, the state that it begins with. Out: files in a folder,
each replaced in one step: `NAME.h`, `NAME.o`, `libNAME.a`, `NAME_example.c`, `CMakeLists.txt`,
`libNAME.so` where the host has a linker, and `NAME_gang.c` where there are several tiles.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.c_export import gang, text
from tilewright.c_export.archive import static_library
from tilewright.c_export.gaps import Gaps, check_policy
from tilewright.c_export.header import C_TYPES, Given, cmake, example, header, identifiers
from tilewright.c_export.inside import ALLOCATE, FREE, Inside, Names, exports, symbol
from tilewright.c_export.levels import LEVELS
from tilewright.c_export.pieces import Pieces, pieces_of
from tilewright.c_export.stream import layout_of
from tilewright.codegen.object_file import object_file
from tilewright.codegen.target import Target
from tilewright.codelets.emit.libm import LIBM
from tilewright.errors import ArgumentError
from tilewright.files import Written, write_all
from tilewright.graph.ir import Type
from tilewright.runtime.signature import Signature

OUTSIDE = (ALLOCATE, FREE, "memcpy", "memmove", "memset", "fmod", "fmodf", *LIBM)
"""What the C library has to give."""
_TAKEN = frozenset(
    "abi open open_level level start stop reset answer prepare late state_bytes save restore model "
    "stream program".split()
)
_LIBRARIES = frozenset("c m dl rt pthread util gcc".split())
ANY = Target("x86-64", "")
MOST_TILES = 64
"""Each takes memory in every stream."""


def export(
    compilation: Any,
    signature: Signature,
    initial: Mapping[int, Sequence[np.ndarray]],
    folder: Path,
    name: str,
    nan: str = "refuse",
    tiles: int = 1,
) -> Written:
    """`nan` is what a step with a state does about float32 that are not finite (`gaps.py`); with
    more than one of `tiles`, other threads may help with a call (`gang.py`).

    Raises ArgumentError for a name that C does not take, and for what has no type in C.
    """
    check_policy(nan)
    if type(tiles) is not int or not 1 <= tiles <= MOST_TILES:
        raise ArgumentError(f"tiles must be a whole number from 1 to {MOST_TILES}, not {tiles!r}.")
    names = Names(_checked(name), _verb(signature.interface.name))
    fixed, state = signature.fixed, signature.state
    inputs, outputs = _given(signature, fixed, state)
    kept = [signature.interface.inputs[i] for i in state]
    first = [np.ascontiguousarray(a) for arrays in initial.values() for a in arrays]
    levels = [
        pieces_of(compilation, level, fixed, state, tiles)
        for level in LEVELS
        if level.dtype in compilation.source.text
    ]
    data = _Data()
    floats = {i: given for i, given in enumerate(inputs) if given.type.dtype == "float32"}
    held = [given.type for given in floats.values() if state and nan == "hold"]
    first += [np.full(kind.shape, np.nan, np.float32) for kind in held]
    mark = _mark(compilation, fixed, nan) if state else b""
    insides = [_inside(pieces, kept, held, first, mark, data, tiles) for pieces in levels]
    layout = insides[0].layout
    counts = [(i, given.count) for i, given in floats.items()]
    gaps = Gaps(nan, counts, layout.state[len(kept) :], layout.filled)
    symbols = exports(names, bool(state), tiles)
    parts = _compiled(insides, text.module(names, insides, gaps, tiles))
    outside = (*OUTSIDE, "sched_yield") if tiles > 1 else OUTSIDE
    content = object_file(parts, bytes(data.content), symbols, outside)
    inside = [pieces.level.name for pieces in levels]
    help_ = gang.header(name) if tiles > 1 else ""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        f"{name}.h": header(names, inputs, outputs, inside, nan if state else None, help_),
        f"{name}.o": content,
        f"lib{name}.a": static_library([(f"{name[:11]}.o", content, symbols)]),
        f"{name}_example.c": example(names, inputs, outputs, bool(state)),
        "CMakeLists.txt": cmake(names, tiles),
    }
    if tiles > 1:
        files[f"{name}_gang.c"] = gang.source(name)
    shared = _shared(content)
    if shared is not None:
        files[f"lib{name}.so"] = shared
    write_all({folder / file: content for file, content in files.items()})
    note = "" if shared else "This host has no linker (cc or ld): there is no shared object."
    return Written(tuple(folder / file for file in files), note)


def _checked(name: str) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ArgumentError(
            f"name must be letters, digits and underscores, a letter first, not {name!r}."
        )
    if name in _LIBRARIES:
        raise ArgumentError(f"name must not be {name!r}: lib{name}.a is a library of C itself.")
    return name


def _verb(function: str) -> str:
    verb = re.sub(r"\W", "", function).strip("_")
    return "run" if not verb or verb[0].isdigit() or verb in _TAKEN else verb


def _given(
    signature: Signature, fixed: Mapping[int, Any], state: Sequence[int]
) -> tuple[list[Given], list[Given]]:
    interface = signature.interface
    free = [i for i in range(len(interface.inputs)) if i not in fixed and i not in state]
    tree = interface.out_tree
    results = list(tree.paths("result")) if tree else []
    results = results or [f"result_{i}" for i in range(len(interface.outputs))]
    labels = identifiers([*(signature.leaf_names[i] for i in free), *results])
    types = [*(interface.inputs[i] for i in free), *interface.outputs]
    for label, kind in zip(labels, types, strict=True):
        if kind.dtype not in C_TYPES:
            raise ArgumentError(f"{label} is of {kind.dtype}, which C has no type for.")
    given = [Given(label, kind) for label, kind in zip(labels, types, strict=True)]
    return given[: len(free)], given[len(free) :]


def _mark(compilation: Any, fixed: Mapping[int, np.ndarray], nan: str) -> bytes:
    """A line that tells the states of one program, with its weights, from those of any other."""
    source = compilation.source
    digest = hashlib.sha256(f"{source.text}\n{sorted(fixed)}\n{nan == 'hold'}".encode())
    for array in (*source.constants, *fixed.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    return b"tilewright state".ljust(32, b"\0") + digest.digest()


class _Data:
    """Arrays one behind the other, each on a line, equal ones once."""

    def __init__(self) -> None:
        self.content, self._known = bytearray(), {}

    def at(self, array: np.ndarray) -> int:
        raw = np.ascontiguousarray(array).tobytes()
        key = hashlib.sha256(raw).digest()
        if key not in self._known:
            self.content += bytes(-len(self.content) % 64)
            self._known[key] = len(self.content)
            self.content += raw
        return self._known[key]


def _inside(
    pieces: Pieces,
    state: Sequence[Type],
    held: Sequence[Type],
    first: Sequence[np.ndarray],
    mark: bytes,
    data: _Data,
    tiles: int,
) -> Inside:
    layout = layout_of(pieces, state, held, tiles)

    def placed(kind: str, what: Any) -> tuple[str, int]:
        match kind:
            case "data":
                return "data", data.at(what)
            case "state":
                return "stream", layout.state[what]
            case "carried":
                return "stream", layout.carried[what]
        return kind, what

    return Inside(
        pieces.level,
        layout,
        {piece.name: piece for piece in pieces.pieces},
        {piece.name: [placed(*place) for place in piece.places] for piece in pieces.pieces},
        tuple(map(data.at, first)),
        data.at(np.frombuffer(mark, np.uint8)),
    )


def _compiled(insides: Sequence[Inside], api: str) -> list[bytes]:
    from tilewright.codegen.host import compile_part  # LLVM takes half a second to import

    parts = [compile_part(api, ANY)]
    for number, inside in enumerate(insides):
        for name, piece in inside.pieces.items():
            own = piece.text.replace("@tilewright_run(", f"@{symbol(number, name)}(")
            parts.append(compile_part(own, inside.level.target))
    return parts


def _shared(content: bytes) -> bytes | None:
    """A shared object, where there is a linker."""
    linker = shutil.which("cc") or shutil.which("gcc") or shutil.which("ld")
    if linker is None:
        return None
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "it.o"), Path(folder, "it.so")
        source.write_bytes(content)
        command = [linker, "-shared", "-o", str(target), str(source), "-lm"]
        done = subprocess.run(command, capture_output=True, check=False)
        return target.read_bytes() if done.returncode == 0 else None
