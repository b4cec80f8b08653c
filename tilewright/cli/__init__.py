"""The command line: `tilewright`. Heavy imports wait until a command runs."""

from __future__ import annotations

import sys

WRONG, NOTHING_TO_READ, STOPPED = 2, 3, 130
"""Exit codes: a mistake or a full disk; every window failed; Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    try:
        from tilewright.cli.app import app

        code = app()
    except KeyboardInterrupt:  # while modules are loaded
        code = STOPPED
    sys.exit(code)
