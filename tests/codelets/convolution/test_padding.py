"""Terms that read padding are left out, and the bits stay those of all terms."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codelets.cases import arguments, check
from tests.codelets.convolution.test_convolution import CASES, convolution, ended, paired
from tests.codelets.run import levels
from tilewright.codelets.convolution import Convolution

PADS = [((2, 1), (1, 2)), ((1, 0), (0, 0)), ((0, 0), (2, 0)), ((9, 9), (9, 9))]
MORE = [
    (2, 16, 16, 5, 5, (1, 1), (1, 1), 7, 7),
    (4, 4, 4, 3, 3, (1, 1), (1, 1), 5, 14),
    (2, 16, 32, 3, 3, (1, 1), (1, 1), 3, 30),
    (40, 1, 1, 5, 5, (1, 1), (1, 1), 7, 7),
]


def padded(codelet: Convolution, pads) -> tuple[Convolution, list[np.ndarray]]:
    """With as much of its image padding as there is of it, and its arguments."""
    sizes = codelet.image.shape[1:3]
    rows, columns = (
        (min(low, size), min(high, size - min(low, size)))
        for (low, high), size in zip(pads, sizes, strict=True)
    )
    given = arguments(codelet)
    image = np.zeros(given[0].shape, given[0].dtype)
    inside = tuple(
        slice(low, size - high) for (low, high), size in zip((rows, columns), sizes, strict=True)
    )
    image[:, *inside] = given[0][:, *inside]
    return replace(codelet, padding=(rows, columns)), [image, *given[1:]]


@levels
@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("case", CASES + MORE, ids=str)
def test_bits(case, pads, features):
    kinds = [convolution(case), convolution(case, merged=False), convolution(case, "bfloat16")]
    if case[1] and case[1] % 2 == 0:
        kinds.append(paired(case))
    for codelet in kinds:
        codelet, given = padded(codelet, pads)
        check(codelet, features, given)


@levels
def test_epilogues(features):
    for case in CASES[9], CASES[14], *MORE:
        codelet, given = padded(ended(case), PADS[0])
        check(codelet, features, given)


@levels
@pytest.mark.parametrize("case", MORE, ids=str)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_kernels_that_are_not_finite(case, value, features):
    """Zeros times them are no numbers, wherever they stand in the kernel."""
    for codelet in convolution(case), paired(case) if case[1] > 1 else convolution(case, "bfloat16"):
        codelet, given = padded(codelet, ((2, 2), (2, 2)))
        kernel = given[1].copy()
        for place in np.ndindex(kernel.shape[1:3]):
            one = kernel.copy()
            one[-1, *place].flat[-1] = value
            check(codelet, features, [given[0], one])


@levels
@pytest.mark.parametrize("case", MORE, ids=str)
def test_zeros_keep_their_sign(case, features):
    """A tiny negative product leaves -0.0, which a zero of padding turns round, or leaves."""
    codelet, (image, kernel) = padded(convolution(case), ((2, 2), (2, 2)))
    tiny = np.float32(1e-30)
    for sign in (1, -1):
        signs = np.where(np.random.default_rng(1).random(kernel.shape) < 0.9, -sign, sign)
        check(codelet, features, [sign * tiny * (image != 0), (tiny * signs).astype(np.float32)])
