"""`tilewright vision`: answers of trained nets on images."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tilewright.errors import ArgumentError

if TYPE_CHECKING:
    from tilewright.vision.predicted import Answer

app = typer.Typer(
    no_args_is_help=True,
    help="Images: answers of trained nets.",
)

Weights = Annotated[
    str,
    typer.Option(
        help='"lite0" (trained on ImageNet), or a file: .safetensors, .pt, .pth.', metavar="SOURCE"
    ),
]
NetName = Annotated[
    str | None, typer.Option(help="The net whose weights they are, where they do not say.")
]
Skip = Annotated[bool, typer.Option("--skip", help="Leave out files that are no images.")]
Machine = Annotated[str, typer.Option(help='"native", or "xla" for JAX\'s default device.')]


def predict(
    images: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    weights: Weights = "lite0",
    net: NetName = None,
    top: Annotated[int, typer.Option(min=1, help="Classes that are shown of each image.")] = 5,
    out: Annotated[Path | None, typer.Option(help="A CSV file of all that is shown.")] = None,
    skip: Skip = False,
    machine: Machine = "native",
) -> None:
    """The likeliest classes of each image.

    [dim]Try[/]  tilewright vision predict photo.jpg
    """
    from tilewright.vision.loading import load
    from tilewright.vision.predicted import files_of, predicted

    paths = files_of(images)
    model = load(weights, net)
    console = Console()
    with console.status(f"{len(paths)} images"):
        found, left_out = predicted(model, paths, top, skip=skip, machine=machine)
    for sentence in left_out:
        console.print(f"Left out: {sentence}", style="yellow", highlight=False, soft_wrap=True)
    if not found:
        raise ArgumentError("None of the files is an image.")
    console.print(_table(found, model.source))
    if out is not None:
        from tilewright.files import write_text

        write_text(out, _csv(found))


def _table(found: list[Answer], source: str) -> Table:
    table = Table(title=source, title_justify="left", title_style="bold", header_style="bold")
    for name, justify in (("image", "left"), ("class", "left"), ("probability", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for answer in found:
        for rank, (label, share) in enumerate(answer.classes):
            table.add_row("" if rank else str(answer.path), label, f"{share:.1%}")
        table.add_section()
    return table


def _csv(found: list[Answer]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image", "rank", "class", "probability"])
    for answer in found:
        for rank, (label, share) in enumerate(answer.classes, 1):
            rows.writerow([answer.path, rank, label, f"{share:.6f}"])
    return text.getvalue()
