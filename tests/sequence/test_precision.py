"""Windows in lower precision: how much they err, by net and precision, and what is refused."""

import jax
import numpy as np
import pytest
from ml_dtypes import bfloat16

from tilewright.errors import ArgumentError
from tilewright.models.quantised import Quantised
from tilewright.models.recurrent import Dense, Layer, Recurrent, initial, window
from tilewright.models.rounded import Rounded
from tilewright.sequence import Model
from tilewright.sequence.precision import PRECISIONS, Error, error, exact, in_precision

BARS = {"float32": 1e-5, "bfloat16": 0.008, "bfloat16x16": 0.008, "int8": 0.015, "int8x8": 0.015}
"""Of the root mean square error, over the answers' deviation."""


def model(kind="lstm", hidden=32, inputs=16, layers=2, seed=0, **more) -> Model:
    first, *others = (
        Layer(kind, inputs if i == 0 else hidden, hidden, **more) for i in range(layers)
    )
    net = Recurrent((first, *others), (Dense(hidden, 1),))
    return Model(net, jax.tree.map(np.asarray, initial(net, jax.random.key(seed))))


def windows(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_talks_net_errs_less_than_its_bar():
    """Random weights, as a net starts: 2 x 256, 16 inputs."""
    net, xs = model(hidden=256), windows(32, 100, 16)
    wanted = exact(net.net, net.weights, xs)
    for precision, bar in BARS.items():
        found = error(net.window(32, 100, precision=precision)(xs), wanted)
        print(precision, found)
        assert 0 < found.rms <= bar


@pytest.mark.parametrize("precision", PRECISIONS[1:])
@pytest.mark.parametrize(
    ("kind", "more"), [("lstm", {}), ("gru", {"reset": "after"}), ("gru", {"reset": "before"})]
)
def test_every_cell(kind, more, precision):
    """Trained nets have larger weights than those that a net starts with."""
    net = model(kind, **more)
    larger = jax.tree.map(lambda array: 2 * array, net.weights)
    found = Model(net.net, larger).error(precision, windows(40, 30, 16))
    assert 0 < found.rms <= 3 * BARS[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_batches_and_windows_alone(precision):
    """A window has the same bits in any batch: sums of integers, or the law's."""
    net, xs = model(hidden=48), windows(5, 20, 16)
    together = net.window(5, 20, precision=precision)(xs)
    alone = net.window(1, 20, precision=precision)
    for x, wanted in zip(xs, together, strict=True):
        assert alone(x[None])[0].tobytes() == wanted.tobytes()


def test_products_are_all_that_changes():
    net = model()
    kinds = {"bfloat16": np.ndarray, "bfloat16x16": Rounded, "int8": Quantised}
    for precision, kind in kinds.items():
        changed = in_precision(net.weights, precision)
        cell = changed.layers[0][0]
        assert isinstance(cell.W, kind)
        assert isinstance(cell.U, kind)
        assert cell.b is net.weights.layers[0][0].b
        assert changed.head is net.weights.head
    assert in_precision(net.weights, "bfloat16").layers[1][0].U.dtype == bfloat16
    assert in_precision(net.weights, "float32") is net.weights


def test_the_function_is_jaxs_own():
    """What a quantised net means, JAX says as well."""
    net, xs = model(hidden=48), windows(3, 20, 16)
    for precision in ("bfloat16", "bfloat16x16", "int8"):
        weights = in_precision(net.weights, precision)
        found = net.window(3, 20, precision=precision)(xs)
        np.testing.assert_allclose(found, window(net.net, weights, xs), atol=2e-4)


def test_the_fastest_that_keeps_a_tolerance():
    net, xs = model(), windows(30, 12, 16)
    errs = {precision: net.error(precision, xs).rms for precision in PRECISIONS}
    assert errs["float32"] < errs["int8"] < errs["int8x8"]
    for precision in ("int8", "float32"):
        chosen = net.window(2, 12, tolerance=errs[precision] * 1.001, data=xs)
        same = net.window(2, 12, precision=precision)
        assert chosen(xs[:2]).tobytes() == same(xs[:2]).tobytes()
    with pytest.raises(ArgumentError, match=r"No precision keeps a tolerance of 1e-12"):
        net.window(2, 12, tolerance=1e-12, data=xs)


def test_bad_input():
    net, xs = model(hidden=8), windows(3, 5, 16)
    for given, message in [
        ({"precision": "int4"}, r"precision must be one of .*, not 'int4'"),
        ({"precision": "int8", "tolerance": 0.1}, "Give precision or tolerance, not both"),
        ({"tolerance": 0.1}, "tolerance needs data"),
        ({"tolerance": 0.0, "data": xs}, "tolerance must be a number above 0, not 0.0"),
        ({"tolerance": "small", "data": xs}, "tolerance must be a number above 0, not 'small'"),
        ({"tolerance": 0.1, "data": "xs"}, "data must be an array of numbers"),
        ({"tolerance": 0.1, "data": [[1], [1, 2]]}, "data must be an array of numbers"),
        ({"tolerance": 0.1, "data": xs * 1j}, "data must be an array of numbers"),
        ({"tolerance": 0.1, "data": xs[0]}, r"data must have the shape \(batch, steps, 16\)"),
        ({"tolerance": 0.1, "data": xs * np.nan}, "data hold numbers that are not finite"),
        ({"data": xs}, "data are for a tolerance, which is missing"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            net.window(1, 5, **given)
    with pytest.raises(ArgumentError, match="are all equal"):
        net.error("int8", np.zeros((3, 5, 16)))


def test_an_error_in_words():
    found = error(np.array([1.0, 2.0, 3.5]), np.array([1.0, 2.0, 3.0]))
    assert found == Error(0.5, found.rms)
    assert str(found) == "at most 0.5, 35.36% of the answers' deviation (rms)"


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_tick_by_tick_gives_the_bits_of_the_window(precision):
    net, xs = model(hidden=48), windows(1, 6, 16)
    wanted = net.window(1, 6, precision=precision)(xs)
    stream = net.stream(precision=precision)
    answers = [stream(x) for x in xs[0]]
    assert np.asarray(answers[-1]).tobytes() == wanted.tobytes()
