"""Prints the tables of benchmarks, and keeps them in docs/benchmarks.md.

With names of tables, `python -m benchmarks strategies`, prints those alone and keeps nothing.
"""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    density,
    many_clients,
    models,
    precision,
    row_memory,
    row_wise,
    strategies,
    unary,
)

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PACKAGES = ("grpcio", "protobuf", "numpy", "onnxruntime", "modAL-python", "scikit-activeml")
TABLES = {
    "row_wise": row_wise,
    "precision": precision,
    "row_memory": row_memory,
    "unary": unary,
    "models": models,
    "many_clients": many_clients,
    "strategies": strategies,
    "density": density,
}
HEAD = """\
# Benchmarks

Made by `make bench`, which writes this page. Every figure is a whole call through a server in
another process on loopback, client and server on the same processors; the ways of doing the same
work take turns within one run, and medians are compared. The absolute times drift with the machine;
the ratios are what counts."""


def lines(names: list[str]) -> Iterator[str]:
    """The page as it comes into being."""
    yield HEAD
    for name in names:
        table = TABLES[name]
        yield f"\n## {table.TITLE}\n\n{table.ABOUT}\n"
        yield _row(table.COLUMNS)
        yield _row(("---",) * len(table.COLUMNS))
        yield from map(_row, table.rows())
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    yield f"\nPython {platform.python_version()}, {versions}; {os.cpu_count()} processors."


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    names = sys.argv[1:]
    page = []
    for line in lines(names or list(TABLES)):
        print(line, flush=True)
        page.append(line)
    if not names:
        PAGE.write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
