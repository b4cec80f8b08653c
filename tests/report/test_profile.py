"""The profile: counts are exact, times add up to the run's, and no other program has clocks."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tilewright import dump, env
from tilewright.codegen.program import emit
from tilewright.compiler import compile
from tilewright.machine.host import host_machine

ROWS = np.random.default_rng(0).normal(size=(20_000, 22)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(22, 40)).astype(np.float32)


def loss(weights):
    """Long enough to be spread over tiles: half a millisecond with its gradient."""
    return jnp.mean(jnp.tanh(ROWS @ weights).sum(1) ** 2)


def descent(weights):
    """17 times 3 steps."""

    def step(_, weights):
        return weights - 1e-4 * jax.grad(loss)(weights)

    return lax.fori_loop(0, 17, lambda _, w: lax.fori_loop(0, 3, step, w) * 0.5, weights)


@pytest.fixture(scope="module")
def profile():
    executable = compile(descent, WEIGHTS)
    executable(WEIGHTS)
    return executable.profile(WEIGHTS)


def inside(profile, part):
    """Runs of the supersteps in a part, by kind."""
    rows = [row for row in profile.supersteps if row.superstep.label.startswith(f"{part}.")]
    return [(row.superstep.kind, row.runs) for row in rows]


def loop_part(executable, kind):
    """The number that the report gives to the only part of this kind."""
    (row,) = [row for row in executable.report().rows if row[0].endswith(kind)]
    return row[0].split()[0]


def test_supersteps_of_a_loop_run_once_a_turn(profile):
    part = loop_part(compile(descent, WEIGHTS), "loop")
    found = inside(profile, part)
    assert ("spread", 51) in found
    assert {runs for _, runs in found} <= {17, 51}
    outside = [r for r in profile.supersteps if not r.superstep.label.startswith(f"{part}.")]
    assert {row.runs for row in outside} == {1}


def test_times_add_up_to_the_run():
    """In the best of a few runs, since the machine may do something else before and after."""
    executable = compile(descent, WEIGHTS)
    shares = []
    for _ in range(5):
        profile = executable.profile(WEIGHTS)
        shares.append(sum(row.seconds for row in profile.supersteps) / profile.seconds)
    assert any(0.8 < share < 1.02 for share in shares), shares
    assert profile.seconds > 0.003


def test_a_while_loop_tests_once_more_than_it_turns():
    def search(weights):
        def unfinished(carry):
            return (carry[0] < 6) & (loss(carry[1]) < np.inf)

        return lax.while_loop(unfinished, lambda c: (c[0] + 1, c[1] + jax.grad(loss)(c[1])), start)

    start = (0, WEIGHTS)
    executable = compile(search, WEIGHTS)
    found = inside(executable.profile(WEIGHTS), loop_part(executable, "while"))
    assert {runs for _, runs in found} <= {1, 6, 7}
    assert {("spread", 7), ("spread", 6)} <= set(found)


def test_only_the_case_taken_has_runs():
    def choose(number, weights):
        return lax.switch(number, [jax.grad(loss), lambda w: w * 2], weights)

    executable = compile(choose, np.int32(0), WEIGHTS)
    for number in (0, 1):
        rows = executable.profile(np.int32(number), WEIGHTS).supersteps
        spread = [row.runs for row in rows if row.superstep.kind == "spread"]
        assert set(spread) == {1 - number}


def test_a_program_of_one_tile_is_one_superstep_without_barrier():
    profile = compile(lambda x: jnp.sort(x)[::-1], WEIGHTS).profile(WEIGHTS)
    (row,) = profile.supersteps
    assert (row.superstep.label[0], row.superstep.kind, row.runs) == ("0", "tile 0", 1)
    assert row.barrier == 0 < row.work
    assert row.imbalance is None


def test_barriers_and_imbalance(profile):
    for row in profile.supersteps:
        assert (row.imbalance is not None) == (row.superstep.kind == "spread")
        assert row.imbalance is None or 1 <= row.imbalance <= profile.threads + 1e-6
        assert row.barrier >= 0


def test_codelets_are_the_second_table(profile):
    calls = {row[0]: int(row[1].replace(",", "")) for row in profile.codelets.rows}
    assert any("contract" in name for name in calls)
    assert all(count % 17 == 0 for name, count in calls.items() if "contract" in name)
    threads = profile.threads
    ended = [row for row in profile.supersteps if row.barrier > 0]
    assert calls["barrier"] == threads * sum(row.runs for row in ended)
    text = str(profile)
    assert text.index("Supersteps") < text.index("Codelets") < text.rindex("barrier")


def test_bound_arguments_stay_bound():
    bound = compile(lambda x, y: (x @ y).sum(), WEIGHTS, WEIGHTS.T).bind(WEIGHTS)
    assert bound.profile(WEIGHTS.T).supersteps[0].runs == 1


def test_clocks_are_in_profiled_programs_only():
    program = compile(descent, WEIGHTS).compiled.program
    plain = emit(program, host_machine())
    timed = emit(program, host_machine(), profile=True)
    clocks = ("readcyclecounter", "cntvct")
    assert not any(clock in plain.module.text() for clock in clocks)
    assert any(clock in timed.module.text() for clock in clocks)
    assert not any(name.startswith(("work", "wait", "runs", "ticks")) for name in plain.image.loops)


def test_the_dump_folder_gets_each_profile(tmp_path, monkeypatch):
    monkeypatch.setattr(dump, "ENVIRONMENT", replace(env.ENVIRONMENT, dump=tmp_path))
    executable = compile(lambda x: jnp.sort(x), WEIGHTS)
    assert not list(tmp_path.glob("*/*profile*"))
    first, second = executable.profile(WEIGHTS), executable.profile(WEIGHTS)
    files = sorted(tmp_path.glob("*/*-profile.txt"))
    assert [path.read_text() for path in files] == [f"{first}\n", f"{second}\n"]


def test_tables_print_without_rich(profile):
    report = compile(descent, WEIGHTS).report()
    for table in (report, profile):
        assert all(row[0] in str(table) and row[0] in table._repr_html_() for row in table.rows)
