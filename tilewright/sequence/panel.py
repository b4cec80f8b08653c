"""`Panel`: a long table of sequences of unequal length, one prediction a row.

In: any data frame, with a column of times, one that says which sequence a row belongs to, inputs,
targets. Out: `Sequences`, arrays in which each sequence's rows lie one after the other. A row's
prediction knows that row's inputs and those before it in its own sequence, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.sequences import Sequences

MISSING = ("refuse", "indicator")


@frozen(eq=False)
class Panel:
    """Rows of `frame` (pandas, polars, arrow), rising in time within each group.

    Parameters
    ----------
    frame : the table. A target that is missing is not learned from; the row is read as history.
    inputs : names of the columns that are read.
    targets : a name, or several; none for predictions.
    time : name of the column of times, dates or numbers. Times have no zone: which rows of two
        places are of one moment is for you to say.
    group : name of the column that says whose row it is; None where all rows are one sequence.
    base_scale : a column of positive scales, such as an EWMA of volatility: a target is forecast in
        units of its row's.
    missing : "refuse" inputs that are missing, or mark them: "indicator" reads the mean of what is
        learned from, and one more input for each says where.
    longest_gap : between two rows of a group, in the column's own units (a `timedelta` for dates).

    Raises `ArgumentError` for columns that are not there or are named twice, a target among the
    inputs (an answer would be known before it is given), times with a zone or such as do not rise,
    and values that cannot be used, by row.
    """

    frame: Any
    inputs: Sequence[str]
    targets: str | Sequence[str] = ()
    time: str = "time"
    group: str | None = "group"
    base_scale: str | None = None
    missing: str = "refuse"
    longest_gap: Any = None

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            raise ArgumentError(f"missing must be one of {MISSING}, not {self.missing!r}.")
        for kind in ("inputs", "targets"):
            object.__setattr__(self, kind, _listed(kind, getattr(self, kind)))
        if isinstance(self.inputs, str) or not self.inputs:
            raise ArgumentError(f"inputs must be a list of columns, not {self.inputs!r}.")
        try:
            table = nw.from_native(self.frame, eager_only=True)
        except TypeError:
            kind = type(self.frame).__name__
            raise ArgumentError(f"frame must be a data frame, not a {kind}.") from None
        except nw.exceptions.DuplicateError:
            raise ArgumentError("The frame has several columns of one name.") from None
        object.__setattr__(self, "sequences", self._sequences(table))

    sequences: Sequences = None  # pyright: ignore[reportAssignmentType]

    def __len__(self) -> int:
        return len(self.sequences.order)

    def __repr__(self) -> str:
        found = self.sequences
        return (
            f"Panel of {len(self)} rows in {len(found.begin)} sequences, "
            f"{found.x.shape[1]} inputs, {found.y.shape[1]} targets"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs, as scikit-learn asks for them."""
        return len(self), len(self.inputs)

    def __getitem__(self, rows: Any) -> Panel:
        """Whole groups, by the numbers of their rows and in the order of these: what `GridSearchCV`
        takes for a fold, with `groups=` and `GroupKFold`.

        Raises `ArgumentError` where a group would be cut (rows without their past would be answered
        as if nothing had been before them), and where a row is taken twice.
        """
        rows = rows[0] if isinstance(rows, tuple) else rows  # scikit-learn adds an ellipsis
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        taken = np.zeros(len(self), bool)
        taken[chosen] = True
        if taken.sum() < len(chosen):
            raise ArgumentError("A row of a Panel is taken once: its group has one row of a time.")
        found = self.sequences
        inside = np.add.reduceat(taken[found.order].astype(np.int64), found.begin)
        if ((inside > 0) & (inside < found.end - found.begin)).any():
            raise ArgumentError(
                "Rows of a Panel are taken by whole groups: split it by GroupKFold, with its "
                "column of groups."
            )
        table = nw.from_native(self.frame, eager_only=True)
        return replace(self, frame=table[chosen.tolist()].to_native())

    def _sequences(self, table: Any) -> Sequences:
        targets = [self.targets] if isinstance(self.targets, str) else list(self.targets)
        may_be_none = [name for name in (self.group, self.base_scale) if name is not None]
        for name in (self.time, *may_be_none, *self.inputs, *targets):
            if not isinstance(name, str):
                raise ArgumentError(f"Columns are named by text, not by {name!r}.")
            if name not in table.columns:
                raise ArgumentError(f"The frame has no column {name!r}; it has {table.columns}.")
        self._check_names(targets)
        if not len(table):
            raise ArgumentError("The frame has no rows.")
        codes = self._codes(table)
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        begin = np.flatnonzero(np.diff(codes, prepend=-1))
        end = np.append(begin[1:], len(codes))
        when = self._times(table, order, codes)
        x = self._inputs(table, order)
        y = np.empty((len(x), len(targets)))
        for column, name in zip(y.T, targets, strict=True):
            column[:] = _numbers(table, name)[order]
        return Sequences(x, y, begin, end, when, order, False, self._base(table, order))

    def _check_names(self, targets: list[str]) -> None:
        """No column is read twice, and none that is forecast is read."""
        for kind, names in (("input", list(self.inputs)), ("target", targets)):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ArgumentError(f"{twice[0]!r} is {kind} twice.")
        for name in targets:
            if name in self.inputs:
                raise ArgumentError(
                    f"{name!r} is input and target at once: a row would know its own answer."
                )

    @cached_property
    def groups(self) -> list[str]:
        """Names of the groups, as text; none where all rows are one sequence."""
        if self.group is None:
            return []
        column = nw.from_native(self.frame, eager_only=True)[self.group]
        return np.unique(np.unique(_marks(column)).astype(str)).tolist()

    def _codes(self, table: Any) -> np.ndarray:
        """Groups as whole numbers, in the order in which they first appear."""
        if self.group is None:
            return np.zeros(len(table), np.int64)
        column = table[self.group]
        if column.null_count():
            at = int(np.flatnonzero(column.is_null().to_numpy())[0])
            raise ArgumentError(f"{self.group!r} is missing in row {at}.")
        names, first, codes = np.unique(_marks(column), return_index=True, return_inverse=True)
        rank = np.empty(len(names), np.int64)
        rank[np.argsort(first, kind="stable")] = np.arange(len(names))
        return rank[codes]

    def _times(self, table: Any, order: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Rank of each row's time among all times, checked."""
        times = self._moments(table[self.time])
        _, when = np.unique(times, return_inverse=True)
        when, times = when[order], times[order]
        same = np.diff(codes) == 0
        wrong = np.flatnonzero(same & (np.diff(when) <= 0))
        if len(wrong):
            row, above = order[wrong[0] + 1], order[wrong[0]]
            verb = "is" if when[wrong[0]] == when[wrong[0] + 1] else "is before"
            raise ArgumentError(
                f"{self.time!r} must rise within each group: in row {row} it {verb} that of row "
                f"{above} ({times[wrong[0] + 1]})."
            )
        if self.longest_gap is not None:
            exact = times.astype(np.int64) if times.dtype.kind in "iu" else times
            self._check_gaps(np.diff(exact), same, order)
        return when

    def _moments(self, column: Any) -> np.ndarray:
        """Times or numbers, all of them there and without a zone, in the order of the table."""
        if column.null_count():
            at = int(np.flatnonzero(column.is_null().to_numpy())[0])
            raise ArgumentError(f"{self.time!r} is missing in row {at}.")
        times = column.to_numpy()
        zones = {getattr(column.dtype, "time_zone", None)}
        if times.dtype == object:
            zones = {getattr(time, "tzinfo", None) for time in times}
        if zones != {None}:
            which = f"time zone {zones.pop()}" if len(zones) == 1 else "times of several zones"
            raise ArgumentError(
                f"{self.time!r} has {which}: give times without one, such as dt.tz_convert(None) "
                "leaves."
            )
        if times.dtype.kind not in "Miuf":
            kind = type(times[0]).__name__
            raise ArgumentError(f"{self.time!r} must hold times or numbers, not a {kind}.")
        if times.dtype.kind == "f" and not np.isfinite(times).all():
            raise ArgumentError(f"{self.time!r} is not finite in some rows.")
        return times

    def _check_gaps(self, gaps: np.ndarray, same: np.ndarray, order: np.ndarray) -> None:
        """Between rows that follow each other, where they are of the same group."""
        dates = gaps.dtype.kind == "m"
        kinds = (timedelta, np.timedelta64) if dates else (int, float, np.number)
        if not isinstance(self.longest_gap, kinds) or isinstance(self.longest_gap, bool):
            wanted = "a timedelta, as times are dates" if dates else "a number, as times are"
            raise ArgumentError(f"longest_gap must be {wanted}, not {self.longest_gap!r}.")
        least: Any = timedelta(0) if dates else 0
        if not self.longest_gap > least:
            raise ArgumentError(f"longest_gap must be above 0, not {self.longest_gap!r}.")
        wide = np.flatnonzero(same & (gaps > self.longest_gap))
        if len(wide):
            gap = gaps[wide[0]]
            if dates:
                gap = gap.astype("timedelta64[us]").item()
            raise ArgumentError(
                f"Before row {order[wide[0] + 1]} its group has a gap of {gap}, longer than "
                f"{self.longest_gap}."
            )

    def _inputs(self, table: Any, order: np.ndarray) -> np.ndarray:
        """(rows, inputs) in that order, column by column, as data may be large."""
        count, told = len(self.inputs), self.missing == "indicator"
        x = np.empty((len(order), count * (1 + told)))
        for i, name in enumerate(self.inputs):
            column = _numbers(table, name)
            absent = np.isnan(column)
            if told:
                x[:, count + i] = absent[order]
            elif absent.any():
                raise ArgumentError(
                    f"Input {name!r} is missing in row {np.flatnonzero(absent)[0]}: fill it, or "
                    "say missing='indicator'."
                )
            x[:, i] = column[order]
        return x

    def _base(self, table: Any, order: np.ndarray) -> np.ndarray | None:
        if self.base_scale is None:
            return None
        base = _numbers(table, self.base_scale)
        wrong = np.flatnonzero(~(base > 0))
        if len(wrong):
            raise ArgumentError(
                f"{self.base_scale!r} must be above 0: it is {base[wrong[0]]} in row {wrong[0]}."
            )
        return base[order, None]


def _listed(kind: str, names: Any) -> Any:
    """Names of columns, however they are given: an index of pandas', an array, a tuple."""
    if isinstance(names, str):
        return names
    try:
        return () if names is None else tuple(names)
    except TypeError:
        raise ArgumentError(f"{kind} must be a list of columns, not {names!r}.") from None


def _marks(column: Any) -> np.ndarray:
    """What tells groups apart: whole numbers as they are, as text of each takes ten times as much
    memory, else text."""
    found = column.to_numpy()
    return found if found.dtype.kind in "iu" else found.astype(str)


def _numbers(table: Any, name: str) -> np.ndarray:
    """A column in float64, NaN where it is missing. Raises for text and for infinities."""
    column = table[name]
    if not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
        raise ArgumentError(f"{name!r} must hold numbers, not {column.dtype}.")
    found = column.cast(nw.Float64).to_numpy().astype(np.float64)
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        raise ArgumentError(f"{name!r} is infinite in row {infinite[0]}.")
    return found
