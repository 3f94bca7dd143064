"""What tests of the client and of the server share: data, and servers to call."""

import numpy as np
import pytest

from tests import servers


@pytest.fixture(scope="session")
def probabilities():
    """[1000, 5] float64 rows that sum to 1, from nearly sure to quite unsure."""
    rng = np.random.default_rng(11)
    sharpness = rng.uniform(0.1, 6, (1000, 1))
    raw = np.exp(rng.normal(size=(1000, 5)) * sharpness)
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def server():
    """A server in this process."""
    with servers.in_process() as running:
        yield running


@pytest.fixture(scope="module")
def server_process():
    """A server in another process."""
    with servers.ServerProcess() as running:
        yield running
