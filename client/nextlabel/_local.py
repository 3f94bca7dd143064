"""Which addresses stay on this machine."""

import ipaddress


def is_local(target: str) -> bool:
    """Whether a gRPC target has only loopback addresses, or is a socket of this machine.

    A name other than localhost may lead anywhere; so may localhost, if a name server that the
    target names is asked for it.
    """
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in ("dns:///", "dns:", "ipv4:", "ipv6:"):
        if target.startswith(scheme):
            target = target.removeprefix(scheme)
            break
    return all(_is_loopback(address.strip()) for address in target.split(","))


def _is_loopback(address: str) -> bool:
    host, _, port = address.rpartition(":")
    host = (host if port.isdecimal() else address).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
