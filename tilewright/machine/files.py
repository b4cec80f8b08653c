"""Machines as TOML files. In: a file's text. Out: its `Machine`; and back.

Always: what is written is read as an equal machine, figure for figure, and no figure is used that
`schema.py` has not checked. A figure without a source is used, with a warning.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.machine.levels import LEVELS, Level, operations, units
from tilewright.machine.machine import Chip, Exchange, Features, Machine, Memory, Mesh, Tile, Unit
from tilewright.machine.schema import FREE, NAMED, TOP, Content, checked

_NAMES = {
    "avx512": ("avx2", "avx512bf16", "avx512f", "avx512vnni", "fma"),
    "avx2": ("avx2", "fma"),
}
"""Extensions that a listed machine has at least, by level."""


def read(path: Path) -> Machine:
    """The machine of a file.

    Raises `ArgumentError`, one sentence, for a file that cannot be read or used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ArgumentError(f"{path} cannot be read as a machine's file: {reason}.") from None
    return parse(text, str(path))


def parse(text: str, file: str = "the machine") -> Machine:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(f"{file} is not a TOML file: {error}.") from None
    return of_content(content, file)


def of_content(content: Mapping[str, Any], file: str = "the machine") -> Machine:
    """The machine of a file's tables."""
    tables = checked(content, file)
    sources = tuple(_sources(content))
    missing = [figure for figure, source in sources if not source]
    if missing:
        warnings.warn(
            f"{file} gives no source for {', '.join(missing)}; add `source = ...` to the table.",
            stacklevel=3,
        )
    clock, boost = tables["clock"]["base"], tables["clock"].get("boost", 0.0)
    if boost and boost < clock:
        raise ArgumentError(f"{file}: [clock] boost, {boost:g} Hz, is below its base, {clock:g}.")
    count, chips = tables["tiles"]["count"], tables.get("chips", {})
    chip = Chip(
        _tile(tables, clock, count, file),
        tiles=count,
        clock=clock,
        exchange=_exchange(tables, count, file),
        sync_cycles=_barrier(tables.get("barrier", {}), clock),
        boost=boost if boost > clock else 0.0,
    )
    return Machine(
        tables["name"],
        chip,
        chips_per_replica=chips.get("count", 1),
        replicas=chips.get("replicas", 1),
        sync_cycles_between_chips=int(chips.get("sync", 0)),
        watts=tables["tiles"].get("watts", 0.0),
        source=_summary(sources),
        kind=tables["kind"],
        launch=tables.get("launch", {}).get("time", 0.0),
        price=tables.get("price", {}).get("hour", 0.0),
        sources=sources,
    )


def _tile(tables: Content, clock: float, count: int, file: str) -> Tile:
    table, vectors = tables["tiles"], tables.get("vectors", {})
    level = LEVELS.get(vectors.get("level", "none"))
    if level is None and "units" not in tables:
        raise ArgumentError(f"{file} needs [vectors] level, or a table [units.…].")
    names = tuple(vectors.get("features", _NAMES.get(vectors.get("level"), ())))
    bits = vectors.get("bits", level.vector_bits if level else 64)
    registers = vectors.get("registers", level.registers if level else 0)
    return Tile(
        tuple(_memory(n, row, clock, count, file) for n, row in tables["memory"].items()),
        Features(bits, registers, names),
        _units(tables.get("units", {}), level, names, file),
        threads=table.get("threads", 1),
        operations=_operations(tables, level),
        simple=vectors.get("simple", level.simple if level else 1.0),
        call=table.get("call", 12.0),
        turn=table.get("turn", 4.0),
        families=tuple(sorted(_figures(tables.get("families", {})).items())),
    )


def _memory(name: str, table: Content, clock: float, count: int, file: str) -> Memory:
    if "all" in table and "total" in table:
        raise ArgumentError(f"{file}: [memory.{name}] has both all and total: one follows.")
    sharers = table.get("sharers", 1)
    many = count if sharers == 0 else min(sharers, count)

    def rate(key: str, tiles: int = 1) -> float:
        number, a_second = table.get(key, (0.0, False))
        cycles = number / (clock if a_second else 1.0) / tiles
        return float(f"{cycles:.9g}")  # the same again from a file of it

    alone, total = rate("read"), rate("total", many)
    every = rate("all") or total or alone
    apart = any(table[key][1] for key in ("read", "all", "total") if key in table)
    return Memory(
        name, table["size"], alone or every, min(every, alone or every),
        shared=sharers != 1, sharers=0 if sharers == 1 else sharers, apart=apart,
        jump=table.get("jump", 0.0), write=table.get("write", 0.0),
    )  # fmt: skip


def _units(
    table: Content, level: Level | None, names: tuple[str, ...], file: str
) -> tuple[Unit, ...]:
    """Those of the level, and what the file says of them or beside them."""
    given = {u.operands[1]: u for u in units(level) if u.feature in ("", *names)} if level else {}
    for dtype, row in table.items():
        known = given.get(dtype)
        operands = tuple(row.get("operands", known.operands if known else (dtype, dtype)))
        shape = tuple(row.get("shape", known.shape if known else (1, 1, 1)))
        if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise ArgumentError(f"{file}: [units.{dtype}] shape must be [m, n, k], not {shape}.")
        if len(operands) != 2:
            raise ArgumentError(f"{file}: [units.{dtype}] operands must be two, not {operands}.")
        sums = row.get("sums", known.sums if known else dtype)
        latency = row.get("latency", known.latency if known else 4.0)
        feature = row.get("feature", known.feature if known else "")
        given[dtype] = Unit(operands, sums, shape, row["rate"], latency, feature)  # type: ignore
    return tuple(given.values())


def _operations(tables: Content, level: Level | None) -> tuple[tuple[str, str, float], ...]:
    """Cycles for a vector: the level's, times `functions`, unless the file has them."""
    times = tables.get("vectors", {}).get("functions", 1.0)
    found = {k: v * times for k, v in operations(level).items()} if level else {}
    found |= _figures(tables.get("operations", {}))
    rows = ((key.split(), cycles) for key, cycles in sorted(found.items()))
    return tuple((words[0], words[-1], cycles) for words, cycles in rows)


def _figures(table: Content) -> dict[str, float]:
    return {key: value for key, value in table.items() if key != "source"}


def _barrier(table: Content, clock: float) -> int:
    return round(table["time"] * clock) if "time" in table else int(table.get("cycles", 0))


def _exchange(tables: Content, tiles: int, file: str) -> Exchange:
    row = tables.get("exchange", {})
    return Exchange(
        row.get("bytes", 0.0),
        int(row.get("overhead", 0)),
        kind=row.get("kind", "coherent"),
        bytes_per_second_between_chips=row.get("links", 0.0),
        link_efficiency=row.get("efficiency", 1.0),
        seconds_per_hop=row.get("hop", 0.0),
        bus=row.get("bus", 1),
        mesh=_mesh(row, tiles, file) if row.get("kind") == "mesh" else None,
        overhead_between_chips=int(tables.get("chips", {}).get("begin", 0)),
    )


def _mesh(row: Content, tiles: int, file: str) -> Mesh:
    grid, rate = row.get("grid", []), row.get("bytes", 0.0)
    whole = isinstance(grid, list) and [type(n) for n in grid] == [int, int]
    if not whole or min(grid) < 1 or grid[0] * grid[1] != tiles or not rate:
        raise ArgumentError(
            f"{file}: [exchange] of a mesh needs bytes, and grid = [columns, rows] of all {tiles} "
            f"tiles, not bytes = {rate:g}, grid = {grid}."
        )
    others = (row.get(name, rate) for name in ("gather", "spread", "card"))
    return Mesh(*grid, *others)


# Sources.


def _sources(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(figure, source) of all; "" where there is none."""
    for name, table in content.items():
        if name not in TOP:
            rows = table.items() if name in NAMED else [("", table)]
            for key, row in rows:
                yield from _of_table(f"{name}.{key}" if key else name, row)


def _of_table(where: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    source = table.get("source", "")
    if where in FREE:
        yield where, source
        return
    for name in table:
        if name != "source":
            yield f"{where}.{name}", source if isinstance(source, str) else source.get(name, "")


def _summary(sources: tuple[tuple[str, str], ...]) -> str:
    count = {"measured": 0, "assumed": 0}
    for _, source in sources:
        for word in count:
            count[word] += source.startswith(word)
    rest = len(sources) - sum(count.values())
    words = [f"{count['measured']} measured", f"{rest} published", f"{count['assumed']} assumed"]
    return f"figures: {', '.join(words)}"
