"""What is accepted for a parameter, and what a refusal says: field, found, right."""

import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection.parameters import Parameter, accept_parameters

FLAG = Parameter("flag", bool, "", default=False)
WHOLE = Parameter("whole", int, "", default=3, minimum=1, maximum=10)
NUMBER = Parameter("number", float, "", default=0.5, minimum=0, maximum=1, exclusive_minimum=True)
FREE = Parameter("free", float, "", default=0.0)
CHOICE = Parameter("choice", str, "", default="mean", choices=("mean", "max"))
NEEDED = Parameter("needed", int, "", minimum=0)
OPTIONAL = (FLAG, WHOLE, NUMBER, FREE, CHOICE)


def accept(given, declared=OPTIONAL):
    return accept_parameters(declared, given, field="parameters", owner="the_strategy")


def refusal_of(given, declared=OPTIONAL):
    with pytest.raises(InvalidRequest) as refusal:
        accept(given, declared)
    (violation,) = refusal.value.violations
    assert str(refusal.value) == f"{violation.field}: {violation.description}"
    return violation.field, violation.description


def test_what_is_not_given_has_its_default():
    expected = {"flag": False, "whole": 3, "number": 0.5, "free": 0.0, "choice": "mean"}
    assert accept({}) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("flag", True, True),
        ("whole", 1, 1),
        ("whole", 10, 10),
        ("whole", 4.0, 4),  # a number of a Struct is always a double
        ("number", 1, 1.0),
        ("number", 5e-324, 5e-324),
        ("free", -1e300, -1e300),
        ("choice", "max", "max"),
    ],
)
def test_a_right_value_comes_back_in_the_declared_type(name, value, expected):
    accepted = accept({name: value})[name]
    assert accepted == expected
    assert type(accepted) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("flag", 1, "found 1; true or false is right"),
        ("flag", "true", "found 'true'; true or false is right"),
        ("flag", None, "found None; true or false is right"),
        ("whole", True, "found True; a whole number at least 1 and at most 10 is right"),
        ("whole", 1.5, "found 1.5; a whole number at least 1 and at most 10 is right"),
        ("whole", "3", "found '3'; a whole number at least 1 and at most 10 is right"),
        ("whole", 0, "found 0; a whole number at least 1 and at most 10 is right"),
        ("whole", 11, "found 11; a whole number at least 1 and at most 10 is right"),
        ("whole", float("inf"), "found inf; a whole number at least 1 and at most 10 is right"),
        ("number", 0, "found 0; a finite number above 0 and at most 1 is right"),
        ("number", 1.01, "found 1.01; a finite number above 0 and at most 1 is right"),
        ("number", False, "found False; a finite number above 0 and at most 1 is right"),
        ("number", "0.5", "found '0.5'; a finite number above 0 and at most 1 is right"),
        ("free", float("nan"), "found nan; a finite number is right"),
        ("free", float("-inf"), "found -inf; a finite number is right"),
        ("free", [1.0], "found [1.0]; a finite number is right"),
        ("choice", "min", "found 'min'; one of mean, max is right"),
        ("choice", "", "found ''; one of mean, max is right"),
        ("choice", 0, "found 0; one of mean, max is right"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_found_and_what_is_right(name, value, problem):
    assert refusal_of({name: value}) == (f"parameters.{name}", problem)


def test_an_unknown_parameter_is_refused_with_those_there_are():
    assert refusal_of({"flags": True}) == (
        "parameters.flags",
        "unknown; the_strategy takes flag, whole, number, free, choice",
    )


def test_an_owner_without_parameters_says_so():
    assert refusal_of({"x": 1}, ()) == ("parameters.x", "unknown; the_strategy takes no parameters")


def test_a_missing_parameter_is_refused_with_what_is_needed():
    assert refusal_of({}, (NEEDED,)) == (
        "parameters.needed",
        "missing; the_strategy needs it: a whole number at least 0",
    )


def test_a_default_that_is_false_or_zero_is_still_a_default():
    zero = Parameter("zero", int, "", default=0)
    assert accept({}, (zero, FLAG)) == {"zero": 0, "flag": False}


def test_long_values_are_cut_short_in_a_refusal():
    _, problem = refusal_of({"choice": "x" * 500})
    assert len(problem) < 120
    assert "..." in problem
