"""tilewright: any JAX function as one native program over tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "ArgumentError",
    "Executable",
    "LoadError",
    "Run",
    "Stateful",
    "UnsupportedError",
    "blocks",
    "chains",
    "compare",
    "compile",
    "force",
    "jit",
    "load",
    "tile_map",
]

if TYPE_CHECKING:
    from tilewright.compare import compare
    from tilewright.compiler import compile
    from tilewright.errors import ArgumentError, LoadError, UnsupportedError
    from tilewright.jitted import jit
    from tilewright.loading import load
    from tilewright.mcmc import chains
    from tilewright.runtime.executable import Executable
    from tilewright.runtime.run import Run
    from tilewright.runtime.stateful import Stateful
    from tilewright.trace.blocks import blocks
    from tilewright.trace.force import force
    from tilewright.trace.tile_map import tile_map

_HOME = {
    "chains": "tilewright.mcmc.chains",
    "compare": "tilewright.compare",
    "compile": "tilewright.compiler",
    "ArgumentError": "tilewright.errors",
    "LoadError": "tilewright.errors",
    "UnsupportedError": "tilewright.errors",
    "Executable": "tilewright.runtime.executable",
    "Run": "tilewright.runtime.run",
    "Stateful": "tilewright.runtime.stateful",
    "jit": "tilewright.jitted",
    "load": "tilewright.loading",
    "blocks": "tilewright.trace.blocks",
    "force": "tilewright.trace.force",
    "tile_map": "tilewright.trace.tile_map",
}


def __getattr__(name: str):
    """Public names are loaded when first used: JAX takes a second to import."""
    if name not in _HOME:
        raise AttributeError(f"module 'tilewright' has no attribute {name!r}")
    from importlib import import_module

    from tilewright.collector import held_off

    with held_off():
        value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
