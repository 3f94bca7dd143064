"""Logs to standard error: readable on a terminal, one JSON object a line elsewhere."""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

import structlog

call_ids: ContextVar[Mapping[str, str]] = ContextVar("call_ids", default=MappingProxyType({}))
"""What ties the lines of the call that is at work to each other."""


def _name_call(
    _logger: object, _level: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {**fields, **call_ids.get()}


_STAMPS: list[structlog.typing.Processor] = [
    _name_call,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of structured lines, on top of the standard library's logger of that name.

    So a program that only embeds the server decides itself what becomes of its lines.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            *_STAMPS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
    )
    return logger


def keep_metadata_out() -> None:
    """Drops the lines in which gRPC quotes what callers sent as text and is none, tokens too.

    It reads such bytes as Latin-1 and goes on, so that nothing is lost with the line.
    """
    logging.getLogger("grpc._cython.cygrpc").addFilter(_quotes_nothing)


def _quotes_nothing(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Invalid encoding on")


def configure(level: str, log_format: str) -> None:
    """Sends all records of the process, and Python's warnings, to standard error.

    `level` is debug, info, warning or error; `log_format` is auto, console or json.
    """
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    if log_format == "json":
        final: list[structlog.typing.Processor] = [
            # Without the values of variables: they hold what callers sent.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ]
    else:
        final = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_STAMPS, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
