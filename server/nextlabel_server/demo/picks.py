"""The picks as a table for other programs."""

import csv
from pathlib import Path

from nextlabel_server.demo.digits import Digits
from nextlabel_server.demo.trial import Trial

COLUMNS = ("strategy", "rank", "row", "digit", "probability_of_seven", "score")


def write_picks(path: Path, digits: Digits, trial: Trial) -> None:
    """Writes a line for each pick of each strategy; `row` counts in the data file, from 0."""
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for strategy, picked in trial.picks.items():
            for rank, pick in enumerate(picked, 1):
                probability = trial.probability[pick.index]
                lines.writerow(
                    (strategy, rank, pick.id, digits.labels[pick.id], probability, pick.score)
                )
