"""What was found, in sentences that say whatever the numbers say."""

from collections import Counter
from statistics import mean

from nextlabel_server.demo.curves import CHOOSING, FINAL_LABELS, Curves
from nextlabel_server.demo.digits import Digits
from nextlabel_server.demo.trial import BUDGET, RANDOM, STRATEGIES, TRAINING_ROWS, Trial

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NEARLY = 0.001


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
    """`21 sevens, 13 nines and 1 four`."""
    counts = Counter(digits.labels[trial.picks[STRATEGIES[0]].ids].tolist())
    return listed([_counted(count, NAMES[digit]) for digit, count in counts.most_common()])


def _counted(count: int, name: str) -> str:
    plural = "es" if name == "six" else "s"
    return f"{count} {name}{plural if count > 1 else ''}"


def repeats(trials: list[Trial]) -> str:
    """The same over all seeds, since one shuffle is one throw of the dice."""
    right = [trial.accuracy for trial in trials]
    shares = [trial.sevens(STRATEGIES[0]) / BUDGET for trial in trials]
    agree = sum(trial.all_agree for trial in trials)
    return (
        f"Over {len(trials)} shuffles of the digits: {_spread(right, 1)} right, "
        f"{_spread(shares, 0)} sevens among those asked for, "
        f"the three orders equal in {agree} of {len(trials)}."
    )


def _spread(shares: list[float], decimals: int) -> str:
    low, high = percent(min(shares), decimals), percent(max(shares), decimals)
    return f"{percent(mean(shares), decimals)} ({low} to {high})"


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
    return f"With {FINAL_LABELS:,} labels, chosen ones end at {chosen}, random ones at {random}."


def nearly(curves: Curves) -> str:
    """How soon each learner is nearly there: where curves are flat, crossings are chance."""
    chosen, random = (curves.labels_needed(s, short_of=NEARLY) for s in (CHOOSING, RANDOM))
    if chosen is None or random is None:
        return ""
    near = percent(NEARLY, 1)
    return f"To come within {near} of it takes {chosen:,} chosen labels, or {random:,} random ones."
