"""The data of a test do not depend on which tests ran before it."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def random_numbers_start_again(request):
    """A generator that the tests of a file share, `RANDOM`, gives each of them the same numbers."""
    generator = getattr(request.module, "RANDOM", None)
    if generator is not None:
        generator.bit_generator.state = np.random.default_rng(1).bit_generator.state
