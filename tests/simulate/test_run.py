"""Programs written by hand: what they compute, on any number of tiles, in any order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate.programs import plus, program, view
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Sync,
    View,
    While,
    new_var,
)
from tilewright.simulate import simulate

ROWS, COLUMNS = 12, 3
X = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
TILES = [1, 2, 3, 5, 20]


def rows_then_total(kind: type = Spread) -> Program:
    """Every row doubled by whoever has it, through its own arena; then tile 0 adds all up."""
    var = new_var()
    x, out = Buffer("float32", X.size, "input", 0), Buffer("float32", 1, "output", 0)
    doubled, beside = Buffer("float32", X.size, "shared"), Buffer("float32", COLUMNS, "tile")
    row = view(x, COLUMNS, moves=((var, COLUMNS),))
    result = view(doubled, COLUMNS, moves=((var, COLUMNS),))
    body = (plus([row], view(beside, COLUMNS), 0.5), plus([view(beside, COLUMNS), row], result))
    total = plus([view(doubled, ROWS, COLUMNS)], view(out, 1))
    steps = (kind(var, ROWS, body), Sync(), total)
    return program(steps, [x], [out], [doubled], [beside])


@pytest.mark.parametrize("kind", [Spread, Map])
@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_any_number_of_tiles_in_any_order(kind, tiles, seed):
    result = simulate(rows_then_total(kind), [X], tiles, seed)
    assert result.outputs[0].tolist() == [2 * X.sum() + 0.5 * X.size]
    assert result.races == []
    assert result.supersteps == 2
    assert result.calls == 2 * ROWS + 1


def test_memory_that_nobody_wrote_reads_as_nan():
    sound = rows_then_total()
    broken = replace(sound, steps=sound.steps[1:])
    assert np.isnan(simulate(broken, [X], 2).outputs[0]).all()
    assert np.isnan(simulate(replace(sound, steps=()), [X], 2).outputs[0]).all()


def test_an_instance_finds_nothing_of_the_one_before():
    var, own = new_var(), Buffer("float32", 1, "tile")
    out = Buffer("float32", 4, "output", 0)
    body = (plus([], view(out, 1, moves=((var, 1),)), 1.0), plus([], view(own, 1), 1.0))
    leak = (plus([view(own, 1)], view(out, 1, moves=((var, 1),))), *body[1:])
    for kind in (Spread, Map):
        assert simulate(program([kind(var, 4, body)], [], [out], [], [own]), [], 1).outputs[0].all()
        leaking = simulate(program([kind(var, 4, leak)], [], [out], [], [own]), [], 1)
        assert np.isnan(leaking.outputs[0]).all()


def test_a_bool_that_nobody_wrote_is_true():
    flag, out = Buffer("bool", 2, "shared"), Buffer("float32", 2, "output", 0)
    result = simulate(program([plus([view(flag, 2)], view(out, 2))], [], [out], [flag]), [], 1)
    assert result.outputs[0].tolist() == [1, 1]


def test_loops_update_in_place():
    var, out = new_var(), Buffer("int32", 5, "output", 0)
    x = Buffer("int32", 15, "input", 0)
    start = plus([], view(out, 5))
    turn = plus([view(x, 5, moves=((var, 5),))], view(out, 5), in_place=True)
    data = np.arange(15, dtype=np.int32)
    result = simulate(program([start, Loop(var, 3, (turn,))], [x], [out]), [data], 2)
    assert result.outputs[0].tolist() == data.reshape(3, 5).sum(0).tolist()


def test_views_may_run_backwards_and_repeat():
    x, out = Buffer("float32", 3, "input", 0), Buffer("float32", 6, "output", 0)
    source = View(x, (2, 3), (0, -1), offset=2)
    result = simulate(program([plus([source], view(out, 2, 3))], [x], [out]), [X[0]], 1)
    assert result.outputs[0].tolist() == [2, 1, 0, 2, 1, 0]


def counting(work: tuple) -> Program:
    """While x: x -= 1, count += 1; `work` is done in each turn."""
    x, count = Buffer("int32", 1, "input", 0), Buffer("int32", 1, "output", 0)
    left, test = Buffer("int32", 1, "shared"), Buffer("bool", 1, "shared")
    one = view(left, 1)
    steps = (
        plus([view(x, 1)], one),
        plus([], view(count, 1)),
        While(
            (plus([one], view(test, 1)), *work),
            view(test, 1),
            (plus([], one, -1, in_place=True), plus([], view(count, 1), 1, in_place=True)),
        ),
    )
    return program(steps, [x], [count], [left, test])


@pytest.mark.parametrize("turns", [0, 1, 7])
def test_while(turns):
    result = simulate(counting(()), [np.array([turns], np.int32)], 2)
    assert result.outputs[0].tolist() == [turns]
    assert result.races == []


@pytest.mark.parametrize("index, chosen", [(-5, 1), (0, 1), (1, 2), (2, 3), (9, 3)])
def test_branch(index, chosen):
    x, out = Buffer("int32", 1, "input", 0), Buffer("float32", 1, "output", 0)
    cases = tuple((plus([], view(out, 1), add),) for add in (1.0, 2.0, 3.0))
    steps = [Branch(view(x, 1), cases)]
    result = simulate(program(steps, [x], [out]), [np.array([index], np.int32)], 2)
    assert result.outputs[0].tolist() == [chosen]


def test_inputs_come_in_the_order_of_the_program():
    x, c = Buffer("float32", 1, "input", 0), Buffer("float32", 1, "constant", 0)
    out = Buffer("float32", 1, "output", 0)
    steps = [plus([view(c, 1)], view(out, 1), 0.5)]
    result = simulate(
        program(steps, [c, x], [out]), [np.full(1, 10, np.float32), np.ones(1, np.float32)], 1
    )
    assert result.outputs[0].tolist() == [10.5]


def test_inputs_are_left_as_they_are():
    x, out = Buffer("float32", 3, "input", 0), Buffer("float32", 1, "output", 0)
    data = X[0].copy()
    steps = [plus([], view(x, 3), 1.0), plus([view(x, 3)], view(out, 1))]
    simulate(program(steps, [x], [out]), [data], 1)
    assert data.tolist() == X[0].tolist()


def test_what_no_program_may_do():
    x, out = Buffer("float32", 3, "input", 0), Buffer("float32", 3, "output", 0)
    good = plus([view(x, 3)], view(out, 3))

    def running(*steps):
        return simulate(program(steps, [x], [out]), [X[0]], 2)

    running(good)
    with pytest.raises(ValueError, match=r"elements 1 \.\.\. 3 of a buffer of 3 \(output\)"):
        running(plus([view(x, 3)], view(out, 3, offset=1)))
    with pytest.raises(ValueError, match="where the codelet expects"):
        running(Call(good.codelet, (view(x, 3), View(out, (3,), (-1,), 2))))
    with pytest.raises(ValueError, match="Sync inside one tile's share"):
        running(Spread(new_var(), 2, (Sync(),)))
    with pytest.raises(ValueError, match="3 of float64 elements, not 3 of float32"):
        simulate(program([good], [x], [out]), [X[0].astype(np.float64)], 1)
    with pytest.raises(ValueError, match="1 inputs expected, 0 given"):
        simulate(program([good], [x], [out]), [], 1)
