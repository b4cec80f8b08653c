"""New days for a job's table.

In: the table as it was, and one of days that come after. Out: both, checked: the same instruments
(one that is missing has no price on those days), days after the last.
"""

from __future__ import annotations

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.extras import joined
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.windows import position


def appended(before: Prices, new: Prices) -> Prices:
    """One table; days of `new` that are there already must say the same."""
    strangers = [name for name in new.names if name not in before.names]
    if strangers:
        raise AlphaError(
            f"{new.source} has {strangers[0]!r}, which the job does not know: its instruments are "
            "fixed, as its models saw them."
        )
    columns = {name: new.values[:, i] for i, name in enumerate(new.names)}
    nothing = np.full(len(new.days), np.nan)
    values = np.column_stack([columns.get(name, nothing) for name in before.names])
    count = _overlap(before, new, values)
    return Prices(
        before.days + new.days[count:],
        before.names,
        np.concatenate([before.values, values[count:]]),
        before.source,
        joined(before, new, count),
    )


def _overlap(before: Prices, new: Prices, values: np.ndarray) -> int:
    """How many of the new days are the last ones of before."""
    last = before.days[-1]
    count = sum(position(day) <= position(last) for day in new.days)
    if new.days[:count] != before.days[len(before.days) - count :]:
        raise AlphaError(
            f"{new.source} begins on {new.days[0]}, before the job's last day, {last}, and its "
            "days are not the job's."
        )
    same = np.isclose(
        values[:count], before.values[len(before.days) - count :], rtol=1e-9, equal_nan=True
    )
    if not same.all():
        day, stock = np.argwhere(~same)[0]
        raise AlphaError(
            f"{new.source} has another price of {before.names[stock]!r} on {new.days[day]}: what "
            "models have seen cannot be changed. Start another job."
        )
    return count
