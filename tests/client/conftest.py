"""Both clients, against both kinds of server, called in the same way."""

import asyncio

import pytest

from nextlabel import AsyncClient, Client


class Blocking:
    """An AsyncClient whose methods wait for the answer, as those of Client do."""

    def __init__(self, address, **options):
        self._runner = asyncio.Runner()
        try:
            self._client = self._runner.run(self._made(address, options))
        except BaseException:
            self._runner.close()
            raise

    async def _made(self, address, options):
        return AsyncClient(address, **options)

    def __getattr__(self, name):
        async def answer(args, kwargs):
            return await getattr(self._client, name)(*args, **kwargs)

        return lambda *args, **kwargs: self._runner.run(answer(args, kwargs))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._client.close())
        self._runner.close()


CLIENTS = {"Client": Client, "AsyncClient": Blocking}


@pytest.fixture(params=CLIENTS)
def open_client(request):
    """Opens a client of either kind on an address."""
    return CLIENTS[request.param]


@pytest.fixture(params=["in process", "another process"], scope="module")
def address(request):
    name = "server" if request.param == "in process" else "server_process"
    return request.getfixturevalue(name).address


@pytest.fixture
def client(open_client, address):
    with open_client(address, timeout=30) as opened:
        yield opened


@pytest.fixture(params=["unary", "streamed"])
def shape_of_call(request, monkeypatch):
    """Sends every pool in one message, or every pool in blocks of a few KiB."""
    from nextlabel import _request

    if request.param == "streamed":
        monkeypatch.setattr(_request, "UNARY_BYTES", -1)
        monkeypatch.setattr(_request, "BLOCK_BYTES", 3000)
    return request.param
