"""New versions of models while a real server runs."""

import threading

import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nextlabel import Client
from nextlabel_server.polling import Polling
from tests.cli import command
from tests.inference import graphs
from tests.inference.test_refresh import fails, publish, rewrite
from tests.rpc.calls import Connection
from tests.servers import ServerProcess, wait_for

ROWS = np.full((4, 3), 1 / 3, np.float32)


@pytest.fixture
def directory(tmp_path):
    publish(tmp_path, 1, graphs.identity())
    return tmp_path


@pytest.fixture
def server(directory):
    with ServerProcess(models=[directory], model_poll_seconds=0.05) as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.address, timeout=20) as opened:
        yield opened


def version(client, rows=ROWS, **options):
    return client.select(
        model="m", inputs={"x": rows}, strategy="margin", budget=2, **options
    ).model_version


def test_a_new_version_arrives_under_calls_that_go_on(directory, server, client):
    begun, arrived = threading.Event(), threading.Event()

    def rows():
        while not arrived.wait(0.02):
            yield ROWS

    in_flight = []
    stream = threading.Thread(
        target=lambda: in_flight.append(version(client, rows(), progress=lambda _: begun.set()))
    )
    stream.start()
    assert begun.wait(10)
    with Connection(server.address) as connection:
        watch = health_pb2_grpc.HealthStub(connection.channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=30
        )
        statuses = []
        watching = threading.Thread(target=lambda: statuses.extend(_until_it_ends(watch)))
        watching.start()

        publish(directory, 2, graphs.identity())
        assert wait_for(lambda: version(client) == "2")
        (directory / "m/1").rename(directory / ".gone")
        assert wait_for(lambda: [each.version for each in client.models()[0].versions] == ["2"])
        for number, content in ((3, fails()), (4, b"no model")):
            publish(directory, number, content)
            assert wait_for(lambda: len(client.models()[0].versions) == number - 1)  # noqa: B023
            assert version(client) == "2"
        arrived.set()
        stream.join()
        assert in_flight == ["1"]
        watch.cancel()
        watching.join()
    assert statuses == [health_pb2.HealthCheckResponse.SERVING]
    told = [line["event"] for line in server.log if "cannot be used" in line["event"]]
    assert len(told) == 2


def _until_it_ends(watch):
    try:
        for answer in watch:
            yield answer.status
    except Exception:
        return


def test_a_directory_that_vanishes_is_told_once_and_models_stay(directory, server, client):
    aside = directory.with_name("aside")
    directory.rename(aside)
    assert wait_for(lambda: server.events("models stay as they are"))
    assert version(client) == "1"
    aside.rename(directory)
    publish(directory, 2, graphs.identity())
    assert wait_for(lambda: version(client) == "2")
    [line] = server.events("models stay as they are")
    assert "No such file or directory" in line["error"]


def test_polling_goes_on_after_any_failure_and_tells_it_once(caplog):
    class Models:
        def __init__(self):
            self.looks = 0
            self.enough = threading.Event()

        def refresh(self):
            self.looks += 1
            if self.looks > 4:
                self.enough.set()
            elif self.looks > 1:
                raise ValueError("what nobody thought of")

        def close(self):
            pass

    models = Models()
    polling = Polling(models, 0.01)
    polling.start()
    assert models.enough.wait(10)
    polling.close()
    assert caplog.text.count("models stay as they are") == 1
    assert "what nobody thought of" in caplog.text


def test_a_file_that_is_no_text_takes_nothing_else_down(directory, server, client):
    publish(directory, 2, graphs.identity().replace(b"probabilities", b"probabiliti\xff\xff"))
    assert wait_for(lambda: len(client.models()[0].versions) == 2)
    assert client.models()[0].versions[0].problem
    publish(directory, 3, graphs.identity())
    assert wait_for(lambda: version(client) == "3")


def test_a_broken_file_in_the_place_of_a_served_one_is_listed(directory, server, client):
    rewrite(directory / "m/1/model.onnx", b"no model")
    assert wait_for(lambda: client.models()[0].versions[0].file_problem)
    [listed] = client.models()[0].versions
    assert listed.file_problem.startswith("the file is not a model that ONNX Runtime")
    assert listed.problem == ""
    assert version(client) == "1"
    shown = command.here("models", f"--server={server.address}").stdout
    assert "goes on as it was before its file changed: the file is not a model that" in shown
    rewrite(directory / "m/1/model.onnx", graphs.identity())
    assert wait_for(lambda: not client.models()[0].versions[0].file_problem)


def test_without_polling_what_vanishes_is_served_on(directory):
    with ServerProcess(models=[directory]) as server, Client(server.address) as client:
        directory.rename(directory.with_name("aside"))
        assert version(client) == "1"


def test_a_trial_that_takes_long_does_not_hold_up_the_end(directory, server):
    publish(directory, 2, graphs.long_running())
    # It is read within 50 ms, and squares matrices for many seconds then.
    with Client(server.address) as client:
        assert version(client) == "1"
    threading.Event().wait(0.3)
    server.terminate()
    assert server.wait(5) == 0
