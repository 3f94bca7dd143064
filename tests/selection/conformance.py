"""Checks that every strategy and every sampling method must pass.

Nothing here names a strategy: cases are made from what a declaration says (tensors, parameters,
tags), and a check is a function `check_...(case)` that `checks_of` yields when the tags say it
applies. A new strategy is covered by being registered.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import (
    Budget,
    Query,
    SamplingMethod,
    Scorer,
    Strategy,
    all_samplings,
    all_strategies,
    pick,
    sampling_named,
)
from nextlabel_server.selection.parameters import Parameter, Value

ROWS = 101
SEED = 20240607
NOTHING = np.empty(0, np.int64)
CLASSES = (1, 2, 5, 33, 70)  # above 8 numpy adds a lone column in pairs; above 64 tiles turn


@dataclass(frozen=True)
class Case:
    """A strategy with parameters that are in range, and a number of classes."""

    strategy: Strategy
    given: Mapping[str, Value]
    classes: int

    def __str__(self) -> str:
        given = ",".join(f"{name}={value}" for name, value in self.given.items())
        return f"{self.strategy.name}({given})-{self.classes}"

    @property
    def activation(self) -> str:
        return str(self.given.get("activation", "auto"))

    def query(self, count: int, sampling: str = "top", **parameters: Value) -> Query:
        method = sampling_named(sampling)
        return Query.accept(
            self.strategy, self.given, Budget(count=count), method, parameters, seed=SEED
        )

    def scores(self, pool: np.ndarray, block_rows: int | None = None, **references: Any):
        """Scores of a pool that arrives in blocks of that many rows."""
        query = self.query(1)
        if not self.strategy.takes_rows:
            own = {p.name: query.parameters[p.name] for p in self.strategy.own_parameters}
            return self.strategy.score(query.generator(), len(pool), **own)
        if self.strategy.kind != "row_wise":
            raise NotImplementedError("say here how the scores of a whole-pool strategy are had")
        scorer = Scorer(
            self.strategy,
            self.strategy.sources[0],
            query.parameters,
            references_of(self.strategy, pool) | references,
        )
        scorer.check_row_shape(scorer.source, pool.shape[1:])
        step = block_rows or max(len(pool), 1)
        blocks = [scorer.score(pool[i : i + step], i) for i in range(0, len(pool), step)]
        return np.concatenate(blocks or [scorer.score(pool, 0)])


def cases() -> Iterator[Case]:
    """Every strategy, over numbers of classes and one changed parameter at a time."""
    for strategy in all_strategies().values():
        if not strategy.takes_rows:
            yield Case(strategy, required(strategy.parameters), 2)
            continue
        for classes in CLASSES:
            if classes >= strategy.min_classes:
                yield Case(strategy, required(strategy.parameters), classes)
        for given in variants(strategy.parameters):
            yield Case(strategy, given, 5)


def drawn_cases() -> Iterator[tuple[Case, SamplingMethod, Mapping[str, Value]]]:
    """Every strategy with every sampling method that its scores allow."""
    for strategy in all_strategies().values():
        case = Case(strategy, required(strategy.parameters), 5)
        for method in all_samplings().values():
            if not (method.name == "power" and strategy.negative_scores):
                for parameters in (required(method.parameters), *variants(method.parameters)):
                    yield case, method, parameters


def required(parameters: tuple[Parameter, ...]) -> dict[str, Value]:
    return {p.name: values_of(p)[0] for p in parameters if p.default is None}


def variants(parameters: tuple[Parameter, ...]) -> Iterator[dict[str, Value]]:
    """One parameter at a time at every choice and end of its range.

    Rows are renormalized where that is possible, as an activation may give any sum.
    """
    names = {p.name for p in parameters}
    extra = {"renormalize": True} if "renormalize" in names else {}
    for parameter in parameters:
        for value in values_of(parameter):
            if value != parameter.default:
                yield required(parameters) | extra | {parameter.name: value}


def values_of(parameter: Parameter) -> list[Value]:
    """Values in range: all choices, or the default and the ends of the range."""
    if parameter.type is bool:
        return [False, True]
    if parameter.choices:
        return list(parameter.choices)
    lowest = parameter.minimum
    if lowest is not None and parameter.exclusive_minimum:
        lowest = None if parameter.maximum is None else (lowest + parameter.maximum) / 2
    ends = [v for v in (parameter.default, lowest, parameter.maximum) if v is not None]
    return [parameter.type(v) for v in ends or [(parameter.minimum or 0) + 1]]


def probability_rows(rows: int, classes: int, seed: int = SEED) -> np.ndarray:
    """Rows of multiples of 1/1024 that sum to 1: exact in float16, and their sums in any order."""
    rng = np.random.default_rng(seed)
    spread = rng.dirichlet(np.full(classes, 0.4), rows) if rows else np.empty((0, classes))
    counts = [rng.multinomial(1024, row) for row in spread]
    return np.array(counts, dtype=np.float64).reshape(rows, classes) / 1024


def rounded_rows(rows: int, classes: int) -> np.ndarray:
    """Rows whose sums and products depend on the order in which they are added up."""
    return np.random.default_rng(SEED).dirichlet(np.full(classes, 0.4), rows)


def references_of(strategy: Strategy, pool: np.ndarray) -> dict[str, np.ndarray]:
    """Finite values for each reference tensor that the strategy needs, not all alike."""
    rng = np.random.default_rng(SEED + 1)
    sizes = {"C": pool.shape[1]}
    return {
        tensor.name: rng.normal(size=[sizes.get(letter, 3) for letter in tensor.shape])
        for tensor in strategy.tensors
        if tensor.rows == "reference" and tensor.required
    }


def checks_of(case: Case) -> Iterator[Callable[[Case], None]]:
    """The checks that a case's tags ask for."""
    yield check_scores_are_finite_doubles
    yield check_the_declaration_is_complete
    yield check_empty_and_lone_rows
    if not case.strategy.negative_scores:
        yield check_scores_are_not_negative
    if case.strategy.takes_rows:
        yield check_block_size_changes_no_bit
        yield check_number_types_agree
        yield check_equal_rows_tie_and_the_lower_comes_first
        yield check_copies_of_a_row_score_the_same_bits
        yield check_the_block_is_left_as_it_was
        yield check_the_first_bad_row_is_named
    if case.strategy.takes_rows and case.classes >= 2 and not looks_at_one_class(case.strategy):
        yield check_the_uncertain_row_comes_first


def looks_at_one_class(strategy: Strategy) -> bool:
    return any(parameter.name == "class_index" for parameter in strategy.own_parameters)


def check_scores_are_finite_doubles(case: Case) -> None:
    scores = case.scores(probability_rows(ROWS, case.classes))
    assert scores.dtype == np.float64
    assert scores.shape == (ROWS,)
    assert np.isfinite(scores).all()


def check_the_declaration_is_complete(case: Case) -> None:
    strategy = case.strategy
    assert strategy.description.endswith(".")
    for said in (strategy.formula, strategy.reference, strategy.time, strategy.memory):
        assert said
    assert all(p.description for p in strategy.parameters)
    names = [p.name for p in strategy.parameters]
    assert len(names) == len(set(names))


def check_empty_and_lone_rows(case: Case) -> None:
    for rows in (0, 1):
        assert case.scores(probability_rows(rows, case.classes)).shape == (rows,)


def check_scores_are_not_negative(case: Case) -> None:
    assert case.scores(probability_rows(ROWS, case.classes)).min() >= -1e-15


def check_block_size_changes_no_bit(case: Case) -> None:
    pool = rounded_rows(ROWS, case.classes)
    whole = case.scores(pool)
    for block_rows in (1, 7, 37):
        np.testing.assert_array_equal(case.scores(pool, block_rows), whole)


def check_number_types_agree(case: Case) -> None:
    pool = probability_rows(ROWS, case.classes)
    doubles = case.scores(pool)
    for narrow in (np.float32, np.float16):
        np.testing.assert_array_equal(case.scores(pool.astype(narrow)), doubles)


def check_equal_rows_tie_and_the_lower_comes_first(case: Case) -> None:
    pool = np.repeat(rounded_rows(1, case.classes), ROWS, axis=0)
    query = case.query(ROWS)
    rows = pick(query, case.scores(pool, 7), NOTHING, query.generator()).rows
    np.testing.assert_array_equal(rows, np.arange(ROWS))


def check_copies_of_a_row_score_the_same_bits(case: Case) -> None:
    pool = rounded_rows(10 * ROWS, case.classes)
    places = np.random.default_rng(1).choice(len(pool), 40, replace=False)
    pool[places] = pool[places[0]]
    assert len(set(case.scores(pool)[places])) == 1


def check_the_block_is_left_as_it_was(case: Case) -> None:
    pool = probability_rows(ROWS, case.classes)
    pool.flags.writeable = False  # what arrives from the wire is
    case.scores(pool)


def check_the_first_bad_row_is_named(case: Case) -> None:
    bad = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
    if case.activation in ("auto", "none"):
        bad["-0.25"] = -0.25
    for shown, value in bad.items():
        pool = probability_rows(ROWS, case.classes)
        pool[[41, 60], case.classes - 1] = value
        refused_naming(case, pool, f"row 41 has {shown} in column {case.classes - 1}")
    if case.activation in ("auto", "none"):
        pool = probability_rows(ROWS, case.classes)
        pool[[41, 60]] = 0
        refused_naming(case, pool, "row 41 sums to 0;")


def refused_naming(case: Case, pool: np.ndarray, problem: str) -> None:
    for block_rows in (1, 7, ROWS):
        with pytest.raises(InvalidRequest) as refusal:
            case.scores(pool, block_rows)
        (violation,) = refusal.value.violations
        assert violation.field == "probabilities"
        assert violation.description.startswith(problem)


def check_the_uncertain_row_comes_first(case: Case) -> None:
    """Every class alike against one class surely; every mistake costs the same."""
    classes = case.classes
    surely = np.eye(classes)[0] * (40 if case.activation == "softmax" else 1)
    pool = np.array([surely, np.full(classes, 1 / classes)])
    square = {
        tensor.name: 1 - np.eye(classes)
        for tensor in case.strategy.tensors
        if tensor.shape == ("C", "C")
    }
    certain, uncertain = case.scores(pool, **square)
    assert uncertain > certain
