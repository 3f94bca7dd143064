"""From a header to a plan: everything that can be wrong is refused before a row is read."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2

from nextlabel import wire
from nextlabel.blocks import Block
from nextlabel.v1 import selection_pb2, service_pb2
from nextlabel_server.errors import InvalidRequest, OverLimit
from nextlabel_server.inference import MAX_PASSES, Model, ModelRepository
from nextlabel_server.rpc.declared import Declared, RequestLimits, declared
from nextlabel_server.selection import (
    COMMON_TENSORS,
    ITEM_OFFSETS,
    Budget,
    Gatherer,
    Limits,
    Prefilter,
    Query,
    Scorer,
    Screener,
    Sizes,
    Strategy,
    TensorInput,
    all_strategies,
    bind_shapes,
    sampling_named,
    strategy_named,
)
from nextlabel_server.selection.tensors import EXCLUDED, UNKNOWN_ROWS

MAX_REQUEST_ID = 128
SHORTLIST_SHARE = 8  # a longer list of the best takes more memory than the scores of all rows
SHORTLIST_FROM = 1 << 15  # rows; of fewer, scoring them all is as quick
KNOWN_PLANS = 256
KNOWN_HEADER_BYTES = 4 << 10  # of a header whose plan is kept


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated header.

    `sources` are what the strategy works on: tensors of the pool, or outputs of `models`; none for
    a strategy that looks at no rows. `passes` are those of each model. `pool` and `inputs` are the
    tensors of a row block, in its order. `row_count` is -1 when the sender does not know it yet.
    """

    query: Query
    sources: tuple[TensorInput, ...]
    models: tuple[Model, ...]
    passes: tuple[int, ...]
    pool: tuple[Declared, ...]
    inputs: tuple[Declared, ...]
    streamed_references: tuple[Declared, ...]
    references: dict[str, npt.NDArray[np.generic]]
    row_count: int

    @property
    def members(self) -> int:
        """How many probability vectors the models give for a row: one for each pass."""
        return sum(self.passes)

    @property
    def batch_rows(self) -> int:
        """How many rows the models run at once; 0 without a model, or when none has to run."""
        declared = {t.name: (t.dtype, t.shape) for t in self.inputs}
        models = self.models if self.sources else ()
        return min((model.batch_size_for(declared) for model in models), default=0)

    @property
    def excluded_count(self) -> int:
        return self._reference_rows(EXCLUDED.name) or 0

    @property
    def item_count(self) -> int | None:
        """The number of items, whose parts the rows are; None when a row is a row."""
        offsets = self._reference_rows(ITEM_OFFSETS.name)
        return None if offsets is None else offsets - 1

    def _reference_rows(self, name: str) -> int | None:
        """The rows that a reference tensor has, or is going to have."""
        streamed = {tensor.name: tensor.shape[0] for tensor in self.streamed_references}
        return len(self.references[name]) if name in self.references else streamed.get(name)

    def sizes(self, rows: int, seen: Mapping[str, tuple[int, ...]]) -> Sizes:
        """The sizes that formulas of memory and work speak of, for so many rows.

        What only a model's output tells is taken from what was `seen` of it, by tensor; before
        that as the model declares it, and as 0 where it leaves it open.
        """
        outputs = [output for model in self.models for output in model.outputs if output.role]
        shapes: dict[str, tuple[int, ...]] = {
            output.role: tuple(size or 0 for size in output.shape) for output in outputs
        }
        shapes |= {t.name: t.shape for t in (*self.pool, *self.streamed_references)}
        shapes |= {name: array.shape for name, array in self.references.items()}
        if self.members > 1 and len(alone := shapes.get("probabilities", ())) == 2:
            shapes["committee"] = (alone[0], self.members, alone[1])
        shapes |= seen
        limiting = (tensor for tensor, _ in self.query.limits.tensors)
        known = {
            letter: size
            for tensor in (*limiting, *self.query.strategy.tensors)
            for letter, size in zip(tensor.shape, shapes.get(tensor.name, ()), strict=False)
        }
        return Sizes(
            N=rows,
            B=min(self.query.budget.rows(rows), rows),
            C=known.get("C", 0),
            D=known.get("D", 0),
            L=known.get("L", 0),
            M=known.get("M", self.members),
            T=known.get("T", 0),
        )

    def accept_references(self) -> dict[str, Any]:
        """The strategy's reference tensors as it works with them; when all have arrived.

        Raises:
            InvalidRequest: a value that a tensor must not hold.
        """
        return {
            tensor.name: tensor.accept(tensor.name, self.references[tensor.name])
            for tensor in self.query.strategy.references
            if tensor.name in self.references
        }

    @property
    def shortlist(self) -> int | None:
        """How many of the best rows are all that needs to be kept; None when all do."""
        best = self.query.best_rows(self.row_count) if self.sources else None
        if best is None or self.item_count is not None:
            return None
        best += self.excluded_count  # those may all be among the best
        fewest = max(SHORTLIST_FROM, best * SHORTLIST_SHARE)
        return best if self.row_count < 0 or self.row_count >= fewest else None

    def intake(
        self, references: Mapping[str, Any], pause: Callable[[], object] = lambda: None
    ) -> Scorer | Screener | Gatherer:
        """What takes the rows in, given the accepted references of the strategy's function.

        `pause` is called now and then where a row may take long.
        """
        strategy = self.query.strategy
        activation = self.models[0].activation if self.models else "none"
        if strategy.kind == "whole_pool" or not self.sources:
            prefilter = self.query.prefilter.strategy if self.query.prefilter else None
            return Gatherer(
                strategy, self.sources, self.query.parameters, references, activation, prefilter
            )
        scorer = Scorer(
            strategy, self.sources[0], self.query.parameters, references, activation, pause
        )
        return scorer if self.shortlist is None else Screener(scorer, self.shortlist)

    def check_row_shapes(self, intake: Scorer | Screener | Gatherer) -> None:
        """Refuses declared tensors whose rows the strategy cannot work with.

        Raises:
            InvalidRequest: at the tensor, the parameter or the reference that does not fit.
        """
        shapes = {tensor.name: tensor.shape for tensor in self.pool}
        for source in self.sources:
            if source.name in shapes:  # else only a model's run tells
                intake.check_row_shape(source, shapes[source.name][1:])

    def excluded(self) -> npt.NDArray[np.int64]:
        return self.references.get("excluded", np.empty(0)).astype(np.int64)


class Planner:
    """Plans calls; those that ask for the same of pools of the same shape are planned once."""

    def __init__(self, models: ModelRepository, limits: RequestLimits) -> None:
        def plan(header: bytes) -> Plan:
            return plan_of(service_pb2.SelectStreamHeader.FromString(header), models, limits)

        self._models = models
        self._limits = limits
        self._known = lru_cache(KNOWN_PLANS)(plan)

    def plan(self, header: service_pb2.SelectStreamHeader) -> Plan:
        """The plan for a header, whose seed and request id it takes out.

        Raises:
            InvalidRequest, UnknownName, ModelUnfit, OverLimit: what is wrong with it.
        """
        spec = header.spec
        if spec.request_id and not is_request_id(spec.request_id):
            raise InvalidRequest(
                "request_id", f"at most {MAX_REQUEST_ID} printable ASCII characters are right"
            )
        seed = spec.seed if spec.HasField("seed") else secrets.randbits(32)
        spec.ClearField("seed")
        spec.ClearField("request_id")
        has_values = header.references or header.streamed_references
        if spec.models or has_values or header.ByteSize() > KNOWN_HEADER_BYTES:
            plan = plan_of(header, self._models, self._limits)
        else:
            plan = self._known(header.SerializeToString(deterministic=True))
        return replace(plan, query=replace(plan.query, seed=seed))


def plan_of(
    header: service_pb2.SelectStreamHeader, models: ModelRepository, limits: RequestLimits
) -> Plan:
    """Validates a header; the seed is left to be set.

    Raises:
        InvalidRequest, UnknownName, ModelUnfit, OverLimit: what is wrong with it.
    """
    spec = header.spec
    query = _query(spec)
    chosen = tuple(models.get(model.name, model.version) for model in spec.models)
    for model in chosen:
        model.require_usable()
    passes = tuple(
        _passes(model, reference.passes, f"models[{i}].passes")
        for i, (model, reference) in enumerate(zip(chosen, spec.models, strict=True))
    )
    pool = tuple(declared(header.pool, "", limits))
    inputs = tuple(declared(header.inputs, "inputs.", limits))
    inline = tuple(declared((t.spec for t in header.references), "", limits, fewest_rows=0))
    streamed = tuple(declared(header.streamed_references, "", limits, fewest_rows=0))
    _check_names(query.strategy, pool, (*inline, *streamed))
    given = _outputs(chosen, sum(passes))
    sources = _sources(query, chosen, given, pool, inputs)
    _check_limits(query, pool, (*inline, *streamed))
    row_count = _row_count(header, query.strategy, (*pool, *inputs))
    if row_count > limits.max_rows:
        raise OverLimit(f"the pool has {row_count} rows; this server takes {limits.max_rows}")
    _check_shapes(query, pool)
    # An activation can make two classes of one column, so one column says nothing about C.
    several = [tensor for tensor in pool if tensor.shape[-1] != 1]
    _check_shapes(query, (*several, *inline, *streamed))
    for tensor in (*pool, *inline, *streamed):
        if tensor.dtype == wire.STRING:  # of any length, which no reservation knows
            raise InvalidRequest(
                tensor.field, "found text; only the inputs of a model may hold text"
            )
    _check_inputs(chosen, inputs)
    if query.parameters.get("activation") == "auto" and len({m.activation for m in chosen}) > 1:
        raise InvalidRequest(
            "parameters.activation",
            "the models of this committee have different ones; one for all is right",
        )
    references = {
        t.name: t.unpack(message.contents, t.shape[0])
        for t, message in zip(inline, header.references, strict=True)
    }
    # No block will bring these.
    references |= {t.name: np.empty(t.shape, t.dtype) for t in streamed if not t.shape[0]}
    plan = Plan(query, sources, chosen, passes, pool, inputs, streamed, references, row_count)
    plan.check_row_shapes(plan.intake({}))
    if (plan.item_count or 0) > limits.max_rows:
        raise OverLimit(
            f"the pool has {plan.item_count} items; this server takes {limits.max_rows}"
        )
    return plan


def unary_header(
    request: service_pb2.SelectRequest,
) -> tuple[service_pb2.SelectStreamHeader, Block]:
    """A unary request as what a stream would have sent: a header and one row block.

    Raises:
        InvalidRequest: a tensor without its number of rows.
    """
    header = service_pb2.SelectStreamHeader(
        spec=request.spec,
        pool=[tensor.spec for tensor in request.pool],
        inputs=[tensor.spec for tensor in request.inputs],
        references=request.references,
        row_count=request.row_count if request.HasField("row_count") else None,
    )
    tensors = (*request.pool, *request.inputs)
    rows = 0
    for tensor in tensors:
        shape = list(tensor.spec.shape)
        if UNKNOWN_ROWS in shape:
            raise InvalidRequest(
                tensor.spec.name, f"found shape {shape}; only a stream may leave N open"
            )
        rows = shape[0] if shape else 0
        if shape and not rows and tensor.contents.ByteSize():
            raise InvalidRequest(tensor.spec.name, f"found elements; shape {shape} has none")
    return header, Block(0, rows, [tensor.contents for tensor in tensors])


def is_request_id(text: str) -> bool:
    """Whether a call may go by this name in logs and errors."""
    return 0 < len(text) <= MAX_REQUEST_ID and text.isascii() and text.isprintable()


def _query(spec: selection_pb2.SelectionSpec) -> Query:
    if not spec.strategy:
        raise InvalidRequest(
            "strategy", f"missing; there are {', '.join(sorted(all_strategies()))}"
        )
    amount = spec.budget.WhichOneof("amount")
    if amount is None:
        raise InvalidRequest("budget", "missing; a count, a fraction or a cost is right")
    return Query.accept(
        strategy_named(spec.strategy),
        _dict(spec.parameters, "parameters"),
        Budget(
            count=spec.budget.count if amount == "count" else None,
            fraction=spec.budget.fraction if amount == "fraction" else None,
        ),
        sampling_named(spec.sampling.method),
        _dict(spec.sampling.parameters, "sampling.parameters"),
        seed=0,
        return_all_scores=spec.return_all_scores,
        return_nearest_picks=spec.return_nearest_picks,
        limits=_limits(spec),
        prefilter=_prefilter(spec.prefilter) if spec.HasField("prefilter") else None,
    )


def _prefilter(prefilter: selection_pb2.Prefilter) -> Prefilter:
    strategy = strategy_named(prefilter.strategy, "prefilter.strategy")
    return Prefilter(strategy, prefilter.factor)


def _limits(spec: selection_pb2.SelectionSpec) -> Limits:
    constraints = spec.constraints
    by_cost = spec.budget.WhichOneof("amount") == "cost"
    return Limits(
        cost_budget=spec.budget.cost if by_cost else None,
        max_per_group=constraints.max_per_group if constraints.HasField("max_per_group") else None,
        quotas=dict(constraints.group_quotas),
        min_distance=constraints.min_distance if constraints.HasField("min_distance") else None,
    )


def _dict(parameters: struct_pb2.Struct, field: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in parameters.fields.items():
        kind = value.WhichOneof("kind")
        if kind not in ("bool_value", "number_value", "string_value"):
            raise InvalidRequest(
                f"{field}.{name}", f"found {kind or 'no value'}; a number, bool or string is right"
            )
        values[name] = getattr(value, kind)
    return values


def _check_names(
    strategy: Strategy, pool: Sequence[Declared], references: Sequence[Declared]
) -> None:
    """Refuses tensors that no strategy knows, and misses those that this one needs."""
    for tensors, rows in ((pool, "pool"), (references, "reference")):
        names = _names_of(rows)
        for tensor in tensors:
            if tensor.name not in names:
                raise InvalidRequest(
                    tensor.field, f"unknown {rows} tensor; there are {', '.join(names)}"
                )
    if len({t.name for t in references}) != len(references):
        raise InvalidRequest("references", "a tensor is both in the header and streamed")
    sent = {tensor.name for tensor in references}
    for wanted in strategy.tensors:
        if wanted.rows == "reference" and wanted.required and wanted.name not in sent:
            shape = ", ".join(wanted.shape)
            raise InvalidRequest(wanted.name, f"missing; {strategy.name} needs it, as [{shape}]")
    takes = {tensor.name for tensor in strategy.tensors}
    if ITEM_OFFSETS.name in sent and ITEM_OFFSETS.name not in takes:
        # Ignored, as other tensors are, it would leave the caller with row numbers for items.
        raise InvalidRequest(ITEM_OFFSETS.name, f"{strategy.name} ranks rows, not items of parts")


@cache
def _names_of(rows: str) -> Sequence[str]:
    """The names of all tensors with such rows that any strategy takes."""
    known = (t for s in all_strategies().values() for t in (*s.tensors, *COMMON_TENSORS))
    return sorted({tensor.name for tensor in known if tensor.rows == rows})


def _sources(
    query: Query,
    models: Sequence[Model],
    given_by_models: set[str],
    pool: Sequence[Declared],
    inputs: Sequence[Declared],
) -> tuple[TensorInput, ...]:
    """What the strategy works on: for each of its needs a tensor, or what the models give."""
    if inputs and not models:
        raise InvalidRequest("inputs", "sent without a model; name one in models")
    sent = {tensor.name for tensor in pool}
    found = (_source(need, query, models, given_by_models, sent) for need in query.needs)
    return tuple(source for source in found if source is not None)


def _source(
    need: tuple[TensorInput, ...],
    query: Query,
    models: Sequence[Model],
    given_by_models: set[str],
    sent: set[str],
) -> TensorInput | None:
    """The tensor for a need; None where the query can do without and nothing is there."""
    given = [tensor for tensor in need if tensor.name in sent]
    output = [tensor for tensor in need if tensor.name in given_by_models]
    if given and output:
        raise InvalidRequest(given[0].name, "sent beside a model; one of the two is right")
    if given or output:
        return (given or output)[0]
    if query.can_do_without(need):
        return None
    if models and need[0].name in ("probabilities", "committee"):
        for model in models:
            model.require_probabilities()
        raise InvalidRequest(
            "models",
            f"found {', '.join(sorted(given_by_models))} of {len(models)}; "
            f"{query.strategy.name} takes {' or '.join(tensor.name for tensor in need)}",
        )
    raise InvalidRequest(
        need[0].name, f"missing; {query.strategy.name} needs it, or a model that gives it"
    )


def _passes(model: Model, asked: int, field: str) -> int:
    if not 0 <= asked <= MAX_PASSES:
        raise InvalidRequest(field, f"found {asked}; 1 to {MAX_PASSES} is right")
    if asked > 1:
        model.require_stochastic()
    return asked or 1


def _outputs(models: Sequence[Model], members: int) -> set[str]:
    """The pool tensors that models give: a lone member gives probabilities, several a committee."""
    outputs = set()
    if models and all(model.gives_probabilities for model in models):
        outputs.add("probabilities" if members == 1 else "committee")
    if len(models) == 1 and models[0].gives_embeddings:
        outputs.add("embeddings")
    return outputs


def _row_count(
    header: service_pb2.SelectStreamHeader, strategy: Strategy, tensors: Sequence[Declared]
) -> int:
    counts = [(tensor.field, tensor.shape[0]) for tensor in tensors]
    if header.HasField("row_count"):
        counts.append(("row_count", header.row_count))
    if not counts:
        raise InvalidRequest("row_count", f"missing; {strategy.name} needs the pool's size")
    first, expected = counts[0]
    for field, count in counts[1:]:
        if count != expected:
            raise InvalidRequest(field, f"found {count} rows; {first} has {expected}")
    if expected < (UNKNOWN_ROWS if tensors else 0):
        raise InvalidRequest(first, f"found {expected} rows; at least 0 is right")
    return expected


def _check_limits(query: Query, pool: Sequence[Declared], references: Sequence[Declared]) -> None:
    """Misses the tensors that the query's limits need."""
    sent = {tensor.name for tensor in pool}
    for tensor, field in query.limits.tensors:
        if tensor.name not in sent:
            raise InvalidRequest(tensor.name, f"missing; {field} needs it")
        if any(reference.name == ITEM_OFFSETS.name for reference in references):
            raise InvalidRequest(field, "goes with rows, and not with items made of parts")


def _check_inputs(models: Sequence[Model], inputs: Sequence[Declared]) -> None:
    """Each model of a committee takes its own of the inputs, and each input is for one of them."""
    taken = {tensor.name for model in models for tensor in model.inputs}
    for model in models:
        others = taken - {tensor.name for tensor in model.inputs}
        model.check_inputs({t.name: (t.dtype, t.shape) for t in inputs if t.name not in others})


def _check_shapes(query: Query, tensors: Sequence[Declared]) -> None:
    limited = [tensor for tensor, _ in query.limits.tensors]
    needed = [tensor for need in query.needs for tensor in need]
    takes = (*needed, *query.strategy.references, *COMMON_TENSORS, *limited)
    bind_shapes(takes, {t.name: (t.dtype, t.shape) for t in tensors})
