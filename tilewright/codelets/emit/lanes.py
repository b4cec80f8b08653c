"""The end of a sum along lanes: many accumulators of 16 virtual lanes become one number each.

In: accumulators, each a list of machine vectors (its 16 lanes in order). Out: vectors whose lanes
are the totals, and which accumulator each lane belongs to. Always: lanes are combined by halving,
lane l with l + 8, then + 4, + 2, + 1; every operation is commutative, so its operands may swap.

Two vectors x and y are folded at once: `[x low | y high] + [x high | y low]` is one blend, one
shuffle and one addition, and leaves x's total in the low half and y's in the high one. (Shuffling
through memory is three times slower: loads that span two stores wait for both.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.vectors import shuffle
from tilewright.frozen import frozen

Combine = Callable[[Function, int, str, str], str]
"""(function, width, x, y) -> the register that holds x combined with y, lane by lane."""


@frozen
class Totals:
    """A vector whose lane i is the total of accumulator `owners[i]` (None: of none)."""

    register: str
    owners: tuple[int | None, ...]


def fold(
    function: Function, kind: str, accumulators: Sequence[Sequence[str]], combine: Combine
) -> list[Totals]:
    """The total of each accumulator, in as few vectors as hold them."""
    width = 16 // len(accumulators[0])
    singles = [_fold_parts(function, parts, width, combine) for parts in accumulators]
    groups = [range(i, min(i + width, len(singles))) for i in range(0, len(singles), width)]
    return [
        _fold_group(function, kind, [Totals(singles[i], (i,)) for i in group], width, combine)
        for group in groups
    ]


def _fold_parts(function: Function, parts: Sequence[str], width: int, combine: Combine) -> str:
    """Halving while one half is whole machine vectors."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [combine(function, width, parts[i], parts[i + half]) for i in range(half)]
    return parts[0]


def _fold_group(
    function: Function, kind: str, group: list[Totals], width: int, combine: Combine
) -> Totals:
    """Halving within vectors; each level folds pairs of vectors into one."""
    half = width // 2
    while half:
        pairs = (len(group) + 1) // 2
        partners = [*group[pairs:], None][: pairs + 1]
        group = [
            _fold_pair(function, kind, x, y, width, half, combine)
            for x, y in zip(group[:pairs], [*partners, None], strict=False)
        ]
        half //= 2
    return group[0]


def _fold_pair(
    function: Function,
    kind: str,
    x: Totals,
    y: Totals | None,
    width: int,
    half: int,
    combine: Combine,
) -> Totals:
    """x's blocks of 2 * half lanes folded into their low halves, y's into their high ones."""
    lanes = range(width)
    other = y.register if y else x.register
    shift = width if y else 0
    keep = [lane + (shift if lane & half else 0) for lane in lanes]
    swap = [(lane ^ half) + (shift if lane & half else 0) for lane in lanes]
    # Without y the same picks, made on x alone, leave its total in both halves.
    first = x.register if y is None else shuffle(function, kind, width, x.register, other, keep)
    second = shuffle(function, kind, width, x.register, other, swap)
    owners = tuple(
        owner for i, mine in enumerate(x.owners) for owner in (mine, y.owners[i] if y else None)
    )
    return Totals(combine(function, width, first, second), owners)
