"""ONNX Runtime as a quiet guest: it sends nothing and prints nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nextlabel_server.errors import ModelUnfit

from . import graphs

# Where ONNX Runtime sends nothing anyway: machines that say they run tests.
_SUPPRESSED_BY = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "GITHUB_ACTIONS")


def python(code, home: Path, **variables):
    """Runs `code` in a process of its own, at home in an empty directory."""
    kept = {key: text for key, text in os.environ.items() if key not in _SUPPRESSED_BY}
    kept |= {"HOME": str(home), "XDG_CACHE_HOME": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=home,
        env=kept | variables,
        check=True,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
@pytest.mark.parametrize("variables", [{}, {"ORT_DISABLE_TELEMETRY": "0"}])
def test_telemetry_is_off_before_onnxruntime_is_loaded(tmp_path, variables):
    # Without the variable, ONNX Runtime 1.31 leaves a device id and a database in the home
    # directory and starts an uploader thread.
    done = python(
        "import os, sys, threading\n"
        "import numpy\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "import nextlabel_server.inference\n"
        "print(len(os.listdir('/proc/self/task')) - before, 'onnxruntime' in sys.modules)\n",
        tmp_path,
        **variables,
    )
    assert done.stdout.split() == ["0", "True"]
    assert list(tmp_path.rglob("*")) == []


def test_no_other_module_of_ours_imports_onnxruntime():
    package = Path(sys.modules["nextlabel_server.inference"].__file__).parent.parent
    importers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            line.split()[:1] in (["import"], ["from"]) and line.split()[1].startswith("onnxruntime")
            for line in path.read_text().splitlines()
        )
    }
    assert importers == {"inference/runtime.py"}


def test_bad_models_and_bad_input_print_nothing(tmp_path, capfd):
    assert graphs.load(tmp_path, b"garbage").problem is not None
    lookup = graphs.embedding_lookup()
    model = graphs.load(tmp_path, lookup)
    with pytest.raises(ModelUnfit):
        graphs.run(model, ids=[[99]])
    assert capfd.readouterr() == ("", "")
