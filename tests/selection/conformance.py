"""Checks that every strategy and every sampling method must pass.

Nothing here names a strategy: cases are made from what a declaration says (tensors, parameters,
tags), and a check is a function `check_...(case)` that `checks_of` yields when the tags say it
applies. A new strategy is covered by being registered.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import (
    ITEM_OFFSETS,
    Budget,
    Query,
    SamplingMethod,
    Scorer,
    Strategy,
    TensorInput,
    all_samplings,
    all_strategies,
    sampling_named,
    tensors,
)
from nextlabel_server.selection.parameters import Parameter, Value
from nextlabel_server.selection.probabilities import ProbabilityReader
from nextlabel_server.selection.tiles import TileReader
from tests.selection.picks import pick

ROWS = 101
SEED = 20240607
NOTHING = np.empty(0, np.int64)
CLASSES = (1, 2, 5, 33, 70)  # above 8 numpy adds a lone column in pairs; above 64 tiles turn
OTHER_SOURCES_CLASSES = (2, 5, 70)
MEMBERS = 3
SURE_LOGIT = 40.0


@dataclass(frozen=True)
class Case:
    """A strategy with parameters in range, a number of classes, and what its rows come from."""

    strategy: Strategy
    given: Mapping[str, Value]
    classes: int
    other_source: TensorInput | None = None

    def __str__(self) -> str:
        given = ",".join(f"{name}={value}" for name, value in self.given.items())
        source = f"-{self.other_source.name}" if self.other_source else ""
        return f"{self.strategy.name}({given})-{self.classes}{source}"

    @property
    def source(self) -> TensorInput:
        return self.other_source or self.strategy.sources[0]

    @property
    def reader(self) -> TileReader:
        return self.source.reader(self.query(1).parameters, "none")

    @property
    def exclusive(self) -> bool:
        """Whether rows are probabilities of classes, of which one is true."""
        return getattr(self.reader, "exclusive", False)

    @property
    def logits(self) -> bool:
        return getattr(self.reader, "activation", "none") != "none"

    def pool(self, rows: int, *, rounded: bool = False) -> np.ndarray:
        """Rows of the source, all in [0, 1]; those of exclusive classes sum to 1.

        Multiples of 1/1024, exact in float16 and their sums in any order; or, when `rounded`,
        numbers whose sums and products depend on the order in which they are added up.
        """
        if not self.strategy.takes_rows:
            return np.empty((rows, 0))
        sizes = {"N": rows, "M": MEMBERS, "C": self.classes}
        shape = tuple(sizes[letter] for letter in self.source.shape)
        if self.exclusive:
            make = rounded_rows if rounded else probability_rows
            return make(prod(shape[:-1]), self.classes).reshape(shape)
        rng = np.random.default_rng(SEED)
        return rng.random(shape) if rounded else rng.integers(0, 1025, shape) / 1024

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
        scorer = Scorer(
            self.strategy, self.source, query.parameters, references_of(self) | references
        )
        scorer.check_row_shape(scorer.source, pool.shape[1:])
        step = block_rows or max(len(pool), 1)
        blocks = [scorer.score(pool[i : i + step], i) for i in range(0, len(pool), step)]
        return np.concatenate(blocks or [scorer.score(pool, 0)])


def row_wise_strategies() -> list[Strategy]:
    return [s for s in all_strategies().values() if s.kind == "row_wise"]


def cases() -> Iterator[Case]:
    """Every strategy, over sources, numbers of classes and one changed parameter at a time."""
    for strategy in row_wise_strategies():
        if not strategy.takes_rows:
            yield Case(strategy, required(strategy.parameters), 2)
            continue
        yield from plain_cases(strategy, CLASSES, OTHER_SOURCES_CLASSES)
        for given in variants(strategy.parameters):
            yield Case(strategy, given, 5)


def plain_cases(
    strategy: Strategy, classes: Iterable[int], others_classes: Iterable[int] | None = None
) -> Iterator[Case]:
    """A strategy over its sources and, where they have classes, over numbers of them."""
    given = required(strategy.parameters)
    first, *others = strategy.sources
    for source in (None, *others):
        counts = classes if source is None else others_classes or classes
        for count in counts if "C" in (source or first).shape else [5]:
            if count >= strategy.min_classes:
                yield Case(strategy, given, count, source)


def drawn_cases() -> Iterator[tuple[Case, SamplingMethod, Mapping[str, Value]]]:
    """Every strategy with every sampling method that its scores allow."""
    for strategy in row_wise_strategies():
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


def references_of(case: Case) -> dict[str, Any]:
    """Values for each reference tensor that the strategy's function needs, not all alike."""
    rng = np.random.default_rng(SEED + 1)
    references = {}
    for tensor in case.strategy.references:
        if tensor.required and tensor.name != ITEM_OFFSETS.name:
            shape = [{"C": case.classes}.get(letter, 3) for letter in tensor.shape]
            zeros_and_ones = np.dtype(np.bool_) in tensor.dtypes
            values = rng.integers(0, 2, shape) if zeros_and_ones else rng.normal(size=shape)
            if tensor.accept in (tensors.probability_rows, tensors.targets):
                values = rng.dirichlet(np.ones(case.classes), shape[:-1])
            references[tensor.name] = tensor.accept(tensor.name, values)
    return references


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
    if case.strategy.takes_rows and case.classes >= 2 and measures_doubt(case.strategy):
        yield check_the_uncertain_row_comes_first


def measures_doubt(strategy: Strategy) -> bool:
    """Whether it looks at nothing but the row, and at all of it."""
    references = [tensor for tensor in strategy.references if tensor.required]
    return not any(p.name == "class_index" for p in strategy.own_parameters) and all(
        tensor.shape == ("C", "C") or tensor.name == ITEM_OFFSETS.name for tensor in references
    )


def check_scores_are_finite_doubles(case: Case) -> None:
    scores = case.scores(case.pool(ROWS))
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
        assert case.scores(case.pool(rows)).shape == (rows,)


def check_scores_are_not_negative(case: Case) -> None:
    assert case.scores(case.pool(ROWS)).min() >= -1e-15


def check_block_size_changes_no_bit(case: Case) -> None:
    pool = case.pool(ROWS, rounded=True)
    whole = case.scores(pool)
    for block_rows in (1, 7, 37):
        np.testing.assert_array_equal(case.scores(pool, block_rows), whole)


def check_number_types_agree(case: Case) -> None:
    pool = case.pool(ROWS)
    doubles = case.scores(pool)
    for narrow in (np.float32, np.float16):
        np.testing.assert_array_equal(case.scores(pool.astype(narrow)), doubles)


def check_equal_rows_tie_and_the_lower_comes_first(case: Case) -> None:
    pool = np.repeat(case.pool(1, rounded=True), ROWS, axis=0)
    query = case.query(ROWS)
    rows = pick(query, case.scores(pool, 7), NOTHING, query.generator()).rows
    np.testing.assert_array_equal(rows, np.arange(ROWS))


def check_copies_of_a_row_score_the_same_bits(case: Case) -> None:
    pool = case.pool(10 * ROWS, rounded=True)
    places = np.random.default_rng(1).choice(len(pool), 40, replace=False)
    pool[places] = pool[places[0]]
    assert len(set(case.scores(pool)[places])) == 1


def check_the_block_is_left_as_it_was(case: Case) -> None:
    pool = case.pool(ROWS)
    pool.flags.writeable = False  # what arrives from the wire is
    case.scores(pool)


def check_the_first_bad_row_is_named(case: Case) -> None:
    *rows, column = np.shape(case.pool(1)[0]) or (None,)
    last = (-1,) * case.pool(1)[0].ndim
    member = f" of member {rows[0] - 1}" if rows else ""
    place = f" in column {column - 1}" if column else ""
    for value in unfit_values(case):
        pool = case.pool(ROWS)
        for row in (41, 60):
            pool[(row, *last)] = value
        refused_naming(case, pool, f"row 41{member} has {value}{place};")
    if case.exclusive and not case.logits:
        pool = case.pool(ROWS)
        pool[[41, 60]] = 0
        refused_naming(case, pool, f"row 41{' of member 0' if rows else ''} sums to 0;")


def unfit_values(case: Case) -> Iterator[float]:
    """Values that no row of the source may have."""
    yield from (np.nan, np.inf, -np.inf)
    probabilities = isinstance(case.reader, ProbabilityReader)
    if (probabilities and not case.logits) or getattr(case.reader, "minimum", -np.inf) == 0:
        yield -0.25
    if probabilities and not case.exclusive and not case.logits:
        yield 1.25


def refused_naming(case: Case, pool: np.ndarray, problem: str) -> None:
    for block_rows in (1, 7, ROWS):
        with pytest.raises(InvalidRequest) as refusal:
            case.scores(pool, block_rows)
        (violation,) = refusal.value.violations
        assert violation.field == case.source.name
        assert violation.description.startswith(problem)


def check_the_uncertain_row_comes_first(case: Case) -> None:
    """The row of most doubt against the row of least; every mistake costs the same."""
    square = {
        tensor.name: 1 - np.eye(case.classes)
        for tensor in case.strategy.tensors
        if tensor.shape == ("C", "C")
    }
    certain, uncertain = case.scores(np.array([certain_row(case), uncertain_row(case)]), **square)
    assert uncertain > certain


def certain_row(case: Case) -> np.ndarray:
    """Everyone is sure of the first class, or predicts the same value without any spread."""
    row = np.zeros_like(case.pool(1)[0])
    if isinstance(case.reader, ProbabilityReader):
        row[..., 0] = 1
    return as_sent(case, row)


def uncertain_row(case: Case) -> np.ndarray:
    """Every class is as likely; a committee's members are sure, but do not agree."""
    row = np.zeros_like(case.pool(1)[0])
    if case.source.shape == ("N", "M", "C"):
        row[range(MEMBERS), np.arange(MEMBERS) % case.classes] = 1
    elif isinstance(case.reader, ProbabilityReader):
        row[...] = 1 / case.classes if case.exclusive and not case.logits else 0.5
    else:
        row[...] = np.arange(1, row.size + 1).reshape(row.shape)
    return as_sent(case, row)


def as_sent(case: Case, row: np.ndarray) -> np.ndarray:
    """The probabilities 0, 0.5 and 1 as logits, where the case takes logits."""
    return SURE_LOGIT * (2 * row - 1) if case.logits else row
