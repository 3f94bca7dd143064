"""The result in the terminal."""

from rich.console import Console
from rich.table import Table

from nextlabel_server.demo import findings
from nextlabel_server.demo.curves import Curves
from nextlabel_server.demo.findings import percent
from nextlabel_server.demo.trial import BUDGET, STRATEGIES, Trial


def show(console: Console, trials: list[Trial], curves: Curves) -> None:
    """Prints what each strategy picked, and what was found."""
    trial = trials[0]
    table = Table(title=f"{BUDGET} of {len(trial.pool):,} digits, asked for by", title_style="bold")
    table.add_column("strategy")
    table.add_column("sevens", justify="right")
    table.add_column("probability of seven", justify="right")
    table.add_column("order", justify="left")
    table.add_column("server", justify="right")
    for strategy, picked in trial.picks.items():
        probability = trial.probability[picked.indices]
        table.add_row(
            strategy,
            f"{trial.sevens(strategy)} = {percent(trial.sevens(strategy) / BUDGET)}",
            f"{probability.min():.2f} to {probability.max():.2f}",
            order(trial, strategy),
            f"{1000 * picked.timings.total:.0f} ms",
        )
    console.print(table)
    sentences = [
        findings.accuracy(trial),
        findings.sevens(trial),
        findings.order(trial),
        f"{findings.saving(curves)} {findings.nearly(curves)}",
    ]
    if len(trials) > 1:
        sentences.append(findings.repeats(trials))
    for sentence in sentences:
        console.print(f"• {sentence}", highlight=False)


def order(trial: Trial, strategy: str) -> str:
    """How the order of a strategy compares with that of the first one."""
    if strategy == STRATEGIES[0]:
        return ""
    return "the same" if trial.same_order(strategy) else "another"
