"""Which loops become one function, which arrays are in registers there, and that both are right."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.codelets.run import X86
from tilewright.codegen.regions import Region, Regions, views_of
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.plan.ir import Branch, Buffer, Call, Loop, Program, Step, View, new_var
from tilewright.plan.views import whole

ADD = Expression(("float32",) * 2, (Instruction("add", (0, 1), "float32"),), (2,))


def add(x: View, y: View, out: View) -> Call:
    return Call(Elementwise(ADD, out.shape, (x.strides, y.strides), (out.strides,)), (x, y, out))


def buffers(*sizes: int) -> list[View]:
    return [whole(Buffer("float32", size, "shared"), (size,)) for size in sizes]


def region(step: Step, before=(), after=(), offsets=None) -> Region | None:
    """Of a step in a program; its buffers lie side by side unless `offsets` says otherwise."""
    steps = (*before, step, *after)
    if offsets is None:
        touched = dict.fromkeys(view.buffer for view, _, _ in views_of(steps))
        offsets = {buffer: 128 * i for i, buffer in enumerate(touched)}
    return Regions(Program((), (), (), steps, offsets, 0, 0), set()).of(step)


def test_small_arrays_are_resident_and_only_those_others_have_outlive():
    a, b, c, large = buffers(3, 3, 3, 17)
    row = View(large.buffer, (3,), (1,))
    found = region(Loop(new_var(), 9, (add(a, row, b), add(b, b, c))), after=[add(c, c, a)])
    assert found is not None
    assert set(found.resident) == {a.buffer, b.buffer, c.buffer}
    assert found.outliving == {a.buffer, c.buffer}


def test_rows_that_move_with_the_loop_stay_in_memory():
    a, rows = buffers(2, 8)
    var = new_var()
    moving = View(rows.buffer, (2,), (1,), 0, ((var, 2),))
    found = region(Loop(var, 4, (add(a, moving, a),)))
    assert found is not None
    assert found.resident == [a.buffer]


def test_an_array_is_not_written_back_over_another():
    """Its place may be another's by the end of the region."""
    a, b = buffers(3, 3)
    step = Loop(new_var(), 9, (add(a, a, a), add(b, b, b)))
    found = region(step, [add(a, a, a)], offsets={a.buffer: 0, b.buffer: 8})
    assert found is not None
    assert found.resident == [b.buffer]
    alone = region(step, offsets={a.buffer: 0, b.buffer: 8})
    assert alone is not None
    assert len(alone.resident) == 2, "neither is written back"


def test_what_is_no_region():
    (a,), (large,) = buffers(3), buffers(99)
    assert region(Loop(new_var(), 9, (add(large, large, large),))) is None
    assert region(Loop(new_var(), 9, (add(a, a, a),) * 300)) is None
    assert region(add(a, a, a)) is None


def test_tiles_in_different_cases_keep_their_arrays_in_memory():
    """What a tile wrote back of the cases that it was not in would be others' of before."""
    a, b, index = *buffers(3, 3), whole(Buffer("int32", 1, "tile"), ())
    step = Branch(index, ((add(a, a, a),), (add(b, b, b),)))
    assert region(step) is not None
    assert region(replace(step, apart=True)) is None
    assert region(Loop(new_var(), 9, (replace(step, apart=True),))) is None


def text(fn, *arguments) -> str:
    return tilewright.compile(fn, *arguments).llvm


@pytest.mark.skipif(not X86, reason="reads x86 assembly")
def test_a_scalar_recurrence_touches_no_memory():
    def fn(x):
        return lax.fori_loop(0, 1000, lambda _, c: (c[1], 0.9 * c[0] + c[1]), (x, x + 1))

    program = tilewright.compile(fn, np.float32(0.1))
    function = program.assembly.partition("\nresident_")[2]
    loop = function.partition("\n.LBB")[2].partition("\tje\t")[0].splitlines()
    assert any("mulss" in line for line in loop)
    assert not [line for line in loop if "call" in line or ("ss\t" in line and "(" in line)]
    agree(fn, np.float32(0.1), relative=1e-5)


def test_loops_in_loops_with_branches():
    """Carries that change places, an update in place, a while loop, and rows that are stacked."""

    def fn(x, rows):
        def step(carry, row):
            a, b, table, n = carry
            a, b = b, jnp.where(row[0] > 0, a + row, b * 0.5)
            _, total = lax.while_loop(
                lambda c: (c[0] < n % 4) & (c[1][0] < 9),
                lambda c: (c[0] + 1, c[1] + a),
                (0, b),
            )
            total = lax.switch(n % 3, [lambda t: t, lambda t: -t, lambda t: t[::-1]], total)
            table = lax.dynamic_update_slice(table, total[None], (n % 7, 0))
            return (a, b, table, n + 1), jnp.sum(table[n % 7]) + total

        return lax.scan(step, (x, -x, jnp.zeros((7, 3)), 0), rows)

    generator = np.random.default_rng(0)
    x, rows = generator.normal(size=3), generator.normal(size=(50, 3))
    agree(fn, x.astype(np.float32), rows.astype(np.float32), relative=1e-4, absolute=1e-4)
    assert "@resident_" in text(fn, x.astype(np.float32), rows.astype(np.float32))


def test_turns_are_counted():
    def fn(n):
        return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 0.5), (0, 1.0))

    program = tilewright.compile(fn, np.int32(5))
    run = program.start(np.int32(1234))
    run.result()
    assert sum(run.progress().trips.values()) == 1234


def test_turns_of_loops_in_loops_are_added_up():
    def fn(n):
        inner = lambda _, c: lax.fori_loop(0, 7, lambda _, c: c * 0.5 + 1, c)  # noqa: E731
        return lax.fori_loop(0, n, inner, 1.0)

    run = tilewright.compile(fn, np.int32(5)).start(np.int32(6))
    run.result()
    assert sorted(run.progress().trips.values()) == [6, 42]


def test_profiles_count_every_codelet():
    """They call codelets one by one: what is timed has a name."""
    x = np.float32(1)
    program = tilewright.compile(lambda x: lax.fori_loop(0, 9, lambda _, c: c * 0.5, x), x)
    assert "mul" in str(program.profile(x))


def test_places_of_others_are_told():
    """As looking at all pairs tells them; what holds nothing is in the way inside of others."""
    random = np.random.default_rng(0)
    for count in (*range(1, 9), 60):
        some = [view.buffer for view in buffers(*map(int, random.integers(0, 9, count)))]
        offsets = {b: int(random.integers(0, 12 * count)) for b in some}
        found = Regions(Program((), (), (), (), offsets, 0, 0), set())._sharing(some)
        places = [(offsets[b], offsets[b] + b.nbytes, b) for b in some]
        assert found == {
            b
            for low, high, b in places
            for start, stop, other in places
            if other is not b and start < high and low < stop
        }
