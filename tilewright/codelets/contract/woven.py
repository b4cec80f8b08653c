"""Two products in one: few rows times panels that are waited for, among them rows that are not.

In: the operands of `few`, then those of `many`, two `ContractPanels` of which neither reads what
the other makes. Out: the results of both. Of few rows, reading the panels is what takes the time,
and half of the multiply-adds that the core could do meanwhile are left: they go to some rows at a
time of `many`, a panel of theirs for each group of panels of the few. Bits are those of either.

(Zen 4, float32: a state's step of 256 units, from L2, takes 10.2 us, and 25 rows times 48 columns
5.4; both in turn 15.6, woven 13.5.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewright.codelets.base import LANES, Codelet, Operand
from tilewright.codelets.contract import woven_emit
from tilewright.codelets.contract.panels import ContractPanels
from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.emit.tiling import split
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF
from tilewright.machine.cost import Count

FEW, GROUP = 4, 4
"""Rows that wait for their panels, and how many of those at most advance together."""
KINDS = ({"float32"}, {"bfloat16"})
"""Of all operands."""
TOGETHER, MOST = 7, 2
"""Rows of the many that are summed at once: fewer read a panel oftener, of more there are too few
sets to go beneath all groups; `MOST` times that at most."""


@frozen
class Woven(Codelet):
    few: ContractPanels
    many: ContractPanels

    @property
    def name(self) -> str:
        return f"woven_{self.few.name}_{self.many.name}"

    @property
    def inputs(self) -> tuple[Operand, ...]:
        return (*self.few.inputs, *self.many.inputs)

    @property
    def outputs(self) -> tuple[Operand, ...]:
        return (*self.few.outputs, *self.many.outputs)

    @property
    def turned(self) -> Woven:
        """The same with the few rows' panels read from the last to the first."""
        return replace(self, few=replace(self.few, backwards=True))

    def meaning(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        first = len(self.few.inputs)
        return (*self.few.meaning(*arrays[:first]), *self.many.meaning(*arrays[first:]))

    @property
    def work(self) -> Count:
        return self.few.work + self.many.work

    def emit(self, module: Module, symbol: str) -> None:
        woven_emit.emit(self, module, symbol, sets_of(self.few, self.many))


def together(few: ContractPanels, many: ContractPanels, one: tuple, other: tuple) -> tuple:
    """What a call of both is given, from what a call of each is."""
    a, b = len(few.inputs), len(many.inputs)
    return (*one[:a], *other[:b], *one[a:], *other[b:])


def apart(few: ContractPanels, many: ContractPanels, arguments: tuple) -> tuple[tuple, tuple]:
    """What a call of each is given, from what a call of both is."""
    a, b, made = len(few.inputs), len(many.inputs), len(few.outputs)
    read, written = arguments[: a + b], arguments[a + b :]
    return (*read[:a], *written[:made]), (*read[a:], *written[made:])


def sets_of(few: ContractPanels, many: ContractPanels) -> int:
    """Into how many sets rows are cut that are summed at once; 0: groups are too few for any."""
    wanted = -(-many.m // TOGETHER)
    found = min(wanted, _groups(few) // (many.n // LANES))
    return found if found * MOST * TOGETHER >= many.m else 0


def weaves(few: ContractPanels, many: ContractPanels) -> bool:
    """Whether the many rows find room among the few: as many terms or more, of float32 or of pairs
    of bfloat16 on both sides, whole panels, no more sets of rows and panels than the few have whole
    groups alike.

    (Of bytes, what follows sums is written among the next ones already.)
    """
    operands = {few.lhs.dtype, few.panels.dtype, many.lhs.dtype, many.panels.dtype}
    return (
        operands in KINDS
        and few.paired == many.paired == (operands == {"bfloat16"})
        and few.m <= FEW < many.m
        and many.parts == 1
        and not few.far
        and few.k <= many.k <= LEAF
        and not many.n % LANES
        and sets_of(few, many) > 0
    )


def _groups(few: ContractPanels) -> int:
    """Groups of as many panels, all of them whole."""
    runs = split(-(-few.n // LANES), max(1, GROUP // few.parts))
    return max(run.count for run in runs) - (few.n % LANES > 0)
