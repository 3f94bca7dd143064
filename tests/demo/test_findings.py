"""What the demonstration has to show, read from what it left."""

import re

import numpy as np
import pytest

from tests.demo.conftest import ROOT

ASKED = ("least_confidence", "margin", "entropy")


@pytest.fixture(scope="module")
def labels():
    with np.load(ROOT / "examples" / "mnist.npz") as data:
        return data["labels"]


def share_of_sevens(picks):
    return np.mean([line["digit"] == "7" for line in picks])


def test_the_model_is_right_about_nearly_98_percent(demo):
    right = float(re.search(r"right about ([\d.]+) % of the 10,000 other digits", demo.said)[1])
    assert right == pytest.approx(97.8, abs=0.3)


@pytest.mark.parametrize("strategy", ASKED[1:])
def test_with_two_classes_every_strategy_picks_the_same_50_in_the_same_order(demo, strategy):
    first, other = ([line["row"] for line in demo.picks(name)] for name in (ASKED[0], strategy))
    assert len(set(first)) == 50
    assert other == first


def test_it_says_that_they_do(demo):
    said = "Least confidence, margin and entropy pick the same 50 in the same order."
    assert said in demo.said
    assert said in demo.page


def test_the_model_asks_for_sevens_several_times_as_often_as_there_are_some(demo, labels):
    assert share_of_sevens(demo.picks(ASKED[0])) > 3 * np.mean(labels == 7)
    assert share_of_sevens(demo.picks("random")) < 2 * np.mean(labels == 7)


def test_it_asks_for_what_is_closest_to_one_half_closest_first(demo):
    probability = np.array([float(line["probability_of_seven"]) for line in demo.picks(ASKED[0])])
    distance = abs(probability - 0.5)
    assert (np.diff(distance) >= 0).all()
    assert distance.max() < 0.1


def test_scores_are_those_of_their_formulas(demo):
    formulas = {
        "least_confidence": lambda p: min(p, 1 - p),
        "margin": lambda p: 1 - abs(2 * p - 1),
        "entropy": lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p),
    }
    for strategy, formula in formulas.items():
        for line in demo.picks(strategy):
            expected = formula(float(line["probability_of_seven"]))
            assert float(line["score"]) == pytest.approx(expected, abs=1e-12)


def test_picks_name_rows_of_the_data(demo, labels):
    for strategy in (*ASKED, "random"):
        picks = demo.picks(strategy)
        assert [int(line["rank"]) for line in picks] == list(range(1, 51))
        assert [str(labels[int(line["row"])]) for line in picks] == [
            line["digit"] for line in picks
        ]


def test_the_learner_that_chooses_needs_less_than_half_of_the_labels(demo):
    found = re.search(
        r"gets there with ([\d,]+); from random ones it first does with ([\d,]+)", demo.said
    )
    chosen, random = (int(number.replace(",", "")) for number in found.groups())
    assert 100 < chosen < random / 2
