"""Boosting on one thread: on few rows its threads wait for each other longer than they work, and on
a busy host hundreds of times as long."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    with threadpool_limits(1, "openmp"):
        yield
