"""A client in another language, which knows of the server only what reflection tells."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nextlabel_server.app import SERVICE

BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
pytestmark = pytest.mark.skipif(BUF is None, reason="buf is not installed")


@pytest.fixture(scope="module")
def curl(server_process, tmp_path_factory):
    """Runs `buf curl` with these arguments; its exit code, and what it printed."""

    def run(*arguments):
        done = subprocess.run(
            [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={"BUF_CACHE_DIR": str(tmp_path_factory.mktemp("buf")), "PATH": ""},
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def url(server_process):
    return f"http://{server_process.address}"


def documents(text):
    """All JSON documents of a text, one after the other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:]


def test_it_finds_the_services_and_their_methods(curl, url):
    code, services, _ = curl("--list-services", url)
    assert code == 0
    assert SERVICE in services.split()
    code, methods, _ = curl("--list-methods", url)
    assert code == 0
    for method in ("Select", "SelectStream", "ListStrategies", "ListModels", "GetServerInfo"):
        assert f"{SERVICE}/{method}" in methods.split()


def test_it_lists_the_strategies(curl, url):
    code, output, _ = curl("-d", "{}", f"{url}/{SERVICE}/ListStrategies")
    assert code == 0
    [listing] = documents(output)
    entropy = next(one for one in listing["strategies"] if one["name"] == "entropy")
    assert entropy["kind"] == "STRATEGY_KIND_ROW_WISE"
    assert {"name": "normalize", "type": "PARAMETER_TYPE_BOOL", "defaultValue": False}.items() <= (
        entropy["parameters"][0].items()
    )


SPEC = {"strategy": "margin", "budget": {"count": "2"}, "seed": "7"}
DECLARED = {"name": "probabilities", "dataType": "DATA_TYPE_FP32", "shape": ["3", "2"]}
VALUES = {"values": [0.9, 0.1, 0.5, 0.5, 0.25, 0.75]}


def test_it_makes_a_selection_with_values_written_by_hand(curl, url):
    request = {"spec": SPEC, "pool": [{"spec": DECLARED, "contents": VALUES}]}
    code, output, _ = curl("-d", json.dumps(request), f"{url}/{SERVICE}/Select")
    assert code == 0
    [answer] = documents(output)
    assert answer["ranking"] == {"indices": [1, 2], "scores": [1, 0.5]}
    summary = answer["summary"]
    assert (summary["strategy"], summary["seed"], summary["rowCount"]) == ("margin", "7", "3")


def test_it_streams_a_selection(curl, url):
    messages = [
        {"header": {"spec": SPEC, "pool": [{**DECLARED, "shape": ["-1", "2"]}]}},
        {"rowBlock": {"rowCount": "1", "tensors": [{"values": [0.9, 0.1]}]}},
        {
            "rowBlock": {
                "firstRow": "1",
                "rowCount": "2",
                "tensors": [{"values": [0.5, 0.5, 0.25, 0.75]}],
            }
        },
    ]
    data = "".join(map(json.dumps, messages))
    code, output, _ = curl("-d", data, f"{url}/{SERVICE}/SelectStream")
    assert code == 0
    ranking, summary = documents(output)
    assert ranking["ranking"] == {"indices": [1, 2], "scores": [1, 0.5]}
    assert summary["summary"]["pickedCount"] == "2"


def test_it_shows_what_is_wrong_with_a_request(curl, url):
    request = {"spec": {**SPEC, "budget": {"count": "0"}}}
    code, _, errors = curl("-d", json.dumps(request), f"{url}/{SERVICE}/Select")
    assert code != 0
    [shown] = documents(errors)
    assert shown["code"] == "invalid_argument"
    assert shown["message"] == "budget.count: found 0; at least 1 is right"
    assert {detail["type"] for detail in shown["details"]} == {
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
    }


def test_it_asks_for_health(curl, url):
    code, output, _ = curl(
        "-d", json.dumps({"service": SERVICE}), f"{url}/grpc.health.v1.Health/Check"
    )
    assert (code, list(documents(output))) == (0, [{"status": "SERVING"}])
