"""What the terminal shows of a job of the scale net under way: a line a window."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from tilewright.alpha.scale.estimate import Estimate
    from tilewright.alpha.scale.scored import Scored


class ScaleLive:
    """A `Watcher`."""

    def __init__(self, console: Console):
        self.console, self.began = console, time.monotonic()

    def stage(self, text: str) -> None:
        self.console.print(text, highlight=False, style="dim")

    def outlook(self, ask: Callable[[], Estimate | None]) -> None:
        """How long it will take, if there is something to do."""
        found = ask()
        if found is not None:
            self.console.print(f"{found.sentence()}.", highlight=False)

    def window(self, found: Any, done: int, wanted: int) -> None:
        left = (time.monotonic() - self.began) / done * (wanted - done)
        text = "model of the newest days"
        if found is not None:
            text = f"{found.day} {found.series}: {self.said(found)}"
            text += f", FAILED: {found.failure}" if found.failure else ""
        minutes = f"{int(left) // 60}:{int(left) % 60:02d} left"
        self.console.print(f"{done} of {wanted}, {minutes}: {text}", highlight=False)

    def said(self, found: Scored) -> str:
        """What came of a window."""
        import numpy as np

        net, null = (float(np.nanmean(found.log_score[i])) for i in (0, 1))
        return f"log score {net - null:+.4f} to the EWMA's, R-hat {np.max(found.r_hat):.2f}"
