"""How far a call is: a callback, or a bar in a terminal or a notebook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Progress(NamedTuple):
    """Rows that the server has received and scored; `total` is None while nobody knows it.

    Then the picks made of those wanted, where picking takes long enough to tell of it; before
    that, and elsewhere, 0 and 0.
    """

    rows_received: int
    rows_scored: int
    total: int | None
    picks_made: int = 0
    picks_wanted: int = 0


ProgressCallback = Callable[[Progress], object]


@contextmanager
def reporting(progress: bool | ProgressCallback) -> Iterator[ProgressCallback]:
    """Yields what to tell of progress: the caller's callback, a bar for True, or nothing."""
    if callable(progress):
        yield progress
    elif progress:
        with _bar() as tell:
            yield tell
    else:
        yield lambda _: None


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
    except ImportError as error:
        raise ImportError("a progress bar needs rich: pip install 'nextlabel[cli]'") from error
    what = TextColumn("{task.description}")
    columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("rows scored", total=None)

        def tell(now: Progress) -> None:
            if now.picks_wanted:
                made, wanted = now.picks_made, now.picks_wanted
                bar.update(task, description="picks made", completed=made, total=wanted)
            else:
                bar.update(task, completed=now.rows_scored, total=now.total)

        yield tell
