"""The command before it begins to work."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from nextlabel_server.demo import command


def test_without_the_data_it_says_how_to_give_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 2
    assert "no digits at examples/mnist.npz" in result.stderr
    assert "--data PATH" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": np.zeros(3)}, "is not an .npz file with images and labels"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.zeros(2)}, "found images of shape [2, 8, 8]"),
        (
            {"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(2)},
            "found 2 digits",
        ),
    ],
)
def test_data_of_another_kind_is_refused_in_a_sentence(tmp_path, arrays, sentence):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    result = CliRunner().invoke(command, ["--data", str(path)])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_file_that_is_no_archive_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "data.npz"
    path.write_text("digits")
    result = CliRunner().invoke(command, ["--data", str(path)])
    assert result.exit_code == 2
    assert "is not an .npz file" in result.stderr


def test_its_help_does_not_wait_for_the_heavy_libraries():
    code = (
        "import sys; from nextlabel_server.demo import command; "
        "print({'sklearn', 'skl2onnx', 'matplotlib', 'onnxruntime', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
