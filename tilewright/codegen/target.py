"""What machine code is made for: a processor, known without asking LLVM.

In: nothing, or a `Target`. Out: what decides the bytes of an object beside its text. LLVM finds the
host's processor and extensions by the same questions that the system has asked before us
(/proc/cpuinfo), so where those have the same answers, an object fits.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from tilewright.env import ENVIRONMENT
from tilewright.frozen import frozen
from tilewright.machine.cpu import processor

PASSES = ("always_inliner", "sroa", "instruction_combine", "simplify_cfg")
"""Enough for text that is written with care; the stock pipelines double the time for no gain."""


@frozen
class Target:
    """A processor as LLVM names it, and its features as LLVM's string of +a,-b."""

    cpu: str
    features: str


def identity(target: Target | None) -> tuple[str, ...]:
    """Versions, passes and processor; this host's, if no target is given."""
    versions = installed("llvmlite"), installed("tilewright")
    own = (target.cpu, target.features) if target else (*host(), str(ENVIRONMENT.features))
    return (*versions, *PASSES, *own)


@cache
def host() -> tuple[str, ...]:
    """What the system says that this host's processor is and can do."""
    known = processor()
    if not known:  # a system that does not say: LLVM has to
        from tilewright.codegen.host import host_target

        known = (host_target().cpu, host_target().features)
    return (platform.system(), platform.machine(), *known)


@cache
def installed(package: str) -> str:
    """Its version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
