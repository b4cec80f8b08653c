"""What lies in tiles' memories, for a page: by tile and kind, step by step, array by array.

In: an `Occupancy`, `Tensor`s. Out: HTML: charts are SVG, and long ones show of neighbours the
fullest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from tilewright.report.html import called, swatches, table
from tilewright.simulate.occupancy import Occupancy
from tilewright.simulate.tenants import Tensor

MOST_POINTS, MOST_ROWS = 600, 40
COLOURS = {"given": "#2a6f97", "computed": "#3aa17e", "brought": "#e07a3f", "working": "#8e6bb0"}
WORDS = {
    "given": "given: weights, data, constants",
    "computed": "computed by vertices",
    "brought": "brought by exchanges",
    "working": "an instance's own",
}
ALL = "#2a6f97"
LOW = 4
"""A chart whose limit is so many times as high as what is in it leaves the limit to words."""


def by_tile(held: Occupancy, limit: int) -> str:
    """A chart of all tiles, and a table of the fullest."""
    note = (
        f"Tile {held.fullest:,} is the fullest; {held.always:,} bytes of it stay through all turns "
        "of a loop. Code, states of vertices and lists of messages are estimates by count, of "
        "assumed sizes; a tenth of each tile is left to them."
    )
    shown = [kind for kind in held.kinds if held.kinds[kind].any()]
    kinds = {kind: held.kinds[kind] for kind in shown}
    chart = _chart(kinds, {kind: COLOURS[kind] for kind in shown}, limit)
    key = swatches({kind: COLOURS[kind] for kind in shown}, WORDS)
    return f'<p class="note">{note}</p>{key}{chart}{_kinds(held, limit)}'


def _kinds(held: Occupancy, limit: int) -> str:
    rows, full = [], held.fullest
    for kind, by_tile in {**held.kinds, **held.rest}.items():
        mine, estimate = by_tile[full], "" if kind in WORDS else " (estimate)"
        rows.append([
            f"{WORDS.get(kind, kind)}{estimate}", f"{mine:,.0f}", f"{mine / limit:.1%}",
            f"{by_tile.sum():,.0f}",
        ])  # fmt: skip
    stays = held.stays[full] / limit
    rows.append(["of all, stays", f"{held.always:,}", f"{stays:.1%}", f"{held.stays.sum():,.0f}"])
    return table(["bytes", f"tile {full:,}", "of its memory", "all tiles"], rows)


def by_moment(held: Occupancy, limit: int) -> str:
    return _chart({"all": held.by_moment}, {"all": ALL}, limit)


def by_tensor(found: Sequence[Tensor]) -> str:
    """The largest over all tiles."""
    rows = []
    for tensor in found[:MOST_ROWS]:
        buffer = tensor.buffer
        rows.append([
            f"{buffer.dtype}, {buffer.size:,}", tensor.kind, f"{tensor.held:,}",
            f"{tensor.tiles:,}", f"{tensor.held * tensor.tiles:,}", f"{tensor.brought:,.0f}",
            called(tensor.line), escape(tensor.vertex),
        ])  # fmt: skip
    head = ["array", "kind", "bytes a tile", "tiles", "all tiles", "brought in a run", "line",
            "vertex"]  # fmt: skip
    rest = len(found) - len(rows)
    more = f'<p class="note">{rest:,} smaller ones are not shown.</p>' if rest > 0 else ""
    return table(head, rows, names_last=True) + more


def _chart(kinds: Mapping[str, np.ndarray], colours: Mapping[str, str], limit: int) -> str:
    """Kinds on top of each other; of many tiles the fullest of each run of neighbours."""
    if not kinds:
        return ""
    stacked = np.cumsum(list(kinds.values()), axis=0)
    size = stacked.shape[1]
    step = -(-size // MOST_POINTS)
    padded = np.pad(stacked, ((0, 0), (0, -size % step)), mode="edge")
    grouped = padded.reshape(len(kinds), -1, step)
    at = np.argmax(grouped[-1], axis=1)
    tops = np.take_along_axis(grouped, at[None, :, None], axis=2)[:, :, 0]
    most = float(tops.max()) or 1.0
    top = max(most, float(limit)) if limit < LOW * most else 1.1 * most
    low, areas = np.zeros(tops.shape[1]), []
    for name, line in zip(kinds, tops, strict=True):
        points = [*_corners(line, top), *reversed(_corners(low, top))]
        areas.append(f'<polygon fill="{colours[name]}" points="{" ".join(points)}"/>')
        low = line
    y = 180 - 170 * limit / top
    dashed = (
        f'<line x1="0" x2="1000" y1="{y:.1f}" y2="{y:.1f}" stroke="#e07a3f" stroke-width="2" '
        'stroke-dasharray="6 5"/>'
    )
    seen = limit <= top
    words = "dashed: the" if seen else f"{limit / most:,.0f} times the highest is the"
    return (
        f'<p class="note">Highest: {most:,.0f} bytes; {words} tile\'s memory, {limit:,}.</p>'
        f'<svg viewBox="0 0 1000 182">{"".join(areas)}{dashed if seen else ""}</svg>'
        f'<p class="note ends"><span>0</span><span>{size - 1:,}</span></p>'
    )


def _corners(line: np.ndarray, top: float) -> list[str]:
    wide = 1000 / line.size
    return [
        f"{x:.1f},{180 - 170 * value / top:.1f}"
        for i, value in enumerate(line)
        for x in (i * wide, (i + 1) * wide)
    ]
