"""Products with cheap nodes after them: what is taken, in which order units run, and the bits."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tilewright.plan.schedule import schedule
from tilewright.trace import trace

SHAPES = [(37, 50), (50, 70), (70,), (37, 70)]
X, W, B, C = (
    np.random.default_rng(i).normal(size=shape).astype(np.float32) for i, shape in enumerate(SHAPES)
)


def names(function, *arguments) -> list[str]:
    """The vertices of a program in one tile, in order."""
    text = tilewright.compile(function, *arguments, tiles=1).program
    return [line.split()[0] for line in text.splitlines() if "->" in line]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, w, b, c: x @ w + b, ["contract_outer_f32_37x70x50_add"]),
        (
            lambda x, w, b, c: jnp.maximum(x @ w + b, 0) * c - 1,
            ["contract_outer_f32_37x70x50_fused_4"],
        ),
        (
            lambda x, w, b, c: jnp.tanh(x @ w + b) * c,
            ["contract_outer_f32_37x70x50_add", "tanh_mul_float32_37x70"],
        ),
        (
            lambda x, w, b, c: (x @ w) * (1 - c),
            ["contract_outer_f32_37x70x50_sub_mul"],
        ),
        (  # as JAX writes the derivative of a tanh
            lambda x, w, b, c: (lambda g: g + g * c)((x @ w) * (1 - c)),
            ["contract_outer_f32_37x70x50_fused_4"],
        ),
    ],
)
def test_the_cheap_front_is_taken(function, expected):
    assert names(function, X, W, B, C) == expected


def test_what_others_read_is_stored_by_the_product_alone():
    def function(x, w, b, c):
        product = x @ w
        return product + b, product.T

    assert names(function, X, W, B, C)[0] == "contract_outer_f32_37x70x50"
    agree(function, X, W, B, C, absolute=1e-4)


def test_what_leaves_two_values_is_not_taken():
    def function(x, w, b, c):
        product = x @ w
        return product * 2, product + c

    assert names(function, X, W, B, C)[0] == "contract_outer_f32_37x70x50"
    agree(function, X, W, B, C, absolute=1e-4)


def test_a_value_read_twice_inside_is_taken_and_one_for_others_ends_it():
    def function(x, w, b, c):
        first = jnp.maximum(x @ w, c)
        second = first * first - b
        return second, second * 2

    assert names(function, X, W, B, C)[0] == "contract_outer_f32_37x70x50_max_mul_sub"
    agree(function, X, W, B, C, absolute=1e-2)


def test_one_sum_of_two_products():
    def function(x, w, b, c):
        return x @ w + c @ jnp.ones((70, 70), jnp.float32) * 0.5 - b

    agree(function, X, W, B, C, absolute=1e-3)


def test_small_products_stay_as_they_are():
    small = X[:3], W[:, :5], B[:5], C[:3, :5]
    assert "contract_outer_f32_3x5x50" in names(lambda x, w, b, c: x @ w + b, *small)


@pytest.mark.parametrize("transposed", [False, True])
def test_fused_and_unfused_programs_have_the_same_bits(transposed):
    """A result that is read twice is never fused."""

    def turned(x):
        return x.T if transposed else x

    def fused(x, w, b, c):
        return turned(jnp.maximum((x @ w + b) * c, -1))

    def unfused(x, w, b, c):
        product = x @ w
        return turned(jnp.maximum((product + b) * c, -1)), product

    ours = np.asarray(tilewright.compile(fused, X, W, B, C)(X, W, B, C))
    other = np.asarray(tilewright.compile(unfused, X, W, B, C)(X, W, B, C)[0])
    assert ours.tobytes() == other.tobytes()


def test_what_lies_across_the_lanes_is_not_taken():
    """It would go element by element, a function of thousands of lines."""
    turned = np.ascontiguousarray(C.T)
    found = names(lambda x, w, b, c: x @ w + c.T, X, W, B, turned)
    assert found[0] == "contract_outer_f32_37x70x50"
    agree(lambda x, w, b, c: x @ w + c.T, X, W, B, turned, absolute=1e-4)


def test_a_carry_is_updated_in_place():
    """The result lies on what the epilogue reads; the product itself must not."""

    def function(x, w, b, c):
        square = w[:50, :50] * 0.01
        return lax.fori_loop(0, 3, lambda _, s: x[:, :50] @ square + s, c[:, :50]), lax.fori_loop(
            0, 3, lambda _, s: s @ square + 1, c[:, :50]
        )

    agree(function, X, W, B, C, absolute=1e-4)


def test_batches_and_broadcasts():
    x = np.random.default_rng(0).normal(size=(4, 20, 16)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(16, 24)).astype(np.float32)
    each = np.random.default_rng(2).normal(size=(4, 1, 24)).astype(np.float32)
    agree(lambda x, w, e: x @ w + e, x, w, each, absolute=1e-5)
    agree(lambda x, w, e: jnp.einsum("bij,bkj->bik", x, x) * 2 + e[..., :20], x, w, each,
          absolute=1e-4)  # fmt: skip


def test_spread_over_tiles():
    x, w = (np.random.default_rng(i).normal(size=(300, 300)).astype(np.float32) for i in range(2))
    agree(lambda x, w: jnp.maximum(x @ w - 1, w) * 0.5, x, w, absolute=1e-3, simulated=False)


def test_places_of_images_are_rows_of_a_packed_product():
    """What follows is taken through the change of shape, and the norm's constants are no obstacle.

    Scale and shift are computed once, when weights are bound.
    """
    image = np.random.default_rng(4).normal(size=(1, 6, 8, 64)).astype(np.float32)
    wide, scale = (np.random.default_rng(5).random(s).astype(np.float32) for s in ((64, 192), 192))
    beside = np.random.default_rng(6).normal(size=(1, 6, 8, 192)).astype(np.float32)

    def function(wide, scale, image, beside):
        return jnp.maximum(image @ (wide / jnp.sqrt(scale + 1e-3)) + scale + beside, 0)

    program = tilewright.compile(function, wide, scale, image, beside, tiles=1)
    bound = program.bind(wide=wide, scale=scale)
    (vertex,) = (line for line in bound.program.splitlines() if "->" in line)
    assert vertex.split()[0].endswith("x64_add_add_max")
    assert vertex.split()[0].startswith("contract_panels")
    np.testing.assert_array_equal(bound(image, beside), program(wide, scale, image, beside))
    agree(function, wide, scale, image, beside, absolute=1e-3)


def test_a_turned_side_is_no_obstacle_either():
    """Its strides do not fit the rows: the product is stored, and the rest follows by itself."""
    image = np.random.default_rng(4).normal(size=(2, 6, 8, 64)).astype(np.float32)
    beside = np.random.default_rng(6).normal(size=(2, 8, 6, 192)).astype(np.float32)
    wide = np.random.default_rng(5).random((64, 192)).astype(np.float32)

    def function(wide, image, beside):
        return image @ wide + beside.swapaxes(1, 2)

    program = tilewright.compile(function, wide, image, beside)
    bound = program.bind(wide=wide)
    np.testing.assert_array_equal(bound(image, beside), program(wide, image, beside))


@pytest.mark.parametrize("more", [[], ["add"]])
def test_a_result_that_is_kept_in_16_bits_is_stored_in_both(more):
    """By the product, where sums read it as it is; behind what it took as an epilogue, too."""

    def function(x, w, b, c):
        product = x @ w + b if more else x @ w
        short = product.astype(jnp.bfloat16).astype(jnp.float32)
        return (short - jnp.mean(product, 0)) * c

    units = schedule(trace(function, X, W, B, C).graph, 1)
    (unit,) = [unit for unit in units if unit.kind == "dot"]
    assert [node.op for node in unit.nodes] == ["dot", *more, "convert"]
