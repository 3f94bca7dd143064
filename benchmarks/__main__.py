"""Prints the table of benchmarks."""

from rich.console import Console
from rich.table import Table

from benchmarks import row_wise


def main() -> None:
    table = Table(
        "work", "nextlabel", "bytes alone", "ratio", "modAL in-process", "modAL / nextlabel"
    )
    for result in (row_wise.entropy_1m(),):
        table.add_row(
            result.work,
            f"{result.ours * 1e3:.0f} ms",
            f"{result.floor * 1e3:.0f} ms",
            f"{result.ours / result.floor:.2f}",
            f"{result.peer * 1e3:.0f} ms",
            f"{result.peer / result.ours:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
