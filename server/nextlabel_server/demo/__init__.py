"""`nextlabel demo`: what active learning is for, shown on handwritten digits.

A model learns from 2,000 digits to tell sevens from the rest, a server runs it, and the client
asks which of 10,000 more should be labeled next.
"""

from pathlib import Path

import click

from nextlabel._extras import needing


@click.command("demo")
@click.option(
    "--data",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("examples/mnist.npz"),
    show_default=True,
    help="The digits: an .npz file with images and labels.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Where to write the pictures, the page and the picks.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="How often to repeat everything, each time with another shuffle of the digits.",
)
def command(data: Path, output: Path, seeds: int) -> None:
    """Show active learning on handwritten digits: seven, or not seven?

    Trains a model, serves it, asks which digits to label next, and writes pictures and a page
    about what came back. Takes about a minute.
    """
    # These take seconds to import, and --help should not.
    with needing("demo", "nextlabel demo"):
        from nextlabel_server.demo.digits import UnusableData
        from nextlabel_server.demo.run import run
    try:
        run(data, output, seeds)
    except UnusableData as error:
        raise click.BadParameter(str(error), param_hint="--data") from None
