"""Where models lie in a directory.

    NAME/VERSION/model.onnx    with an optional model.toml beside it
    NAME.onnx                  version 1, with an optional NAME.toml beside it

Everything else is left alone, and said so in the log: what begins with a dot, without a word.
Links are followed as far as they stay in the directory, as those of a Kubernetes volume do.
"""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from nextlabel_server.stamp import stamp_of

logger = logging.getLogger(__name__)

_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,128}")
# "01" would be a second spelling of 1; 18 digits fit in 64 bits.
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class RepositoryError(Exception):
    """The directories given for models cannot be served; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One version of a model, as found on disk."""

    name: str
    version: int
    path: Path
    """The ONNX file."""
    settings: Path
    """The TOML file beside it, which need not exist."""
    settings_name: str
    """That file's name from the model directory down, fit to be shown to anyone."""
    stamp: tuple[object, ...] = ()
    """Differs when either file is another one, or has been written to."""


def find_models(directories: Sequence[Path]) -> list[ModelFile]:
    """Lists every version of every model, by name and then by version.

    Raises RepositoryError when a directory cannot be read, or two places hold the same name.
    """
    found: dict[str, list[ModelFile]] = {}
    homes: dict[str, Path] = {}
    for directory in directories:
        try:
            root = directory.resolve(strict=True)
            entries = sorted(directory.iterdir())
            read = [(entry, list(_read(entry))) for entry in entries]
            models = [
                (entry, inside)
                for entry, versions in read
                if (inside := [_stamped(file) for file in versions if _stays_in(root, file)])
            ]
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            raise RepositoryError(f"model directory {str(directory)!r}: {reason}") from error
        for entry, versions in models:
            name = versions[0].name
            if name in found:
                places = f"{str(homes[name])!r} and {str(entry)!r}"
                raise RepositoryError(f"model {name!r} is in two places, {places}: rename one")
            found[name] = sorted(versions, key=lambda file: file.version)
            homes[name] = entry
    return [file for name in sorted(found) for file in found[name]]


def _stays_in(root: Path, file: ModelFile) -> bool:
    """Whether links lead nowhere else. ONNX Runtime sees to weights in files of their own."""
    for path in (file.path, file.settings):
        # Unlike Path.resolve, it takes links that go round in circles.
        if not Path(os.path.realpath(path)).is_relative_to(root):
            _skip(path, "a link that leads out of the model directory")
            return False
    return True


def _stamped(file: ModelFile) -> ModelFile:
    return replace(file, stamp=(stamp_of(file.path), stamp_of(file.settings)))


def _read(entry: Path) -> Iterator[ModelFile]:
    """Yields the versions of the model at `entry`, if it is one."""
    name = entry.stem if entry.is_file() else entry.name
    if entry.name.startswith("."):
        return  # editors, version control and Kubernetes volumes keep such things
    if entry.is_file() and entry.suffix == ".toml" and entry.with_suffix(".onnx").is_file():
        return
    if not _NAME.fullmatch(name):
        _skip(entry, "a name has 1 to 128 letters, digits, '_', '.' or '-', and no '.' in front")
    elif entry.is_dir():
        yield from _read_versions(entry)
    elif entry.is_file() and entry.suffix == ".onnx":
        settings = f"{name}.toml"
        yield ModelFile(name, 1, entry, entry.with_name(settings), settings)
    else:
        _skip(entry, "neither NAME.onnx nor a folder NAME/VERSION")


def _read_versions(folder: Path) -> Iterator[ModelFile]:
    versions = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    if not versions:
        _skip(folder, "no version in it")
    for entry in versions:
        path = entry / "model.onnx"
        if not _VERSION.fullmatch(entry.name):
            _skip(entry, "a version is a folder whose name is a whole number from 1")
        elif not path.is_file():
            _skip(entry, "no model.onnx in it")
        else:
            settings = f"{folder.name}/{entry.name}/model.toml"
            yield ModelFile(folder.name, int(entry.name), path, entry / "model.toml", settings)


@cache
def _skip(entry: Path, why: str) -> None:
    """Says so once, however often the directory is read."""
    logger.warning("not a model, skipped: %s (%s)", entry, why)
