"""What a user of `compile` may rely on: data closed over in any layout, and Ctrl-C everywhere."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.tree_util import register_pytree_node

import tilewright

GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
LAYOUTS = {
    "columns": np.asfortranarray(GRID),
    "turned": GRID.T,
    "every other": GRID[:, ::2],
    "reversed": GRID[::-1],
    "repeated": np.broadcast_to(GRID[0], (5, 6)),
    "unaligned": np.frombuffer(b"\0" + GRID.tobytes(), np.uint8)[1:].view(np.float32),
    "other byte order": GRID.astype(">f4"),
    "scalar": GRID[2, 3],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_closures_of_any_layout(name):
    data = LAYOUTS[name]
    program = tilewright.compile(lambda x: x + data * 2, np.float32(1))
    np.testing.assert_array_equal(program(np.float32(1)), np.asarray(data, np.float32) * 2 + 1)


def test_a_closure_is_what_it_was():
    """As under `jax.jit`: what is written to it afterwards is not seen."""
    data = np.ones(5, np.float32)
    program = tilewright.compile(lambda x: x + data, np.float32(1))
    data[:] = 7
    np.testing.assert_array_equal(program(np.float32(1)), np.full(5, 2, np.float32))


@dataclass
class Fresh:
    """A pytree whose leaves are new arrays each time it is flattened."""

    one: Any
    two: Any


register_pytree_node(
    Fresh,
    lambda _: ((np.full(100_000, 3, np.float32), np.full(100_000, 4, np.float32)), None),
    lambda _, leaves: Fresh(*leaves),
)


def test_arguments_made_while_flattening_live_as_long_as_the_call():
    program = tilewright.compile(lambda tree: jnp.tanh(tree.one) + tree.two, Fresh(0, 0))
    np.testing.assert_allclose(program(Fresh(0, 0)), np.tanh(3.0) + 4, rtol=1e-6)


def nested_while(x):
    """A loop without end inside of a loop that has one: its weight looks small."""

    def turn(carry, _):
        return lax.while_loop(lambda c: c[0] >= 0, lambda c: (c[0] + 1, c[1] * 0.5), (0, carry))

    def step(carry, _):
        return turn(carry, _)[1], None

    return lax.scan(step, x, None, length=2)[0]


def straight(x):
    """Seconds of work in a row, without a loop."""
    for _ in range(60):
        x = x @ x * 1e-3
    return x


def whole(x):
    """The same in an instance of a map, which runs whole on one tile: no queue looks for it."""
    for _ in range(300):
        x = x @ x * 1e-3
    return x


def seconds_to_interrupt(program, *args) -> float:
    """Of the clock or, where other processes have the CPUs up to nine tenths of it, our own."""
    sent, main = [], threading.get_ident()

    def send():
        sent.append((time.monotonic(), time.process_time()))
        signal.pthread_kill(main, signal.SIGINT)

    threading.Timer(0.2, send).start()
    with pytest.raises(KeyboardInterrupt):
        program(*args)
    clock, own = time.monotonic() - sent[0][0], time.process_time() - sent[0][1]
    return max(min(clock, own), clock / 10)


LONG = {
    "nested while": (nested_while, np.float32(1)),
    "mapped while": (lambda x: tilewright.tile_map(nested_while)(x), np.ones(3, np.float32)),
    "straight work": (straight, np.ones((1600, 1600), np.float32)),
    "mapped work": (lambda x: tilewright.tile_map(whole)(x), np.ones((2, 700, 700), np.float32)),
}


@pytest.mark.parametrize("name", LONG)
def test_an_interrupt_ends_any_program_soon(name):
    fn, x = LONG[name]
    program = tilewright.compile(fn, x)
    assert any(seconds_to_interrupt(program, x) < 0.2 for _ in range(3))


def test_modules_in_the_working_directory_are_not_run(tmp_path):
    """Nor where a large program is compiled in parts."""
    (tmp_path / "struct.py").write_text("open('run', 'w')\nraise SystemExit(7)\n")
    text = """
import sys; sys.path.remove("")
import numpy as np, tilewright, jax, jax.numpy as jnp
def fn(x):
    for i in range(40):
        x = jnp.tanh(x @ x[: i + 3].T @ x[: i + 3])
    return x
tilewright.compile(fn, np.ones((50, 50), np.float32))
"""
    environment = {**os.environ, "TILEWRIGHT_PROCESSES": "3", "TILEWRIGHT_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, env=environment, check=False, timeout=100
    )
    assert done.returncode == 0
    assert not (tmp_path / "run").exists()
