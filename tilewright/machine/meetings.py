"""How tiles that share memory meet at a barrier: in fours, of which the last goes on for all.

Each who comes writes to the line of its meeting after the one before it, and is let go by a word
that all of the meeting read.
"""

from __future__ import annotations

FAN = 4
"""How many meet, a power of two."""


def levels(workers: int) -> tuple[int, ...]:
    """Who comes to each level's meetings: workers, the last ones of the fours, and on up."""
    found = [workers]
    while found[-1] > FAN:
        found.append(-(-found[-1] // FAN))
    return tuple(found)


def messages(workers: int) -> int:
    """From core to core, one after the other, until the last worker may go on."""
    if workers == 1:
        return 0
    return sum(min(FAN, members) + 1 for members in levels(workers))
