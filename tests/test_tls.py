"""TLS and mutual TLS, from both ends, with real servers; certificates that rotate."""

import threading

import numpy as np
import pytest

from nextlabel import TLS, AuthenticationError, Client, InvalidRequestError, UnavailableError
from nextlabel.tls import from_environment
from nextlabel_server.reloaded import FileFault
from tests import certificates, servers
from tests.certificates import Authority, Secret
from tests.cli import command
from tests.client.conftest import CLIENTS
from tests.rpc.calls import Connection, refusal, request
from tests.rpc.test_service import SERVING, status

HALVES = np.full((4, 2), 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder / "ca.pem")


@pytest.fixture(scope="module")
def stranger(folder):
    """An authority that nobody was told to trust."""
    return Authority(folder / "stranger.pem")


@pytest.fixture(scope="module")
def mutual(folder, authority):
    """A server that asks its callers for certificates."""
    files = certificates.write(folder / "mutual", authority.issue())
    options = certificates.settings(files, tls_client_ca=authority.path)
    with servers.ServerProcess(**options, health_address="127.0.0.1:0") as running:
        yield running


def select(client):
    return client.select(HALVES, strategy="margin", budget=2).indices.tolist()


@pytest.mark.parametrize("kind", CLIENTS)
def test_both_clients_select_over_tls(kind, tmp_path, authority, monkeypatch):
    files = certificates.write(tmp_path / "files", authority.issue())
    with servers.in_process(**certificates.settings(files)) as server:
        for tls in (TLS(ca=authority.path), TLS(ca=str(authority.path), server_name="localhost")):
            with CLIENTS[kind](server.address, tls=tls) as client:
                assert select(client) == [0, 1]
        monkeypatch.setenv("NEXTLABEL_CLIENT_TLS_CA", str(authority.path))
        with CLIENTS[kind](server.address) as client:
            assert select(client) == [0, 1]
        result = command.here("info", f"--server={server.address}", "--json")
        assert result.exit_code == 0, result.output
        with CLIENTS[kind](server.address, tls=False) as client, pytest.raises(UnavailableError):
            client.wait_ready(0.5)


def test_tls_may_do_without_files():
    for value in ("1", "true", "t", "yes", "y", "on", "True", " ON\n"):
        assert from_environment({"NEXTLABEL_CLIENT_TLS": value}) == TLS()
    for value in ("0", "false", "f", "no", "n", "off", "OFF ", "", " "):
        assert from_environment({"NEXTLABEL_CLIENT_TLS": value}) is None
    assert from_environment({"NEXTLABEL_CLIENT_TLS_KEY": "k"}) == TLS(key="k")


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("value", ["enabled", "require", "maybe", "2"])
def test_a_variable_that_is_neither_true_nor_false_is_refused(kind, value, monkeypatch):
    monkeypatch.setenv("NEXTLABEL_CLIENT_TLS", value)
    says = f"NEXTLABEL_CLIENT_TLS: found '{value}'; true or false is right"
    with pytest.raises(InvalidRequestError, match=says):
        CLIENTS[kind]("127.0.0.1:1")
    assert command.here("info", "--server=127.0.0.1:1").exit_code == 2


def test_a_server_may_ask_callers_for_a_certificate(mutual, authority, tmp_path):
    own = certificates.write(tmp_path / "own", authority.issue("labeler@example.org"))
    files = {"certificate": own / "tls.crt", "key": own / "tls.key"}
    with Client(mutual.address, tls=TLS(ca=authority.path, **files)) as client:
        assert select(client) == [0, 1]
    options = ["--tls-ca", authority.path, "--tls-certificate", files["certificate"]]
    result = command.here(
        "info", "--json", f"--server={mutual.address}", *options, "--tls-key", files["key"]
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_it_hangs_up_on_callers_without_one(mutual, authority, stranger, tmp_path, whose):
    files = {}
    if whose == "a stranger's":
        own = certificates.write(tmp_path / "own", stranger.issue("labeler@example.org"))
        files = {"certificate": own / "tls.crt", "key": own / "tls.key"}
    with (
        Client(mutual.address, timeout=2, tls=TLS(ca=authority.path, **files)) as client,
        pytest.raises(UnavailableError, match=r"it may want TLS, or a certificate of the client's"),
    ):
        client.info()


def test_probes_need_no_certificate_on_the_port_for_health(mutual):

    with Connection(mutual.events("serving")[0]["health_address"]) as connection:
        assert status(connection) == SERVING
        assert refusal(lambda: connection.select(request())).code == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    ("issued", "says"),
    [
        ({"expired": True}, "its certificate has expired"),
        ({"names": ["other.example"]}, "its certificate is for other names; see tls.server_name"),
        ({"by": "stranger"}, "its certificate is signed by nobody whom tls.ca names"),
        (None, "it does not speak TLS"),
    ],
    ids=["expired", "other name", "other authority", "plaintext"],
)
def test_a_client_says_why_it_does_not_trust_a_server(request, tmp_path, authority, issued, says):
    options = {}
    if issued is not None:
        by = request.getfixturevalue(issued.pop("by", "authority"))
        files = by.issue(*issued.pop("names", ()), **issued)
        options = certificates.settings(certificates.write(tmp_path / "files", files))
    with (
        servers.in_process(**options) as server,
        Client(server.address, timeout=5, tls=TLS(ca=authority.path)) as client,
        pytest.raises(AuthenticationError, match=says) as caught,
    ):
        client.info()
    assert server.address in str(caught.value)


def wrong_files(folder, authority):
    one, other = authority.issue(), authority.issue()
    return {
        "missing": {"tls.crt": one["tls.crt"]},
        "swapped": {"tls.crt": one["tls.key"], "tls.key": one["tls.crt"]},
        "mixed": {"tls.crt": one["tls.crt"], "tls.key": other["tls.key"]},
        "empty": {"tls.crt": b"", "tls.key": b""},
        "encrypted": {"tls.crt": one["tls.crt"], "tls.key": encrypted(one["tls.key"])},
        "cut": {"tls.crt": one["tls.crt"][:300], "tls.key": one["tls.key"]},
    }


def encrypted(key):
    from cryptography.hazmat.primitives import serialization as pem

    return pem.load_pem_private_key(key, None).private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
    )


WRONG = {
    "missing": r"tls\.key: No such file or directory",
    "swapped": "are not a certificate and its unencrypted key, both PEM",
    "mixed": r"tls\.key is not the key of the certificate .*tls\.crt",
    "empty": "are not a certificate and its unencrypted key, both PEM",
    "encrypted": "are not a certificate and its unencrypted key, both PEM",
    "cut": "are not a certificate and its unencrypted key, both PEM",
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_files_are_refused_by_both_ends(tmp_path, authority, fault):
    files = certificates.write(tmp_path / "files", wrong_files(tmp_path, authority)[fault])
    with (
        pytest.raises(FileFault, match=WRONG[fault]),
        servers.in_process(**certificates.settings(files)),
    ):
        pass
    own = TLS(certificate=files / "tls.crt", key=files / "tls.key")
    with pytest.raises(InvalidRequestError, match="tls: .*" + WRONG[fault]):
        Client("127.0.0.1:1", tls=own)


def test_files_that_miss_their_counterpart_are_refused_by_both_ends(tmp_path, authority):
    files = certificates.write(tmp_path / "files", authority.issue())
    for name in ("tls_certificate", "tls_key", "tls_client_ca"):
        with (
            pytest.raises(FileFault, match=f"{name} is set: TLS needs both"),
            servers.in_process(**{name: files / "tls.crt"}),
        ):
            pass
    with pytest.raises(InvalidRequestError, match="a certificate needs its key"):
        Client(tls=TLS(certificate=files / "tls.crt"))
    with pytest.raises(InvalidRequestError, match=r"tls: .*tls.key does not hold certificates"):
        Client(tls=TLS(ca=files / "tls.key"))


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(
    ("says", "options"),
    [
        ("tls: found 'ca.pem'; a TLS, True or False is right", {"tls": "ca.pem"}),
        ("tls: found 1; a TLS, True or False is right", {"tls": 1}),
        ("tls: found bytes; the path of a file is right", {"tls": TLS(ca=b"-----BEGIN")}),
        ("tls: found int; the path", {"tls": TLS(certificate=5, key=5)}),
        ("tls.server_name: found 5; a str is right", {"tls": TLS(server_name=5)}),
        ("token: found b'x'; a str is right", {"token": b"x"}),
        ("plaintext_token: found 'no'", {"token": "x", "plaintext_token": "no"}),
    ],
)
def test_what_is_no_tls_and_no_token_is_refused_by_name(kind, says, options):
    with pytest.raises(InvalidRequestError, match=says):
        CLIENTS[kind]("192.0.2.1:1", **options)


def test_a_wrong_certificate_at_start_is_one_line(tmp_path):
    done = command.process(
        "serve",
        "--address=127.0.0.1:0",
        f"--tls-certificate={tmp_path}/c",
        f"--tls-key={tmp_path}/k",
    )
    assert done.returncode == 1
    assert done.stderr == f"Error: {tmp_path}/c: No such file or directory\n"


class Stream:
    """A long stream: rows are sent until it is told to finish."""

    def __init__(self, client):
        self._finish = threading.Event()
        self._begun = threading.Event()
        self._rows = 0
        self._thread = threading.Thread(target=self._run, args=[client])
        self._thread.start()
        assert self._begun.wait(10)

    def finish(self):
        """Rows sent, and rows answered."""
        self._finish.set()
        self._thread.join()
        return self._rows, self.answered

    def _run(self, client):
        self.answered = len(
            client.select(
                self._batches(),
                strategy="margin",
                budget=1.0,
                progress=lambda _: self._begun.set(),
            )
        )

    def _batches(self):
        while not self._finish.wait(0.02):
            self._rows += 4
            yield HALVES


def test_a_certificate_rotates_in_the_middle_of_a_stream(tmp_path, authority, stranger):
    first, second = authority.issue(), authority.issue()
    secret = Secret(tmp_path / "secret", first)
    with (
        servers.ServerProcess(**certificates.settings(secret)) as server,
        Client(server.address, tls=TLS(ca=authority.path)) as client,
    ):
        shown = certificates.shown_by(server.address)
        assert first["tls.crt"].startswith(shown.encode())
        stream = Stream(client)

        secret.update(second)
        shown = certificates.shown_by(server.address)
        assert second["tls.crt"].startswith(shown.encode())

        # A bad one: the last good one stays, and the log says so, once.
        secret.update({"tls.crt": stranger.issue()["tls.crt"], "tls.key": second["tls.key"]})
        for _ in range(3):
            assert certificates.shown_by(server.address) == shown
        [line] = [line for line in server.log if line["level"] == "error"]
        assert line["event"] == "TLS certificates cannot be used, the old ones stay"
        assert "is not the key of the certificate" in line["error"]

        secret.update(first)
        shown = certificates.shown_by(server.address)
        assert first["tls.crt"].startswith(shown.encode())

        sent, answered = stream.finish()
        assert sent == answered > 0
        server.wait_for_call(method="SelectStream", status="OK")
        assert len(server.calls(method="SelectStream")) == 1  # never tried again
        assert select(client) == [0, 1]


def test_the_authority_of_clients_rotates_too(tmp_path, authority, stranger):
    files = {**authority.issue(), "ca.crt": authority.path.read_bytes()}
    secret = Secret(tmp_path / "secret", files)
    own = certificates.write(tmp_path / "own", stranger.issue("labeler@example.org"))
    tls = TLS(ca=authority.path, certificate=own / "tls.crt", key=own / "tls.key")
    options = certificates.settings(secret, tls_client_ca=secret / "ca.crt")
    with servers.in_process(**options) as server:
        with Client(server.address, tls=tls) as client, pytest.raises(UnavailableError):
            client.wait_ready(0.5)
        both = authority.path.read_bytes() + stranger.path.read_bytes()
        secret.update({**files, "ca.crt": both})
        with Client(server.address, tls=tls) as client:
            assert select(client) == [0, 1]
