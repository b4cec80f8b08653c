"""Declared state: one program, which overwrites its state in place, whole or in two halves."""

import mmap
import threading
import tracemalloc
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.agree import TILES, same_bits
from tests.machines import eager
from tilewright.errors import ArgumentError
from tilewright.graph.evaluate import evaluate
from tilewright.plan.ir import Sync
from tilewright.simulate import simulate

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


PARAMS = {"w": normal(4, 5), "u": normal(5, 5)}
STATE = {"h": normal(3, 5), "n": np.int32(2)}
XS = normal(6, 3, 4)


def step(params, state, x):
    h = jnp.tanh(x @ params["w"] + state["h"] @ params["u"])
    return {"h": h, "n": state["n"] + 1}, (h.sum(1), state["n"])


def hazard(a, b, c, x):
    """Everything crosses: each new value reads others, one of them reversed, one never changes."""
    return b[::-1] + x, a * x, c, a - b, c @ a


@pytest.fixture(scope="module")
def program():
    return tilewright.compile(step, PARAMS, STATE, XS[0], state="state")


def bits(tree):
    return [(a.dtype, a.tobytes()) for a in map(np.asarray, jax.tree.leaves(tree))]


def by_hand(fn, states, ticks):
    """The step as a plain program, its state handed round."""
    plain = tilewright.compile(fn, *states, ticks[0])
    found = []
    for x in ticks:
        results = plain(*states, x)
        states, results = results[: len(states)], results[len(states) :]
        found.append(results[0] if len(results) == 1 else results)
    return states, found


def test_calls_are_those_of_the_plain_function(program):
    plain = tilewright.compile(step, PARAMS, STATE, XS[0])
    mine, state = program.fork(), STATE
    for x in XS:
        state, expected = plain(PARAMS, state, x)
        assert bits(mine(PARAMS, x)) == bits(expected)
        assert bits(mine.state) == bits(state)
    assert bits(program.state) == bits(STATE)


def test_it_is_overwritten_in_place(program):
    mine = program.fork()
    before = [leaf.ctypes.data for leaves in mine._held.values() for leaf in leaves]
    mine(PARAMS, XS[0])
    assert [leaf.ctypes.data for leaves in mine._held.values() for leaf in leaves] == before
    buffers = program.compiled.program.outputs[:2]
    assert [b.space for b in buffers] == ["input", "input"]


def test_a_call_allocates_nothing_but_its_result():
    """Of a state of a megabyte, whole and in two halves: neither in Python nor beneath it."""

    def decay(s, x):
        s = s * 0.5 + x
        return s, jnp.tanh(s).sum()

    mine, x = tilewright.compile(decay, normal(1 << 18), np.float32(1), state="s"), np.float32(2)

    def peak(call):
        """Bytes at once, of a call that is not the first."""
        for _ in range(3):
            call()
        tracemalloc.start()
        try:
            call()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            call()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    assert peak(lambda: (mine(x), mine.state)) > 1 << 20  # a copy is seen
    for call in (lambda: mine(x), lambda: (mine.prepare(), mine.answer(x))):
        assert peak(call) < 4096
        before = resident()
        for _ in range(300):
            call()
        assert resident() - before < 1 << 19


@pytest.mark.parametrize("tiles", TILES)
@pytest.mark.parametrize("fn", [hazard, None], ids=["crossing", "spread"])
def test_evaluate_simulate_and_native_agree(fn, tiles, monkeypatch):
    """Whatever reads what: to the bit, without races, on any number of tiles."""
    monkeypatch.setattr("tilewright.compiler.host_machine", eager)
    states = [normal(300), normal(300), normal(300, 300), normal(300)]
    if fn is None:
        fn, states = lambda a, x: (jnp.sin(a @ a + x), a.sum(0)), [normal(96, 96)]
        ticks, names = normal(3, 96), "a"
    else:
        fn, states = lambda a, b, c, x: hazard(a, b, c, x), states[:3]
        ticks, names = normal(3, 300), ("a", "b", "c")
    with mock.patch("tilewright.runtime.executable.default_workers", return_value=tiles):
        mine = tilewright.compile(fn, *states, ticks[0], state=names, tiles=tiles)
    compiled, image = mine.compiled, mine.image
    assert any(isinstance(s, Sync) for s in compiled.program.steps)
    states, results = by_hand(fn, states, ticks)
    given = [leaf for leaves in mine._held.values() for leaf in leaves]
    for x, result in zip(ticks, results, strict=True):
        inputs = [np.array(leaf) for leaf in given]
        means = evaluate(compiled.graph, [*inputs, x])
        ran = simulate(compiled.program, [*image.constants, *inputs, x], 3, seed=0)
        assert ran.races == []
        assert bits(mine(x)) == bits(result)
        flat = [a.reshape(b.shape) for a, b in zip(ran.outputs, means, strict=True)]
        same_bits(flat, means, "simulate against evaluate")
        after = [*given, *jax.tree.leaves(result)]
        if fn.__name__ == "hazard":  # without functions to the bit
            same_bits(after, means, "native against evaluate")
    assert bits(mine.state) == bits(states if len(states) > 1 else states[0])


def test_what_comes_first_is_the_state_and_the_rest_is_returned():
    x = normal(3)
    compile = tilewright.compile
    assert compile(lambda s, x: (s + x,), x, x, state="s")(x) is None
    assert compile(lambda s, x: (s + x, s), x, x, state="s")(x).shape == (3,)
    assert len(compile(lambda s, x: (s + x, s, x), x, x, state="s")(x)) == 2
    both = compile(lambda s, x, t: (t, s, x), x, x, 2 * x, state=("s", "t"))
    assert bits(both(x)) == bits(x)
    assert bits(both.state) == bits((2 * x, x))
    assert bits(compile(lambda s: (s + 1, s), 1, state=["s"])()) == bits(np.int32(1))


def test_it_begins_with_the_example_or_with_zeros():
    kind = jax.ShapeDtypeStruct((3,), np.float32)
    mine = tilewright.compile(lambda s, x: (s + x, s), kind, kind, state="s")
    x = normal(3)
    assert bits(mine(x)) == bits(np.zeros(3, np.float32))
    assert bits(mine(x)) == bits(x)
    mine.reset()
    assert bits(mine.state) == bits(np.zeros(3, np.float32))
    example = normal(3)
    mine = tilewright.compile(lambda s, x: (s + x, s), example, kind, state="s")
    example[:] = 0
    assert not np.array_equal(mine(x), example)


def test_forks_part_and_states_are_copies(program):
    one = program.bind(PARAMS)
    one(XS[0])
    other, kept = one.fork(), one.state
    one(XS[1])
    assert bits(other.state) == bits(kept)
    other(XS[1])
    assert bits(other.state) == bits(one.state)
    one.state = kept
    kept["h"][:] = 0
    assert bits(one.state) != bits(kept)
    one.reset()
    assert bits(one.state) == bits(STATE)


def test_bound_saved_and_loaded(program, tmp_path):
    bound = program.bind(PARAMS)
    bound(XS[0])
    bound.save(tmp_path / "step.tw")
    again = tilewright.load(tmp_path / "step.tw")
    assert repr(again) == repr(bound)
    assert bits(again.state) == bits(STATE)
    bound.reset()
    for x in XS:
        assert bits(again(x)) == bits(bound(x))
    again.prepare()
    assert bits(again.answer(XS[0])) == bits(bound(XS[0]))


def test_keys_stay_keys():
    key = jax.random.key(7)

    def draw(key, x):
        key, own = jax.random.split(key)
        return key, x + jax.random.normal(own, (3,))

    mine = tilewright.compile(draw, key, XS[0, 0, :3], state="key")
    plain = tilewright.compile(draw, key, XS[0, 0, :3])
    for _ in range(2):
        key, expected = plain(key, XS[0, 0, :3])
        np.testing.assert_array_equal(mine(XS[0, 0, :3]), expected)
    np.testing.assert_array_equal(jax.random.key_data(mine.state), jax.random.key_data(key))
    with pytest.raises(ArgumentError, match=r"^key is keys of .*, but its new value is an array"):
        tilewright.compile(lambda key: (jax.random.key_data(key),), key, state="key")


def test_a_decorated_step_and_arguments_by_name():
    fn = tilewright.jit(lambda s, scale=1.0: (s * scale, s.sum()))
    mine = tilewright.compile(lambda s, scale: fn(s, scale=scale), XS[0], scale=2.0, state="s")
    assert bits(mine(scale=3.0)) == bits(tilewright.compile(jnp.sum, XS[0])(XS[0]))
    assert bits(mine.state) == bits(XS[0] * np.float32(3))


def test_answers_are_those_of_whole_calls(program):
    whole, halves = program.bind(PARAMS), program.bind(PARAMS)
    for number, x in enumerate(XS):
        if number != 3:
            halves.prepare()
            halves.prepare()  # once is enough
        assert bits(halves.answer(x)) == bits(whole(x))
        assert halves.late == (number >= 3)
        if number == 1:
            assert bits(halves.state) == bits(whole.state)
    twin = halves.fork()
    assert bits(twin(XS[0])) == bits(halves.answer(XS[0])) == bits(whole(XS[0]))
    assert bits(halves(XS[1])) == bits(whole(XS[1]))


def test_what_was_prepared_is_forgotten_where_the_state_moves_on_without_it(program):
    whole, halves = program.bind(PARAMS), program.bind(PARAMS)
    halves(XS[0])
    halves.prepare()
    halves.reset()
    assert bits(halves.answer(XS[2])) == bits(whole(XS[2]))
    set_to = whole.state
    halves.answer(XS[1])
    halves.prepare()
    halves.state = set_to
    assert bits(halves.answer(XS[3])) == bits(whole(XS[3]))
    halves.prepare()
    assert bits(halves(XS[0])) == bits(whole(XS[0]))
    assert bits(halves.answer(XS[1])) == bits(whole(XS[1]))


def test_the_answer_reads_less():
    """Of a cell, the state's product is done before."""
    mine = tilewright.compile(step, PARAMS, STATE, XS[0], state="state").bind(PARAMS)
    answer = mine.compiled.stages.split(5, [4])[0].graph
    assert [node.op for node in answer.nodes].count("dot") == 1
    assert [n.op for n in mine.compiled.graph.nodes].count("dot") == 2


def test_calls_of_many_threads_are_one_after_the_other():
    mine = tilewright.compile(lambda n, x: (n + x, n), np.int32(0), np.int32(1), state="n")
    seen = [[] for _ in range(4)]

    def work(mine_seen):
        for _ in range(200):
            mine_seen.append(int(mine(np.int32(1))))

    threads = [threading.Thread(target=work, args=(own,)) for own in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n for own in seen for n in own) == list(range(800))


def test_what_was_interrupted_is_not_used(program):
    mine = program.bind(PARAMS)
    with (
        mock.patch.object(mine._pool, "take", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        mine(XS[0])
    for use in (lambda: mine(XS[0]), lambda: mine.state, mine.fork, lambda: mine.answer(XS[0])):
        with pytest.raises(RuntimeError, match="interrupted"):
            use()
    mine.reset()
    assert bits(mine.state) == bits(STATE)


def test_looking_inside_leaves_the_state_alone(program):
    mine = program.bind(PARAMS)
    mine.profile(XS[0])
    assert mine.trips(XS[0]) == {}
    assert bits(mine.state) == bits(STATE)
    assert "state: 2 arrays" in repr(mine)
    assert "overwriting" in mine.graph


REFUSED = {
    "no such name": (lambda s, x: (s, x), "stat", "^state names 'stat', which is no argument"),
    "twice": (lambda s, x: (s, s, x), ("s", "s"), "^state names an argument twice: s, s"),
    "no name": (lambda s, x: (s, x), 3.0, "^state must be the name of an argument"),
    "no tuple": (lambda s, x: s, "s", r"must return a tuple that begins with the new value of s"),
    "a list": (lambda s, x: [s, x], "s", "must return a tuple"),
    "too few": (lambda s, x: (s,), ("s", "x"), "the new value of s and x"),
    "structure": (lambda s, x: ((s, s), x), "s", r"^s is \*, but its new value is \(\*, \*\)"),
    "shape": (lambda s, x: (s[:2], x), "s", r"^s is float32\[3\], but its new value is float32\[2"),
    "dtype": (lambda s, x: (s > 0, x), "s", r"^s is float32\[3\], but its new value is bool\[3\]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_steps_that_are_none(case):
    fn, names, message = REFUSED[case]
    with pytest.raises(ArgumentError, match=message):
        tilewright.compile(fn, normal(3), normal(3), state=names)


def test_other_bad_input_leaves_the_state_as_it_is(program):
    mine = program.bind(PARAMS)
    cases = [
        (lambda: mine(XS[0, 0]), r"^x has shape \(4,\)"),
        (lambda: mine.answer(XS[0].astype(np.int32)), r"^x has dtype int32"),
        (lambda: mine(STATE, XS[0]), r"got 2 arguments by position"),
        (lambda: mine(state=STATE, x=XS[0]), r"got 'state', which is the program's own state"),
        (lambda: mine.bind(state=STATE), r"^bind got 'state', which is the program's own state"),
        (lambda: mine.start(XS[0]), "not started in the background"),
        (lambda: setattr(mine, "state", (1, 2)), r"^state is a tuple"),
        (lambda: setattr(mine, "state", STATE | {"h": XS}), r"^state\['h'\] has shape"),
    ]
    for use, message in cases:
        with pytest.raises(ArgumentError, match=message):
            use()
    assert bits(mine.state) == bits(STATE)
    mine(XS[0])
    with pytest.raises(ArgumentError, match="keeps no state"):
        tilewright.compile(step, PARAMS, STATE, XS[0], state="state", machine="xla")


@pytest.mark.parametrize("known", [True, False], ids=["natively", "in Python"])
def test_gaps_are_refused_where_that_is_asked_for(program, known, monkeypatch):
    """By native code, or where it does not know Python's layout; the state stays as it was."""
    monkeypatch.setattr("tilewright.runtime.layout.is_known", lambda: known)
    strict, x = program.bind(PARAMS).refusing_gaps(), XS[0]
    strict(x)
    before = bits(strict.state)
    for run in (strict, strict.answer):
        for gap, position in ((np.nan, 0), (np.inf, 7), (-np.inf, x.size - 1)):
            bad = np.abs(x)  # as bits, an infinity is the largest of what is positive
            bad.flat[position] = gap
            for given in (bad, bad.astype(np.float64)):
                with pytest.raises(ArgumentError, match=r"^x holds numbers that are not finite"):
                    run(given)
        assert bits(strict.state) == before
    assert strict.calls == 1
    large = np.full_like(x, np.finfo(np.float32).max)
    assert bits(strict.fork()(large)) == bits(strict.answer(large))
