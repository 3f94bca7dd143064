"""Which unlabeled items should be labeled next? Active learning as a gRPC service."""

from nextlabel._aio import AsyncClient
from nextlabel._arguments import Cost
from nextlabel._client import Client
from nextlabel._progress import Progress
from nextlabel._version import __version__
from nextlabel.errors import (
    AuthenticationError,
    BusyError,
    DeadlineError,
    InvalidRequestError,
    LimitError,
    ModelError,
    NextlabelError,
    NotFoundError,
    ServerError,
    UnavailableError,
    Violation,
)
from nextlabel.selection import Pick, Selection, Timings
from nextlabel.tls import TLS

__all__ = [
    "TLS",
    "AsyncClient",
    "AuthenticationError",
    "BusyError",
    "Client",
    "Cost",
    "DeadlineError",
    "InvalidRequestError",
    "LimitError",
    "ModelError",
    "NextlabelError",
    "NotFoundError",
    "Pick",
    "Progress",
    "Selection",
    "ServerError",
    "Timings",
    "UnavailableError",
    "Violation",
    "__version__",
]
