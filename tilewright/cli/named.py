"""A group of commands of which one needs no name."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


def with_default(name: str, text: str) -> typer.Typer:
    """A group whose arguments go to the command `name` when they begin with no command's name."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if not args or args[0] not in (*self.commands, "--help"):
                args = [name, *args]
            return super().parse_args(ctx, args)

    its = f"Without a name: `{name}`, whose options are in `{name} --help`."
    return typer.Typer(
        cls=Group, no_args_is_help=False, help=f"{text} {its}",
        rich_markup_mode="rich", add_completion=False,
    )  # fmt: skip
