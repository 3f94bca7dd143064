"""What was found, in sentences that say whatever the numbers say."""

from collections import Counter

import numpy as np

from nextlabel_server.demo.curves import CHOOSING, FINAL_LABELS, Curves
from nextlabel_server.demo.digits import Digits
from nextlabel_server.demo.trial import BUDGET, RANDOM, STRATEGIES, TRAINING_ROWS, Trial


def percent(share: float, decimals: int = 0) -> str:
    """A share as text, with a space that does not break."""
    return f"{100 * share:.{decimals}f}\N{NO-BREAK SPACE}%"


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def accuracy(trial: Trial) -> str:
    return (
        f"After {TRAINING_ROWS:,} labels drawn at random, the model is right about "
        f"{percent(trial.accuracy, 1)} of the {len(trial.pool):,} other digits."
    )


def order(trial: Trial) -> str:
    names = listed([name.replace("_", " ") for name in STRATEGIES])
    if trial.all_agree:
        return f"{names} pick the same {BUDGET} in the same order.".capitalize()
    first, *others = (trial.picks[strategy].indices for strategy in STRATEGIES)
    rank = min(int((first != other).argmax()) for other in others if (first != other).any()) + 1
    return f"{names} part at rank {rank}.".capitalize()


def sevens(trial: Trial) -> str:
    return (
        f"{percent(trial.sevens(STRATEGIES[0]) / BUDGET)} of the {BUDGET} that the model asks for "
        f"are sevens, against {percent(trial.is_seven.mean(), 1)} of all."
    )


def by_digit(digits: Digits, trial: Trial) -> str:
    counts = Counter(digits.labels[trial.picks[STRATEGIES[0]].ids].tolist())
    return listed([f"{count} × {digit}" for digit, count in counts.most_common()])


def repeats(trials: list[Trial]) -> str:
    """The same over all seeds, since one shuffle is one throw of the dice."""
    right = np.array([trial.accuracy for trial in trials])
    shares = np.array([trial.sevens(STRATEGIES[0]) / BUDGET for trial in trials])
    agree = sum(trial.all_agree for trial in trials)
    return (
        f"Over {len(trials)} shuffles of the digits: {percent(right.mean(), 1)} right "
        f"({percent(right.min(), 1)} to {percent(right.max(), 1)}), {percent(shares.mean())} sevens "
        f"asked for ({percent(shares.min())} to {percent(shares.max())}), the three orders equal in "
        f"{agree} of {len(trials)}."
    )


def saving(curves: Curves) -> str:
    chosen, random = curves.labels_needed(CHOOSING), curves.labels_needed(RANDOM)
    goal = f"Learning from random labels ends at {percent(curves.goal, 1)} with {FINAL_LABELS:,}."
    if chosen is None or random is None:
        return f"{goal} Learning from chosen ones does not get there."
    return (
        f"{goal} Learning from chosen ones gets there with {chosen:,}; from random ones it first "
        f"does with {random:,}, {random / chosen:.1f} times as many."
    )


def ends(curves: Curves) -> str:
    chosen, random = (percent(curves.mean(s)[-1], 1) for s in (CHOOSING, RANDOM))
    return (
        f"With {FINAL_LABELS:,} labels each, it is {chosen} for chosen ones, {random} for random."
    )


def by_seed(curves: Curves) -> str:
    def span(strategy: str) -> str:
        needed = [n for n in curves.labels_needed_by_seed(strategy) if n is not None]
        return f"{min(needed):,} to {max(needed):,}"

    return (
        f"Shuffle by shuffle it takes {span(CHOOSING)} chosen labels, {span(RANDOM)} random ones."
    )
