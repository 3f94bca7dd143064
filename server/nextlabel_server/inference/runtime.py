"""ONNX Runtime, set up for a server: no telemetry, no output of its own, no threads to spare.

This is the only module that imports onnxruntime, because what comes before the import counts.
Since 1.29 its Linux builds send telemetry unless ORT_DISABLE_TELEMETRY is set when the library
is loaded, which `nextlabel_server` sees to. `disable_telemetry_events` alone comes too late: by
then (measured with 1.31) there is an uploader thread, and a device id and a database in the
user's cache directory.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

# For a process that had imported onnxruntime before us, and for builds without the variable.
onnxruntime.disable_telemetry_events()

# ONNX Runtime writes to standard error whatever a bad model or input makes it say; its
# exceptions carry the same text, and those we log ourselves.
_SILENT = 4
onnxruntime.set_default_logger_severity(_SILENT)

VERSION: str = onnxruntime.__version__


class Argument(Protocol):
    """What is used of an `onnxruntime.NodeArg`: an input or output."""

    name: str
    type: str
    shape: list[int | str | None]


class RunOptions(Protocol):
    """What is used of `onnxruntime.RunOptions`."""

    log_severity_level: int
    terminate: bool


class Session(Protocol):
    """What is used of an `onnxruntime.InferenceSession`."""

    def get_inputs(self) -> list[Argument]: ...
    def get_outputs(self) -> list[Argument]: ...
    def get_modelmeta(self) -> Any: ...  # noqa: ANN401 - of which `producer_name` is used
    def run(
        self, names: list[str], feeds: Mapping[str, np.ndarray], options: RunOptions
    ) -> list[object]: ...


def open_session(path: Path, *, threads: int, content: bytes | None = None) -> Session:
    """Loads the model at `path`, or `content` in its place, to be run on the CPU.

    `threads` work on one run. Raises what ONNX Runtime raises (classes without a common base).
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning thread takes a core from the batch that another call is running.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if content is not None:
        # Where weights in files of their own lie, which a path tells by itself.
        folder = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(folder, str(path.parent))
    session: Session = onnxruntime.InferenceSession(
        content or str(path),
        sess_options=options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it would try the same again, and print so to standard output
    )
    return session


def run_options() -> RunOptions:
    """Options of one run; setting `terminate` on them, from any thread, stops it."""
    options: RunOptions = onnxruntime.RunOptions()
    options.log_severity_level = _SILENT
    return options
