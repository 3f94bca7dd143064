"""One version of a served model: what it takes, what it gives, and running it."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import ModelUnfit
from nextlabel_server.inference import inputs as given
from nextlabel_server.inference.batch_size import DEFAULT_LIMIT, BatchLimit, batch_rows
from nextlabel_server.inference.outputs import Outputs, read_embeddings, read_probabilities
from nextlabel_server.inference.passes import Mean, Passes
from nextlabel_server.inference.randomness import RandomInput
from nextlabel_server.inference.roles import Roles
from nextlabel_server.inference.runtime import Session, run_options
from nextlabel_server.inference.settings import Activation
from nextlabel_server.inference.tensors import Role, TensorInfo
from nextlabel_server.inference.unusable import Unusable

logger = logging.getLogger(__name__)

Fetch = Callable[[Sequence[str], Mapping[str, np.ndarray]], Mapping[str, object]]
"""Computes outputs, given their names and all inputs."""

_NO_ROLES = Roles(probabilities=(), embeddings=None, activation="none", doubt=None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """One version of a served model. All of it may be used from several threads at once."""

    name: str
    version: int
    inputs: tuple[TensorInfo, ...] = ()
    """Inputs, all of which a caller sends."""
    outputs: tuple[TensorInfo, ...] = ()
    """Outputs, with their roles."""
    batch_size: int = 1
    """Most rows in one run; see `batch_size_for`."""
    problem: str | None = None
    """Why this version cannot be used, and what to do about it; None when it can."""
    roles: Roles = _NO_ROLES
    """Which output is what."""
    limit: BatchLimit = DEFAULT_LIMIT
    """The most that goes into one run."""
    fixed_rows: int | None = None
    """Rows that every run must have, when the model was exported for one batch size."""
    random_inputs: tuple[RandomInput, ...] = ()
    """Inputs that take random numbers, beside those that a caller sends."""
    session: Session | None = field(default=None, repr=False)
    """The loaded file; None when there is a problem."""

    @property
    def activation(self) -> Activation:
        """What turns the probabilities output into probabilities, unless a caller says more."""
        return self.roles.activation

    def check_inputs(self, declared: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> None:
        """Raises InvalidRequest unless the model takes tensors of these types and shapes.

        `declared` maps names to an element type (`object` for strings) and a full shape, whose
        first axis may be -1. Raises ModelUnfit when the model has a problem.
        """
        self._usable_session()
        given.check_inputs(self.inputs, declared)

    def require_usable(self) -> None:
        """Raises ModelUnfit when the model has a problem."""
        self._usable_session()

    @property
    def gives_probabilities(self) -> bool:
        return self.session is not None and self.roles.doubt is None

    @property
    def gives_embeddings(self) -> bool:
        return self.session is not None and self.roles.embeddings is not None

    @property
    def stochastic(self) -> bool:
        """Whether its outputs are drawn at random, so that several passes make a committee."""
        return bool(self.random_inputs)

    def require_stochastic(self) -> None:
        """Raises ModelUnfit when all passes of the model would be equal."""
        self._usable_session()
        if not self.stochastic:
            raise ModelUnfit(
                f"{self} draws nothing at random, so all its passes would be equal: export it "
                "with its dropout active (training_mode true), or ask for one pass"
            )

    def require_probabilities(self) -> None:
        """Raises ModelUnfit when the model gives no probabilities."""
        self._usable_session()
        if self.roles.doubt is not None:
            raise ModelUnfit(f"{self} gives no probabilities: {self.roles.doubt}")

    def batch_size_for(self, declared: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> int:
        """Returns the rows in one run for inputs that passed `check_inputs`.

        It is `batch_size` unless the model leaves open how large a row is: then large rows make
        for small batches. It depends on nothing but the model and the declared shapes.
        """
        if self.fixed_rows is not None:
            return self.fixed_rows
        shapes = {name: shape for name, (_, shape) in declared.items()}
        return batch_rows(self.inputs, self.limit, shapes)

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        *,
        first_row: int,
        cancel: CancelToken,
        wanted: Collection[Role] = ("probabilities", "embeddings"),
        activation: Activation | None = None,
        exclusive: bool = True,
        passes: int = 1,
        seed: int = 0,
    ) -> Outputs:
        """Runs one batch of 1 to `batch_size` rows, the first of them row `first_row` of the pool.

        `inputs` passed `check_inputs`, though there may be more. `wanted` are the roles of the
        outputs that are computed. `activation` is what the caller will apply to the scores, the
        model's own by default, and `exclusive` is false when columns are labels that are
        independent of each other; both only decide what a single column means. A stochastic model
        draws from `seed`, the same in pass i of every batch. Raises Cancelled
        when the token stops the run, InvalidRequest for a value that the model's input type does
        not have, and ModelUnfit when the run fails or gives something else than was expected.
        """
        session = self._usable_session()
        rows = len(next(iter(inputs.values())))
        run_rows = self.fixed_rows or rows
        feeds = {
            tensor.name: self._pad(given.convert(tensor, inputs[tensor.name], first_row=first_row))
            for tensor in self.inputs
        }

        def fetch(names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> dict[str, object]:
            span = (first_row, first_row + rows - 1)
            return self._fetch(session, names, feeds, span, cancel)

        used = [output.name for output in self.outputs if output.role in wanted]
        applied = activation or self.activation
        members: list[np.ndarray] = []
        embeddings = Mean()
        try:
            draws = self._draws(feeds, run_rows, seed, fetch)
            for number in range(passes):
                values = fetch(used, {**feeds, **draws.numbers(number)})
                if (names := self.roles.probabilities) and "probabilities" in wanted:
                    found = read_probabilities(
                        values, names, run_rows, applied, exclusive=exclusive
                    )
                    members.append(found[:rows])
                if (name := self.roles.embeddings) and "embeddings" in wanted:
                    embeddings.add(read_embeddings(values, name, run_rows)[:rows])
        except Unusable as error:
            raise ModelUnfit(f"{self}: {error}") from error
        return Outputs(tuple(members), embeddings.value)

    def _draws(
        self, feeds: Mapping[str, np.ndarray], run_rows: int, seed: int, fetch: Fetch
    ) -> Passes:
        """What passes over a batch draw; runs the model's first row to see how much that is."""

        def shapes_of(count: int) -> list[tuple[int, ...]]:
            if not self.random_inputs:
                return []
            few = {name: np.repeat(values[:1], count, axis=0) for name, values in feeds.items()}
            # One number each, which broadcasts to any shape.
            few |= {each.name: np.array(0.5, np.float32) for each in self.random_inputs}
            found = fetch([each.shape for each in self.random_inputs], few)
            return [tuple(np.asarray(shape).tolist()) for shape in found.values()]

        fixed = self.fixed_rows is not None
        return Passes(self.random_inputs, seed, run_rows, fixed=fixed, shapes_of=shapes_of)

    def _fetch(
        self,
        session: Session,
        names: Sequence[str],
        feeds: Mapping[str, np.ndarray],
        span: tuple[int, int],
        cancel: CancelToken,
    ) -> dict[str, object]:
        """Computes some outputs, by name; `span` are the first row and the last."""
        cancel.check()
        options = run_options()

        def stop() -> None:
            options.terminate = True

        try:
            with cancel.on_cancel(stop):
                return dict(zip(names, session.run(list(names), feeds, options), strict=True))
        except Exception as error:
            cancel.check()
            # The text may quote values and the inside of the model: for the log only.
            logger.warning("%s failed on rows %d to %d: %s", self, *span, error)
            raise ModelUnfit(
                f"{self} could not run on rows {span[0]} to {span[1]}: check that the values "
                "are in the range that the model expects (token ids, for example)"
            ) from error

    def _pad(self, values: np.ndarray) -> np.ndarray:
        """Repeats the last row of a short batch when the model takes no short ones."""
        if self.fixed_rows is None or len(values) == self.fixed_rows:
            return values
        return np.concatenate([values, np.repeat(values[-1:], self.fixed_rows - len(values), 0)])

    def _usable_session(self) -> Session:
        if self.session is None:
            raise ModelUnfit(f"{self} cannot be used: {self.problem}")
        return self.session

    def __str__(self) -> str:
        return f"model '{self.name}' version {self.version}"
