"""Split a module's text in parts that compile separately and link together again.

In: text in which every function ends with a line "}" of its own, as `codelets/llvm.py` writes it.
Out: texts with equal work; every function is in one of them, and declared in those that call it.

Functions that were internal become visible to the linker (each program is linked on its own, so
names never clash). `alwaysinline` functions and constants are repeated wherever they are used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"@([\w.$-]+)")
_LINKAGE = re.compile(r"^define (internal |private |linkonce_odr )?(hidden )?")


@dataclass
class Pieces:
    """The text, taken apart: function texts by name, and all the rest."""

    functions: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


def pieces(text: str) -> Pieces:
    """Take `text` apart at "define" and "}" lines."""
    result, body = Pieces(), []
    for line in text.splitlines():
        if body:
            body.append(line)
            if line == "}":
                result.functions[_called(body[0])] = "\n".join(body)
                body = []
        elif line.startswith("define "):
            body = [line]
        elif line.strip():
            result.rest.append(line)
    return result


def _called(header: str) -> str:
    found = _NAME.search(header)
    assert found, header
    return found[1]


def split(text: str, count: int) -> list[str]:
    """At most `count` texts; the whole one if it holds variables, which parts could not share."""
    taken = pieces(text)
    if count < 2 or any(_is_variable(line) for line in taken.rest):
        return [text]
    inlined = {name for name, body in taken.functions.items() if _is_inlined(body)}
    groups = _groups(taken.functions, inlined, count)
    return [_part(taken, inlined, group) for group in groups if group]


def _is_variable(line: str) -> bool:
    return line.startswith("@") and re.search(r"\bglobal\b", line) is not None


def _is_inlined(body: str) -> bool:
    return "alwaysinline" in body.partition("\n")[0]


def _groups(functions: dict[str, str], inlined: set[str], count: int) -> list[list[str]]:
    """Longest first, each to the group with the least text so far."""
    loads, groups = [0] * count, [[] for _ in range(count)]
    for name in sorted(functions.keys() - inlined, key=lambda n: (-len(functions[n]), n)):
        least = loads.index(min(loads))
        loads[least] += len(functions[name])
        groups[least].append(name)
    return groups


def _part(taken: Pieces, inlined: set[str], group: list[str]) -> str:
    bodies = {name: taken.functions[name] for name in group}
    used, waiting = set(), list(group)
    while waiting:
        names = set(_NAME.findall(taken.functions[waiting.pop()])) & taken.functions.keys() - used
        used |= names
        waiting += sorted(names & inlined)
    bodies |= {name: taken.functions[name] for name in sorted(used & inlined)}
    declared = [_declaration(taken.functions[name]) for name in sorted(used - bodies.keys())]
    exported = [
        body if name in inlined else _LINKAGE.sub("define ", body) for name, body in bodies.items()
    ]
    return "\n".join([*taken.rest, *declared, *exported])


def _declaration(body: str) -> str:
    """`define internal void @f(ptr %a0) noinline {` as `declare void @f(ptr %a0) noinline`."""
    header = body.partition("\n")[0].rstrip().removesuffix("{")
    return _LINKAGE.sub("declare ", header)
