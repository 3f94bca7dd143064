"""How a client makes sure who the server is, and shows who it is itself."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import grpc

from nextlabel import _pem
from nextlabel._pem import File
from nextlabel.errors import invalid

_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("", "0", "false", "f", "no", "n", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """An encrypted connection to a server whose certificate is checked.

        Client("labels.example:50051", tls=TLS(ca="ca.pem"), token=token)

    The files are read once, when a client is made.
    """

    ca: File | None = None
    """PEM file of the authorities of which one has signed the server's certificate; when it is
    None, the public ones that gRPC brings along."""
    certificate: File | None = None
    """PEM file of the client's own certificate and its chain, where the server asks for one."""
    key: File | None = None
    """PEM file of that certificate's key, unencrypted."""
    server_name: str | None = None
    """A name in the server's certificate, where the host of the address is none of them."""

    def credentials(self) -> grpc.ChannelCredentials:
        """The files as gRPC takes them.

        Raises:
            InvalidRequestError: one is missing, or holds something else.
        """
        certificate = key = None
        try:
            if self.certificate is not None and self.key is not None:
                certificate, key = _pem.certificate_and_key(self.certificate, self.key)
            elif self.certificate is not None or self.key is not None:
                raise ValueError("a certificate needs its key, and a key its certificate")
            ca = None if self.ca is None else _pem.authorities(self.ca)
        except ValueError as error:
            raise invalid("tls", str(error)) from error
        return grpc.ssl_channel_credentials(ca, key, certificate)


def from_environment(environment: Mapping[str, str]) -> TLS | None:
    """What NEXTLABEL_CLIENT_TLS_CA and so on say; NEXTLABEL_CLIENT_TLS=true alone is TLS().

    None when none of them is set.

    Raises:
        InvalidRequestError: NEXTLABEL_CLIENT_TLS is neither true nor false.
    """
    prefix = "NEXTLABEL_CLIENT_TLS"
    value = environment.get(prefix, "").strip().lower()
    if value not in (*_TRUE, *_FALSE):
        raise invalid(prefix, f"found {environment[prefix]!r}; true or false is right")
    files = {field.name: environment.get(f"{prefix}_{field.name.upper()}") for field in fields(TLS)}
    if any(files.values()) or value in _TRUE:
        return TLS(**{name: value or None for name, value in files.items()})
    return None
