"""What may come with a table of prices: features of the user's own, and who is a member when.

In: `Prices`; a table or a function for the features, a table for the members. Out: the prices, with
`Extras` beside them. Nothing is filled forward: a row of the panel is there when all its features
are, and the instrument is a member that day. A value stands at the close of the day on which it was
known; a function is tried with `check_lookahead`, of a table nobody can tell.

features  long: a column of dates, one of instruments, and a number for each feature; or a function
          of `Prices` to a mapping from names to arrays (days, stocks), or to such a table
members   a row for each time that an instrument belonged: `instrument`, `from`, `to` (dates, both
          included; empty: since ever, to this day)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tilewright.alpha.dates import WORDS, dates_of
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.long import INSTRUMENTS, days_in_order, instrument_name, named
from tilewright.alpha.lookahead import check_lookahead
from tilewright.alpha.scale_features import NAMES
from tilewright.alpha.tables import Extras, Prices, frame_of
from tilewright.frozen import frozen

FROM, TO = ("from", "start", "since", "first"), ("to", "end", "until", "last")
ALWAYS = "0000-00-00", "9999-99-99"
"""Sort before and after all days."""


@frozen
class _Long:
    """A long table of features: places of its rows among prices, (rows, 2), and its numbers."""

    names: tuple[str, ...]
    places: np.ndarray
    values: np.ndarray  # (rows, names)


def with_features(prices: Prices, features: Any) -> Prices:
    """The prices, with features beside them; raises `AlphaError` for what cannot be read.

    `features` is a path, a data frame, or a function, which is refused when it looks ahead.
    """
    if callable(features):
        names, values = _called(features, prices)
        check_lookahead(lambda table: _called(features, table)[1], prices)
    else:
        names, values = _of_table(features, prices)
    _check(names, values)
    return replace(prices, extras=replace(prices.extras, names=names, features=values))


def with_members(prices: Prices, members: Any) -> Prices:
    """The prices, with who belongs when; `members` is a path or a data frame."""
    frame, source = frame_of(members, "the table of members")
    columns = {name: list(frame[name]) for name in frame.columns}
    who = named(list(columns), INSTRUMENTS)
    since, until = named(list(columns), FROM), named(list(columns), TO)
    if not who or not (since or until):
        raise AlphaError(f"{source} needs columns instrument, from and to.")
    days = _dated(prices, source)
    belongs = np.zeros(prices.values.shape, np.bool_)
    at = {name: i for i, name in enumerate(prices.names)}
    starts, ends = _bounds(columns, since, source, 0), _bounds(columns, until, source, 1)
    named_by = map(instrument_name, columns[who])
    for row, (name, start, end) in enumerate(zip(named_by, starts, ends, strict=True), 1):
        if start > end:
            raise AlphaError(f"In {source}, row {row}: {name!r} leaves on {end}, before {start}.")
        if name in at:
            spell = slice(np.searchsorted(days, start), np.searchsorted(days, end, "right"))
            belongs[spell, at[name]] = True
    if not belongs.any():
        raise AlphaError(f"By {source}, no instrument of {prices.source} belongs on any day.")
    return replace(prices, extras=replace(prices.extras, members=belongs))


def joined(before: Prices, new: Prices, count: int) -> Extras:
    """Those of `before`, then of all but the first `count` days of `new`; raises `AlphaError`.

    Who was a member on the last day is one until another table says otherwise.
    """
    old, more, days = before.extras, new.extras, len(new.days) - count
    if old.names != more.names:
        odd = next(iter(sorted(set(old.names) ^ set(more.names))), None) or old.names[0]
        raise AlphaError(
            f"The job's features are {list(old.names) or 'none'}, those of {new.source} "
            f"{list(more.names) or 'none'}: give {odd!r} to both or neither."
        )
    at = [new.names.index(name) if name in new.names else None for name in before.names]

    def aligned(values: np.ndarray, missing: Any) -> np.ndarray:
        given = values[count:]
        empty = np.full(given.shape[:1] + given.shape[2:], missing, values.dtype)
        return np.stack([empty if i is None else given[:, i] for i in at], axis=1)

    features, members = old.features, old.members
    if features is not None and more.features is not None:
        features = np.concatenate([features, aligned(more.features, np.nan)])
    if members is not None:
        later = np.repeat(members[-1:], days, axis=0)
        later = later if more.members is None else aligned(more.members, False)
        members = np.concatenate([members, later])
    elif more.members is not None:
        raise AlphaError("The job knows no members: start another to go by a table of them.")
    return Extras(old.names, features, members)


def _called(fn: Callable[[Prices], Any], prices: Prices) -> tuple[tuple[str, ...], np.ndarray]:
    found = fn(replace(prices, values=prices.values.copy(), extras=Extras()))
    if not isinstance(found, Mapping):
        return _of_table(found, prices)
    arrays: dict[str, np.ndarray] = {}
    for name, value in found.items():
        try:
            arrays[str(name)] = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise AlphaError(f"The feature {name!r} does not hold numbers.") from None
    for name, value in arrays.items():
        if value.shape != prices.values.shape:
            raise AlphaError(
                f"The feature {name!r} must have the shape of the prices, {prices.values.shape}, "
                f"not {value.shape}."
            )
    if not arrays:
        raise AlphaError("The function gives no feature.")
    return tuple(arrays), np.stack(list(arrays.values()), axis=-1)


def _of_table(table: Any, prices: Prices) -> tuple[tuple[str, ...], np.ndarray]:
    long = _long(table, prices)
    values = np.full((*prices.values.shape, len(long.names)), np.nan)
    values[long.places[:, 0], long.places[:, 1]] = long.values
    return long.names, values


def _long(table: Any, prices: Prices) -> _Long:
    """Rows of days and instruments that the prices have; others say nothing."""
    frame, source = frame_of(table, "the table of features")
    columns = [str(name) for name in frame.columns]
    when, who = named(columns, WORDS), named(columns, INSTRUMENTS)
    names = tuple(name for name in columns if name not in (when, who))
    if not when or not who or not names:
        raise AlphaError(f"{source} needs columns date and instrument, and one for each feature.")
    known = {day: i for i, day in enumerate(_dated(prices, source).tolist())}
    days = days_in_order(frame[when], f"The column {when!r} of {source}")
    stocks = {name: i for i, name in enumerate(prices.names)}
    at = [(known.get(day, -1), stocks.get(instrument_name(name), -1)) for day, name in
          zip(days, frame[who], strict=False)]  # fmt: skip
    places = np.array(at, np.int64).reshape(-1, 2)
    used = (places >= 0).all(axis=1)
    if not used.any():
        raise AlphaError(f"{source} has no day and instrument of {prices.source}.")
    flat = places[used] @ [len(prices.names), 1]
    if len(np.unique(flat)) < len(flat):
        once, counts = np.unique(flat, return_counts=True)
        day, stock = divmod(int(once[counts > 1][0]), len(prices.names))
        raise AlphaError(f"In {source}, {prices.names[stock]!r} comes twice on {prices.days[day]}.")
    return _Long(names, places[used], _numbers(frame, names, source)[used])


def _numbers(frame: Any, names: tuple[str, ...], source: str) -> np.ndarray:
    columns = []
    for name in names:
        try:
            columns.append(frame[name].to_numpy(np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            raise AlphaError(f"In {source}, column {name!r} does not hold numbers.") from None
    return np.column_stack(columns)


def _dated(prices: Prices, source: str) -> np.ndarray:
    if prices.days[0].isdecimal():
        raise AlphaError(f"{source} needs dates: the days of {prices.source} are row numbers.")
    return np.array(prices.days)


def _bounds(columns: dict[str, list], name: str | None, source: str, side: int) -> list[str]:
    """ISO dates of a column, where it is empty or missing the first or last of all."""
    values = columns[name] if name else [None] * len(next(iter(columns.values())))
    given = [i for i, value in enumerate(values) if not _empty(value)]
    found = [ALWAYS[side]] * len(values)
    where = f"The column {name!r} of {source}"
    days = dates_of([values[i] for i in given], where) if given else ()
    if days is None:
        raise AlphaError(f"{where} holds no dates.")
    for i, day in zip(given, days, strict=True):
        found[i] = day
    return found


def _empty(value: Any) -> bool:
    return value is None or value != value or str(value).strip() in ("", "NaT", "<NA>")


def _check(names: tuple[str, ...], values: np.ndarray) -> None:
    """What cannot be a feature is said by name."""
    for i, name in enumerate(names):
        if name in NAMES:
            raise AlphaError(f"There is a feature {name!r} already: give yours another name.")
        if not name.strip() or "\t" in name:
            raise AlphaError(f"{name!r} is no name of a feature.")
        if np.isinf(values[..., i]).any():
            raise AlphaError(f"The feature {name!r} has an infinite value.")
        if np.isnan(values[..., i]).all():
            raise AlphaError(f"The feature {name!r} has no value at all.")


def given(prices: Prices, features: Any, members: Any) -> Prices:
    """The prices with what is given, None for nothing."""
    if features is not None:
        prices = with_features(prices, features)
    return prices if members is None else with_members(prices, members)
