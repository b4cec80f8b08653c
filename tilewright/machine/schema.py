"""What may stand in a machine's file, and the check of it.

In: the tables of a TOML file. Out: the same with every figure a number in its unit, or an
`ArgumentError` of one sentence that names the file, the figure, what was found and what was
expected. Always: a figure that passes is within bounds that any machine of our days keeps.

    name, kind
    [tiles]       count, threads, call, turn, watts
    [clock]       base (held by all tiles), boost
    [vectors]     level ("avx512", "avx2", "neon"), simple, functions
    [memory.L1]   size, read, all or total, write, sharers, jump; nearest first
    [units.KIND]  operands, sums, shape, rate, latency, feature
    [operations]  "tanh float32" = cycles for a vector
    [families]    Elementwise = how much longer than its operations
    [barrier]     cycles, or time
    [exchange]    kind, bytes, overhead, bus, links, efficiency, hop; of a mesh: grid (columns,
                  rows), gather, spread, card
    [chips]       count, replicas, sync, begin (an exchange over links)
    [launch]      time
    [price]       hour

Any table has a `source`: a text for all of it, or a table with one for each figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.machine.quantities import CLOCKS, RATES, SIZES, TIMES, quantity

Content = dict[str, Any]

_PLAIN: dict[str, float] = {"": 1.0}
_WATTS, _CYCLES = {"W": 1.0, "kW": 1e3}, {"cycles": 1.0}


@frozen
class Field:
    """A figure in some units within bounds; `units` None: a text, or a list of texts or numbers."""

    units: Mapping[str, float] | None
    low: float = 0.0
    high: float = 0.0
    example: str = ""
    whole: bool = False
    required: bool = False
    words: tuple[str, ...] = ()


def _figure(
    low: float, high: float, example: str, units: Any = _PLAIN, whole: bool = False,
    required: bool = False,
) -> Field:  # fmt: skip
    return Field(units, low, high, example, whole, required)


def _count(high: float, required: bool = False) -> Field:
    return _figure(1, high, "64", whole=True, required=required)


_TEXT = Field(None, example='"a text"')
_RATE = _figure(1e-3, 1e14, '64 (bytes a cycle) or "614 GB/s"', RATES)

TOP = {"name": Field(None, example='"AMD EPYC 9755"', required=True),
       "kind": Field(None, words=("cpu", "ipu", "tt", "gpu"), required=True)}  # fmt: skip
TABLES: dict[str, dict[str, Field]] = {
    "tiles": {
        "count": _count(1 << 20, required=True),
        "threads": _count(4096),
        "call": _figure(0, 1e5, "12"),
        "turn": _figure(0, 1e5, "4"),
        "watts": _figure(0.1, 1e7, "400", _WATTS),
    },
    "clock": {
        "base": _figure(1e8, 1e10, '"2.7 GHz"', CLOCKS, required=True),
        "boost": _figure(1e8, 1e10, '"4.1 GHz"', CLOCKS),
    },
    "vectors": {
        "level": Field(None, words=("avx512", "avx2", "neon", "plain", "none")),
        "bits": _figure(32, 1 << 16, "512", whole=True),
        "registers": _figure(0, 1 << 16, "32", whole=True),
        "features": _TEXT,
        "simple": _figure(1e-3, 1e3, "0.5"),
        "functions": _figure(1e-2, 1e2, "1.0"),
    },
    "memory": {
        "size": _figure(256, 1 << 60, '"48 KiB"', SIZES, whole=True, required=True),
        "read": _RATE,
        "all": _RATE,
        "total": _RATE,
        "write": _figure(0, 1e6, "8 (bytes a cycle)"),
        "sharers": _figure(0, 1 << 20, "8", whole=True),
        "jump": _figure(0, 1e5, "20 (cycles)", _CYCLES),
    },
    "units": {
        "operands": _TEXT,
        "sums": _TEXT,
        "shape": _TEXT,
        "rate": _figure(1e-4, 1e4, "2", required=True),
        "latency": _figure(0, 1e4, "4"),
        "feature": _TEXT,
    },
    "operations": {"*": _figure(1e-3, 1e7, "18")},
    "families": {"*": _figure(0.1, 1e3, "1.1")},
    "barrier": {
        "cycles": _figure(0, 1e9, "3000", _CYCLES),
        "time": _figure(0, 10, '"1 us"', TIMES),
    },
    "exchange": {
        "kind": Field(None, words=("coherent", "scheduled", "mesh", "bound"), required=True),
        "bytes": _figure(0, 1e6, "4"),
        "overhead": _figure(0, 1e9, "100", _CYCLES),
        "bus": _count(1024),
        "links": _figure(0, 1e16, '"320 GB/s"', RATES),
        "efficiency": _figure(1e-3, 1, "0.85"),
        "hop": _figure(0, 1, '"15 ns"', TIMES),
        "grid": _TEXT,
        "gather": _figure(1e-3, 1e6, "30 (bytes a cycle)"),
        "spread": _figure(1e-3, 1e6, "19 (bytes a cycle)"),
        "card": _figure(1e-3, 1e6, "22 (bytes a cycle)"),
    },
    "chips": {
        "count": _count(1 << 20, required=True),
        "replicas": _count(1 << 20),
        "sync": _figure(0, 1e9, "600", _CYCLES),
        "begin": _figure(0, 1e9, "3700", _CYCLES),
    },
    "launch": {"time": _figure(0, 10, '"5 us"', TIMES, required=True)},
    "price": {"hour": _figure(0, 1e6, "3.2", required=True)},
}
NAMED = ("memory", "units")
"""Tables of tables: [memory.L1]."""
FREE = ("operations", "families")
"""Tables whose names are free: one source is for all of it."""
REQUIRED = ("tiles", "clock", "memory")


def checked(content: Mapping[str, Any], file: str) -> Content:
    """The same content, figures as numbers, texts such as "614 GB/s" beside them as they were."""
    found: Content = {}
    for name, field in TOP.items():
        if name not in content:
            raise ArgumentError(f"{file} lacks {name!r}, such as {field.example or field.words}.")
        found[name] = _value(content[name], field, f"{file}: {name}")
    for name in REQUIRED:
        if name not in content:
            raise ArgumentError(f"{file} lacks the table [{name}].")
    for name, table in content.items():
        if name in TOP:
            continue
        if name not in TABLES:
            raise ArgumentError(f"{file}: there is no table [{name}]{_near(name, TABLES)}.")
        found[name] = _table_or_tables(name, table, file)
    return found


def _table_or_tables(name: str, table: Any, file: str) -> Content:
    if not isinstance(table, dict):
        raise ArgumentError(f"{file}: {name} must be a table of figures, not {table!r}.")
    if name not in NAMED:
        return _table(table, TABLES[name], f"{file}: [{name}]")
    for key, row in table.items():
        if not isinstance(row, dict):
            raise ArgumentError(f"{file}: {name}.{key} must be a table of figures, not {row!r}.")
    return {key: _table(row, TABLES[name], f"{file}: [{name}.{key}]") for key, row in table.items()}


def _table(table: Mapping[str, Any], fields: Mapping[str, Field], where: str) -> Content:
    free = fields.get("*")
    for name, field in fields.items():
        if field.required and name not in table:
            raise ArgumentError(f"{where} lacks {name!r}, such as {field.example or field.words}.")
    found: Content = {}
    for name, value in table.items():
        if name == "source":
            found[name] = _source(value, table, where)
        elif free is None and name not in fields:
            known = ", ".join(fields)
            raise ArgumentError(f"{where} has no {name!r}{_near(name, fields)}; it knows {known}.")
        else:
            found[name] = _value(value, free or fields[name], f"{where} {name}")
    return found


def _value(value: Any, field: Field, where: str) -> Any:
    if field.words and value not in field.words:
        raise ArgumentError(f"{where} must be one of {', '.join(field.words)}, not {value!r}.")
    if field.units is None:
        if not isinstance(value, str | list) or value == "":
            raise ArgumentError(f"{where} must be a text or a list, not {value!r}.")
        return value
    try:
        number = quantity(value, dict(field.units), field.example)
    except ValueError as error:
        raise ArgumentError(f"{where} {error}.") from None
    if not field.low <= number <= field.high:
        bounds = f"{field.low:g} to {field.high:g}"
        raise ArgumentError(f"{where} is {value!r}, which cannot be: {bounds} is expected.")
    if field.whole and number != int(number):
        raise ArgumentError(f"{where} must be a whole number, not {value!r}.")
    if field is _RATE:  # a rate in bytes a second stays one: it does not follow the clock
        return (number, isinstance(value, str) and value.rstrip().endswith("/s"))
    return int(number) if field.whole else number


def _source(value: Any, table: Mapping[str, Any], where: str) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, dict) and all(isinstance(v, str) and v.strip() for v in value.values()):
        for name in value:
            if name not in table:
                raise ArgumentError(f"{where} gives a source for {name!r}, which is not there.")
        return value
    raise ArgumentError(f"{where} source must be a text, or a table of texts, not {value!r}.")


def _near(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), 1, 0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
