"""The optional TOML file beside a model: what its operator says about it.

probabilities = "scores"      # output with the class probabilities; or a list of outputs
embeddings = "pooled"         # output with the embeddings
activation = "softmax"        # what turns the probabilities output into probabilities
batch_size = 64               # most rows in one run, within 4 MiB of input
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nextlabel_server.inference.unusable import Unusable

Activation = Literal["none", "softmax", "sigmoid"]

# Most characters of the file that are repeated to say what is wrong with it.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What the file sets; None and () where it says nothing."""

    probabilities: tuple[str, ...] = ()
    """Outputs whose columns, joined in this order, are the classes."""
    embeddings: str | None = None
    """Output with the embeddings."""
    activation: Activation | None = None
    """What turns the probabilities output into probabilities."""
    batch_size: int | None = None
    """Most rows in one run, at least 1."""


def read_settings(path: Path, shown_as: str) -> ModelSettings:
    """Reads the file at `path`; a file that does not exist sets nothing.

    Raises Unusable, which calls the file `shown_as`, when it cannot be read as such settings.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ModelSettings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unusable(f"{shown_as} is not valid TOML: {str(error)[:_SHOWN]}") from error
    except OSError as error:
        raise Unusable(f"{shown_as} cannot be read: check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise Unusable(
            f"{shown_as} cannot be read: it is nested too deep, or has a number of too many digits"
        ) from error

    settings: dict[str, Any] = {}
    for key, value in values.items():
        if key not in _READERS:
            keys = ", ".join(_READERS)
            raise Unusable(f"{shown_as}: unknown key {_shown(key)}; the keys are {keys}")
        read, expected = _READERS[key]
        settings[key] = read(value)
        if settings[key] is None:
            raise Unusable(f"{shown_as}: {key} = {_shown(value)} is wrong: {expected}")
    return ModelSettings(**settings)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of levels
        text = ""
    return text if 0 < len(text) <= _SHOWN else "(a value too long to show)"


# Each of these returns None for a value that the key does not take.
def _output_name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _output_names(value: object) -> tuple[str, ...] | None:
    names = [_output_name(name) for name in (value if isinstance(value, list) else [value])]
    known = tuple(name for name in names if name is not None)
    return known if known and len(set(known)) == len(names) else None


def _activation(value: object) -> object | None:
    return value if value in get_args(Activation) else None


def _row_count(value: object) -> int | None:
    # `type`, not isinstance: TOML's true is a bool, which Python counts as an int.
    return value if type(value) is int and value >= 1 else None


_READERS: Mapping[str, tuple[Callable[[object], object | None], str]] = {
    "probabilities": (_output_names, "write the name of an output, or a list of different names"),
    "embeddings": (_output_name, "write the name of an output"),
    "activation": (_activation, "write one of " + ", ".join(get_args(Activation))),
    "batch_size": (_row_count, "write a whole number, at least 1"),
}
