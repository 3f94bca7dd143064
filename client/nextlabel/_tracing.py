"""The caller's trace, passed on."""

import sys

from nextlabel._access import Metadata


def trace_context() -> Metadata:
    """The active OpenTelemetry context; nothing where OpenTelemetry is not in use.

    Nobody has an active span who has not imported it, so it is never imported here first.
    """
    if not sys.modules.get("opentelemetry.trace"):
        return ()
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return tuple(carrier.items())
