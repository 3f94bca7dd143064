"""The demonstration from beginning to end."""

from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from nextlabel_server import logs
from nextlabel_server.demo.chart import draw_chart
from nextlabel_server.demo.curves import COMPARED, LABELS, Curves, draw_curves
from nextlabel_server.demo.digits import Digits, load
from nextlabel_server.demo.gallery import draw_gallery
from nextlabel_server.demo.page import Picture, render
from nextlabel_server.demo.picks import write_picks
from nextlabel_server.demo.table import show
from nextlabel_server.demo.theme import DARK, LIGHT
from nextlabel_server.demo.trial import Trial, ask, prepare, served


def run(data: Path, output: Path, seeds: int) -> None:
    """Finds everything out, prints it, and writes the files.

    Raises:
        UnusableData: there are no digits at `data`.
    """
    digits = load(data)
    logs.configure("warning", "auto")
    trials, curves = find_out(digits, seeds)
    written = write(output, digits, trials, curves)
    console = Console()
    show(console, trials, curves)
    for path in written:
        console.print(f"wrote {path}", style="dim", highlight=False, soft_wrap=True)


def find_out(digits: Digits, seeds: int) -> tuple[list[Trial], Curves]:
    """Trains, serves and asks, with bars on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as bars,
        TemporaryDirectory(prefix="nextlabel-") as directory,
    ):
        models = Path(directory)
        training = bars.add_task("train and export", total=seeds)
        asking = bars.add_task("ask the server", total=seeds)
        learning = bars.add_task("learn by asking", total=seeds * len(COMPARED) * len(LABELS))
        pools = []
        for seed in range(seeds):
            pools.append(prepare(digits, seed, models))
            bars.advance(training)
        with served(models) as client:
            trials = []
            for seed, pool in enumerate(pools):
                trials.append(ask(client, digits, seed, pool))
                bars.advance(asking)
            curves = draw_curves(client, digits, seeds, lambda: bars.advance(learning))
    return trials, curves


def write(output: Path, digits: Digits, trials: list[Trial], curves: Curves) -> list[Path]:
    """Writes the pictures, the page and the picks."""
    gallery = Picture(*(draw_gallery(digits, trials[0], theme) for theme in (LIGHT, DARK)))
    chart = Picture(*(draw_chart(curves, theme) for theme in (LIGHT, DARK)))
    output.mkdir(parents=True, exist_ok=True)
    page = output / "index.html"
    page.write_text(render(digits, trials, curves, gallery, chart), encoding="utf-8")
    pictures = {"gallery.png": gallery.light, "learning-curves.png": chart.light}
    for name, png in pictures.items():
        (output / name).write_bytes(png)
    picks = output / "picks.csv"
    write_picks(picks, digits, trials[0])
    return [page, *(output / name for name in pictures), picks]
