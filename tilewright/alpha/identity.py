"""Whether a folder or a file belongs to the job at hand: what differs first, in words."""

from __future__ import annotations

from typing import Any

DIGESTS = ("data", "images", "weights")
"""Fields whose values tell nobody anything."""


def difference(found: Any, wanted: Any, name: str = "") -> str:
    """The first thing that is not the same in two identities; empty where all is."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(k for k in found if k not in wanted)]:
            differs = difference(found.get(key), wanted.get(key), key)
            if differs:
                return differs
        return ""
    if found == wanted:
        return ""
    return f"other {name}" if name in DIGESTS else f"{name} {found}, not {wanted}"
