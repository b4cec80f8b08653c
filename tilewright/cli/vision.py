"""`tilewright vision`: trained nets on images: answers, training further, files, speed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tilewright.cli import STOPPED
from tilewright.cli.vision_live import Live, show
from tilewright.errors import ArgumentError

if TYPE_CHECKING:
    from tilewright.vision.datasets import Data
    from tilewright.vision.job import Plan
    from tilewright.vision.predicted import Answer

app = typer.Typer(
    invoke_without_command=True, help="Images: trained nets, and nets trained further."
)

DEMO_MINUTES, MOST_MINUTES, EPOCHS = 3.0, 1_000_000, 10
Stage = Annotated[
    str,
    typer.Option(
        help='How much is trained, in the order of cost: "features" (logistic regression on them), '
        '"head", "blocks" (the last ones), "whole".'
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="Limit of the whole job: as many epochs as fit.", show_default=False),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same bits.")]

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
    console = Console(markup=False)
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


def train(
    images: Annotated[
        Path,
        typer.Argument(
            help="A folder with a folder of images for each class, or a CSV file with the columns "
            "path and label, and perhaps group (kept together) or time (the newest are tested)."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The job's folder.", show_default=False)] = None,
    stage: Stage = "blocks",
    weights: Weights = "lite0",
    test: Annotated[float, typer.Option(help="Share of the images that are tested.")] = 0.2,
    epochs: Annotated[int | None, typer.Option(min=1, help="10 without a limit of time.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    optimiser: Annotated[str, typer.Option(help='"adamw" or "sgd".')] = "adamw",
    blocks: Annotated[int, typer.Option(min=1, help="How many of the last ones.")] = 3,
    size: Annotated[int | None, typer.Option(help="Side of images in pixels.")] = None,
    mixup: Annotated[float, typer.Option(help="Parameter of its Beta, 0 for none.")] = 0.0,
    smoothing: Annotated[float, typer.Option(help="Share that goes to all classes.")] = 0.0,
    ema: Annotated[float, typer.Option(help="Decay of the mean of weights, 0 for none.")] = 0.0,
    balanced: Annotated[bool, typer.Option("--balanced", help="Weigh classes alike.")] = False,
    skip: Skip = False,
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Train a net further on your images, and say what that is worth.

    Beside it stand the majority class and logistic regression on frozen features. The report is a
    page: [bold]report.html[/] in the job's folder, with the weights. Killed and run again it ends
    with the same bits. Exit codes: 0, 2 for a mistake, 130 when it was stopped.

    [dim]Try[/]  tilewright vision --demo
    [dim]Then[/] tilewright vision train photos --out my-job
    """
    from tilewright.vision.datasets import of_folder, of_table
    from tilewright.vision.job import Plan

    if not images.exists():
        raise ArgumentError(f"There is no file or folder {images}.")
    data = of_folder(images) if images.is_dir() else of_table(images)
    options: dict[str, Any] = dict(
        batch=batch, optimiser=optimiser, learning_rate=rate, blocks=blocks, size=size,
        mixup=mixup, smoothing=smoothing, ema=ema,
        class_weight="balanced" if balanced else None, on_bad="skip" if skip else "raise",
    )  # fmt: skip
    if epochs is not None and minutes is not None:
        raise ArgumentError("--epochs and --minutes: one of them, not both.")
    plan = Plan(stage, weights, test, _seconds(minutes), True, options, seed, epochs or EPOCHS)
    _job(out or Path(f"vision-{images.stem}"), data, plan)


def bench(
    net: Annotated[
        str, typer.Argument(help='"lite0" to "lite4", "b0" to "b7", "b0-g16", "resnext50_32x4d".')
    ] = "b0",
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Images at a time; may be given several times.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side of images in pixels, instead of the net's.")
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="A step of gradient descent, instead of answers.")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Products in bfloat16, where the host has them.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    out: Annotated[Path | None, typer.Option(help="A JSON file of all that is measured.")] = None,
) -> None:
    """How long a net takes an image, beside PyTorch, ONNX Runtime, OpenVINO and JAX.

    One thread each, in turns, weights drawn at random; of peers, those that are installed. Beside
    the times stands ours as a share of the multiply-adds that a core can do.

    [dim]Try[/]  tilewright vision bench b0-g16 --batch 1 --batch 8
    [dim]Then[/] tilewright vision bench b0 --training --batch 16
    """
    from tilewright.bench.one_net import measured
    from tilewright.cli.under_way import UnderWay
    from tilewright.vision import nets

    changes: dict[str, Any] = {} if size is None else {"size": size}
    if not net.startswith("resnext"):
        changes["pad"] = "even"  # as PyTorch pads
    chosen = nets.named(net, **changes)
    batches = batch or ([16] if training else [1, 8])
    turns = {f"{net}, {chosen.size} px, {n} at a time": n for n in batches}
    console, found = Console(markup=False), []
    with UnderWay(Console(stderr=True), turns) as seen:
        for turn, n in turns.items():
            seen.step(turn)
            found.append(measured(chosen, n, rounds, training=training, half=half))
    table = Table(
        title=f"{net}, {chosen.size} px, {'training' if training else 'answers'}, ms an image",
        title_justify="left", title_style="bold", header_style="bold",
    )  # fmt: skip
    contenders = list(dict.fromkeys(name for one in found for name in one.times))
    for name in ("batch", *contenders, "best peer", "of peak"):
        table.add_column(name, justify="right", overflow="fold")
    for one in found:
        table.add_row(*one.cells(contenders))
    console.print(table)
    if out is not None:
        from tilewright.files import write_text

        rows = [one.to_json() for one in found]
        write_text(
            out, json.dumps({"net": net, "size": chosen.size, "rows": rows}, indent=1) + "\n"
        )


def export(
    weights: Annotated[str, typer.Argument(help='"lite0", or a file of weights.')],
    to: Annotated[Path, typer.Argument(help="A .safetensors or .onnx file.")],
    net: NetName = None,
) -> None:
    """Write a net in another form: safetensors, by the names that timm gives; or ONNX.

    Preprocessing and classes go with it, as the file's metadata.
    """
    from tilewright.vision.loading import load
    from tilewright.vision.saved import export as written

    written(load(weights, net), to)
    Console(markup=False).print(f"{to} is written.", highlight=False, soft_wrap=True)


def options(
    context: typer.Context,
    demo: Annotated[
        bool, typer.Option("--demo", help="Solar cells, clothes or shapes: three minutes.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The demonstration's folder.")] = Path("vision-demo"),
    stage: Stage = "blocks",
    minutes: Minutes = None,
    seed: Seed = 0,
) -> None:
    """Images: trained nets, and nets trained further."""
    if context.invoked_subcommand is not None:
        return
    if not demo:
        print(context.get_help())
        raise typer.Exit
    from tilewright.vision.datasets import demonstration
    from tilewright.vision.job import Plan

    seconds = _seconds(DEMO_MINUTES if minutes is None else minutes)
    plan = Plan(stage, "lite0", seconds=seconds, options={"class_weight": None}, seed=seed)
    _job(out, demonstration(), plan)


def _seconds(minutes: float | None) -> float | None:
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        raise ArgumentError(
            f"minutes must be above 0, and {MOST_MINUTES} at most, not {minutes:g}."
        )
    return None if minutes is None else 60 * minutes


def _job(folder: Path, data: Data, plan: Plan) -> None:
    """Run it and say what came of it."""
    from tilewright.alpha.identity import locked
    from tilewright.vision.job import identity_of, open_folder, run
    from tilewright.vision.report.files import write_report

    console = Console(markup=False)
    plan.check()
    open_folder(folder, identity_of(data, plan))
    with locked(folder), Live(console) as live:
        try:
            outcome = run(folder, data, plan, live)
            live.stage("report")
            write_report(folder, outcome)
        except KeyboardInterrupt:
            console.print(f"Stopped: the same command goes on in {folder}.", soft_wrap=True)
            raise typer.Exit(STOPPED) from None
    show(console, outcome, folder)


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
