"""Split a module in parts that compile separately and link together again.

In: a `Module`, whose functions say which others they call. Out: texts with equal work; every
function is in one of them, and declared in those that call it.

Functions that were internal become visible to the linker (each program is linked on its own, so
names never clash). `alwaysinline` functions are repeated wherever they are used.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.emit.llvm import Module, Written


def split(module: Module, count: int) -> list[str]:
    """At most `count` texts."""
    if count < 2:
        return [module.text()]
    return [_part(module, group) for group in groups(module, count) if group]


def groups(module: Module, count: int) -> list[list[Written]]:
    """Longest first, each to the group with the least text so far; without those inlined."""
    loads, found = [0] * count, [[] for _ in range(count)]
    own = [function for function in module.functions.values() if not function.inlined]
    for function in sorted(own, key=lambda f: (-len(f.body), f.symbol)):
        least = loads.index(min(loads))
        loads[least] += len(function.body)
        found[least].append(function)
    return found


def _part(module: Module, group: Sequence[Written]) -> str:
    used, waiting = set(), list(group)
    while waiting:
        called = (waiting.pop().calls & module.functions.keys()) - used
        used |= called
        waiting += [module.functions[s] for s in sorted(called) if module.functions[s].inlined]
    own = {function.symbol for function in group}
    others = [module.functions[symbol] for symbol in sorted(used - own)]
    return "\n".join(
        [
            *module.declarations.values(),
            *(function.declare() for function in others if not function.inlined),
            *(function.define(exported=True) for function in group),
            *(function.define() for function in others if function.inlined),
        ]
    )
