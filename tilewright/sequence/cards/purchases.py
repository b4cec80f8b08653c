"""`Purchases`: who paid how much where and when, which of it was fraud, and when that was known.

In: arrays, or a data frame of a card issuer. Out: the same, checked and in order of time. Times are
seconds since midnight of the first day. A label is known from its own time on and not a moment
earlier: whatever learns, counts or scores here asks `known`, never the label alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen

DAY = 86_400.0
"""Seconds."""
YEARS = 30 * 365.25 * DAY
MOST = 1 << 23
"""Cards, and terminals, at most."""
HONEST = 0
EXACT = 1e-4
"""Amounts are whole multiples of this: sums of them are then exact, in any order."""


@frozen(eq=False)
class Purchases:
    """One row a purchase, in order of time.

    Raises `ArgumentError` for columns that are no such arrays or of unequal length and, with the
    row, for times that go back, amounts that are no numbers from 0 on, and labels dated before
    their purchase.
    """

    time: np.ndarray  # (purchases,) seconds since `start`
    card: np.ndarray  # (purchases,) whole numbers from 0 on
    terminal: np.ndarray  # (purchases,) whole numbers from 0 on
    amount: np.ndarray  # (purchases,)
    kind: np.ndarray  # (purchases,) 0 for honest, 1 for the first of `kinds`, ...
    known: np.ndarray  # (purchases,) seconds since `start` from which the label is known
    kinds: tuple[str, ...]
    start: np.datetime64  # midnight of the first day

    def __post_init__(self) -> None:
        columns = {name: _as_column(name, getattr(self, name)) for name in COLUMNS}
        for name, column in columns.items():
            object.__setattr__(self, name, column)
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ArgumentError(f"Columns must be equally long, not {lengths}.")
        if not len(self.time):
            raise ArgumentError("There are no purchases.")
        for name in ("time", "amount", "known"):
            _refuse(np.isnan(columns[name]), "{0} is missing in row {1}.", name)
        _refuse(
            ~((self.amount >= 0) & (self.amount < 1e9)),
            "amount must be from 0 to 1e9: in row {1} it is {2}.",
            "",
            self.amount,
        )
        for name in ("card", "terminal"):
            _refuse(
                (columns[name] < 0) | (columns[name] >= MOST),
                f"{{0}} must be a whole number from 0 to {MOST - 1:,}: in row {{1}} it is {{2}}.",
                name,
                columns[name],
            )
        _refuse(
            ~((self.time >= 0) & (self.time < YEARS)),
            "time must be within 30 years from its start: in row {1} it is {2:g} seconds.",
            "",
            self.time,
        )
        _refuse(
            np.diff(self.time, prepend=self.time[:1]) < 0,
            "time must not go back: it does in row {1}.",
            "",
        )
        _refuse(
            self.known < self.time,
            "The label of row {1} is dated before its purchase, by {2:g} seconds.",
            "",
            self.time - self.known,
        )
        wrong = (self.kind < HONEST) | (self.kind > len(self.kinds))
        _refuse(wrong, "kind must be from 0 to the number of kinds: in row {1} it is {2}.", "",
                self.kind)  # fmt: skip

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return (
            f"{len(self):,} purchases of {len(np.unique(self.card)):,} cards at "
            f"{len(np.unique(self.terminal)):,} terminals in {self.days} days, "
            f"{self.fraud.mean():.2%} of them fraud"
        )

    @property
    def fraud(self) -> np.ndarray:
        """(purchases,) bool."""
        return self.kind != HONEST

    @property
    def day(self) -> np.ndarray:
        """(purchases,) days since the first."""
        return (self.time // DAY).astype(np.int64)

    @property
    def days(self) -> int:
        """From the first to the last."""
        return int(self.time[-1] // DAY) + 1

    def labels(self, at: float) -> np.ndarray:
        """(purchases,) 1 for fraud, 0 for honest, NaN where that was not known at a time."""
        return np.where(self.known <= at, self.fraud, np.nan)

    def with_delays(self, delays: np.ndarray | float) -> Purchases:
        """The same, each label known so many seconds after its purchase: one number, or a row's."""
        given = np.asarray(delays)
        if given.dtype.kind not in "iuf" or given.shape not in ((), self.time.shape):
            raise ArgumentError(
                f"delays must be one number of seconds or {len(self)} of them, not {given.dtype} "
                f"of shape {given.shape}."
            )
        return replace(self, known=self.time + given)

    def rows(self, which: np.ndarray) -> Purchases:
        """Some of them: a mask, or rising numbers of rows."""
        return replace(self, **{name: getattr(self, name)[which] for name in COLUMNS})

    @staticmethod
    def from_frame(
        frame: Any,
        time: str = "time",
        card: str = "card",
        terminal: str = "terminal",
        amount: str = "amount",
        fraud: str = "fraud",
        known: str | None = None,
        delay: float = 7.0,
    ) -> Purchases:
        """Of a data frame (pandas, polars, arrow), in any order of rows.

        `time` is a column of date-times without a time zone. `fraud` holds 0 and 1, or False and
        True, or words for kinds of fraud with 0, "" or nothing for honest. `known` is a column of
        date-times from which labels are known; without one that is `delay` days after the purchase.

        Raises `ArgumentError` for columns that are not there or cannot be read, for a purchase
        without a card or terminal, and for words of which none says honest.
        """
        import narwhals as nw

        try:
            table = nw.from_native(frame, eager_only=True)
        except TypeError:
            raise ArgumentError(
                f"frame must be a data frame, not a {type(frame).__name__}."
            ) from None
        for name in (time, card, terminal, amount, fraud, known):
            if name is not None and name not in table.columns:
                raise ArgumentError(f"The frame has no column {name!r}; it has {table.columns}.")
        when = _moments(table, time)
        order = np.argsort(when, kind="stable")
        if not len(order):
            raise ArgumentError("There are no purchases.")
        start: Any = when[order[0]].astype("datetime64[D]")
        seconds = _seconds(when, start)
        if known is None:
            if isinstance(delay, bool) or not isinstance(delay, int | float):
                raise ArgumentError(f"delay must be a number of days, not {delay!r}.")
            told = seconds + delay * DAY
        else:
            told = _seconds(_moments(table, known), start)
        kind, kinds = _kinds(table[fraud], fraud)
        return Purchases(
            seconds[order],
            _numbered(table[card], card)[order],
            _numbered(table[terminal], terminal)[order],
            _numbers(table[amount], amount)[order],
            kind[order],
            told[order],
            kinds,
            start,
        )


COLUMNS = ("time", "card", "terminal", "amount", "kind", "known")
WHOLE = ("card", "terminal", "kind")
"""Columns that are no times and no money."""
MOST_KINDS = 100
"""Of fraud: more words than that are no kinds."""


def exact(amount: np.ndarray) -> np.ndarray:
    """Amounts as whole multiples of `EXACT`, int64."""
    return np.rint(amount / EXACT).astype(np.int64)


def _as_column(name: str, column: Any) -> np.ndarray:
    """(purchases,) float64, or int64 for `WHOLE`.

    Raises `ArgumentError` for what is no column: lists, other dimensions, other dtypes.
    """
    kinds, what = ("iu", "whole numbers") if name in WHOLE else ("iuf", "numbers")
    if not isinstance(column, np.ndarray):
        raise ArgumentError(f"{name} must be a NumPy array, not a {type(column).__name__}.")
    if column.ndim != 1 or column.dtype.kind not in kinds:
        raise ArgumentError(
            f"{name} must be {what}, one a purchase, not {column.dtype} of shape {column.shape}."
        )
    return column.astype(np.int64 if name in WHOLE else np.float64, copy=False)


def _refuse(wrong: np.ndarray, text: str, name: str, values: np.ndarray | None = None) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        value = None if values is None else values[rows[0]]
        raise ArgumentError(text.format(name, rows[0], value))


def _moments(table: Any, name: str) -> np.ndarray:
    """A column of date-times, as they are."""
    zone = getattr(table[name].dtype, "time_zone", None)
    if zone is not None:
        raise ArgumentError(f"{name!r} must hold date-times without a zone, not of {zone}.")
    values = table[name].to_numpy()
    if values.dtype.kind != "M":
        raise ArgumentError(f"{name!r} must hold date-times without a zone, not {values.dtype}.")
    missing = np.flatnonzero(np.isnat(values))
    if len(missing):
        raise ArgumentError(f"{name!r} is missing in row {missing[0]}.")
    return values


def _seconds(when: np.ndarray, start: Any) -> np.ndarray:
    return (when - start).astype("timedelta64[us]").astype(np.float64) / 1e6


def _numbered(column: Any, name: str) -> np.ndarray:
    """Cards or terminals, numbered in the order of their names."""
    values = column.to_numpy()
    missing = column.is_null().to_numpy().astype(bool)
    if values.dtype.kind == "f":
        missing |= np.isnan(values)
    _refuse(missing, "{0!r} is missing in row {1}.", name)
    return np.unique(values.astype(str), return_inverse=True)[1]


def _numbers(column: Any, name: str) -> np.ndarray:
    if not column.dtype.is_numeric():
        raise ArgumentError(f"{name!r} must hold numbers, not {column.dtype}.")
    return column.to_numpy().astype(np.float64)


def _kinds(column: Any, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers and names of kinds, of labels as numbers or as words."""
    values, missing = column.to_numpy(), column.is_null().to_numpy().astype(bool)
    there = values[~missing]
    if values.dtype.kind in "biuf" or all(isinstance(v, bool | int | float) for v in there):
        _refuse(missing, "{0!r} is missing in row {1}.", name)
        if not np.isin(there, (0, 1)).all():
            raise ArgumentError(f"{name!r} must hold 0 and 1, or words for kinds of fraud.")
        return values.astype(np.int8), ("fraud",)
    words = np.where(missing, "", values).astype(str)
    words[words == "0"] = ""
    kinds = sorted(set(words.tolist()) - {""})
    if "" not in words or len(kinds) > MOST_KINDS:
        raise ArgumentError(
            f"{name!r} must hold 0, an empty word or nothing where a purchase is honest, and else "
            f"at most {MOST_KINDS} words for kinds of fraud: it holds "
            f"{', '.join(map(repr, kinds[:3]))}{', ...' * (len(kinds) > 3)}."
        )
    return np.searchsorted(np.array(["", *kinds]), words).astype(np.int8), tuple(kinds)
