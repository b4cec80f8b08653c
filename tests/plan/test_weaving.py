"""Products of a chunk go among the trips of the one before: the same bits, and who does it when."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.codelets.contract.test_woven import SINGLES, pair
from tests.plan.scopes import scope_of
from tilewright.codelets.contract import Woven
from tilewright.codelets.contract.woven import apart
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine.cost import work
from tilewright.machine.host import described
from tilewright.plan import weaving
from tilewright.plan.control import Trips
from tilewright.plan.in_front import RING, in_front
from tilewright.plan.ir import Branch, Call, Loop, Spread
from tilewright.plan.lower import lower
from tilewright.plan.price import HIDDEN, call_price
from tilewright.plan.weaving import _pieces
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
UNITS = 128
NAMES = ("avx2", "fma", "avx512f", "avx512bf16", "avx512vnni")


def machine(names=NAMES, tiles=2):
    """Stated figures: panels of 64 KB and more wait for L2."""
    found = described(names)
    return replace(found, chip=replace(found.chip, tiles=tiles, sync_cycles=10))


def numbers(*shape):
    return RANDOM.normal(size=shape).astype(np.float32) / 8


def net(chunks, trips, layers=2, reverse=False, first=lambda x: x, units=UNITS):
    """A cell that nobody has a name for, in chunks, as `ahead` makes them."""

    def fn(xs, *weights):
        steps, ends = xs, []
        for w, u in zip(weights[::2], weights[1::2], strict=True):

            def chunk(h, x, w=w, u=u):
                def trip(h, z):
                    h = jnp.maximum(h @ u, z) * 0.5 - h * 0.25
                    return h, h

                return lax.scan(
                    trip, h, (first(x.reshape(trips, -1)) @ w)[:, None], reverse=reverse
                )

            end, steps = lax.scan(chunk, jnp.zeros((1, units)), steps, reverse=reverse)
            ends.append(end)
        return ends, steps

    given = [numbers(units, units) for _ in range(2 * layers)]
    return fn, [numbers(chunks, trips, 1, units), *given]


def planned(fn, args, on):
    stages = Stages(trace(fn, *args).graph, Dump("test"), machine=on)
    return (*lower(stages.graph, on), stages.graph)


def calls(steps):
    for step in steps:
        if isinstance(step, Call):
            yield step
        elif isinstance(step, Loop | Spread):
            yield from calls(step.steps)
        elif isinstance(step, Branch):
            for case in step.cases:
                yield from calls(case)


def woven(program):
    return [call for call in calls(program.steps) if isinstance(call.codelet, Woven)]


@pytest.fixture
def eager(monkeypatch):
    """Stages are taken where there can be some, and woven where that can be."""
    prices = iter([2.0, 1.0, 3.0] * 100)
    monkeypatch.setattr("tilewright.plan.stages._price", lambda *_: next(prices))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("chunks", "trips", "layers", "reverse", "workers"),
    [
        (9, 16, 2, False, 1),
        (11, 12, 2, True, 2),
        (8, 16, 3, False, 3),
    ],
)
def test_bits_are_those_of_the_graph(chunks, trips, layers, reverse, workers):
    has_the_graphs_bits(net(chunks, trips, layers, reverse), layers, workers)


def has_the_graphs_bits(case, tiles, workers):
    fn, args = case
    program, literals, graph = planned(fn, args, machine(tiles=tiles))
    assert woven(program)
    assert any("products woven" in loop.ways for loop in program.steps if isinstance(loop, Loop))
    expected = evaluate(graph, args)
    result = simulate(program, [*literals, *args], workers, seed=workers)
    assert result.races == []
    for ours, theirs in zip(result.outputs, expected, strict=True):
        np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)


@pytest.mark.usefixtures("eager")
def test_pieces_of_one_panel_and_of_two(monkeypatch):
    monkeypatch.setattr("tilewright.plan.weaving._pieces", lambda n, _: [(n // 2, 1), (n // 4, 2)])
    has_the_graphs_bits(net(11, 12), 2, 3)


@pytest.mark.usefixtures("eager")
def test_a_last_panel_that_is_not_whole_stays_with_the_others():
    """It would be in no piece, and nobody would compute its columns."""
    fn, args = net(9, 16, units=UNITS + 8)
    program, literals, graph = planned(fn, args, machine())
    assert not woven(program)
    result = simulate(program, [*literals, *args], 2, seed=2)
    for ours, theirs in zip(result.outputs, evaluate(graph, args), strict=True):
        np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)


@pytest.mark.usefixtures("eager")
def test_native_agrees():
    fn, args = net(11, 12)
    agree(fn, *args, relative=1e-5, absolute=1e-5)


@pytest.mark.usefixtures("eager")
def test_not_where_registers_are_few_or_turns():
    fn, args = net(9, 16)
    assert not woven(planned(fn, args, machine(("avx2", "fma")))[0])
    fn, args = net(3, 48)
    assert not woven(planned(fn, args, machine())[0])


@pytest.mark.usefixtures("eager")
def test_not_where_multiplying_takes_as_long(monkeypatch):
    monkeypatch.setattr("tilewright.plan.weaving.SLACK", 100.0)
    fn, args = net(9, 16)
    assert not woven(planned(fn, args, machine())[0])


@pytest.mark.usefixtures("eager")
def test_a_trip_reads_one_of_two_while_the_other_is_made():
    fn, args = net(9, 16)
    program, _, _ = planned(fn, args, machine())
    half, made = 16 * UNITS, {call.views[-1] for call in woven(program)}
    turns = [s for loop in program.steps if isinstance(loop, Loop) for s in loop.steps]
    for ring in {view.buffer for view in made}:
        assert ring.size == RING * half
        for turn in turns:
            views = [v for call in calls([turn]) for v in call.views if v.buffer is ring]
            written = {v.offset // half for v in views if v in made}
            read = {v.offset // half for v in views if v not in made}
            assert not written or read == {1 - one for one in written}


def test_pieces_are_as_even_as_pairs_of_trips_allow():
    assert _pieces(64, 25) == [(20, 3), (4, 1)]
    assert _pieces(50, 20) == [(16, 3), (2, 1)]
    assert _pieces(8, 16) == [(8, 1)]
    assert _pieces(1, 5) == [(1, 1)]
    for panels in range(1, 80):
        for trips in range(1, 40):
            found = _pieces(panels, trips)
            assert sum(count * each for count, each in found) == panels
            assert sum(count for count, _ in found) <= trips


@pytest.mark.usefixtures("eager")
def test_the_price_counts_what_is_not_hidden():
    fn, args = net(9, 16)
    on = machine()
    call = woven(planned(fn, args, on)[0])[0]
    few, many = call.codelet.few, call.codelet.many
    alone = Call(few, apart(few, many, call.views)[0])
    more = (1 - HIDDEN) * work(many.work, on.tile).cycles
    assert call_price(call, on).cycles == pytest.approx(call_price(alone, on).cycles + more)


@pytest.mark.usefixtures("eager")
def test_every_second_trip_goes_backwards():
    fn, args = net(9, 16)
    found = {call.codelet.few.backwards for call in woven(planned(fn, args, machine())[0])}
    assert found == {True, False}


def plain(xs, w, u):
    """A product of carries alone: nothing runs ahead of it."""

    def chunk(h, x):
        def trip(h, z):
            h = jnp.tanh((h + z) @ u) @ w
            return h, h

        return lax.scan(trip, h, x)

    return lax.scan(chunk, jnp.zeros((1, UNITS)), xs)


def test_nothing_runs_ahead_of_what_hangs_on_carries():
    args = [numbers(9, 16, 1, UNITS), numbers(UNITS, UNITS), numbers(UNITS, UNITS)]
    graph = planned(plain, args, machine())[2]
    scope = scope_of(graph, machine=machine())
    (scan,) = [node for node in graph.nodes if node.op == "scan"]
    fixed, kept, xs, stacked = ([] for _ in range(4))
    assert in_front(Trips(scope, scan, fixed, kept, xs, stacked)) is None


def hosts(program):
    """Of the turns with woven products: how many panels of them each tile takes."""
    found = []
    for spread in (step for loop in program.steps if isinstance(loop, Loop) for step in loop.steps):
        if isinstance(spread, Spread) and isinstance(spread.steps[0], Branch):
            cases = [list(trips(case)) for case in spread.steps[0].cases]
            found.append([sum(map(panels, case)) for case in cases])
    return [case for case in found if any(case)]


def trips(steps):
    """Calls with how often each is made."""
    for step in steps:
        count = step.count if isinstance(step, Loop) else 1
        inner = step.steps if isinstance(step, Loop) else (step,)
        yield from ((call, count) for call in inner if isinstance(call, Call))


def panels(case):
    call, count = case
    return count * call.codelet.many.n // 16 if isinstance(call.codelet, Woven) else 0


def short(chunks, trips):
    """A net whose first layer has too few inputs for a product to be in front."""
    fn, (xs, w, *rest) = net(chunks, trips)
    return fn, [xs[..., :16], w[:16], *rest]


@pytest.mark.usefixtures("eager")
def test_panels_are_dealt_out_evenly():
    """Also to a layer that has nothing in front."""
    cases = (net(9, 16), 2, [8, 8]), (net(9, 16, 3), 3, [8, 8, 8]), (short(9, 16), 2, [4, 4])
    for case, tiles, wanted in cases:
        assert wanted in hosts(planned(*case, machine(tiles=tiles))[0])


@pytest.mark.usefixtures("eager")
def test_each_tile_makes_what_its_pieces_read():
    case = net(9, 16, first=lambda x: jnp.abs(x) * 2.0)
    program = planned(*case, machine())[0]
    assert [8, 8] in hosts(program)
    has_the_graphs_bits(case, 2, 3)


@pytest.mark.usefixtures("eager")
def test_to_each_its_own_where_others_would_see_what_is_made(monkeypatch):
    monkeypatch.setattr(weaving, "_is_private", lambda front: False)
    assert [0, 8] in hosts(planned(*short(9, 16), machine())[0])


def test_shares_follow_the_trips_of_each_loop():
    """Seven panels and nine: whole ones, side by side, none left out."""
    few, many = pair(SINGLES, 800, 128, 20, 7)[1], pair(SINGLES, 800, 128, 20, 9)[1]
    calls = [Call(codelet, ()) for codelet in (few, many)]
    one, other = weaving._shares(calls, [3, 1])
    assert one == [(calls[0], 0, 7), (calls[1], 0, 5)]
    assert other == [(calls[1], 5, 4)]
    assert [piece[1:] for piece in weaving._in_pieces(one, 12)] == [
        (0, 6, 1), (6, 1, 1), (0, 4, 1), (4, 1, 1),
    ]  # fmt: skip
    assert list(weaving._shares(calls, [16])) == [[(calls[0], 0, 7), (calls[1], 0, 9)]]
