"""The models that a server serves."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from nextlabel_server.errors import UnknownName
from nextlabel_server.inference.layout import find_models
from nextlabel_server.inference.loading import load_model
from nextlabel_server.inference.model import Model

# Enough to recognise a slip of the pen; an error message is no catalogue.
_LISTED = 20
_SHOWN_NAME = 128


class ModelRepository:
    """All versions of all models in the operator's directories, loaded once, at start."""

    def __init__(self, models: Iterable[Model]) -> None:
        """Takes models in the order of their names; names and versions are unique."""
        models = list(models)
        self.loads = Counter(model.name for model in models if model.problem is None)
        self.load_failures = Counter(model.name for model in models if model.problem is not None)
        self._by_name = {
            name: sorted(versions, key=lambda model: -model.version)
            for name, versions in groupby(models, key=lambda model: model.name)
        }

    @classmethod
    def load(cls, directories: Sequence[Path], *, threads: int = 1) -> "ModelRepository":
        """Loads everything in `directories` (laid out as `layout` says).

        A file that cannot be used is served with a `problem`; only directories that cannot be
        served at all raise, RepositoryError. `threads` work on one run: leave it at 1 where
        several batches run at once, as the server does, or each run takes cores from the others.
        """
        return cls([load_model(file, threads=threads) for file in find_models(directories)])

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str, version: str = "") -> Model:
        """Returns a model, its highest version by default; it may have a `problem`.

        Raises UnknownName, with a list of what there is.
        """
        if name not in self._by_name:
            there_is = f"there is {_listing(self._by_name)}" if self._by_name else "it serves none"
            raise UnknownName(f"no model {name[:_SHOWN_NAME]!r} on this server; {there_is}")
        versions = self._by_name[name]
        if not version:
            return versions[0]
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

    def close(self) -> None:
        """Lets go of all models; a run that is under way still ends."""
        self._by_name = {}


def _listing(names: Iterable[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    more = len(quoted) - _LISTED
    return ", ".join(quoted[:_LISTED]) + (f" and {more} more" if more > 0 else "")
