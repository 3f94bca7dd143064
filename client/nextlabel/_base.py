"""What both clients share: how they are made, and the signature of `select`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any, Generic, TypeVar

import grpc
import numpy.typing as npt

from nextlabel._access import How, Metadata, access
from nextlabel._arguments import Budget, MaxPerGroup, Prefilter, Sampling, Version
from nextlabel._channel import (
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_SECONDS,
    Options,
    options,
    target_of,
)
from nextlabel._progress import ProgressCallback
from nextlabel._request import Request
from nextlabel._retry import Deadline
from nextlabel._tracing import trace_context
from nextlabel.errors import NextlabelError, UnavailableError, not_ready
from nextlabel.tls import TLS

Result = TypeVar("Result")


class BaseClient(ABC, Generic[Result]):
    """Makes requests; how they are carried out is up to the client.

    `Result` is what `select` returns: a Selection, or one to be awaited.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        tls: TLS | bool | None = None,
        token: str | None = None,
        plaintext_token: bool = False,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._closed = Event()
        target = target_of(address)
        admission = access(target, tls, token, plaintext_token=plaintext_token)
        self._admission = admission.metadata
        self._connect(target, [*options(target), *admission.options], admission.credentials)

    def select(
        self,
        probabilities: object = None,
        *,
        strategy: str,
        budget: Budget,
        embeddings: object = None,
        committee: object = None,
        std: object = None,
        committee_values: object = None,
        predictions: object = None,
        costs: object = None,
        groups: object = None,
        model: str | Sequence[str] = "",
        model_version: Version | Sequence[Version] = "",
        passes: int = 1,
        inputs: Mapping[str, object] | None = None,
        pool_size: int | None = None,
        ids: Sequence[Any] | npt.NDArray[Any] | None = None,
        exclude: object = None,
        item_offsets: object = None,
        cost_matrix: object = None,
        labeled_embeddings: object = None,
        labeled_labels: object = None,
        labeled_probabilities: object = None,
        labeled_values: object = None,
        target_committee: object = None,
        max_per_group: MaxPerGroup | None = None,
        min_distance: float | None = None,
        prefilter: Prefilter | None = None,
        parameters: Mapping[str, Any] | None = None,
        sampling: Sampling = "",
        seed: int | None = None,
        return_all_scores: bool = False,
        return_nearest_picks: bool = False,
        request_id: str = "",
        timeout: float | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Result:
        """Ranks a pool of any size and returns the best rows.

        Args:
            probabilities: [N, C] class probabilities (or logits, with the parameter
                `activation`) as float16, float32 or float64: an array, a table, a path of a
                .npy or .parquet file, or an iterable of batches.
            strategy: name of the query strategy; `strategies()` lists them.
            budget: an int is a number of rows, a float a fraction of the pool in (0, 1], a
                `Cost` what the picks may cost together, by `costs`.
            embeddings: [N, D] embeddings, in the same forms.
            committee: [N, M, C] such probabilities by each member of a committee, or in each
                Monte-Carlo pass, in the same forms.
            std: [N] standard deviations of a regression's predictions.
            committee_values: [N, M] values that the members of a committee predict.
            predictions: [N] the value that is predicted for each row.
            costs: [N] what labeling each row costs, above 0.
            groups: [N] the group of each row, a whole number.
            model: name of a served model that turns `inputs` into probabilities; or the names of
                several, which form a committee.
            model_version: which version of it; by default the highest that can be used. For several
                models a version each.
            passes: how many times each model goes over the rows, for models that draw at random,
                such as those whose dropout is active: each pass is a member of a committee.
            inputs: the model's inputs by name, each with N rows, in the same forms.
            pool_size: N, for a strategy that looks at no rows (`random`).
            ids: N ids of the caller's own, to be returned for the picked rows.
            item_offsets: [I + 1] whole numbers that make I items of the pool's rows, which are
                their parts: rows item_offsets[i] to item_offsets[i + 1] − 1 are item i. Then it
                is items that are picked: `ids`, `exclude` and the answer are about them.
            exclude: rows that must not be picked: their ids when `ids` are given, else their
                row numbers; or a mask of N bools.
            cost_matrix: [C, C], K[c, j] = cost of deciding j when c is true.
            labeled_embeddings: [L, D] embeddings of what is labeled already.
            labeled_labels: [L, C], 1 where a labeled row has a label, else 0.
            labeled_probabilities: [L, C] class probabilities of what is labeled already.
            labeled_values: [L] values of what is labeled already.
            target_committee: [T, M, C] a committee's probabilities of the rows to be predicted.
            max_per_group: how many may be picked of each group, or {group: how many}.
            min_distance: no two picks are closer than this in `embeddings`.
            prefilter: {"strategy": name, "factor": f}: a whole-pool strategy is given only the
                f times budget best rows by that row-wise one.
            parameters: parameters of the strategy by name.
            sampling: name of a sampling method, or {"method": name, parameter: value}.
            seed: source of everything that is drawn at random; the answer names it.
            return_all_scores: also return the score of every row.
            return_nearest_picks: also return the nearest pick of every row, and each pick's share
                of the pool; for strategies that cover the pool, such as k_center.
            request_id: name of this call in the server's log.
            timeout: seconds for this call, instead of the client's.
            progress: True for a bar on standard error or in a notebook, or a callback that
                takes a Progress.

        Raises:
            NextlabelError: see `nextlabel.errors` for the tree.
        """
        request = Request(
            {
                "probabilities": probabilities,
                "embeddings": embeddings,
                "committee": committee,
                "std": std,
                "committee_values": committee_values,
                "predictions": predictions,
                "costs": costs,
                "groups": groups,
            },
            strategy=strategy,
            budget=budget,
            model=model,
            model_version=model_version,
            passes=passes,
            inputs=inputs,
            pool_size=pool_size,
            ids=ids,
            exclude=exclude,
            references={
                "item_offsets": item_offsets,
                "cost_matrix": cost_matrix,
                "labeled_embeddings": labeled_embeddings,
                "labeled_labels": labeled_labels,
                "labeled_probabilities": labeled_probabilities,
                "labeled_values": labeled_values,
                "target_committee": target_committee,
            },
            max_per_group=max_per_group,
            min_distance=min_distance,
            prefilter=prefilter,
            parameters=parameters,
            sampling=sampling,
            seed=seed,
            return_all_scores=return_all_scores,
            return_nearest_picks=return_nearest_picks,
            request_id=request_id,
        )
        return self._run(request, self.timeout if timeout is None else timeout, progress)

    @property
    def _metadata(self) -> Metadata:
        """What a call brings that begins now."""
        return (*self._admission, *trace_context())

    @contextmanager
    def _unless_closed(self) -> Iterator[None]:
        """Around a call: says so when the client is closed, also when that is why the call ends."""
        if self._closed.is_set():
            raise NextlabelError("the client is closed")
        try:
            yield
        except BaseException as error:
            ended = isinstance(error, UnavailableError) or self._is_end(error)
            if ended and self._closed.is_set():
                raise NextlabelError("the client was closed with this call at work") from error
            raise

    @contextmanager
    def _until_ready(self, timeout: float) -> Iterator[How]:
        """Around a call that waits for a server: how it is to be made, and what its end means.

        Raises:
            UnavailableError: none was ready within `timeout` seconds.
        """
        with self._unless_closed():
            try:
                yield {
                    "timeout": Deadline(timeout).remaining,
                    "metadata": self._metadata,
                    "wait_for_ready": True,
                }
            except grpc.RpcError as error:
                raise not_ready(error, self.address, timeout) from error

    @abstractmethod
    def _is_end(self, error: BaseException) -> bool:
        """Whether gRPC raises it for a call when the channel is closed."""

    @abstractmethod
    def _connect(
        self, target: str, options: Options, credentials: grpc.ChannelCredentials | None
    ) -> None:
        """Opens the channel; in plaintext without credentials."""

    @abstractmethod
    def _run(self, request: Request, timeout: float, progress: bool | ProgressCallback) -> Result:
        """Carries a request out."""
