"""A product as lengths and operands: what its bytes are, and which of them lie on the tiles."""

import numpy as np
import pytest

from tilewright.plan.apart.problem import Problem, volume


@pytest.mark.parametrize(("dtype", "item"), [("float32", 4), ("bfloat16", 2), ("int8", 1)])
def test_all_operands_and_the_result_count(dtype, item):
    problem = Problem(3, 5, 7, dtype, ("mk", "kn"))
    assert problem.total == item * (3 * 7 + 7 * 5 + 3 * 5)
    assert problem.kept == problem.total, "nothing lies elsewhere"


def test_what_lies_in_the_cards_memory_is_not_kept_on_tiles():
    problem = Problem(3, 5, 7, "float32", ("mk", "kn"), afar=(False, True))
    assert problem.total - problem.kept == 4 * 7 * 5
    both = Problem(3, 5, 7, "float32", ("mk", "kn"), afar=(True, True))
    assert both.kept == 4 * 3 * 5, "the result is all that is left"


def test_a_volume_is_of_numbers_or_of_columns_of_them():
    sizes = {"m": np.array([1, 2]), "n": 3, "k": np.array([5, 7])}
    np.testing.assert_array_equal(volume(sizes, "mk"), [5, 14])
    np.testing.assert_array_equal(volume(sizes, "mnk"), [15, 42])
    assert volume(sizes, "") == 1
