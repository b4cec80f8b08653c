"""Functions that are called from one place go into their caller: LLVM takes 0.4 ms for the least.

In: a module, and symbols of functions that it may be done to. Out: the same module, where some of
those are `alwaysinline`.

What LLVM is told not to improve (`optnone`) stays by itself, and so does what it calls: that may be
the inside of a loop. Nor does a function become longer than `LONGEST`, as LLVM takes more than
twice as long for twice the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tilewright.codelets.emit.llvm import Module, Written

LONGEST = 16_000
"""Characters of a function with all that goes into it: some 150 calls."""


def into_callers(module: Module, symbols: Iterable[str]) -> None:
    """Mark those of `symbols` that go into their callers; those of a module come before theirs."""
    wanted, functions = frozenset(symbols), module.functions
    callers = _callers(functions.values(), wanted)
    sizes = {symbol: len(function.body) for symbol, function in functions.items()}
    for symbol, function in list(functions.items()):
        caller = callers.get(symbol)
        if caller is None or not (_improved(function) and _improved(caller)):
            continue
        together = sizes[symbol] + sizes[caller.symbol]
        if together <= LONGEST:
            sizes[caller.symbol] = together
            functions[symbol] = replace(function, attributes="alwaysinline nounwind")


def _callers(functions: Iterable[Written], wanted: frozenset[str]) -> dict[str, Written]:
    """The caller of each that is called from one place."""
    found: dict[str, list[Written]] = {}
    for function in functions:
        for symbol in function.calls & wanted:
            found.setdefault(symbol, []).append(function)
    return {
        symbol: callers[0]
        for symbol, callers in found.items()
        if len(callers) == 1 and callers[0].body.count(f"@{symbol}(") == 1
    }


def _improved(function: Written) -> bool:
    return "optnone" not in function.attributes.split()
