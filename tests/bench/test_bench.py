"""Every part of the bench on a tiny case: the machinery, not the figures."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec
from math import prod
from pathlib import Path

import jax
import numpy as np
import pytest

from tilewright.bench import (
    blocks,
    call,
    chains,
    cold,
    contract,
    convolutions,
    epilogues,
    groups,
    hmc,
    image_steps,
    images,
    jobs,
    latency,
    loaded,
    losses,
    memory,
    nuts,
    onnx_runtime,
    openvino,
    panels,
    photographs,
    precision,
    recurrent,
    rounds,
    spread,
    talk_step,
    ticks,
    tiles,
    windows,
)
from tilewright.bench.__main__ import PARTS, default_path, main
from tilewright.bench.chains_models import models
from tilewright.bench.image_peers import torch_net
from tilewright.bench.nuts_workloads import Nuts
from tilewright.bench.ours import Ours
from tilewright.bench.peer import Peers
from tilewright.bench.record import Record, Row, load
from tilewright.bench.table import (
    END,
    HEADLINES,
    SHORT,
    TABLES,
    TITLES,
    headlines,
    machine_sentence,
    markdown,
    part_table,
    render,
)
from tilewright.bench.workloads import Hmc
from tilewright.machine.cpu import allowed_cpus
from tilewright.models import resnext
from tilewright.models.efficientnet import EfficientNet
from tilewright.sequence.latency_in_c import compiler
from tilewright.sequence.precision import PRECISIONS
from tilewright.vision import nets
from tilewright.vision.from_torch import shapes_of

pytestmark = [
    # Libraries that stand beside us fork as they are loaded, with JAX at work or not.
    pytest.mark.filterwarnings("ignore:os.fork"),
    pytest.mark.usefixtures("cheap_collections"),
]

TINY = Hmc((3, 4, 1, 1), 32, 2, 5)


def test_every_part_has_cases():
    for part in PARTS.values():
        module = __import__(f"tilewright.bench.{part}", fromlist=["cases"])
        for quick in (True, False):
            assert all(name and callable(run) for name, run in module.cases(quick))


def test_contract():
    summary, row = contract.run([contract.Case(16, 20, 8)], 2)
    assert row.detail
    assert 0 < row.ours < 2
    assert summary.ours == row.ours


def test_blocks():
    rows = blocks.run(2, 64, 1)
    assert [row.name for row in rows] == [f"2 × 64 × 64, {d:g} left" for d in blocks.DENSITIES]
    assert all(row.ratio and row.notes.startswith("SciPy") for row in rows)


def test_blocks_of_a_net_that_learns():
    rows = blocks.run_step(16, 1, 4, 16)
    assert [row.name for row in rows] == [
        f"a training step, 16 units, 16 × 4, {d:g} left" for d in blocks.LEARNED
    ]
    assert all(row.ratio and row.peer_name == "dense" for row in rows)


@pytest.mark.peers
def test_a_training_step_of_the_talks_net():
    """It checks itself that both have one loss, twice."""
    (row,) = talk_step.run(1, 16, 5, 8)
    assert row.name == "talk's net, a training step, 8 × 5"
    assert (row.peer_name, row.bar) == ("PyTorch", 1.5)
    assert row.ratio is not None


def test_bars_of_ticks_are_those_of_windows_that_slide_as_well():
    bars = {name: (net.most, net.steps) for name, net in latency.NETS.items()}
    assert bars["shape A"] == (5.0, 50)
    assert bars["shape B"] == (15.0, 100)


def test_panels_are_as_large_as_those_that_bars_are_for():
    sizes = [4 * k * n for k, n in panels.SHAPES]
    assert (panels.LEAST, min(sizes), max(sizes)) == (50_000, 51_200, 1 << 20)


def test_panels(monkeypatch):
    monkeypatch.setattr(panels, "LEAST", 0)
    summary, wide, low, *rows = panels.run(32, 40, 1)
    assert "of reading" in wide.name
    assert "int16" in low.notes
    assert "uint8" in low.notes
    assert [row.bar for row in rows[:4]] == [0.9, 0.85, 0.85, 0.85]
    assert all(row.detail and row.ours > 0 for row in rows)
    shares = [row.ours / bar for row, bar in zip(rows, (0.9, 0.85, 0.85, 0.85), strict=False)]
    assert summary.bar is not None
    assert summary.ours == pytest.approx(min(shares) * summary.bar)


def test_convolutions():
    """Both directions: the median, the worst, each."""
    rows = convolutions.run("groups of 16", 1, most=1)
    assert [row.bar for row in rows] == [0.75, 0.6, 0.6, 0.65, 0.5, 0.5]
    assert 0 < rows[0].ours == rows[1].ours == rows[2].ours < 2
    assert all("filter gradient" in row.name for row in rows[3:])


def test_convolutions_of_one_tap_and_with_strides():
    """All three directions, each shape once; beside L2 where it is what they wait for."""
    for kind, unit in ((convolutions.ONE_TAP, ""), ("each channel by itself, stride 2", "L2")):
        rows = convolutions.run(kind, 1, most=1)
        names = [row.name for row in rows]
        assert len({*names}) == len(names)
        for direction in ("forward", "data gradient", "filter gradient"):
            meant = [row for row in rows if row.detail and direction in row.name]
            assert [row.unit for row in meant] == ["of peak", *["of L2's rate"] * bool(unit)]
            assert all(row.ours > 0 for row in meant)
        assert all(row.bar for row in rows if (row.unit == "of peak") != bool(unit))


def test_phases_of_a_data_gradient_do_all_of_its_work():
    """Each tap of each output of forward once."""
    case = convolutions.Case(8, 1, 5, 7, 2)
    (forward,) = case.forward()
    assert sum(each.work.flops for each in case.data()) == forward.work.flops
    assert len(case.data()) == 4


def test_epilogues():
    (row,) = epilogues.run((8, 16, 32), 3)
    assert (row.bar, row.at_most) == (0.5, True)
    assert "product alone" in row.notes
    rows = epilogues.alone(1)
    assert [row.bar for row in rows] == [0.5, 0.5]
    assert all(row.ours > 0 for row in rows)


@pytest.mark.peers
def test_memory_of_a_step():
    """What is planned is what is taken, to some pages."""
    row, over = memory.run("B0", 32, 2)
    assert row.peer_name == memory.PYTORCH
    assert row.peer is not None
    assert min(row.ours, row.peer) > 20  # the gradients of 5 million weights
    assert 0.5 < over.ours < 1.5


@pytest.mark.peers
def test_losses_begin_as_pytorch_s_do():
    """Weights go to their places, so that losses part by rounding alone."""
    net = EfficientNet(width=0.25, depth=0.3, size=32, classes=3, pad="even")
    (row,) = losses.run(net, losses.SMOOTH, 4)
    ours, theirs = row.more["ours"], row.more["PyTorch"]
    assert ours[0] == pytest.approx(theirs[0][0], rel=1e-4)
    assert ours[1] == pytest.approx(theirs[0][1], rel=1e-2)
    assert abs(ours[0] - theirs[1][0]) > 1e-3
    assert row.ours > 0
    assert len(theirs) == losses.SEEDS


def test_groups():
    """The two agree, and each direction has a row."""
    layer = groups.Layer(8, 16, 5, 2)
    rows = groups.run(layer, 1)
    assert [row.name for row in rows] == [f"groups of 8, {name}" for name in groups.DIRECTIONS]
    ours, theirs = groups._ours(layer), groups._theirs(layer)
    orders = (0, 2, 3, 1), (0, 2, 3, 1), (2, 3, 1, 0)
    for name, order in zip(theirs, orders, strict=False):
        made = theirs[name]()
        made = made if name == "forward" else next(x for x in made if x is not None)
        np.testing.assert_allclose(ours[name](), made.numpy().transpose(order), atol=1e-4)


@pytest.mark.parametrize("halves", [True, False])
def test_forward_in_groups_all_contenders_agree_in_their_precision(halves, monkeypatch):
    """And ours in bfloat16 is another program than ours in float32."""
    monkeypatch.setattr(groups, "multiplies_halves", lambda: halves)
    layer = groups.Layer(8, 16, 5, 2)
    answers = {name: np.asarray(_floats(call())) for name, call in groups.answering(layer).items()}
    exact = answers[images.OURS]
    assert (images.PAIRS in answers) == halves
    for name, answer in answers.items():
        answer = answer if name in (images.OURS, images.PAIRS) else answer.transpose(0, 2, 3, 1)
        error = np.abs(answer - exact).max() / np.abs(exact).max()
        assert error < (0.02 if "bfloat16" in name else 1e-5)
        assert "bfloat16" not in name or error > 1e-4 or name == "OpenVINO bfloat16"


def _floats(made):
    return made.float().numpy() if hasattr(made, "numpy") else made


def test_images(monkeypatch):
    net = resnext.ResNeXt((1,), groups=2, width=4, size=32)
    monkeypatch.setattr(images, "net_of", lambda name, size: net)
    rows = images.answers(images.RESNEXT, 2, 32, 1)
    row, *half = [row for row in rows if row.unit == "ms an image"]
    assert row.ours > 0
    assert "bfloat16" not in row.name + row.peer_name
    assert len(half) == images.multiplies_halves()
    shares = [share for share in rows if share.unit == "of its limit"]
    assert [share.name for share in shares] == [
        f"{r.name}: share of the limit" for r in (row, *half)
    ]
    assert all(0 < share.ours < 2 and share.bar == 0.8 for share in shares)
    assert all("MB compulsory" in s.notes and s.notes.endswith(" planned") for s in shares)
    for other in half:
        assert other.ours > 0
        assert other.name == row.name + ", bfloat16"
        assert other.more["seconds"] == row.more["seconds"]
        assert other.peer is not None
        assert not other.peer_name.startswith("tilewright")


def test_a_comparison_ends_in_time():
    """But not before it has some rounds."""
    found = rounds.compare({"a": lambda: 1.0, "b": lambda: 2.0}, 9, seconds=0)
    assert [len(each) for each in found.seconds.values()] == [5, 5]
    assert len(rounds.compare({"a": lambda: 1.0}, 2, seconds=0).seconds["a"]) == 2


def test_nobody_begins_beside_what_another_left(monkeypatch):
    looks = iter([1.0, 0.0, 0.0])
    monkeypatch.setattr(rounds, "_of_others", lambda: next(looks))
    found = rounds.compare({"a": lambda: 1.0, "b": lambda: float(len(list(looks)))}, 1)
    assert found.seconds["b"] == [0.0]


def test_what_another_thread_takes_is_seen():
    data = bytes(1 << 25)
    thread = threading.Thread(target=lambda: [hashlib.sha256(data) for _ in range(30)])
    thread.start()
    found = 0.0
    while thread.is_alive():
        found += rounds._of_others()
    assert found > 20 * rounds.AT_REST * rounds.LOOK


def test_what_is_not_to_be_disturbed_goes_before_others_and_no_longer(monkeypatch):
    monkeypatch.setattr(rounds, "REST", 0.0)
    seen = []

    def timing():
        seen.append(os.sched_getscheduler(0))
        return 1.5

    before = os.sched_getscheduler(0)
    assert rounds.undisturbed(timing)() == 1.5
    assert os.sched_getscheduler(0) == before
    assert seen[0] in (before, os.SCHED_FIFO)  # as far as the system grants it


def test_photographs_come_batch_after_batch():
    with photographs.loader(2, 32) as load:
        first, second = load(), load()
    assert first.shape == (2, 32, 32, 3)
    assert first.dtype == np.float32
    assert 0.1 < np.std(first) < 3
    assert not np.array_equal(first, second)


def test_openvino_answers_what_pytorch_does():
    torch = pytest.importorskip("torch")
    pytest.importorskip("openvino")
    net, x = torch.nn.Linear(5, 3).eval(), torch.ones(2, 5)
    answers = openvino.answering(onnx_runtime.exported(torch, net, x), x.shape)
    wanted = net(x).detach().numpy()
    np.testing.assert_allclose(answers[openvino.NAME](x.numpy()), wanted, rtol=1e-5)


@pytest.mark.slow
def test_numpyro_makes_the_same_transitions():
    """The same work, and as many are accepted: of 40, within what chance makes of it."""
    pytest.importorskip("numpyro")
    found = []
    for sampler in ("blackjax", "numpyro"):
        workload = Hmc((22, 4, 1), 50, 20, 5, sampler=sampler).workload()
        found.append(workload.totals(jax.jit(jax.vmap(workload.chain))(*workload.arguments)))
    theirs, ours = found
    assert theirs["leapfrogs"] == ours["leapfrogs"] == 200
    assert theirs["divergent"] == ours["divergent"] == 0
    assert abs(theirs["acceptance"] - ours["acceptance"]) < 40 * 0.15
    assert ours["jump"] > 0


def convolutions_of(torch, net):
    """Those with a norm: not those that squeeze and excite."""
    inside = {x for n in net.modules() if hasattr(n, "squeeze") for x in (n.squeeze, n.excite)}
    return [n for n in net.modules() if isinstance(n, torch.nn.Conv2d) and n not in inside]


@pytest.mark.parametrize("name", [*images.NETS, images.RESNEXT])
@pytest.mark.parametrize("folded", [True, False])
def test_peers_have_the_shapes_of_our_nets(name, folded):
    torch = pytest.importorskip("torch")
    net = images.net_of(name, 32)
    module = nets.module(net)
    peer = torch_net(torch, net, folded=folded).eval()
    count = sum(weights.numel() for weights in peer.parameters())
    shapes = jax.eval_shape(lambda key: module.start(net, key)[0], jax.random.key(0))
    ours = sum(prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    scales = sum(layer.out_channels for layer in convolutions_of(torch, peer))
    assert count == ours - scales * folded
    with torch.inference_mode():
        assert peer(torch.zeros(2, 3, 32, 32)).shape == (2, 1000)


def test_recurrent():
    (row,) = recurrent.run_spellings("gru", 2, 1, hidden=16, steps=3)
    assert row.ratio is not None
    assert row.ratio >= 1
    assert row.at_most
    assert len(row.more["milliseconds"]) == 10 + bool(find_spec("flax"))
    (row,) = recurrent.run_window("lstm", 1, hidden=16, steps=3)
    assert row.ours > 0
    assert "JAX" in row.notes


def test_precision():
    """Without PyTorch there is nothing to set it against."""
    pytest.importorskip("torch")
    rows = precision.run(1, 1, hidden=16, steps=3)
    assert [row.more["error"] > 0 for row in rows[:5]] == [True] * 5
    assert all(row.ratio and row.ours > 0 for row in rows)
    assert "int8x8" in rows[4].name


def test_precision_on_all_cores():
    """A peer has one thread or all; bars are those of one thread, and that of float32."""
    pytest.importorskip("torch")
    rows = precision.run(1, 1, hidden=16, steps=3, threads=2)
    assert all("talk's net, batch 1, 2 threads, " in row.name for row in rows)
    assert [row.bar for row in rows] == [
        recurrent.WINDOW["lstm"],
        *(precision.AGAINST_SINGLE[p, 1] for p in PRECISIONS[1:]),
        precision.AGAINST_BYTES[1],
    ]


def test_bound_products():
    rows = panels.run_bound(4, 32, 48, 1)
    assert "float32" in rows[0].name
    assert all(row.ours > 0 and row.bar for row in rows)


@pytest.mark.peers
def test_windows():
    case = windows.Case("gru", 3, 16, 1, 4, 64, (1.0, 1.0, 1.1))
    rows = windows.run("tiny", case, 1)
    names = [row.name for row in rows]
    assert names[0] == "tiny, float32"
    assert sum("share of the peak" in name for name in names) == 2
    assert "tiny, bfloat16x16 over ours in float32" in names
    assert rows[-1].unit == "MB"
    assert all(row.bar for row in rows if row.ratio and "over" not in row.name)


@pytest.mark.slow
def test_loaded():
    rows = loaded.run("shape A", 1)
    assert [row.bar for row in rows] == [3.0, 0.2, 1.5, 3.0, 3.0]
    assert rows[-1].name == "shape A: 64 windows, compiled, cold"
    assert all(row.ours > 0 for row in rows)


def test_latency(monkeypatch):
    for name, value in (("BYTES", {"float32": 4}), ("FEW", 40), ("READS", 1)):
        monkeypatch.setattr(latency, name, value)
    rows = latency.run("tiny", latency.Net(3, 16, 2, 5.0, 4), 1, 60)
    if compiler() is None:
        assert not rows
        return
    slides = rows.pop()
    assert slides.name == "tiny, a window of 4 that slides: a tick in float32"
    assert (slides.bar, slides.at_most, slides.unit) == (5.0, True, "µs")
    assert slides.ours > 0
    names = [row.name.partition(": ")[2] for row in rows]
    assert names[0] == "a tick in float32"
    assert [row.bar for row in rows if "step over C" in row.name] == [3.0]
    assert all(row.ours > 0 or "over C" in row.name for row in rows)
    assert any("spinning" in name for name in names)


def test_ticks():
    stream, slide, work = ticks.run("tiny", (3, 16, 2, 4), 1)
    assert stream.ours > 0
    assert "between ticks" in stream.notes
    assert (stream.peer is None) == (stream.ratio is None)
    assert "ticks a second" in slide.notes
    assert work.at_most
    assert work.ours > 0


def test_share_of_lanes():
    assert contract.Case(5, 20, 7).lanes == 20 / 32


def test_spread():
    (row,) = spread.run(TINY, 2)
    assert row.ratio is not None
    assert row.ours > 0


def test_tiles():
    (row,) = tiles.run("two chains", replace(TINY, chains=2), 2)
    assert row.bar == 0.95 * len(allowed_cpus())
    net = resnext.ResNeXt((1,), groups=2, width=4, size=32)
    (row,) = tiles.answers("two images", net, 2, 2)
    assert row.bar == 0.9 * len(allowed_cpus())
    assert row.ours > 0
    (row,) = tiles.registers(2, 1000)
    assert row.bar is None
    assert row.passed is None


def test_chains_are_compared_with_the_best_mode():
    times = {"first": 8.0, "again": 4.0, "ess": 400.0}
    found = {
        "ours": [{"first": 2.0, "again": 1.0, "ess": 500.0}],
        "vectorized": [times],
        "parallel": [times | {"again": 3.0}],
    }
    first, again = chains._rows("model", 4, found, ["vectorized", "parallel"], [])
    assert (first.ratio, again.ratio) == (4.0, 3.0)
    assert again.peer_name == "NumPyro parallel"
    assert first.passed
    assert again.passed
    assert "ours 500, vectorized 100" in again.notes


@pytest.mark.parametrize("name", models())
def test_models_of_chains_have_finite_densities(name):
    from numpyro.handlers import seed
    from numpyro.infer.util import log_density

    model = models()[name]
    density, sites = log_density(seed(model.numpyro, 0), model.data, {}, {})
    assert np.isfinite(density)
    assert any(site["type"] == "sample" and not site["is_observed"] for site in sites.values())


@pytest.mark.parametrize("name", call.PROGRAMS)
def test_call(name):
    (row,) = call.run(name, 20, 2)
    assert row.at_most
    assert row.passed == (row.ours <= call.BAR)


@pytest.mark.slow
def test_hmc_peers_do_the_same_work():
    case = hmc.Case("tiny", TINY, 1.0, 1.0)
    full, low, across = hmc.run(case, 2, [min(allowed_cpus())])
    assert full.more["ours"]["leapfrogs"] == full.more["peer"]["leapfrogs"] == 10
    for name in ("acceptance", "jump"):
        np.testing.assert_allclose(full.more["ours"][name], full.more["peer"][name], rtol=1e-3)
        np.testing.assert_allclose(low.more["ours"][name], low.more["peer"][name], rtol=0.05)
    assert across.bar is None
    assert "fp32" in across.peer_name


@pytest.mark.slow
def test_peers_share_the_instances():
    spec = replace(TINY, chains=5)
    with Peers((sorted(allowed_cpus()) * 2)[:2]) as peers:
        peers.build("one by one", spec, "map")
        peers.build("together", spec, "vmap")
        peers.run("one by one")
        found = peers.totals["one by one"]
        together = peers.run("together").totals
    mine = Ours(spec).totals
    assert found["draws"] == together["draws"] == mine["draws"] == 10
    assert mine["jump"] == pytest.approx(found["jump"], rel=1e-3)
    assert together["jump"] == pytest.approx(found["jump"], rel=1e-3)


def test_nuts_row():
    spec = Nuts("logistic", chains=2, draws=1)
    mine = Ours(spec)
    measured = rounds.Rounds({"ours": [1.0], "map rows": [3.0], "vmap rows": [9.0]}, [1e11])
    twice = mine.totals | {"leapfrogs": 2 * mine.totals["leapfrogs"]}
    totals = {"map rows": twice, "vmap rows": twice}
    row = nuts._row(spec, measured, mine, ("map rows", "vmap rows"), totals)
    assert row.ratio == pytest.approx(1.5), "time per leapfrog, not time"


def test_an_early_end_of_a_peer_is_an_error():
    with Peers([min(allowed_cpus())]) as peers:
        peers.processes[0].kill()
        with pytest.raises((RuntimeError, BrokenPipeError)):
            peers.run("nothing")


def test_what_the_first_program_of_a_process_adds():
    (row,) = cold.first_program(1)
    assert 0 < row.ours < 30
    assert (row.bar, row.at_most) == (0.25, True)


def test_cold():
    fresh, cached = cold.run("tiny", 1)
    assert fresh.ours > cached.ours > 0
    assert fresh.peer is not None


def test_cold_nets_are_an_image_and_a_step_of_sixteen(monkeypatch):
    monkeypatch.setattr(images, "start", lambda _, net: shapes_of(net))  # draws nothing
    titles = [name for name, _ in cold.cases(quick=False)]
    assert {cold.TITLES["b0"], cold.TITLES["step"]} <= set(titles)
    predict, (_, _, image) = cold._program("b0")
    assert image.shape == (1, 224, 224, 3)
    step, (weights, kept, batch) = cold._program("step")
    assert batch.shape == (16, 224, 224, 3)
    moved, after = jax.eval_shape(step, weights, kept, batch)
    assert jax.tree.structure((moved, after)) == jax.tree.structure((weights, kept))
    assert jax.eval_shape(predict, weights, kept, image).shape == (1, 1000)


def test_a_step_is_held_against_jax_s(monkeypatch):
    times = {images.OURS: 0.01, "PyTorch": 0.02, images.JAX: 0.09}
    contenders = {name: lambda seconds=seconds: seconds for name, seconds in times.items()}
    monkeypatch.setattr(image_steps, "multiplies_halves", lambda: False)
    monkeypatch.setattr(image_steps, "stepping", lambda *_, **__: contenders)
    first, beside = image_steps.training("B0", 16, 32, 2)
    assert (first.peer_name, first.ratio) == ("PyTorch", pytest.approx(2))
    assert (beside.peer_name, beside.ratio) == (images.JAX, pytest.approx(9))
    assert beside.bar == 8
    assert beside.passed
    (alone,) = image_steps.training(images.RESNEXT, 16, 32, 2)
    assert alone.peer_name == "PyTorch"


def test_slow_contenders_are_dropped():
    times = {"fast": 1.0, "slow": 10.0, "kept": 20.0}
    contenders = {name: lambda seconds=seconds: seconds for name, seconds in times.items()}
    measured = rounds.compare(contenders, 3, keep=("kept",))
    assert np.isnan(measured.seconds["slow"]).tolist() == [False, True, True]
    assert measured.seconds["kept"] == [20.0] * 3
    assert measured.best(["slow", "fast"]) == "fast"
    assert measured.ratio("kept", "fast") == (20.0, 20.0, 20.0)
    assert measured.gflops > 0


@pytest.mark.parametrize(
    "row, passed",
    [
        (Row("p", "n", 5.0, "s"), None),
        (Row("p", "n", 5.0, "s", bar=4.0), True),
        (Row("p", "n", 5.0, "s", bar=4.0, at_most=True), False),
        (Row("p", "n", 5.0, "s", ratio=1.9, bar=2.0), False),
        (Row("p", "n", 0.0, "s", ratio=2.0, bar=2.0), True),
    ],
)
def test_verdict(row, passed):
    assert row.passed is passed


def test_record_and_page(tmp_path):
    rows = (Row("call", "a", 5.0, "µs", bar=10.0, at_most=True), Row("hmc", "b", 1.0, "x"))
    record = Record.of(rows, quick=True)
    path = tmp_path / "deep" / "record.json"
    record.save(path)
    assert load(path) == record
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]
    later = Record.of([Row("hmc", "c", 2.0, "x", detail=True)], quick=True)
    run = {"date": "2999-01-01 00:00 UTC", "system": "Linux of another build"}
    newer = load(path).updated(replace(later, runs={"hmc": run}))
    assert [row.name for row in newer.rows] == ["a", "c"]
    assert newer.runs == {"call": record.runs["call"], "hmc": run}
    assert f"{record.runs['call']['date']} to {run['date']}" in machine_sentence(newer)
    assert newer.spans()["system"].count(" to ") == 1
    with pytest.raises(ValueError, match="another machine"):
        record.updated(replace(later, machine={**later.machine, "jax": "0"}))
    text = markdown(newer)
    assert "| a | 5.00 µs |" in text
    assert "| c |" not in text, "details stay out"
    assert "too short to be quoted" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{TABLES}\nold\n{END}\nafter\n{HEADLINES}\n{END}\n")
    render(page, newer)
    short = f"{HEADLINES}\n\n{headlines(newer)}\n\n{END}\n"
    assert page.read_text() == f"before\n{TABLES}\n\n{text}\n\n{END}\nafter\n{short}"
    part_table("call", rows)


@pytest.mark.parametrize("text", ["nothing", f"{TABLES}\nand no end", f"{END}\n{HEADLINES}"])
def test_a_page_without_markers(text, tmp_path, capsys):
    record, page = tmp_path / "r.json", tmp_path / "page.md"
    page.write_text(text)
    assert main(["--save", str(record), "--page", str(page)]) == 2
    Record.of(()).save(record)
    assert main(["--save", str(record), "--page", str(page)]) == 2
    assert TABLES in capsys.readouterr().err
    assert page.read_text() == text


def test_command_line(tmp_path):
    path = tmp_path / "record.json"
    command = [sys.executable, "-m", "tilewright.bench", "call", "--quick", "--save", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text())["rows"][0]["part"] == "call"
    assert "Calling" in done.stdout
    assert default_path().suffix == ".json"
    refused = subprocess.run([*command[:3], "nonsense"], capture_output=True, check=False)
    assert refused.returncode == 2


@pytest.mark.slow
def test_a_walk_forward():
    (walk,) = jobs.run_walk("density", quick=True)
    assert (walk.ours > 0, walk.bar) == (True, None)


def test_jobs_of_sequence_nets():
    few, many = jobs.run_memory(20_000)
    assert few.passed
    assert many.passed
    assert 0 < few.ours < jobs.BESIDE
    assert "5,000 windows" in many.name
    if compiler() is not None:
        purchase, state = jobs.run_cards(100)
        assert purchase.unit == "µs"
        assert 1 <= state.ours <= jobs.STATE


def test_every_part_has_a_title():
    assert set(TITLES) == set(PARTS)
    assert {part for part, _ in SHORT} <= set(PARTS)


def test_headlines_are_rows_of_the_record():
    record = load(Path(__file__).parents[2] / "bench/results/amd-epyc.json")
    measured = {row.part for row in record.rows}
    text = headlines(record)
    for (part, _), name in SHORT.items():
        assert part not in measured or f"| {name} |" in text
