"""What if a machine had other figures? In: a machine, figures by name. Out: that machine.

    cores, tiles    how many                     clock, boost    "3 GHz"
    l1, l2, l3      size of that cache           l3_sharers      cores that share one
    memory          bytes a second of all        watts, price, barrier ("2 us")

and of machines whose tiles share no memory

    tile            size of a tile's own memory  exchange       bytes a cycle of a tile
    overhead        cycles to begin an exchange  links          bytes a second of a chip
    chips           how many                     sync           cycles of all chips' barrier

What hangs on the number of cores and is one for all (main memory) is shared by the new number.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.machine.machine import Machine
from tilewright.machine.schema import Content

_PLACES = {
    "cores": ("tiles", "count"),
    "tiles": ("tiles", "count"),
    "clock": ("clock", "base"),
    "boost": ("clock", "boost"),
    "watts": ("tiles", "watts"),
    "price": ("price", "hour"),
    "barrier": ("barrier", "time"),
    "exchange": ("exchange", "bytes"),
    "overhead": ("exchange", "overhead"),
    "links": ("exchange", "links"),
    "chips": ("chips", "count"),
    "sync": ("chips", "sync"),
}
_CACHES = {"l1": "L1", "l2": "L2", "l3": "L3", "tile": "tile"}
_WHAT_IF = "assumed: what if"
NAMES = (*_PLACES, *_CACHES, "l3_sharers", "memory")


def changed(machine: Machine, figures: dict[str, Any]) -> Machine:
    """Raises `ArgumentError` for a name that is none of `NAMES`, or an absurd figure."""
    from tilewright.machine.files import of_content
    from tilewright.machine.written import content_of

    content = content_of(machine)
    _share_out(content, machine)
    for name, value in figures.items():
        _put(content, name, value)
    if "clock" in figures and "boost" not in figures:
        content["clock"] = {"base": figures["clock"], "source": _WHAT_IF}
    words = ", ".join(f"{name}={value}" for name, value in figures.items())
    content["name"] = f"{machine.name} with {words}"
    return of_content(content, content["name"])


def _share_out(content: Content, machine: Machine) -> None:
    """What is one for all tiles is written as a total, which other numbers of tiles share."""
    for memory in machine.tile.memories:
        if memory.shared and not memory.sharers and memory.read:
            row, tiles = content["memory"][memory.name], machine.chip.tiles
            every = row.pop("all")
            if isinstance(every, str):
                row["total"] = f"{float(every.split()[0]) * tiles!r} GB/s"
            else:
                row["total"] = every * tiles
            if isinstance(row["source"], dict):
                row["source"]["total"] = row["source"].pop("all", "assumed")


def _put(content: Content, name: str, value: Any) -> None:
    if name in _PLACES:
        table, field = _PLACES[name]
        if name == "barrier":
            content["barrier"].pop("cycles", None)
        _set(content.setdefault(table, {}), field, value)
    elif name in _CACHES or name in ("l3_sharers", "memory"):
        key = _CACHES.get(name, "L3" if name == "l3_sharers" else "memory")
        if key not in content["memory"]:
            raise ArgumentError(f"{content['name']} has no {key} whose {name} could be changed.")
        field = {"l3_sharers": "sharers", "memory": "total"}.get(name, "size")
        _set(content["memory"][key], field, value)
    else:
        close = get_close_matches(name, NAMES, 1, 0.5)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ArgumentError(f"A machine has no {name!r}{hint}; with_ takes {', '.join(NAMES)}.")


def _set(table: Content, field: str, value: Any) -> None:
    table[field] = value
    source = table.get("source", _WHAT_IF)
    if isinstance(source, str):
        source = {other: source for other in table if other != "source"}
    kept = {other: text for other, text in source.items() if other in table}
    table["source"] = kept | {field: _WHAT_IF}
