"""`tilewright lstm`: trained LSTMs and GRUs over files, tick by tick, timed, and as C."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tilewright.errors import ArgumentError

app = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    rich_markup_mode="rich",
    help="LSTMs and GRUs, trained on prices and walked forward; or trained elsewhere: windows from "
    "files, ticks as they come, delays, C libraries.",
)

Net = Annotated[
    Path, typer.Argument(help="The trained net: .pt, .pth, .keras, .onnx or .safetensors.")
]
Slide = Annotated[
    int | None,
    typer.Option(min=1, help="A window of so many steps that slides by a tick, instead of ticks."),
]
Gaps = Annotated[
    str, typer.Option(help="Numbers that are not finite: refuse, hold (the last ones) or pass.")
]
Tiles = Annotated[
    int,
    typer.Option(
        help="Threads that a call may have: more than 1 adds a gang of them in NAME_gang.c."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="float32; bfloat16 (weights), bfloat16x16 (activations, too); int8 (weights, with "
        "16-bit activations), int8x8 (both). `lstm run` says what the error is."
    ),
]


def demo(
    context: typer.Context,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="A 2 x 256 LSTM of 200 steps, batches of 1 to 1024, in every precision, with "
            "errors, beside the peers that are installed: tables, and a page with the chart.",
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Of --demo: the folder for lstm.html and talk.json.")
    ] = Path("lstm-demo"),
) -> None:
    """Trained LSTMs and GRUs: windows from files, ticks as they come, delays, C libraries."""
    if demo:
        from tilewright.cli.lstm_demo import measure

        measure(out)
    elif context.invoked_subcommand is None:
        print(context.get_help())


def run(
    net: Net,
    data: Annotated[Path, typer.Argument(help="Windows: .npy, float32 (batch, steps, inputs).")],
    out: Annotated[Path, typer.Option(help="Where answers go: .npy (batch, outputs).")],
    precision: Precision = "float32",
) -> None:
    """Answer windows of a file, and say what the precision costs.

    [dim]tilewright lstm run net.onnx windows.npy --out answers.npy --precision int8[/]
    """
    from tilewright.sequence import load
    from tilewright.sequence.precision import checked, error, exact

    model, xs = load(net), _array(data)
    xs = checked(xs, model.net.inputs)
    found = model.window(*xs.shape[:2], precision=precision)(xs)
    _save(out, found)
    print(f"{len(xs)} windows, answers in {out}")
    try:
        print(f"error against float64: {error(found, exact(model.net, model.weights, xs))}")
    except ArgumentError as same:
        print(same)


def stream(
    net: Net, precision: Precision = "float32", slide: Slide = None, nan: Gaps = "refuse"
) -> None:
    """Answer ticks as they come: a line of numbers in, a line of numbers out.

    A tick that is refused is named in words on standard error; the state stays as it was. Between
    two commas nothing is a number that is missing, as nan is.

    [dim]tail -f ticks.csv | tilewright lstm stream net.onnx[/]
    """
    import numpy as np

    from tilewright.sequence import load

    ticks = _running(load(net), precision, slide, nan)
    ticks.prepare()
    for line in sys.stdin:
        if line.strip():
            try:
                x = np.array(_numbers(line), np.float32)
                answer = ticks.answer(x[None])
            except (ArgumentError, ValueError) as error:
                print(f"{line.strip()}: {error}", file=sys.stderr)
                continue
            try:
                print(*np.ravel(answer), sep=",", flush=True)
            except BrokenPipeError:  # nobody reads on; what is left to be flushed goes nowhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return
            ticks.prepare()


def _numbers(line: str) -> list[str]:
    """With commas between them, or without."""
    if "," not in line:
        return line.split()
    return [field.strip() or "nan" for field in line.split(",")]


def bench(
    net: Net,
    precision: Precision = "float32",
    slide: Slide = None,
    ticks: Annotated[int, typer.Option(min=100, help="Ticks of each way of sending.")] = 20_000,
    every: Annotated[float, typer.Option(help="Milliseconds between ticks, where spaced.")] = 1.0,
    times: Annotated[
        Path | None, typer.Option(help="Recorded seconds of ticks, .npy: replayed, too.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for latency.json (HDR histograms) and .html.")
    ] = None,
) -> None:
    """Delays from intended sending to answer: saturated, spaced, at random, caches emptied.

    From C, where there is a compiler, and from Python; each beside the machine's own floor: a loop
    that only reads the clock. The first tenth of the ticks is warm-up and left out. Then the work
    between two ticks, and the highest rate of them that can be kept up.

    [dim]tilewright lstm bench net.onnx --precision int8x8 --out latency/[/]
    """
    from rich.console import Console

    from tilewright.calibrate import known
    from tilewright.files import write_text
    from tilewright.sequence.latency import chart

    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    known(partial(print, file=sys.stderr))
    found = _measured(net, precision, slide, ticks, every / 1e3, times)
    Console(markup=False).print(_table(found))
    for histogram in found:
        if (rates := histogram.rates()) is not None:
            print(f"{histogram.name}: {rates}")
    if out is not None:
        content: dict[str, Any] = {"net": net.name, "precision": precision, "host": _host()}
        content["slide"] = slide
        content["histograms"] = [histogram.to_json() for histogram in found]
        write_text(out / "latency.json", json.dumps(content, indent=1) + "\n")
        title = f"{net.name}, {precision}: delays of ticks on {_host()}"
        write_text(out / "latency.html", chart(found, title))
        print(f"Saved in {out / 'latency.json'} and {out / 'latency.html'}")


def export(
    net: Net,
    c: Annotated[Path, typer.Option("--c", help="The folder to write into.")],
    name: Annotated[str, typer.Option(help="What every name begins with.")] = "net",
    window: Annotated[
        int | None, typer.Option(help="Whole windows of so many steps, instead of ticks.")
    ] = None,
    slide: Slide = None,
    nan: Gaps = "refuse",
    precision: Precision = "float32",
    tiles: Tiles = 1,
) -> None:
    """Leave the net as a library for C and C++: ticks with a state, or whole windows.

    [dim]tilewright lstm export net.onnx --c out/ && cc -Iout main.c out/libnet.a -lm[/]
    """
    from tilewright.sequence import load

    model = load(net)
    if window is not None and slide is not None:
        raise ArgumentError("A library is of windows or of one that slides, not of both.")
    if window is not None and nan != "refuse":
        raise ArgumentError("--nan is about ticks: in whole windows numbers pass as they are.")
    if window is None:
        tell(_running(model, precision, slide, nan).export(c, name, tiles=tiles))
    else:
        tell(model.window(1, window, precision=precision).export(c, name, tiles=tiles))


def _running(model: Any, precision: str, slide: int | None, nan: str = "refuse") -> Any:
    """Of one stream, on one tile."""
    if slide is None:
        return model.stream(precision=precision, nan=nan, tiles=1)
    return model.slide(slide, precision=precision, nan=nan, tiles=1)


def tell(written: Any) -> None:
    """Which files there are, and which one could not be made."""
    for path in written.files:
        print(path)
    if written.note:
        print(written.note, file=sys.stderr)


def _measured(
    net: Path, precision: str, slide: int | None, count: int, every: float, times: Path | None
) -> list:
    import numpy as np

    from tilewright.sequence import load
    from tilewright.sequence.latency import (
        Histogram,
        constant,
        floor,
        from_python,
        poisson,
        replayed,
    )
    from tilewright.sequence.latency_in_c import InC, compiler

    model = load(net)
    few = max(100, count // 20)  # spaced ticks take their time
    ways = {
        "saturated": (constant(count, 0), False),
        f"every {every * 1e3:g} ms": (constant(few, every), False),
        "at random": (poisson(few, every), False),
        "caches emptied": (constant(100, 0), True),
    }
    if times is not None:
        ways["replayed"] = (replayed(_array(times)), False)
    xs = np.random.default_rng(0).normal(size=(count, 1, model.net.inputs)).astype(np.float32)
    found, stream = [], _running(model, precision, slide)
    for name, (due, empty) in ways.items():
        ticks = np.resize(xs, (len(due), *xs.shape[1:]))
        own = from_python(stream.answer, stream.prepare, ticks, due, empty=empty)
        found.append(_histogram(f"Python, {name}", own))
    found.append(Histogram("Python, floor", floor(1.0, 1e-5)))
    if compiler() is None:
        print("There is no C compiler (cc or gcc): measured from Python alone.", file=sys.stderr)
        return found
    with InC(stream.program, model.net.inputs, model.net.outputs) as in_c:
        for name, (due, empty) in ways.items():
            ticks = np.resize(xs, (len(due), *xs.shape[1:]))
            own, floor_of_c = in_c.delays(ticks, due, empty=empty)
            found.append(_histogram(f"C, {name}", own))
            if name == "saturated":
                found.append(Histogram("C, floor", floor_of_c))
    return found


def _histogram(name: str, measured: Any) -> Any:
    """Without the first tenth; the work between is that of saturated ticks."""
    from tilewright.sequence.latency import Histogram

    between = measured.between if name.endswith("saturated") else None
    return Histogram(name, measured.delays, len(measured.delays) // 10, between)


def _table(found: list) -> Any:
    """Of 80 characters and fewer."""
    from rich.box import SIMPLE
    from rich.table import Table

    from tilewright.sequence.latency import PERCENTILES

    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("µs", no_wrap=True)
    for name in (*("max" if p == 100 else f"p{p:g}" for p in PERCENTILES), "ticks"):
        table.add_column(name, justify="right", no_wrap=True)
    for histogram in found:
        values = [f"{v:,.2f}" if v < 100 else f"{v:,.0f}" for v in histogram.percentiles().values()]
        table.add_row(histogram.name, *values, f"{len(histogram.delays) - histogram.warm:,}")
    return table


def _host() -> str:
    from tilewright.machine.cpu import model_name

    return model_name()


def _array(path: Path) -> Any:
    import numpy as np

    if not path.is_file():
        raise ArgumentError(f"There is no file {path}.")
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError):  # NumPy's own words say how to run what a file holds
        found = None
    if found is None or found.dtype.kind not in "fiub":
        raise ArgumentError(f"{path} is no array of numbers, as np.save leaves one (.npy).")
    return found


def _save(path: Path, array: Any) -> None:
    import io

    import numpy as np

    from tilewright.files import write_bytes

    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())
