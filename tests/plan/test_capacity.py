"""A program that does not fit the host is refused before it runs, in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.errors import CapacityError
from tilewright.plan.capacity import check_capacity

X = np.ones((40, 30), np.float32)


def step(x):
    return jnp.flip(jnp.cumsum(x, 0), 1) @ x.T


def test_what_fits_is_let_by():
    program = tilewright.compile(step, X).compiled.program
    arrays = X.nbytes + 40 * 40 * 4
    exact = arrays + program.shared_bytes + 2 * program.tile_bytes
    check_capacity(program, 2, exact)
    with pytest.raises(CapacityError, match="fewer rows or images at a time"):
        check_capacity(program, 2, exact - 1)


def test_how_much_and_the_largest_are_said():
    """A million images of a terabyte, of which nothing is made."""
    images = jax.ShapeDtypeStruct((1 << 20, 256, 256, 4), jnp.float32)
    with pytest.raises(CapacityError) as found:
        tilewright.compile(lambda x: jnp.cumsum(x * 2, 1)[:, -1], images)
    said = str(found.value)
    assert said.startswith("The program needs ")
    assert "1,099.5 GB of float32, an input" in said
    assert "made by mul" in said or "made by cumulative" in said
    assert " 0.0 GB of" not in said  # what is small beside them would help nobody
