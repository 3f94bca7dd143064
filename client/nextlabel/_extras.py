"""What is installed only when it is asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OWN = ("nextlabel", "nextlabel_server")


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Around imports: when a package of an extra is missing, says in a sentence how to get it.

    Raises:
        SystemExit: with status 2, after the sentence.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OWN:
            raise
        sys.stderr.write(f"{what} needs {missing}: pip install 'nextlabel[{extra}]'\n")
        raise SystemExit(2) from None
