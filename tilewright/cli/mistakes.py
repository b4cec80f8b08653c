"""What is said when a command goes wrong: a sentence, and an exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from tilewright.cli import STOPPED, WRONG


@contextmanager
def plain_errors() -> Iterator[None]:
    """Mistakes, a full disk and Ctrl-C end the command without a traceback."""
    from tilewright.alpha.errors import AlphaError
    from tilewright.errors import ArgumentError, CapacityError, LoadError, UnsupportedError

    try:
        yield
    except (AlphaError, ArgumentError, CapacityError, LoadError, UnsupportedError) as error:
        _say(str(error))
    except MemoryError:
        _say("There is not enough memory for this: smaller settings need less.")
    except OSError as error:
        _say(f"{error.filename or 'The system'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        raise typer.Exit(STOPPED) from None


def _say(text: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        Text.assemble(("Error: ", "bold red"), text)
    )
    raise typer.Exit(WRONG) from None


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under `plain_errors`."""

    @functools.wraps(function)
    def guarded(*args: Any, **options: Any) -> None:
        with plain_errors():
            function(*args, **options)

    return guarded
