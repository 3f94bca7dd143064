"""A trial run: a model that fails it is not served."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.inference.batch_size import row_bytes
from nextlabel_server.inference.model import Model

logger = logging.getLogger(__name__)

SECONDS = 20.0  # for the whole trial: other models wait for it

# For axes that a model leaves open, in turn: some take no single token, or pixel.
_SIZES = (1, 16, 224)

# The most bytes of input. Where all axes are declared, no call could do with less.
_DECLARED_BYTES = 64 << 20
_GUESSED_BYTES = 4 << 20


def try_out(model: Model, cancel: CancelToken) -> Model:
    """Runs the model on one row of zeros, or empty text. Returns it, with a problem if that fails.

    Where the model leaves axes open, the failure may be that of a wrong guess: then it is no
    problem. Nor is a row that is too large to be tried. Raises Cancelled when the token stops the
    run.
    """
    if model.problem is not None:
        return model
    guessed = any(None in tensor.shape[1:] for tensor in model.inputs)
    rows = [_shapes(model, size) for size in (_SIZES if guessed else _SIZES[:1])]
    most = _GUESSED_BYTES if guessed else _DECLARED_BYTES
    small = [shapes for shapes in rows if _input_bytes(model, shapes) <= most]
    failure: Exception | None = None
    try:
        with _time_limit(cancel) as limit:
            for shapes in small:
                failure = _failure(model, shapes, limit)
                if failure is None:
                    return model
    except Cancelled as stopped:
        cancel.check()
        problem = f"it did not answer a trial run with a row of zeros within {SECONDS:g} s"
        return _refused(model, problem, stopped)
    if small and not guessed:
        problem = "it failed on a trial run with a row of zeros; the server's log has the details"
        return _refused(model, problem, failure)
    why = "no size of its open axes that was tried fits" if small else "a row is too large"
    logger.info("%s is served untried: %s (%s)", model, why, failure or "no detail")
    return model


def _shapes(model: Model, size: int) -> dict[str, list[int]]:
    """The shapes of one row, with `size` for what the model leaves open."""
    return {
        tensor.name: [1, *(size if known is None else known for known in tensor.shape[1:])]
        for tensor in model.inputs
    }


def _input_bytes(model: Model, shapes: Mapping[str, Sequence[int]]) -> int:
    return row_bytes(model.inputs, shapes) * (model.fixed_rows or 1)


def _failure(
    model: Model, shapes: Mapping[str, Sequence[int]], cancel: CancelToken
) -> Exception | None:
    """Runs the model on zeros of these shapes; returns what goes wrong."""
    try:
        row = {
            tensor.name: np.full(
                shapes[tensor.name],
                "" if tensor.element_type.kind == "O" else 0,
                tensor.element_type,
            )
            for tensor in model.inputs
        }
        model.run(row, first_row=0, cancel=cancel)
    except Cancelled:
        raise
    except Exception as error:
        return error
    return None


def _refused(model: Model, problem: str, cause: Exception | None) -> Model:
    logger.warning("%s cannot be used: %s (%s)", model, problem, cause or "no detail")
    return replace(model, problem=problem, session=None)


@contextmanager
def _time_limit(cancel: CancelToken) -> Iterator[CancelToken]:
    """A token that is cancelled with `cancel`, or after SECONDS."""
    limit = CancelToken()
    timer = threading.Timer(SECONDS, limit.cancel)
    timer.daemon = True
    timer.start()
    try:
        with cancel.on_cancel(limit.cancel):
            yield limit
    finally:
        timer.cancel()
