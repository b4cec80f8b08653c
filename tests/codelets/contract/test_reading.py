"""Which operands the outer form copies first, and that no bit changes."""

import pytest

from tests.codelets.cases import check
from tests.codelets.contract.test_chunks import over_rows
from tests.codelets.run import LESSER, levels
from tilewright.codelets.contract.reading import NARROW, copied, problem_of


def copies(shape, registers):
    """Whether there are any of left and of right."""
    m, n, k = shape
    return tuple(size > 0 for size in copied(problem_of(over_rows(m, n, k)), registers))


@pytest.mark.parametrize(
    ("shape", "few", "many"),
    [
        ((128, 128, 256), (True, True), (False, False)),
        ((512, 512, 256), (True, True), (True, True)),
        ((512, 48, 256), (True, False), (True, False)),
        ((48, 512, 256), (False, True), (False, True)),
        ((40, 512, 256), (False, False), (False, False)),
        ((512, 40, 256), (False, False), (False, False)),
        ((128, 128, 64), (False, False), (False, False)),
        ((512, 512, 16), (False, False), (False, False)),
        ((160, 160, 256), (False, False), (False, False)),
        ((64, 64, 256), (False, False), (False, False)),
    ],
)
def test_lines_that_share_sets_of_the_nearest_cache_are_copied(shape, few, many):
    assert copies(shape, NARROW) == few
    assert copies(shape, 2 * NARROW) == many


@levels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", [(512, 48, 70), (128, 128, 65), (50, 1024, 300), (129, 128, 256)])
def test_bits(shape, dtype, features):
    m, n, k = shape
    check(over_rows(m, n, k, dtype), features)


def test_scratch_memory_is_enough_for_every_host():
    assert over_rows(128, 128, 256).scratch >= 2 * 4 * 128 * 256
    assert LESSER.registers == NARROW
