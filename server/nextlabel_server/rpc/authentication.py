"""Who may call: bearer tokens from a file."""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc

from nextlabel.v1 import service_pb2
from nextlabel_server.errors import Unauthenticated
from nextlabel_server.logs import get_logger
from nextlabel_server.reloaded import FileFault, Reloaded
from nextlabel_server.rpc.calls import SERVICE, Calls

if TYPE_CHECKING:  # a generic class in the stubs alone
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]

_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # what RFC 6750 lets a bearer token be made of
SHORTEST_TOKEN = 16
_METHODS = service_pb2.DESCRIPTOR.services_by_name["QuerySelectionService"].methods_by_name
_MISSING = "this server wants a token: send the metadata 'authorization: Bearer TOKEN'"
_UNKNOWN = "the token is none of those that this server takes"

log = get_logger("nextlabel")


class Tokens:
    """The tokens in a file, one a line; empty lines and those that begin with # say nothing.

    The file is read anew when it changes. Only hashes of the tokens are kept and logged.

    Raises:
        FileFault: it cannot be read, or is not such a file.
    """

    def __init__(self, path: Path) -> None:
        self._hashes = Reloaded("tokens", [path], lambda: _hashes(path))

    def know(self, token: bytes) -> bool:
        """Takes as long for any token of the same length."""
        presented = hashlib.sha256(token).digest()
        matches = [hmac.compare_digest(presented, known) for known in self._hashes.get()]
        return any(matches)


def _hashes(path: Path) -> Sequence[bytes]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise FileFault(f"{path}: {error.strerror}") from error
    hashes = []
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token or token.startswith(b"#"):
            continue
        if not _TOKEN.fullmatch(token) or len(token) < SHORTEST_TOKEN:
            raise FileFault(
                f"{path}, line {number}: a token has {SHORTEST_TOKEN} characters or more, each a "
                "letter, digit or one of -._~+/ (and = at the end)"
            )
        hashes.append(hashlib.sha256(token).digest())
    if not hashes:
        raise FileFault(f"{path} holds no token")
    log.info("tokens read", path=str(path), sha256=[known.hex()[:12] for known in hashes])
    return hashes


class AuthenticationInterceptor(grpc.ServerInterceptor):
    """Lets through calls that bring a known token, and those of `open_service`.

    Args:
        tokens: the known ones.
        open_service: full name of the service that needs none.
        calls: begins the calls that are refused.
    """

    def __init__(self, tokens: Tokens, open_service: str, calls: Calls) -> None:
        self._tokens = tokens
        self._calls = calls
        self._open = f"/{open_service}/"
        # Its own, so that strangers take no thread from callers.
        self._refusing = ThreadPoolExecutor(1, thread_name_prefix="refusing")

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = handler_call_details.method
        if method.startswith(self._open):
            return continuation(handler_call_details)
        token = _bearer_token(handler_call_details)
        if token and self._tokens.know(token):
            return continuation(handler_call_details)
        return self._refusal(method, _UNKNOWN if token else _MISSING)

    def _refusal(self, path: str, message: str) -> "Handler":
        """Answers a call of any shape."""
        service, _, method = path.strip("/").partition("/")
        if service != SERVICE or method not in _METHODS:
            service = method = "unknown"  # it is the caller's own text

        def refuse(_requests: object, context: grpc.ServicerContext) -> NoReturn:
            with self._calls.begin(method, context, service=service):
                raise Unauthenticated(message)

        vars(refuse).update(experimental_thread_pool=self._refusing)
        # As a stream, so that no request is waited for.
        return grpc.stream_unary_rpc_method_handler(refuse)

    def close(self) -> None:
        self._refusing.shutdown(cancel_futures=True)


def _bearer_token(details: grpc.HandlerCallDetails) -> bytes:
    """The token of a call; empty when it brings none."""
    for key, value in details.invocation_metadata:
        scheme, _, token = str(value).partition(" ")
        if key == "authorization" and scheme.lower() == "bearer":
            return token.strip().encode()
    return b""
