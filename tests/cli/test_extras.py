"""What is installed only when asked for is not needed before it is used."""

import subprocess
import sys

import pytest

import nextlabel
from tests.cli import command


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=command.SECONDS,
    )


def without(package, *arguments):
    """Runs the command as if a package were not installed."""
    code = f"import sys; sys.modules[{package!r}] = None; import nextlabel.__main__ as command"
    return python(f"{code}; command.main()", *arguments)


def test_the_client_imports_nothing_heavy():
    heavy = {"click", "rich", "pyarrow", "pandas", "scipy", "onnxruntime", "structlog"}
    done = python(f"import nextlabel, sys; print({heavy!r} & sys.modules.keys())")
    assert done.stdout == "set()\n"


def test_help_imports_no_command():
    heavy = {"pyarrow", "scipy", "onnxruntime", "nextlabel_server", "nextlabel.cli.select"}
    code = (
        "import sys, nextlabel.__main__ as command\n"
        "sys.argv = ['nextlabel', '--help']\n"
        "try:\n    command.main()\n"
        f"finally:\n    print({heavy!r} & sys.modules.keys())"
    )
    assert python(code).stdout.endswith("set()\n")


def test_without_click_a_sentence_says_what_to_install():
    done = without("click")
    assert done.returncode == 2
    assert done.stderr == "the command line needs click: pip install 'nextlabel[cli]'\n"


@pytest.mark.parametrize(
    ("package", "arguments", "sentence"),
    [
        (
            "pyarrow",
            ["select", "--help"],
            "nextlabel select needs pyarrow: pip install 'nextlabel[cli]'",
        ),
        ("rich", ["info"], "nextlabel info needs rich: pip install 'nextlabel[cli]'"),
        (
            "onnxruntime",
            ["info"],
            "a server of its own needs onnxruntime: pip install 'nextlabel[server]'",
        ),
        (
            "structlog",
            ["serve"],
            "nextlabel serve needs structlog: pip install 'nextlabel[server]'",
        ),
        ("sklearn", ["demo"], "nextlabel demo needs sklearn: pip install 'nextlabel[demo]'"),
    ],
)
def test_without_an_extra_a_sentence_says_what_to_install(package, arguments, sentence):
    done = without(package, *arguments)
    assert done.returncode == 2
    assert done.stderr == f"{sentence}\n"


def test_the_version_is_told():
    assert command.process("--version").stdout == f"nextlabel, version {nextlabel.__version__}\n"


def test_help_names_every_command():
    said = command.process("--help").stdout
    for name in ("select", "strategies", "models", "info", "serve", "demo"):
        assert f"\n  {name} " in said


def test_help_of_select_lists_the_forms_of_a_pool():
    said = command.here("select", "--help").stdout
    for suffix in (".npy", ".npz", ".csv", ".parquet"):
        assert f"\n    {suffix} " in said
