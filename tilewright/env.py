"""Every environment variable that tilewright reads, once, when this module is imported.

    TILEWRIGHT_CACHE      folder of the object cache; "off" for none    ~/.cache/tilewright
    TILEWRIGHT_CACHE_MB   its size limit in MiB                         1024
    TILEWRIGHT_DUMP       folder for numbered stage files               none
    TILEWRIGHT_TILES      threads at most                               allowed CPUs
    TILEWRIGHT_FEATURES   "avx2" pretends that the host has no AVX-512  the host's own
    TILEWRIGHT_PROCESSES  parts of a module that are compiled at once   allowed CPUs, 8 at most

Nothing else in the package reads the environment. Values that make no sense raise `ValueError`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tilewright.frozen import frozen


@frozen
class Environment:
    """The settings; `None` means that the user left it to us."""

    cache: Path | None
    cache_bytes: int
    dump: Path | None
    tiles: int | None
    features: str | None
    processes: int | None


def read(variables: Mapping[str, str]) -> Environment:
    """The settings that `variables` hold."""
    features = variables.get("TILEWRIGHT_FEATURES") or None
    if features not in (None, "avx2"):
        raise ValueError(f"TILEWRIGHT_FEATURES must be 'avx2' or unset, not {features!r}.")
    dump = variables.get("TILEWRIGHT_DUMP")
    return Environment(
        cache=_cache_folder(variables),
        cache_bytes=(_count(variables, "TILEWRIGHT_CACHE_MB") or 1024) << 20,
        dump=Path(dump) if dump else None,
        tiles=_count(variables, "TILEWRIGHT_TILES"),
        features=features,
        processes=_count(variables, "TILEWRIGHT_PROCESSES"),
    )


def _cache_folder(variables: Mapping[str, str]) -> Path | None:
    chosen = variables.get("TILEWRIGHT_CACHE")
    if chosen:
        return None if chosen == "off" else Path(chosen).expanduser()
    base = variables.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "tilewright"


def _count(variables: Mapping[str, str], name: str) -> int | None:
    text = variables.get(name)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} must be a whole number above 0, not {text!r}.")
    return int(text)


ENVIRONMENT = read(os.environ)
