"""How `compile` may be told its arguments, and programs theirs: by position, by name, in trees."""

import numpy as np
import pytest

import tilewright


def test_arguments_by_name():
    def fn(x, scale=1.0, *rest, shift, **more):
        return (x * scale + shift) + sum(rest, 0) + sum(more.values(), 0)

    x = np.arange(3, dtype=np.float32)
    program = tilewright.compile(fn, x, shift=x, scale=x)
    np.testing.assert_array_equal(program(x, 2 * x, shift=x), 2 * x * x + x)
    np.testing.assert_array_equal(program(shift=x, x=x, scale=x), x * x + x)
    more = tilewright.compile(fn, x, x, x, x, shift=x, last=x)
    np.testing.assert_array_equal(more(x, x, x, x, last=2 * x, shift=x), x * x + 5 * x)
    with pytest.raises(tilewright.ArgumentError, match=r"^The argument shift is missing"):
        program(x, x)
    with pytest.raises(tilewright.ArgumentError, match=r"^rest\[1\] has shape"):
        more(x, x, x, x[:2], last=x, shift=x)
    with pytest.raises(
        tilewright.ArgumentError, match="fn cannot be called so: missing a required"
    ):
        tilewright.compile(fn, x)


def test_this_host_is_called_native():
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(tilewright.compile(lambda x: x + x, x, machine="native")(x), 2)
    with pytest.raises(tilewright.ArgumentError, match="There is no machine 'abacus'"):
        tilewright.compile(lambda x: x, x, machine="abacus")
