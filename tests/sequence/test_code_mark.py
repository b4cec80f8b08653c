"""A mark says what a transformation of gradients computes, and nothing else."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tilewright.models.forecaster import Forecaster
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence.code_mark import mark_of

FORM = Forecaster(Recurrent((Layer("lstm", 3, 6),), reads="every step"))
CODE = "from tests.sequence.test_code_mark import *; print(mark_of(rising(0.1), FORM))"


def rising(rate):
    """Whose rate is a function: code, with a custom gradient inside."""
    return optax.sgd(lambda count: rate * jax.nn.relu(count + 1.0))


def from_table(values):
    table = jnp.asarray(values, jnp.float32)
    return optax.sgd(lambda count: table[jnp.asarray(count) % len(table)])


def test_it_is_the_same_in_another_process():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == mark_of(rising(0.1), FORM)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rising(0.1), rising(0.2)),
        (optax.adam(1e-3), optax.adam(1.0000002e-3)),
        (optax.adam(1e-3), optax.adam(1e-3, b1=0.8)),
        (from_table(np.arange(100)), from_table(np.arange(100) + (np.arange(100) == 50))),
        (
            optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
            optax.inject_hyperparams(optax.sgd)(learning_rate=0.2),
        ),
    ],
)
def test_other_numbers_are_another_mark(one, other):
    assert mark_of(one, FORM) == mark_of(one, FORM)
    assert mark_of(one, FORM) != mark_of(other, FORM)
