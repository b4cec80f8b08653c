"""The command line: `tilewright`. Heavy imports wait until a command runs."""

from __future__ import annotations

import gc
import sys

WRONG, NOTHING_TO_READ, STOPPED = 2, 3, 130
"""Exit codes: a mistake or a full disk; every window failed; Ctrl-C, as shells have it."""


OBJECTS = 50_000
"""Made before young ones are looked through for cycles: modules make a million that stay, and to
look through them by 700 takes a tenth of a short command."""


def main() -> None:
    """Run the command that the arguments name, and exit with its code.

    What is left then goes with the process: to look through it for cycles would take half a second.
    """
    gc.set_threshold(OBJECTS)
    try:
        from tilewright.cli.interrupts import keep_interrupts

        keep_interrupts()
        from tilewright.cli.app import app

        code = app()
    except KeyboardInterrupt:  # while modules are loaded
        code = STOPPED
    finally:
        gc.freeze()
    sys.exit(code)
