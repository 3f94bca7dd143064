"""The models of one call: what they give for a batch, by the names of the tensors it stands for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import InvalidRequest, ModelUnfit, SelectionError
from nextlabel_server.inference.tensors import Role
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.selection.probabilities import Activation
from nextlabel_server.selection.tensors import EMBEDDINGS, LABEL_PROBABILITIES

Arrays = Mapping[str, npt.NDArray[Any]]
_BESIDE = "\0"  # marks a tensor of the pool that travels with a batch of inputs; in no name of one


def with_pool(inputs: Arrays, pool: Arrays) -> Arrays:
    """The inputs, and the pool's own tensors of the same rows beside them."""
    return {**inputs, **{_BESIDE + name: values for name, values in pool.items()}}


class Committee:
    """One model or several, run on one batch after the other; safe to share between threads.

    Args:
        plan: the validated header.
        activation: what the strategy makes of the models' scores.
        cancel: stops a run.

    Attributes:
        classes: how many the models give, once a batch has been run.
    """

    def __init__(self, plan: Plan, activation: Activation, cancel: CancelToken) -> None:
        asked = {source.name for source in plan.sources} - {tensor.name for tensor in plan.pool}
        self._wanted: set[Role] = {
            "embeddings" if name == EMBEDDINGS.name else "probabilities" for name in asked
        }
        self._exclusive = LABEL_PROBABILITIES not in plan.sources
        self._models = plan.models
        self._passes = plan.passes
        self._seed = plan.query.seed
        self._activation = activation
        self._cancel = cancel
        self._row_shapes: dict[str, tuple[int, ...]] = {}
        self.classes = 0

    def run(self, batch: Arrays, first_row: int) -> Arrays:
        """One model's outputs, or the committee of several, and the pool's tensors as they came.

        The first batch is done before the next begins: all later ones give rows of its shape.

        Raises:
            InvalidRequest, ModelUnfit, Cancelled: as `Model.run` does.
        """
        runs = [
            model.run(
                batch,
                first_row=first_row,
                cancel=self._cancel,
                wanted=self._wanted,
                activation=self._activation,
                exclusive=self._exclusive,
                passes=passes,
                seed=self._seed,
            )
            for model, passes in zip(self._models, self._passes, strict=True)
            if self._wanted
        ]
        arrays = {
            # A view would keep its whole block, inputs and all, until the rows are scored.
            name.removeprefix(_BESIDE): values.copy()
            for name, values in batch.items()
            if name.startswith(_BESIDE)
        }
        members = [member for run in runs for member in run.members]
        if len({member.shape for member in members}) > 1:
            columns = ", ".join(str(member.shape[1]) for member in members)
            raise ModelUnfit(f"the models of this committee give {columns} classes")
        if members:
            self.classes = members[0].shape[1]
        if len(members) == 1:
            arrays["probabilities"] = members[0]
        elif members:
            arrays["committee"] = np.stack(members, axis=1)
        for run in runs:
            if run.embeddings is not None:
                arrays["embeddings"] = run.embeddings
        self._check_row_shapes(arrays)
        return arrays

    def _check_row_shapes(self, arrays: Arrays) -> None:
        for name, values in arrays.items():
            first = self._row_shapes.setdefault(name, values.shape[1:])
            if values.shape[1:] != first:
                raise ModelUnfit(
                    f"the {name} of {self} have {values.shape[-1]} columns in one batch and "
                    f"{first[-1]} in another"
                )

    def at_fault(self, error: InvalidRequest, outputs: Arrays) -> SelectionError:
        """The error to raise: bad values that a model gave are its fault, not the request's."""
        violation = error.violations[0]
        if violation.field not in outputs:
            return error
        return ModelUnfit(f"the {violation.field} of {self}: {violation.description}")

    def __str__(self) -> str:
        return ", ".join(map(str, self._models))
