"""The whole plan: what it says of buffers, constants and syncs."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.machines import LARGE, SMALL, STATED
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.plan.ir import Program, Step, Sync
from tilewright.plan.lower import KINDS, lower
from tilewright.plan.schedule import schedule
from tilewright.plan.summary import calls_of
from tilewright.simulate import simulate
from tilewright.trace import trace

X = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
TABLES = [np.arange(3, dtype=np.int32) + 10 * i for i in range(3)]


def looking_up() -> Graph:
    """Tables that the graph itself holds, read in another order than they stand there."""
    b = Builder([Type("int32", (3,))])
    tables = [b.constant(table) for table in TABLES]
    total = b.op("add", b.op("mul", tables[2], *b.inputs), tables[0])
    return b.graph([b.op("sub", total, tables[1]), b.inputs[0], tables[1]])


def touched(program: Program) -> set:
    return {view.buffer for call, _ in calls_of(program.steps) for view in call.views}


def test_constants_come_before_the_inputs_with_their_data():
    program, data = lower(looking_up(), STATED)
    constants = [buffer for buffer in program.inputs if buffer.space == "constant"]
    assert program.inputs[: len(constants)] == tuple(constants)
    assert [buffer.index for buffer in constants] == list(range(len(data)))
    assert [buffer.size for buffer in constants] == [array.size for array in data]
    assert {array.tobytes() for array in data} == {table.tobytes() for table in TABLES}
    given = np.array([1, 2, 3], np.int32)
    ours = simulate(program, [*data, given], 2).outputs
    for one, other in zip(ours, evaluate(looking_up(), [given]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("machine", [STATED, SMALL, LARGE], ids=["host", "small", "large"])
def test_every_buffer_has_its_place(machine):
    function = lambda x: (jnp.tanh(x @ x.T).sum(0), jnp.sort(x, axis=0))  # noqa: E731
    program, _ = lower(trace(function, X).graph, machine)
    placed = {b for b in touched(program) if b.space in ("shared", "tile")}
    assert placed <= program.offsets.keys()
    assert touched(program) <= set(program.buffers)
    assert len(set(program.buffers)) == len(program.buffers)
    ends = {"shared": program.shared_bytes, "tile": program.tile_bytes}
    for buffer, offset in program.offsets.items():
        assert 0 <= offset <= offset + buffer.nbytes <= ends[buffer.space]
    assert [b.size for b in program.outputs] == [300, X.size]


def test_a_result_that_is_an_input_is_copied():
    b = Builder([Type("float32", (4,))])
    program, _ = lower(b.graph(b.inputs * 2), STATED)
    given = np.arange(4, dtype=np.float32)
    for result in simulate(program, [given], 1).outputs:
        np.testing.assert_array_equal(result, given)


def test_tiles_meet_only_where_several_work():
    def syncs(machine) -> list[Step]:
        program, _ = lower(trace(lambda x: jnp.tanh(x @ x.T), X).graph, machine)
        return [step for step in program.steps if isinstance(step, Sync)]

    assert syncs(SMALL)
    assert not syncs(LARGE)


def test_every_kind_of_unit_has_a_way():
    """`schedule` names units after operations; what is missing here fails late."""
    from tests.graph.cases import CASES

    kinds = set()
    for function, *arguments in CASES.values():
        kinds |= {unit.kind for unit in schedule(trace(function, *arguments).graph)}
    assert len(kinds) > 12
    assert kinds <= KINDS.keys()
