"""Ctrl-C that would be lost: one that comes while a callback runs from which nothing can be raised.

Collectors, weak references and finalisers call such ones all the time while modules are loaded and
functions are traced: of Ctrl-C in the first seconds of a command, one in ten fell into them. Python
then prints the exception, and goes on. Here it is sent once more, when the callback is over.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

AFTER = 0.02
"""Seconds until it is sent again."""


def keep_interrupts() -> None:
    """From now on, no Ctrl-C is lost; other exceptions of callbacks are printed as ever."""
    before = sys.unraisablehook

    def hook(about: Any) -> None:
        if not issubclass(about.exc_type, KeyboardInterrupt):
            before(about)
        elif not sys.is_finalizing():
            again = threading.Timer(AFTER, os.kill, (os.getpid(), signal.SIGINT))
            again.daemon = True
            again.start()

    sys.unraisablehook = hook
