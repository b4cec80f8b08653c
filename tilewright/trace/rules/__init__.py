"""One row for each primitive, by its name."""

from tilewright.trace.rules import (
    across,
    control,
    convolution,
    elementwise,
    indexing,
    linalg,
    movement,
    random,
    special,
    windows,
)
from tilewright.trace.session import Rule

RULES: dict[str, Rule] = {
    **control.RULES,
    **elementwise.RULES,
    **movement.RULES,
    **indexing.RULES,
    **across.RULES,
    **random.RULES,
    **special.RULES,
    **linalg.RULES,
    **convolution.RULES,
    **windows.RULES,
}
