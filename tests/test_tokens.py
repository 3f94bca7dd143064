"""Bearer tokens: who is let in, who is not, and what becomes of the token."""

import threading

import numpy as np
import pytest

from nextlabel import AuthenticationError, Client, InvalidRequestError
from nextlabel._local import is_local
from nextlabel_server.reloaded import FileFault
from tests import servers
from tests.certificates import Secret
from tests.cli import command
from tests.client.conftest import CLIENTS
from tests.rpc.calls import Connection, refusal, request, stream
from tests.rpc.raw_http2 import RawConnection
from tests.rpc.test_service import SERVING, status

FIRST, SECOND, THIRD = (f"{name}-token-0123456789" for name in ("first", "second", "third"))
FILE = f"# of the labeling platform\n{FIRST}\n\n  {SECOND}  \n"


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    return Secret(tmp_path_factory.mktemp("secrets") / "tokens", {"tokens": FILE.encode()})


@pytest.fixture(scope="module")
def server(secret):
    with servers.ServerProcess(tokens=secret / "tokens") as running:
        yield running
        assert not any(token in line for token in (FIRST, SECOND, THIRD) for line in running.output)


@pytest.fixture
def connection(server):
    with Connection(server.address) as opened:
        yield opened


def bearer(token, scheme="Bearer"):
    return [("authorization", f"{scheme} {token}")]


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("token", [FIRST, SECOND])
def test_every_token_of_the_file_lets_both_clients_in(kind, token, server, monkeypatch):
    with CLIENTS[kind](server.address, token=token) as client:
        client.wait_ready()
        assert client.info().version
        assert client.strategies()
        assert client.models() == []
        for pool in (np.full((4, 2), 0.5), iter([np.full((4, 2), 0.5)])):
            assert len(client.select(pool, strategy="margin", budget=2)) == 2
    monkeypatch.setenv("NEXTLABEL_CLIENT_TOKEN", token)
    with CLIENTS[kind](server.address) as client:
        assert client.info().version
    server.wait_for_call(method="Select", status="OK")


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "this server wants a token"),
        (THIRD, "the token is none of those"),
        (FIRST[:-1], "none"),
    ],
)
def test_a_caller_without_a_known_token_is_refused_at_once(kind, token, says, server):
    before = len(server.events("call"))
    with CLIENTS[kind](server.address, token=token) as client:
        for call in (
            client.info,
            client.wait_ready,
            lambda: client.select([[0.5, 0.5]], strategy="margin", budget=1),
            lambda: client.select(iter([[[0.5, 0.5]]]), strategy="margin", budget=1),
        ):
            with pytest.raises(AuthenticationError, match=says) as caught:
                call()
            assert caught.value.reason == "UNAUTHENTICATED"
            assert caught.value.request_id
    assert servers.wait_for(lambda: len(server.events("call")) == before + 4)  # none tried again


def test_any_call_but_health_is_refused_in_the_style_of_the_contract(connection, server):
    assert status(connection) == SERVING
    whole = request()
    for call in (
        lambda: connection.select(whole),
        lambda: connection.select(whole, metadata=[("authorization", FIRST)]),
        lambda: connection.select(whole, metadata=bearer(FIRST, scheme="Basic")),
        lambda: connection.select_stream(stream(whole)),
        lambda: connection.channel.unary_unary("/other.Service/Method")(b""),
        lambda: connection.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )(iter([b""])),
    ):
        found = refusal(call)
        assert (found.code, found.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert found.message.startswith("this server wants a token: send the metadata")
        assert server.wait_for_call(request_id=found.request_id)["status"] == "UNAUTHENTICATED"
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert connection.select(whole, metadata=bearer(FIRST, scheme)).ranking.indices == [0, 1]


def test_a_caller_who_is_not_let_in_is_told_so_before_sending_anything(connection):
    waiting = threading.Event()

    def silent():
        waiting.wait(10)
        yield from ()

    refused = refusal(lambda: connection.select_stream(silent(), timeout=5))
    waiting.set()
    assert refused.code == "UNAUTHENTICATED"


@pytest.mark.parametrize("method", ["GetServerInfo", "SelectStream"])
def test_a_token_that_is_no_text_is_refused_and_not_logged(server, method):
    bad = b"Bearer " + FIRST.encode() + b"\xff\xfe"
    with RawConnection(server.address) as raw:
        path = f"/nextlabel.v1.QuerySelectionService/{method}"
        stream = raw.open_stream(path, ((b"authorization", bad), (b"x-other", b"\xc3\x28")))
        raw.send_message(stream, b"", end=True)
        assert raw.status_of(stream) == "16"
    assert server.wait_for_call(method=method, status="UNAUTHENTICATED")
    assert not [line for line in server.log if line["level"] == "error"]
    assert not [line for line in server.output if FIRST in line or not line.startswith("{")]


def test_tokens_rotate_while_the_server_runs(tmp_path):
    secret = Secret(tmp_path / "tokens", {"tokens": FIRST.encode()})

    def takes(token):
        with Client(server.address, token=token) as client:
            try:
                return bool(client.info().version)
            except AuthenticationError:
                return False

    with servers.ServerProcess(tokens=secret / "tokens") as server:
        assert (takes(FIRST), takes(SECOND)) == (True, False)
        secret.update({"tokens": f"{FIRST}\n{SECOND}".encode()})
        assert (takes(FIRST), takes(SECOND)) == (True, True)
        secret.update({"tokens": SECOND.encode()})
        assert (takes(FIRST), takes(SECOND)) == (False, True)

        secret.update({"tokens": b"# nobody"})
        assert (takes(FIRST), takes(SECOND)) == (False, True)
        [line] = [line for line in server.log if line["level"] == "error"]
        assert line["event"] == "tokens cannot be used, the old ones stay"
        assert "holds no token" in line["error"]
        assert [len(line["sha256"]) for line in server.events("tokens read")] == [1, 2, 1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        (b"", "holds no token"),
        (b"# only\n\n#a comment\n", "holds no token"),
        (b"short\n", "line 1: a token has 16 characters or more"),
        (f"{FIRST}\n{SECOND} # of mine\n".encode(), "line 2: a token has 16 characters or more"),
        ("# ok\nschlüssel-0123456789\n".encode(), "line 2: a token has 16 characters or more"),
    ],
)
def test_a_file_without_proper_tokens_is_refused_and_not_quoted(tmp_path, content, says):
    if content is not None:
        (tmp_path / "tokens").write_bytes(content)
    with (
        pytest.raises(FileFault, match=says) as caught,
        servers.in_process(tokens=tmp_path / "tokens"),
    ):
        pass
    assert "short" not in str(caught.value)
    assert SECOND not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "local"),
    [
        *((f"{host}:50051", True) for host in ("127.0.0.1", "127.1.2.3", "localhost", "[::1]")),
        ("unix:/run/socket", True),
        ("dns:///localhost:50051", True),
        ("ipv4:127.0.0.1:1,127.0.0.1:2", True),
        ("ipv6:[::1]:50051", True),
        ("localhost", True),
        *((f"{host}:50051", False) for host in ("0.0.0.0", "10.0.0.1", "labels.example", "[::]")),
        ("ipv4:127.0.0.1:1,10.0.0.1:2", False),
        ("dns:///labels.example:50051", False),
        ("dns://10.0.0.1/localhost:50051", False),
        ("localhost.example:50051", False),
        ("xds:///localhost", False),
    ],
)
def test_loopback_is_told_from_elsewhere(target, local):
    assert is_local(target) is local


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_token_does_not_leave_the_machine_in_plaintext(kind, monkeypatch):
    says = "token: would travel in plaintext to .*labels.example"
    with pytest.raises(InvalidRequestError, match=says):
        CLIENTS[kind]("labels.example:50051", token=FIRST)
    with CLIENTS[kind]("labels.example:50051", token=FIRST, plaintext_token=True):
        pass
    with CLIENTS[kind]("labels.example:50051", token=FIRST, tls=True):
        pass
    monkeypatch.setenv("NEXTLABEL_CLIENT_TOKEN", FIRST)
    with pytest.raises(InvalidRequestError, match=says):
        CLIENTS[kind]("labels.example:50051")
    with CLIENTS[kind]("labels.example:50051", token=""):
        pass


def test_a_proxy_does_not_get_to_see_a_plaintext_token(server, monkeypatch):
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Client(server.address, token=FIRST, timeout=3) as client:
        assert client.info().version


def test_a_token_that_is_none_is_refused_and_not_quoted():
    with pytest.raises(InvalidRequestError, match="token: has characters") as caught:
        Client(token="secret word")
    assert "word" not in str(caught.value)


def test_a_command_takes_a_token_from_a_file(server, tmp_path):
    (tmp_path / "token").write_text(f"{FIRST}\n")
    options = ("info", "--json", f"--server={server.address}")
    assert command.here(*options, f"--token-file={tmp_path}/token").exit_code == 0
    assert command.here(*options, NEXTLABEL_CLIENT_TOKEN=FIRST).exit_code == 0
    refused = command.here(*options)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: this server wants a token")
    elsewhere = command.here("info", "--server=labels.example:1", NEXTLABEL_CLIENT_TOKEN=FIRST)
    assert elsewhere.exit_code == 2
    assert "plaintext" in elsewhere.stderr


def test_a_commands_own_server_takes_no_heed_of_access(tmp_path):
    assert command.here("info", "--json", NEXTLABEL_CLIENT_TLS_CA="none").exit_code == 0


@pytest.mark.parametrize(
    ("address", "token", "lines"),
    [("0.0.0.0:0", None, 1), ("127.0.0.1:0", None, 0), ("0.0.0.0:0", FIRST, 0)],
)
def test_a_server_that_is_open_to_other_machines_says_so_once(
    tmp_path, caplog, address, token, lines
):
    options = {}
    if token:
        (tmp_path / "tokens").write_text(token)
        options = {"tokens": tmp_path / "tokens"}
    with servers.in_process(address=address, **options) as server:
        port = server.address.rpartition(":")[2]
        for _ in range(2):
            with Client(f"127.0.0.1:{port}", token=token) as client:
                assert client.info().version
    assert caplog.text.count("INSECURE") == lines
