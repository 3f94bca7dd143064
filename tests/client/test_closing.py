"""Clients that are closed, and calls that are cancelled, while they wait and afterwards."""

import asyncio
import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest

from nextlabel import AsyncClient, Client, NextlabelError
from nextlabel.v1 import service_pb2_grpc

NOBODY = "127.0.0.1:1"


def small(client):
    return client.select([[0.5, 0.5]], strategy="entropy", budget=1)


def streamed(client):
    return client.select(iter([[[0.5, 0.5]]]), strategy="entropy", budget=1)


@contextmanager
def answering_nothing():
    """The address of a server that takes calls and never answers; and an event: it has one."""
    taken, over = threading.Event(), threading.Event()

    class Service(service_pb2_grpc.QuerySelectionServiceServicer):
        def Select(self, request, context):  # noqa: N802 - the name of the call
            taken.set()
            over.wait()

        def SelectStream(self, requests, context):  # noqa: N802
            taken.set()
            over.wait()
            yield from ()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    service_pb2_grpc.add_QuerySelectionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", taken
    finally:
        over.set()
        server.stop(None).wait()


@pytest.mark.parametrize("batches", [list, iter])
def test_closing_an_async_client_fails_its_calls_and_cancels_no_task(batches):
    async def close(address, taken):
        client = AsyncClient(address)
        pool = batches([[[0.5, 0.5]]] if batches is iter else [[0.5, 0.5]])
        call = asyncio.ensure_future(client.select(pool, strategy="entropy", budget=1))
        await asyncio.to_thread(taken.wait)
        await client.close()
        await call

    with (
        answering_nothing() as server,
        pytest.raises(NextlabelError, match="the client was closed"),
    ):
        asyncio.run(close(*server))


@pytest.mark.parametrize("batches", [list, iter])
def test_closing_a_client_fails_the_calls_of_other_threads(batches):
    pool = batches([[[0.5, 0.5]]] if batches is iter else [[0.5, 0.5]])
    with (
        answering_nothing() as (address, taken),
        Client(address) as client,
        futures.ThreadPoolExecutor(1) as threads,
    ):
        call = threads.submit(client.select, pool, strategy="entropy", budget=1)
        assert taken.wait(10)
        client.close()
        with pytest.raises(NextlabelError, match="the client was closed with this call at work"):
            call.result()


def test_closing_a_client_ends_its_waiting_for_a_server():
    with Client(NOBODY) as client:
        threading.Timer(0.3, client.close).start()
        with pytest.raises(NextlabelError, match="the client was closed"):
            client.wait_ready(timeout=20)


def test_closing_an_async_client_ends_its_waiting_for_a_server():
    async def close():
        client = AsyncClient(NOBODY)
        waiting = asyncio.ensure_future(client.wait_ready(timeout=20))
        await asyncio.sleep(0.3)
        await client.close()
        await waiting

    with pytest.raises(NextlabelError, match="the client was closed"):
        asyncio.run(close())


def test_an_async_call_that_its_caller_cancels_is_cancelled():
    async def cancel(address, taken):
        async with AsyncClient(address) as client:
            call = asyncio.ensure_future(client.select([[0.5, 0.5]], strategy="entropy", budget=1))
            await asyncio.to_thread(taken.wait)
            call.cancel()
            await call

    with answering_nothing() as server, pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel(*server))


@pytest.mark.parametrize(
    "call", [small, streamed, lambda client: client.info(), lambda client: client.wait_ready()]
)
def test_a_client_that_is_closed_says_so(open_client, server, call):
    with open_client(server.address) as client:
        small(client)
        client.close()
        client.close()
        with pytest.raises(NextlabelError, match="the client is closed"):
            call(client)
