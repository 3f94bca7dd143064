"""The TOML file beside a model: what it may say, and what a slip costs."""

import pytest

from nextlabel_server.inference.settings import ModelSettings, read_settings
from nextlabel_server.inference.unusable import Unusable


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "model.toml"

    def read(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings(path, "m/1/model.toml")

    return read


def test_no_file_sets_nothing(tmp_path):
    assert read_settings(tmp_path / "model.toml", "m.toml") == ModelSettings()


def test_every_key_is_read(read):
    assert read(
        'probabilities = "scores"\nembeddings = "e"\nactivation = "softmax"\nbatch_size = 64\n'
    ) == ModelSettings(("scores",), "e", "softmax", 64)


def test_probabilities_may_be_several_columns(read):
    assert read('probabilities = ["no", "yes"]').probabilities == ("no", "yes")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('probabilites = "x"', "unknown key 'probabilites'; the keys are probabilities, emb"),
        ("probabilities = 1", "probabilities = 1 is wrong: write the name of an output"),
        ("probabilities = []", "probabilities = [] is wrong"),
        ('probabilities = ""', "probabilities = '' is wrong"),
        ('probabilities = ["a", 2]', "probabilities = ['a', 2] is wrong"),
        ('probabilities = ["a", "a"]', "a list of different names"),
        ('embeddings = ["a"]', "embeddings = ['a'] is wrong"),
        ('activation = "softmx"', "activation = 'softmx' is wrong: write one of none, softmax, s"),
        ("activation = true", "activation = True is wrong"),
        ("batch_size = 0", "batch_size = 0 is wrong: write a whole number, at least 1"),
        ("batch_size = true", "batch_size = True is wrong"),
        ("batch_size = 2.0", "batch_size = 2.0 is wrong"),
        ("[batch_size]", "batch_size = {} is wrong"),
        ("activation = ", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        ("a = " + "[" * 20_000, "nested too deep, or has a number of too many digits"),
        ("batch_size = " + "9" * 5000, "nested too deep, or has a number of too many digits"),
        ("batch_size = -0x" + "f" * 5000, "is not valid TOML"),
        ("activation = 0x" + "f" * 5000, "activation = (a value too long to show) is wrong: write"),
        ("activation" + ".a" * 3000 + " = 1", "activation = (a value too long to show) is wrong"),
        ("batch_size = [0x" + "f" * 5000 + "]", "batch_size = (a value too long to show) is wrong"),
        ("embeddings = [" + "'e', " * 5000 + "]", "embeddings = (a value too long to show) is"),
        ("'" + "k" * 5000 + "' = 1", "unknown key (a value too long to show); the keys are"),
    ],
)
def test_a_slip_is_named_with_file_key_and_value(read, text, says):
    with pytest.raises(Unusable) as caught:
        read(text)
    assert str(caught.value).startswith("m/1/model.toml")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_python_says_of_a_number_is_not_repeated(read):
    with pytest.raises(Unusable) as caught:
        read("batch_size = " + "9" * 5000)
    assert "set_int_max_str_digits" not in str(caught.value)


def test_a_long_key_in_a_toml_error_is_cut(read):
    with pytest.raises(Unusable) as caught:
        read(f"[{'k' * 100_000}]\n" * 2)
    assert len(str(caught.value)) < 400


def test_a_row_count_of_any_size_is_read(read):
    assert read("batch_size = 0x" + "f" * 5000).batch_size == 16**5000 - 1


def test_a_folder_for_a_file_is_refused(tmp_path):
    with pytest.raises(Unusable, match=r"m\.toml cannot be read"):
        read_settings(tmp_path, "m.toml")
