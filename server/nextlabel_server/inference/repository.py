"""The models that a server serves."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import UnknownName
from nextlabel_server.inference.layout import ModelFile, find_models
from nextlabel_server.inference.loading import load_model
from nextlabel_server.inference.model import Model
from nextlabel_server.inference.trial import try_out

logger = logging.getLogger(__name__)

# Enough to recognise a slip of the pen; an error message is no catalogue.
_LISTED = 20
_SHOWN_NAME = 128


@dataclass(frozen=True, slots=True)
class _Held:
    """A version that is served, and the file that it was last read from."""

    file: ModelFile
    model: Model
    file_problem: str | None = None
    """Why the file cannot be used, when the model is of the one before it."""


class ModelRepository:
    """All versions of all models in the operator's directories.

    What is served changes in one step, by `refresh`: a call keeps the models that it began with,
    and a model is released when the last such call has ended.
    """

    def __init__(self, directories: Sequence[Path], *, threads: int, tried: bool) -> None:
        self._directories = directories
        self._threads = threads
        self._tried = tried
        self._closed = CancelToken()
        self._held: dict[tuple[str, int], _Held] = {}
        self._by_name: Mapping[str, Sequence[Model]] = {}
        self.loads: Counter[str] = Counter()
        self.load_failures: Counter[str] = Counter()

    @classmethod
    def load(
        cls, directories: Sequence[Path], *, threads: int = 1, tried: bool = False
    ) -> "ModelRepository":
        """Loads everything in `directories` (laid out as `layout` says).

        A file that cannot be used is served with a `problem`; only directories that cannot be
        served at all raise, RepositoryError. `threads` work on one run: leave it at 1 where
        several batches run at once, as the server does, or each run takes cores from the others.
        `tried` takes only models that have answered a trial run.
        """
        repository = cls(directories, threads=threads, tried=tried)
        repository.refresh()
        return repository

    def refresh(self) -> None:
        """Serves what is in the directories now.

        A version is read again when its file is another one. Where that cannot be used, the one
        that was read before goes on to be served. Raises RepositoryError, and Cancelled once the
        repository is closed; nothing changes then.
        """
        held = {
            (file.name, file.version): self._current(file)
            for file in find_models(self._directories)
        }
        self._closed.check()
        for key in self._held.keys() - held.keys():
            logger.info("%s is gone: no longer served", self._held[key].model)
        self._held = held
        models = sorted((each.model for each in held.values()), key=lambda model: model.name)
        self._by_name = {
            name: sorted(versions, key=lambda model: -model.version)
            for name, versions in groupby(models, key=lambda model: model.name)
        }

    def _current(self, file: ModelFile) -> _Held:
        """What is to be served of a file that has been found."""
        before = self._held.get((file.name, file.version))
        if before is not None and before.file == file:
            return before
        model = load_model(file, threads=self._threads)
        if self._tried:
            model = try_out(model, self._closed)
        # New counters, for the old ones may be being read.
        if model.problem is None:
            self.loads = self.loads + Counter([file.name])
            logger.info("%s is served", model)
        else:
            self.load_failures = self.load_failures + Counter([file.name])
            if before is not None and before.model.problem is None:
                logger.error("%s goes on as it was before its file changed", model)
                return _Held(file, before.model, model.problem)
        return _Held(file, model)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str, version: str = "") -> Model:
        """Returns a model, by default its highest version that can be used.

        One that is asked for, or the only one, may have a `problem`. Raises UnknownName, with a
        list of what there is.
        """
        by_name = self._by_name
        if name not in by_name:
            there_is = f"there is {_listing(by_name)}" if by_name else "it serves none"
            raise UnknownName(f"no model {name[:_SHOWN_NAME]!r} on this server; {there_is}")
        versions = by_name[name]
        if not version:
            return next((model for model in versions if model.problem is None), versions[0])
        for model in versions:
            if version == str(model.version):
                return model
        there_is = _listing(str(model.version) for model in versions)
        raise UnknownName(
            f"model '{name}' has no version {version[:_SHOWN_NAME]!r}; there is {there_is}"
        )

    def models(self) -> list[list[Model]]:
        """Returns every version of every model: models by name, versions highest first."""
        return [list(versions) for versions in self._by_name.values()]

    def file_problem(self, model: Model) -> str | None:
        """Returns why the file now in the place of `model`'s cannot be used.

        None when it is the model's own, or there is none.
        """
        held = self._held.get((model.name, model.version))
        return held.file_problem if held is not None else None

    def close(self) -> None:
        """Lets go of all models; a run that is under way still ends, a trial run is stopped."""
        self._closed.cancel()
        self._held = {}
        self._by_name = {}


def _listing(names: Iterable[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    more = len(quoted) - _LISTED
    return ", ".join(quoted[:_LISTED]) + (f" and {more} more" if more > 0 else "")
