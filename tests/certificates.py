"""Certificates for tests, in files as an operator has them, and as Kubernetes mounts them."""

import datetime as dt
import socket
import ssl
from pathlib import Path

import trustme

HOSTS = ("localhost", "127.0.0.1")
LONG_AGO = dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1)


class Authority:
    """Signs certificates; its own is in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(path)
        self.path = path

    def issue(self, *names: str, expired: bool = False) -> dict[str, bytes]:
        """`tls.crt` and `tls.key`, as in a secret; for this machine unless names are given."""
        period = {"not_before": LONG_AGO[0], "not_after": LONG_AGO[1]} if expired else {}
        issued = self._ca.issue_cert(*(names or HOSTS), **period)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()}


class Secret:
    """A volume as Kubernetes mounts it: names -> ..data/name, ..data -> a folder with a date.

    `update` does what kubelet does: a new folder beside the old one, then one rename of ..data.
    """

    def __init__(self, path: Path, files: dict[str, bytes]) -> None:
        path.mkdir()
        self._path = path
        self._number = 0
        self.update(files)
        for name in files:
            (path / name).symlink_to(f"..data/{name}")

    def __truediv__(self, name: str) -> Path:
        return self._path / name

    def update(self, files: dict[str, bytes]) -> None:
        before = (self / "..data").readlink() if self._number else None
        self._number += 1
        folder = self / f"..2026_01_01_00_00_00.{self._number}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (self / "..data_tmp").symlink_to(folder.name)
        (self / "..data_tmp").rename(self / "..data")
        if before is not None:
            for old in (self / before).iterdir():
                old.unlink()
            (self / before).rmdir()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes the files into a folder, which it makes where there is none."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def settings(folder: Path | Secret, **more: object) -> dict[str, object]:
    """Settings of a server with the certificate in `folder`."""
    return {"tls_certificate": folder / "tls.crt", "tls_key": folder / "tls.key", **more}


def shown_by(address: str) -> str:
    """The certificate that a server shows to a new connection, as PEM."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        return ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(binary_form=True))
