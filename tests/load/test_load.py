"""The short form of `make soak`: a crowd of clients on a real server with little memory."""

from tests.load import crowd, mix
from tests.servers import ServerProcess

BUDGET = 128 << 20


def test_a_crowd_is_served_in_bounded_memory_and_leaves_nothing_behind(tmp_path):
    mix.save_model(tmp_path)
    limits = {"memory_budget_bytes": BUDGET, "max_calls": 8, "max_waiting": 8}
    with ServerProcess(models=tmp_path, **limits) as server:
        idle = server.memory_bytes
        crowd.crowd(server.address, clients=24, calls=4, processes=1, scale=0.05)
        statuses = {call["status"] for call in server.events("call")}
        assert statuses <= {"OK", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "CANCELLED"}
        assert server.peak_memory_bytes < idle + 1.2 * BUDGET
