"""Writes the pages that are made from declarations: strategies.md, settings.md and metrics.md.

`make docs` runs it; `make drift` fails when a page is not what it would write.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path

from nextlabel_server.rpc.counting import COMMITTEE, UNKNOWN
from nextlabel_server.rpc.metrics import METRICS
from nextlabel_server.selection import (
    COMMON_TENSORS,
    Strategy,
    TensorInput,
    all_samplings,
    all_strategies,
)
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.settings import Settings

HERE = Path(__file__).parent
NOTE = "<!-- Made by `make docs` from the declarations in the code; edits here are lost. -->\n"


def main() -> None:
    """Writes the pages beside this file."""
    (HERE / "strategies.md").write_text("\n".join(_strategies_page()) + "\n")
    (HERE / "settings.md").write_text("\n".join(_settings_page()) + "\n")
    (HERE / "metrics.md").write_text("\n".join(_metrics_page()) + "\n")


def _strategies_page() -> Iterable[str]:
    yield NOTE
    yield "# Query strategies\n"
    yield (
        "A higher score means *label this sooner*. Rows come by score descending, then row number "
        "ascending; those of a whole-pool strategy in the order in which they were picked, each "
        "with what it was worth then. Scores are float64 arithmetic on the values received. p is a "
        "row of probabilities, p(1) ≥ p(2) its largest values, N rows, C classes, B picks.\n"
    )
    yield "## Which one?\n"
    yield (HERE / "which-strategy.md").read_text()
    every = all_strategies().values()
    for family, members in groupby(every, key=lambda strategy: strategy.family):
        yield f"## {family.replace('_', ' ').capitalize()}\n"
        for strategy in members:
            yield from _strategy(strategy)
    yield "## How the batch is drawn\n"
    yield "Any row-wise strategy takes a `sampling`; the scores returned stay the strategy's own.\n"
    yield from _table(
        ("sampling", "rule", "parameters", "source"),
        (
            (f"`{m.name}`", m.description, _parameters(m.parameters), m.reference)
            for m in all_samplings().values()
        ),
    )
    yield "## For every strategy\n"
    yield from _table(("tensor", "what it holds"), (_tensor(t) for t in COMMON_TENSORS))


def _strategy(strategy: Strategy) -> Iterable[str]:
    yield f"### `{strategy.name}`\n"
    yield f"{strategy.description}\n"
    also = f" Also called {', '.join(strategy.aliases)}." if strategy.aliases else ""
    drawn = " Drawn from the seed." if strategy.stochastic else ""
    covers = " Picks stand for the rows nearest to them: `return_nearest_picks`."
    yield f"**Score** {strategy.formula}.{drawn}{covers if strategy.covers else ''}{also}\n"
    yield (
        f"**Cost** time {strategy.time}, memory {strategy.memory} bytes · "
        f"**Source** {strategy.reference}\n"
    )
    if strategy.tensors:
        needs = (_need(need, optional=need[0] in strategy.optional) for need in strategy.needs)
        references = (_tensor(tensor) for tensor in strategy.references)
        yield from _table(("tensor", "what it holds"), (*needs, *references))
    if strategy.parameters:
        yield from _table(
            ("parameter", "value", "default", "what it does"),
            (
                (f"`{p.name}`", p.expectation, _default(p), p.description)
                for p in strategy.parameters
            ),
        )


def _need(need: tuple[TensorInput, ...], *, optional: bool) -> tuple[str, str]:
    """A pool tensor, and what will do in its place."""
    first, *others = (_tensor(replace(tensor, required=not optional)) for tensor in need)
    instead = "".join(f" Or {name}, of which the mean is taken." for name, _ in others)
    return first[0], first[1] + instead


def _tensor(tensor: TensorInput) -> tuple[str, str]:
    optional = "" if tensor.required else " Optional."
    shape = ", ".join(tensor.shape)
    return f"`{tensor.name}` [{shape}]", f"{tensor.description}{optional}"


def _parameters(parameters: Iterable[Parameter]) -> str:
    return "; ".join(
        f"`{p.name}`: {p.description} {p.expectation.capitalize()}; default {_default(p)}."
        for p in parameters
    )


def _default(parameter: Parameter) -> str:
    if parameter.default is None:
        return "required"
    return f"`{str(parameter.default).lower()}`"


def _settings_page() -> Iterable[str]:
    yield NOTE
    yield "# Settings of the server\n"
    yield "Each is an option of `nextlabel serve` and an environment variable.\n"
    yield from _table(
        ("option", "variable", "default", "what it does"),
        (
            (
                f"`--{field.name.replace('_', '-')}`",
                f"`NEXTLABEL_{field.name.upper()}`",
                field.metadata["default_text"] or f"`{field.default}`",
                field.metadata["help"],
            )
            for field in fields(Settings)
        ),
    )


def _metrics_page() -> Iterable[str]:
    yield NOTE
    yield "# Metrics\n"
    yield (
        "`nextlabel serve --metrics-address 0.0.0.0:9464` answers Prometheus over HTTP on a port "
        "of its own, under full load and until a drained server ends. Keep that port inside: it "
        "is neither encrypted nor guarded.\n"
    )
    yield from _table(
        ("metric", "kind", "labels", "what it counts"),
        (
            (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), m.help)
            for m in METRICS
        ),
    )
    yield (
        "Calls are those of `nextlabel.v1.QuerySelectionService`; health checks are not among "
        "them. `strategy` and `model` hold names that the server knows: whatever else callers "
        f"send becomes `{UNKNOWN}`, several models become `{COMMITTEE}`, and none leaves the "
        "label empty. `reason` is the one of [the contract](contract.md#errors).\n"
    )
    yield (
        "Beside them stand the usual `process_*` (memory, processor, file descriptors) and "
        "`python_*` metrics.\n"
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


if __name__ == "__main__":
    main()
