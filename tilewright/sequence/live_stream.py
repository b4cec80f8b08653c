"""A trained forecaster tick by tick: scaling, nets and what is made of their answers, one program.

In: stacked nets, how inputs are scaled, and a function from what the nets say to the answer. Out: a
`Stream`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tilewright.compiler import compile
from tilewright.models import forecaster, recurrent
from tilewright.models.forecaster import Forecaster, Parameters
from tilewright.runtime.stateful import Stateful
from tilewright.sequence.checkpoint import digest
from tilewright.sequence.precision import law_of
from tilewright.sequence.stream import Stream


def live_stream(
    form: Forecaster,
    nets: Parameters,
    scaling: np.ndarray,
    said: Callable[[Any, Any], Any],
    streams: int,
    *,
    precision: str,
    pruned: bool,
    nan: str,
    tiles: int | None,
) -> Stream:
    """`nets` have a leading axis. Ticks (streams, inputs) are moved by `scaling[0]` and multiplied
    by `scaling[1]`, together (2, inputs); `said` makes an answer of z (streams, nets, width) and
    h (streams, nets, hidden). Of `pruned` nets blocks of zeros are skipped.
    Nets are in that `precision` already."""
    run = _each_net if pruned or precision != "float32" else _together

    def step(nets: Any, scaling: Any, state: Any, x: Any) -> Any:
        x = (x - scaling[0]) * scaling[1]
        state, z, hidden = run(form, nets, state, x)
        return state, said(z, hidden)

    shape = (streams, len(nets.skip))
    zero = jax.tree.map(np.asarray, recurrent.zero_state(form.net, shape))
    x = jax.ShapeDtypeStruct((streams, form.net.inputs), np.float32)
    law = law_of(precision)
    program = compile(step, nets, scaling, zero, x, tiles=tiles, state="state", law=law)
    assert isinstance(program, Stateful)
    bound = program.bind(nets, scaling)
    return Stream(digest((nets, scaling)), precision, bound, streams, form.net.inputs, nan)


def _together(form: Forecaster, nets: Any, state: Any, x: Any) -> Any:
    """What each net says of x (streams, inputs), and its state; nets are the second dimension."""
    run = jax.vmap(partial(forecaster.run, form), in_axes=(0, 1, None), out_axes=(1, 2, 2))
    state, z, hidden = run(nets, state, x[None])
    return state, z[0], hidden[0]


def _each_net(form: Forecaster, nets: Any, state: Any, x: Any) -> Any:
    """The same one by one: each product is of one matrix, which is packed, skips blocks of zeros,
    and may be of another type."""
    found = []
    for i in range(len(nets.skip)):
        net, old = (
            jax.tree.map(lambda a, i=i: a[i], nets),
            jax.tree.map(lambda a, i=i: a[:, i], state),
        )
        new, z, hidden = forecaster.run(form, net, old, x[None])
        found.append((new, z[0], hidden[0]))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, 1), *found)
