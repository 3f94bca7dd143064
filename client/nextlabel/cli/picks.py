"""The picks as a table for people, and as CSV, JSON and parquet for programs."""

import csv
import json
import sys
from pathlib import Path
from typing import Any, TextIO

import click
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from nextlabel import Selection


def to_stdout(picked: Selection, kind: str | None) -> None:
    """Writes to standard output as table, csv or json; by default a table for a terminal."""
    if kind is None:
        kind = "table" if sys.stdout.isatty() else "csv"
    {"table": _write_table, "csv": _write_csv, "json": _write_json}[kind](picked, sys.stdout)
    sys.stdout.flush()  # a closed pipe is noticed here, where click deals with it


def output_file(text: str) -> Path:
    """A path to write to, as its suffix says; what cannot work is refused before the work."""
    path = Path(text)
    if path.suffix not in (".csv", ".json", ".parquet"):
        raise click.BadParameter(f"{text!r} does not end in .csv, .json or .parquet.")
    if path.is_dir() or not path.parent.is_dir():
        raise click.BadParameter(f"{text!r} is not a file in a directory that exists.")
    return path


def to_file(picked: Selection, path: Path) -> None:
    """Writes to a file as its suffix says."""
    if path.suffix == ".parquet":
        pq.write_table(_arrow(picked), path)
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        (_write_json if path.suffix == ".json" else _write_csv)(picked, stream)


def _columns(picked: Selection) -> dict[str, list[Any]]:
    """Columns of plain values: floats print with all the digits they have."""
    columns = {"rank": list(range(1, len(picked) + 1))}
    for name, values in picked.columns().items():
        columns[name] = values.tolist() if hasattr(values, "tolist") else list(values)
    return columns


def _arrow(picked: Selection) -> pa.Table:
    ranks = pa.array(range(1, len(picked) + 1), pa.int64())
    return picked.to_arrow().add_column(0, "rank", ranks)


def _write_csv(picked: Selection, stream: TextIO) -> None:
    columns = _columns(picked)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))


def _write_json(picked: Selection, stream: TextIO) -> None:
    columns = _columns(picked)
    answer = {
        "strategy": picked.strategy,
        "model": picked.model,
        "model_version": picked.model_version,
        "seed": picked.seed,
        "row_count": picked.row_count,
        "exhausted": picked.exhausted,
        "picks": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
    }
    json.dump(answer, stream, indent=2, ensure_ascii=False)
    stream.write("\n")


def _write_table(picked: Selection, stream: TextIO) -> None:
    table = Table()
    columns = _columns(picked)
    for name in columns:
        table.add_column(name, justify="left" if name == "id" else "right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(file=stream, markup=False, highlight=False).print(table)
