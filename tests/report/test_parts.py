"""What a report names as the limit is what takes the time, and a profile names the same."""

import jax.numpy as jnp
import numpy as np
import pytest

from tilewright.compiler import compile
from tilewright.machine.host import host_machine

X = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
LONG = np.zeros(3_000_000, np.float32)

PROGRAMS = {
    "tanh": (lambda x: jnp.tanh(x) + 1, X),
    "log1p": (lambda x: jnp.log1p(x * x).sum(), X),
    "multiply-adds": (lambda x: x @ x, np.concatenate([X] * 4).reshape(256, 64) @ X[:, :64]),
    "acos": (lambda x: jnp.arccos(x / 9), X),
}


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


@pytest.mark.parametrize("name", PROGRAMS)
def test_report_and_profile_name_the_same_limit(name):
    fn, x = PROGRAMS[name]
    x = x[:64] if name != "multiply-adds" else np.resize(x, (256, 256))
    executable = compile(fn, x)
    assert set(column(executable.report(), "limit")) == {name}
    profile = executable.profile(x)
    assert set(column(profile.table, "limit")) == {name}
    assert name in column(profile.codelets, "limit")


def test_bytes_are_the_limit_where_they_are():
    executable = compile(lambda x: x + 1, LONG)
    assert set(column(executable.report(), "limit")) <= {"L3", "memory"}


def test_what_a_call_takes_of_memory_is_said():
    """Arguments, results and all between: before anything runs."""
    executable = compile(lambda x: jnp.cumsum(jnp.flip(x @ x.T, 0), 1), X)
    plan, note = executable.compiled.program, executable.report().notes[0]
    between = plan.shared_bytes + executable.workers * plan.tile_bytes
    assert between > 0
    assert f"; {between + X.nbytes + 64 * 64 * 4:,} bytes in a call" in note


def test_the_limit_explains_the_time():
    """A tanh is not one operation: within a factor of some, the price is what a run takes."""
    x = np.resize(X, (64, 512))
    executable = compile(lambda x: jnp.tanh(jnp.tanh(x)), x)
    least = float(column(executable.report(), "µs")[0].replace(",", "")) * 1e-6
    times = [executable.profile(x).supersteps[0].work for _ in range(9)]
    assert least / 3 < min(times) < 12 * least, (least, min(times), host_machine().source)


def test_a_profile_is_of_a_warm_run():
    executable = compile(lambda x: x * 2 + 1, np.zeros(1 << 18, np.float32))
    (row, *_) = executable.profile(np.zeros(1 << 18, np.float32)).supersteps
    assert row.runs == 1, "the warm-up is not counted"
