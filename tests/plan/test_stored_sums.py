"""Where tiles share no memory, what is stored on the way to a sum keeps it on no single tile."""

import jax
import jax.numpy as jnp
import numpy as np

import tilewright
from tilewright.plan.homes import Homes
from tilewright.plan.ir import Call, Family


def centred(x):
    """A norm's backward asks for what its sums were made of."""
    y = x * x + 1
    return jnp.sum(y, (0, 1, 2)), y


def test_sums_over_stored_values_are_dealt_out():
    spec = jax.ShapeDtypeStruct((2, 32, 32, 96), np.float32)
    exe = tilewright.compile(centred, spec, machine="ipu:gc200")
    alone = [
        call
        for step in exe.plan.steps
        if isinstance(step, Family) and step.homes == Homes()
        for call in step.steps
        if isinstance(call, Call)
    ]
    assert all(view.size < 1000 for call in alone for view in call.views)
