"""TLS from files: the certificate is the one that the files hold when a client connects."""

from pathlib import Path

import grpc

from nextlabel._pem import authorities, certificate_and_key
from nextlabel_server.logs import get_logger
from nextlabel_server.reloaded import FileFault, Reloaded
from nextlabel_server.settings import Settings

log = get_logger("nextlabel")


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What to listen with; None for plaintext.

    Connections live on when the files change; those that come later get the new certificate.

    Raises:
        FileFault: a file is missing, or does not hold what it should.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        for option in ("tls_certificate", "tls_key", "tls_client_ca"):
            if getattr(settings, option) is not None:
                raise FileFault(f"{option} is set: TLS needs both tls_certificate and tls_key")
        return None
    client_ca = settings.tls_client_ca
    paths = [path for path in (certificate, key, client_ca) if path is not None]
    files = Reloaded("TLS certificates", paths, lambda: _read(certificate, key, client_ca))
    given = files.get()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        before, given = given, files.get()
        return None if given is before else given

    return grpc.dynamic_ssl_server_credentials(
        given,
        changed,  # type: ignore[arg-type]  # the stubs do not know that None means no change
        require_client_authentication=client_ca is not None,
    )


def _read(
    certificate: Path, key: Path, client_ca: Path | None
) -> grpc.ServerCertificateConfiguration:
    try:
        chain, private = certificate_and_key(certificate, key)
        roots = None if client_ca is None else authorities(client_ca)
    except ValueError as error:
        raise FileFault(str(error)) from error
    log.info("certificates read", certificate=str(certificate), client_ca=str(client_ca or ""))
    return grpc.ssl_server_certificate_configuration([(private, chain)], roots)
