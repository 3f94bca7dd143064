"""Prints the table of benchmarks, and keeps it in docs/benchmarks.md."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks import row_wise

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PACKAGES = ("grpcio", "protobuf", "numpy", "modAL-python")
HEAD = """# Benchmarks

Made by `make bench`, which writes this page. Every figure is a whole call through a server in
another process on loopback, client and server on the same processors; the ways of doing the same
work take turns within one run, and medians are compared. The absolute times drift with the machine;
the ratios are what counts.

*Bytes alone* is a bare gRPC stream of the same bytes, with nothing done to them at either end: no
service that receives the pool can be faster. *modAL* runs in the caller's own process, where the
probabilities are at hand without any transport.

| work | nextlabel | bytes alone | ratio | modAL, in-process | times as fast as modAL |
| --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    print(HEAD, end="")
    lines = []
    for result in row_wise.million_rows():
        lines.append(
            f"| {result.work} | {result.ours * 1e3:.0f} ms | {result.floor * 1e3:.0f} ms "
            f"| {result.ours / result.floor:.2f} | {result.peer * 1e3:.0f} ms "
            f"| {result.peer / result.ours:.1f} |"
        )
        print(lines[-1], flush=True)
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    where = f"Python {platform.python_version()}, {versions}; {os.cpu_count()} processors."
    print(f"\n{where}")
    PAGE.write_text(HEAD + "\n".join(lines) + f"\n\n{where}\n")


if __name__ == "__main__":
    main()
