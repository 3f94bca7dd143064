"""`nextlabel select`: the rows of a file, ranked."""

import sys
from pathlib import Path
from typing import Any

import click

from nextlabel import Client, Selection
from nextlabel.cli import arguments, picks, pool
from nextlabel.cli.connection import with_client


@click.command()
@click.argument("pool_path", metavar="POOL", type=click.Path(True, dir_okay=False, path_type=Path))
@click.option("--strategy", required=True, help="Query strategy: see `nextlabel strategies`.")
@click.option(
    "--budget",
    required=True,
    type=arguments.budget,
    help="How much to pick: a number of rows (100), or a fraction of them (0.01, 1%).",
)
@click.option(
    "--model", metavar="NAME[:VERSION]", help="Model that turns the pool into probabilities."
)
@click.option(
    "--passes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Passes of a model that draws at random: the members of a committee.",
)
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    type=arguments.assignment,
    multiple=True,
    help="Parameter of the strategy; may be repeated.",
)
@click.option("--sampling", help="How to draw from the scores.  [default: the highest ones]")
@click.option(
    "--sampling-parameter",
    "sampling_parameters",
    metavar="NAME=VALUE",
    type=arguments.assignment,
    multiple=True,
    help="Parameter of the sampling; may be repeated.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="Source of all that is drawn at random.  [default: drawn, and told]",
)
@click.option(
    "--exclude",
    metavar="LIST|FILE",
    help="Rows that must not be picked, by id, or by number (from 0) when the pool has no ids: "
    "separated by commas, or a file with one a line.",
)
@click.option(
    "--shares",
    is_flag=True,
    help="Also tell what share of the pool each pick stands for: for strategies that cover it.",
)
@click.option(
    "--id-column", metavar="NAME", help="Column of a table that holds your ids.  [default: id]"
)
@click.option(
    "--output",
    metavar="FILE",
    type=picks.output_file,
    help="Write to a .csv, .json or .parquet file.  [default: standard output]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("table", "csv", "json")),
    help="What to write to standard output.  [default: table on a terminal, else csv]",
)
@with_client
def select(
    client: Client,
    *,
    pool_path: Path,
    strategy: str,
    budget: int | float,
    model: str | None,
    passes: int,
    parameters: tuple[tuple[str, Any], ...],
    sampling: str | None,
    sampling_parameters: tuple[tuple[str, Any], ...],
    seed: int | None,
    exclude: str | None,
    shares: bool,
    id_column: str | None,
    output: Path | None,
    kind: str | None,
) -> None:
    """Ranks the rows of POOL and writes the best ones, best first.

    \b
    POOL holds class probabilities, or the inputs of a model with --model:
      .npy      a matrix; for a model, its only input
      .npz      arrays named as the strategy's tensors (probabilities, embeddings, ...) or as
                the model's inputs; also ids
      .csv      columns of numbers, in order, or columns named as the model's inputs; the
                column id (or --id-column) holds your ids
      .parquet  the same; or a single column of lists
    """  # noqa: D301 - click takes the character \b for "as it stands"
    if output and kind:
        raise click.UsageError("--format is for standard output; a file is as its suffix says")
    if sampling_parameters and not sampling:
        raise click.UsageError("--sampling-parameter needs --sampling")
    if "method" in dict(sampling_parameters):
        raise click.UsageError("--sampling says the method, --sampling-parameter how it draws")
    name, _, version = (model or "").partition(":")
    inputs = None if model is None else pool.inputs_of(client, name, version)
    rows = pool.read(pool_path, inputs, id_column)
    if exclude is not None:
        rows["exclude"] = arguments.excluded(exclude, rows.get("ids"))
    picked = client.select(
        **rows,
        strategy=strategy,
        budget=budget,
        model=name,
        model_version=version,
        passes=passes,
        parameters=dict(parameters),
        sampling={"method": sampling, **dict(sampling_parameters)} if sampling else "",
        seed=seed,
        return_nearest_picks=shares,
        progress=sys.stderr.isatty(),
    )
    if output:
        picks.to_file(picked, output)
    else:
        picks.to_stdout(picked, kind)
    click.echo(_summary(picked), err=True)


def _summary(picked: Selection) -> str:
    model = f" with {picked.model}:{picked.model_version}" if picked.model else ""
    all_there_is = "; the budget asked for more than there is to pick" if picked.exhausted else ""
    return (
        f"{len(picked)} of {picked.row_count} rows by {picked.strategy}{model}, "
        f"seed {picked.seed}, {picked.timings.total:.3g} s on the server{all_there_is}"
    )
