"""Model directories: what is a model, what is skipped, what is refused."""

import shutil

import pytest

from nextlabel_server.inference import RepositoryError
from nextlabel_server.inference.layout import find_models


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def found(*directories):
    return [(file.name, file.version) for file in find_models(directories)]


def test_versions_are_folders_and_a_lone_file_is_version_1(tmp_path):
    for name in ("b/2/model.onnx", "b/10/model.onnx", "a.onnx", "a-b.c_9.onnx"):
        touch(tmp_path / name)
    assert found(tmp_path) == [("a", 1), ("a-b.c_9", 1), ("b", 2), ("b", 10)]


def test_settings_lie_beside_the_model_and_are_shown_without_the_directory(tmp_path):
    touch(tmp_path / "a.onnx")
    touch(tmp_path / "b/2/model.onnx")
    a, b = find_models([tmp_path])
    assert (a.settings, a.settings_name) == (tmp_path / "a.toml", "a.toml")
    assert (b.settings, b.settings_name) == (tmp_path / "b/2/model.toml", "b/2/model.toml")


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "a.toml",
        "with space.onnx",
        "é.onnx",
        f"{'x' * 129}.onnx",
        "empty",
        "b/model.onnx",
        "b/01/model.onnx",
        "b/0/model.onnx",
        "b/-1/model.onnx",
        "b/v1/model.onnx",
        "b/1/other.onnx",
        "b/1000000000000000000/model.onnx",
    ],
)
def test_what_is_no_model_is_skipped_and_logged(tmp_path, caplog, name):
    touch(tmp_path / "good.onnx")
    if name == "empty":
        (tmp_path / name).mkdir()
    else:
        touch(tmp_path / name)
    assert found(tmp_path) == [("good", 1)]
    assert "not a model, skipped" in caplog.text


def test_hidden_entries_and_settings_of_a_model_are_not_worth_a_word(tmp_path, caplog):
    for name in (".git/1/model.onnx", ".a.onnx", "a.onnx", "a.toml", "b/.tmp", "b/1/model.onnx"):
        touch(tmp_path / name)
    assert found(tmp_path) == [("a", 1), ("b", 1)]
    assert caplog.text == ""


def test_links_inside_the_directory_are_followed(tmp_path):
    # A Kubernetes volume holds links into a hidden folder, which is a link to one with a date.
    touch(tmp_path / "..2026_01_01/a.onnx")
    touch(tmp_path / "..2026_01_01/b/3/model.onnx")
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "a.onnx").symlink_to("..data/a.onnx")
    (tmp_path / "b").symlink_to("..data/b")
    assert found(tmp_path) == [("a", 1), ("b", 3)]
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    assert found(tmp_path / "elsewhere") == [("a", 1), ("b", 3)]


@pytest.mark.parametrize(
    "link", ["m.onnx", "m.toml", "n/1/model.onnx", "n/1/model.toml", "n/1", "n"]
)
def test_links_out_of_the_directory_are_not(tmp_path, caplog, link):
    models, outside = tmp_path / "models", tmp_path / "outside"
    for name in ("m.onnx", "m.toml", "n/1/model.onnx", "n/1/model.toml"):
        touch(models / name)
        touch(outside / name)
    place = models / link
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(outside / link)
    assert found(models) == [("n", 1) if link.startswith("m") else ("m", 1)]
    assert "a link that leads out of the model directory" in caplog.text


def test_a_link_to_itself_and_one_to_nowhere_are_skipped(tmp_path):
    touch(tmp_path / "good.onnx")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    (tmp_path / "gone.onnx").symlink_to("gone")
    (tmp_path / "good.toml").symlink_to("good.toml")
    assert found(tmp_path) == [("good", 1)]


def test_an_empty_directory_holds_no_models(tmp_path):
    assert found(tmp_path) == []
    assert found() == []


def test_models_of_several_directories_are_served_together(tmp_path):
    touch(tmp_path / "one/b.onnx")
    touch(tmp_path / "two/a/3/model.onnx")
    assert found(tmp_path / "one", tmp_path / "two") == [("a", 3), ("b", 1)]


@pytest.mark.parametrize("second", ["two/a.onnx", "two/a/1/model.onnx", "one/a/2/model.onnx"])
def test_one_name_in_two_places_is_refused(tmp_path, second):
    touch(tmp_path / "one/a.onnx")
    touch(tmp_path / second)
    (tmp_path / "two").mkdir(exist_ok=True)
    with pytest.raises(RepositoryError, match="model 'a' is in two places"):
        found(tmp_path / "one", tmp_path / "two")


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(RepositoryError, match=r"gone.*No such file or directory"):
        found(tmp_path / "gone")


def test_a_file_for_a_directory_is_refused(tmp_path):
    touch(tmp_path / "a.onnx")
    with pytest.raises(RepositoryError, match="Not a directory"):
        found(tmp_path / "a.onnx")
