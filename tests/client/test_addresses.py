"""What is an address of servers, and what is refused as none."""

import re

import pytest

from nextlabel import InvalidRequestError


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1, 127.0.0.1:2,"),
        *("ipv4:127.0.0.1:1", "ipv4:///127.0.0.1:1", "ipv6:[::1]:1", "ipv6:%5B::1%5D:1"),
        *("[::1]:1", "[::1]:1,[::1]:2", "localhost:1", "localhost", "dns:localhost:1"),
        *("dns:///localhost:1", "dns://127.0.0.1:53/localhost:1", "unix:/a,b", "unix-abstract:a"),
    ],
)
def test_what_grpc_takes_is_an_address(open_client, address):
    with open_client(address) as client:
        assert client is not None


@pytest.mark.parametrize(
    ("address", "found"),
    [
        *(("", "''"), ("dns:", "'dns:'"), ("dns:///", "'dns:///'"), ("dns://a/", "'dns://a/'")),
        *((None, "None"), (5, "5"), (b"localhost:1", "b'localhost:1'")),
        ("localhost:1,localhost:2", "'localhost:1'; IP:PORT is right"),
        ("127.0.0.1:1,localhost:2", "'localhost:2'; IP:PORT is right"),
        ("[::1]:1,127.0.0.1:2", "'127.0.0.1:2'; IP:PORT is right"),
        ("127.0.0.1:1,127.0.0.1:65536", "'127.0.0.1:65536'"),
        *(("127.0.0.1,127.0.0.2", "'127.0.0.1'"), ("ipv4:localhost:1", "'localhost:1'")),
        *(("ipv6:::1", "'::1'"), ("ipv4:", "''"), (",", "''")),
    ],
)
def test_what_grpc_does_not_take_is_refused_at_once(open_client, address, found):
    with pytest.raises(InvalidRequestError, match=f"^address: found {re.escape(found)}"):
        open_client(address)
