"""PEM files of certificates and keys, checked when they are read.

gRPC says what is wrong with one when the first connection fails, and to its own log only.
"""

import os
import ssl
from pathlib import Path

File = str | os.PathLike[str]


def certificate_and_key(certificate: File, key: File) -> tuple[bytes, bytes]:
    """A certificate with its chain, and the key that belongs to it.

    Raises:
        ValueError: a file cannot be read, or does not hold that.
    """
    contents = _contents(certificate), _contents(key)
    try:
        # Asked for the password of an encrypted key, it would wait at a terminal.
        _context().load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{key} is not the key of the certificate {certificate}") from error
        raise ValueError(
            f"{certificate} and {key} are not a certificate and its unencrypted key, both PEM"
        ) from error
    return contents


def authorities(file: File) -> bytes:
    """Certificates of those who may sign others.

    Raises:
        ValueError: the file cannot be read, or does not hold that.
    """
    contents = _contents(file)
    try:
        _context().load_verify_locations(cadata=contents.decode("ascii"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} does not hold certificates as PEM") from error
    return contents


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _contents(file: File) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    except TypeError as error:
        raise ValueError(f"found {type(file).__name__}; the path of a file is right") from error
