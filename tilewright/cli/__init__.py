"""The command line: `tilewright`. Heavy imports wait until a command runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    from tilewright.cli.app import app

    sys.exit(app())
