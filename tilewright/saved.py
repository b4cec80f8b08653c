"""A program in a file: its signature, its graph as text, its data, and a checksum of all of it.

In: a `Saved`. Out: the bytes of a file, and the same `Saved` again. No machine code is in it, and
nothing of any machine: who loads it compiles for the host that it is on. For the same reason data
are kept once, as they were given. Each host packs weights for its own registers and caches: that
takes milliseconds, and results do not depend on it.

    tilewright-program-3
    the checksum of all that follows (`checksum.py`), in hexadecimal
    a line of JSON: how it is called, types and places of arrays, bytes of the graph's text
    the graph (`graph/text.py`)
    arrays, each on a line of 64 bytes, counted from where the file begins

Files are written in one step (`files.py`). Reading believes nothing: whatever is not as it should
be is a `LoadError`, and nothing of the file is ever imported or evaluated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.checksum import Fill, checksum, from_file
from tilewright.errors import ArgumentError, LoadError
from tilewright.files import write_bytes
from tilewright.frozen import frozen
from tilewright.graph.ir import Type
from tilewright.image import Interface, types_from_json, types_to_json
from tilewright.tree import LEAF, MismatchError, Tree

MAGIC = b"tilewright-program-3\n"
_ANY_VERSION = b"tilewright-program-"
_START = len(MAGIC) + 65
"""Where the content begins, behind 64 figures and the end of their line."""
_LINE = 64
_LOOK = 1 << 16


@frozen(eq=False)
class Saved:
    """`text` is a graph whose first inputs are `constants`, and the rest those of the interface.

    `bound` are the leaves of the arguments that are fixed, by the argument's number, `initial`
    those of a state as it begins.
    """

    text: str
    constants: tuple[np.ndarray, ...]
    interface: Interface
    tiles: int | None = None
    bound: Mapping[int, Sequence[np.ndarray]] = field(default_factory=dict)
    initial: Mapping[int, Sequence[np.ndarray]] = field(default_factory=dict)


def write(path: Path, saved: Saved) -> None:
    """Put it in the place of what `path` holds. Raises ArgumentError for what no file can hold."""
    write_bytes(path, to_bytes(saved))


def read(path: Path) -> Saved:
    """Raises LoadError for anything but a whole file of ours, OSError where there is none."""
    with path.open("rb") as file:
        data, read = _room(file.seek(0, 2)), file.fileno()
        try:
            head = os.pread(read, _START, 0)
            data[: len(head)] = np.frombuffer(head, np.uint8)
            return _checked(data, from_file(read, data[_START:].data, _START))
        except LoadError as error:
            raise LoadError(f"{path} {error}") from None


def to_bytes(saved: Saved) -> bytes:
    """A file's content."""
    text = saved.text.encode()
    given = (*saved.bound.values(), *saved.initial.values())
    arrays = [*saved.constants, *(leaf for leaves in given for leaf in leaves)]
    head = {
        "interface": _interface_to_json(saved.interface, saved.bound),
        "tiles": saved.tiles,
        "graph": len(text),
        "constants": len(saved.constants),
        "bound": {number: len(leaves) for number, leaves in saved.bound.items()},
        "initial": {number: len(leaves) for number, leaves in saved.initial.items()},
        "arrays": types_to_json([Type(array.dtype.name, array.shape) for array in arrays]),
    }
    content = [json.dumps(head).encode(), b"\n", text]
    size = _START + sum(map(len, content))
    for array in arrays:
        content += [bytes(-size % _LINE), np.ascontiguousarray(array).tobytes()]
        size += len(content[-2]) + len(content[-1])
    return sealed(b"".join(content))


def sealed(content: bytes) -> bytes:
    """Behind the name of the format and the checksum."""
    return b"".join([MAGIC, checksum(memoryview(content)).encode(), b"\n", content])


def from_bytes(data: np.ndarray) -> Saved:
    """Of a file's content, as bytes (uint8); arrays are views of it."""
    return _checked(data)


def _checked(data: np.ndarray, fill: Fill | None = None) -> Saved:
    """`fill` fetches what comes behind the checksum."""
    head = data[:_START].tobytes()
    if head[: len(MAGIC)] != MAGIC:
        if head.startswith(_ANY_VERSION):
            raise LoadError("was saved by a version of tilewright with another format.")
        raise LoadError("is no program of tilewright's.")
    if head[len(MAGIC) :] != checksum(data[_START:].data, fill).encode() + b"\n":
        raise LoadError("is damaged: its checksum is not that of its content.")
    data = data.view()
    data.flags.writeable = False
    try:
        return _parsed(data, _START)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise LoadError(
            f"holds no program that this version of tilewright knows ({what})."
        ) from None


def _parsed(data: np.ndarray, start: int) -> Saved:
    """Raises anything where the content is not as `to_bytes` writes it."""
    at = _end_of_line(data, start)
    head = json.loads(data[start:at].tobytes())
    text = data[at : at + head["graph"]].tobytes().decode()
    at += len(text.encode())
    arrays = []
    for kind in types_from_json(head["arrays"]):
        at += -at % _LINE
        count = kind.nbytes
        if min((0, *kind.shape)) < 0 or at + count > len(data):
            raise ValueError("data that are not there")
        arrays.append(data[at : at + count].view(kind.numpy).reshape(kind.shape))
        at += count
    if at != len(data):
        raise ValueError("more data than it has arrays")
    constants, rest = arrays[: head["constants"]], iter(arrays[head["constants"] :])
    interface = _interface_from_json(head["interface"])
    bound, initial = (
        {int(key): [next(rest) for _ in range(n)] for key, n in head[given].items()}
        for given in ("bound", "initial")
    )
    _check_given(interface, bound)
    _check_given(interface, initial)
    if set(initial) != set(interface.state) or set(initial) & set(bound):
        raise ValueError(f"a state of the arguments {sorted(initial)}")
    tiles = head["tiles"]
    if tiles is not None and (type(tiles) is not int or tiles < 1):
        raise ValueError(f"{tiles!r} tiles")
    return Saved(text, tuple(constants), interface, tiles, bound, initial)


def _check_given(interface: Interface, given: Mapping[int, Sequence[np.ndarray]]) -> None:
    """Leaves have the types of those in whose place they are."""
    if interface.in_tree is None:
        raise ValueError("arguments without a structure")
    first, known = 0, {}
    for number, tree in enumerate(interface.in_tree.children):
        count = sum(1 for _ in tree.paths())
        known[number] = interface.inputs[first : first + count]
        first += count
    if first != len(interface.inputs):
        raise ValueError(f"{first} leaves for {len(interface.inputs)} inputs")
    for number, leaves in given.items():
        types = tuple(Type(leaf.dtype.name, leaf.shape) for leaf in leaves)
        if types != known[number]:
            raise ValueError(f"{', '.join(map(str, types))} for argument {number}")


def _interface_to_json(
    interface: Interface, bound: Mapping[int, Sequence[np.ndarray]]
) -> dict[str, Any]:
    """Of arguments that are bound nobody asks for more than the leaves."""
    assert interface.in_tree is not None
    assert interface.out_tree is not None
    arguments = [
        _tree_to_json(_flat(len(bound[i])) if i in bound and not tree.is_leaf else tree, name)
        for i, (tree, name) in enumerate(
            zip(interface.in_tree.children, interface.argument_names, strict=True)
        )
    ]
    for forms, side in ((interface.forms_in, "arguments"), (interface.forms_out, "results")):
        for form in forms.values():
            if not isinstance(form, str):
                raise ArgumentError(f"{side} hold keys of {form}, which has no name to be saved.")
    return {
        "name": interface.name,
        "inputs": types_to_json(interface.inputs),
        "outputs": types_to_json(interface.outputs),
        "arguments": arguments,
        "result": _tree_to_json(interface.out_tree, "the result"),
        "argument_names": interface.argument_names,
        "positional": interface.positional,
        "forms_in": dict(interface.forms_in),
        "forms_out": dict(interface.forms_out),
        "state": interface.state,
    }


def _tree_to_json(tree: Tree, name: str) -> Any:
    try:
        return tree.to_json()
    except MismatchError as error:
        raise ArgumentError(f"{name} {error}.") from None


def _flat(leaves: int) -> Tree:
    return Tree("tuple", (LEAF,) * leaves)


def _interface_from_json(content: Mapping[str, Any]) -> Interface:
    interface = Interface(
        name=str(content["name"]),
        inputs=types_from_json(content["inputs"]),
        outputs=types_from_json(content["outputs"]),
        in_tree=Tree("tuple", tuple(map(Tree.from_json, content["arguments"]))),
        out_tree=Tree.from_json(content["result"]),
        argument_names=tuple(map(str, content["argument_names"])),
        positional=content["positional"],
        forms_in={int(i): str(form) for i, form in content["forms_in"].items()},
        forms_out={int(i): str(form) for i, form in content["forms_out"].items()},
        state=tuple(map(int, content["state"])),
    )
    assert interface.in_tree is not None
    assert interface.out_tree is not None
    if sum(1 for _ in interface.out_tree.paths()) != len(interface.outputs):
        raise ValueError("results without a place")
    if len(interface.argument_names) != len(interface.in_tree.children):
        raise ValueError("arguments without a name")
    if not 0 <= int(interface.positional or 0) <= len(interface.argument_names):
        raise ValueError(f"{interface.positional} arguments by position")
    return interface


def _end_of_line(data: np.ndarray, start: int) -> int:
    """Behind the next one; most of a file are arrays, which nobody looks through for it."""
    for at in range(start, len(data), _LOOK):
        found = data[at : at + _LOOK].tobytes().find(b"\n")
        if found >= 0:
            return at + found + 1
    raise ValueError("a line without an end")


def _room(size: int) -> np.ndarray:
    """For a file's bytes, on a line: arrays in it are then on lines, too."""
    raw = np.empty(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size]
