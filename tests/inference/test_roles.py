"""Which output is what: by name, type and shape, never by place."""

from itertools import permutations

import numpy as np
import pytest

from nextlabel_server.inference.roles import assign_roles
from nextlabel_server.inference.settings import ModelSettings
from nextlabel_server.inference.tensors import TensorInfo
from nextlabel_server.inference.unusable import Unusable

DTYPES = {"float": "float32", "double": "float64", "int64": "int64", "string": "object"}


def output(name, shape=(None, 3), kind="float"):
    if kind.startswith("seq"):
        return TensorInfo(name, None, (), kind)
    return TensorInfo(name, np.dtype(DTYPES[kind]), shape, f"tensor({kind})")


def roles(*outputs, producer="pytorch", **settings):
    return assign_roles(
        outputs, ModelSettings(**settings), producer=producer, settings_name="m.toml"
    )


LABEL = output("label", (None,), "int64")
ZIPMAP = "seq(map(int64,tensor(float)))"


@pytest.mark.parametrize(
    ("expected", "others"),
    [
        (output("probabilities"), [LABEL]),
        (output("output_probability", kind=ZIPMAP), [LABEL]),
        (output("anything", kind="seq(map(string,tensor(float)))"), [LABEL]),
        (output("probs"), [output("embedding")]),
        (output("predict_proba"), [output("other")]),
        (output("classProb"), [output("boxes", (None, 4))]),
        (output("softmaxout_1"), [output("x")]),
        (output("dense/Softmax:0", (None, None)), [output("features")]),
        (output("probability", (None, 1)), [LABEL]),
        (output("probability", (None,)), [LABEL]),
        (output("probabilities", ()), [LABEL]),
        (output("sigmoid", (None, 1)), [output("variable", (None, 1))]),
        (output("probabilities"), [output("logits")]),
        (output("target_label", (None, 214)), []),
        (output("dense_1"), [output("pooler_output"), output("hidden", (None, 7, 9))]),
    ],
)
def test_probabilities_are_found_wherever_they_stand(expected, others):
    for order in permutations([expected, *others]):
        found = roles(*order)
        assert found.probabilities == (expected.name,)
        assert found.activation == "none"
        assert found.doubt is None


@pytest.mark.parametrize(
    "name",
    [
        *("logits", "class_logits", "classlogits", "outLogits", "logit_scores", "log_softmax"),
        *("dense/LogSoftmax:0", "logprobs", "log_prob", "my_log_probs", "outLogProbs"),
    ],
)
def test_logits_get_a_softmax(name):
    found = roles(output(name), output("dense"))
    assert (found.probabilities, found.activation) == ((name,), "softmax")


@pytest.mark.parametrize(
    "name",
    ["blog_probability", "dialog_probs", "catalogProbabilities", "catalogProb", "prolog/Softmax:0"],
)
def test_a_word_that_ends_in_log_makes_no_logits_of_probabilities(name):
    for found in (roles(output(name), output("x")), roles(output(name), probabilities=(name,))):
        assert (found.probabilities, found.activation) == ((name,), "none")


@pytest.mark.parametrize("shape", [(None, 1), (None,)])
def test_one_column_of_logits_gets_a_sigmoid(shape):
    found = roles(output("logits", shape))
    assert (found.probabilities, found.activation) == (("logits",), "sigmoid")


def test_what_the_settings_say_about_the_activation_goes_before_the_name():
    assert roles(output("logits"), activation="none").activation == "none"
    assert roles(output("probabilities"), activation="softmax").activation == "softmax"


@pytest.mark.parametrize(
    "columns", [("i-1", "i0", "i7"), ("i0", "i1")], ids=["three classes", "two classes"]
)
def test_one_output_a_class_is_joined_in_their_order(columns):
    outputs = [output(name, (None,)) for name in columns]
    assert roles(LABEL, *outputs).probabilities == columns


def test_one_output_a_class_may_have_any_text_for_a_class():
    label = output("output_label", (None,), "string")
    columns = ["sa b", "slogit", "s_prob", "s", "sline\nbreak"]
    outputs = [output(name, (None,)) for name in columns]
    found = roles(label, *outputs)
    assert (found.probabilities, found.activation) == (tuple(columns), "none")


@pytest.mark.parametrize(
    "outputs",
    [
        [output("variable", (None, 1))],
        [output("output", (None, 1))],
        [output("variable", (None, 2))],
        [LABEL, output("scores", (None, 3))],
        [output("boxes", (None, 4)), LABEL],
        [LABEL],
        [output("label", (None, 3), "int64")],
        [output("probabilities", (3, None, 2))],
        [output("probabilities", kind="seq(tensor(float))")],
        [output("a"), output("b")],
        [output("prob_a"), output("prob_b")],
        [output("i0", (None,)), output("i1", (None,))],
        [LABEL, output("i0", (None,)), output("age", (None,))],
        [output("embedding"), output("features")],
        [output("sentence_embedding")],
        [output("probe_1"), output("problem")],
    ],
)
def test_what_is_not_known_to_be_probabilities_is_not_used(outputs):
    for order in permutations(outputs):
        found = roles(*order)
        assert found.probabilities == ()
        assert "none of its outputs is known to hold class probabilities" in found.doubt


def test_a_doubt_lists_the_outputs_and_the_line_to_write():
    found = roles(LABEL, output("variable", (None, 1)))
    assert "'label' tensor(int64) [rows], 'variable' tensor(float) [rows, 1]" in found.doubt
    assert 'm.toml, for example by the line probabilities = "variable"' in found.doubt


def test_a_doubt_about_no_float_at_all_asks_for_another_export():
    assert "export it with an output that does" in roles(LABEL).doubt


@pytest.mark.parametrize(
    "name", ["embedding", "embeddings", "sentence_embedding", "pooler_output", "features", "pooled"]
)
def test_embeddings_are_found_by_name(name):
    found = roles(output("logits"), output(name, (None, 64)))
    assert found.embeddings == name
    assert found.probabilities == ("logits",)


def test_two_outputs_that_could_be_embeddings_are_none():
    assert roles(output("probs"), output("features"), output("embedding")).embeddings is None


def test_embeddings_have_two_axes():
    assert roles(output("probs"), output("token_embeddings", (None, 9, 64))).embeddings is None


def test_settings_name_the_outputs():
    found = roles(output("a"), output("b"), probabilities=("b",), embeddings="a")
    assert (found.probabilities, found.embeddings, found.doubt) == (("b",), "a", None)


@pytest.mark.parametrize("name", ["output", "probs", "logits"])
def test_what_the_settings_call_embeddings_is_no_probabilities(name):
    found = roles(output(name), LABEL, embeddings=name)
    assert (found.probabilities, found.embeddings, found.activation) == ((), name, "none")
    assert f"none of its outputs is known to hold class probabilities: {name!r}" in found.doubt
    assert "export it with an output that does" in found.doubt
    beside = roles(output("dense"), output(name), embeddings=name)
    assert (beside.probabilities, beside.embeddings) == (("dense",), name)


def test_the_activation_is_that_of_the_output_that_the_settings_name():
    both = [output("logits"), output("probs")]
    assert roles(*both, probabilities=("probs",)).activation == "none"
    assert roles(*both, probabilities=("logits",)).activation == "softmax"


def test_settings_may_join_outputs_and_name_a_single_column():
    no, yes = output("no", (None,)), output("yes", (None, 1))
    assert roles(no, yes, probabilities=("yes", "no")).probabilities == ("yes", "no")
    assert roles(no, yes, probabilities=("yes",)).probabilities == ("yes",)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"probabilities": ("probs",)}, "m.toml: probabilities = 'probs': there is no such output"),
        ({"probabilities": ("label",)}, "m.toml: probabilities = 'label': that is 'label' tensor("),
        ({"probabilities": ("deep",)}, "it takes a float tensor of two axes"),
        ({"probabilities": ("a", "zip")}, "m.toml: probabilities = 'zip'"),
        ({"embeddings": "zip"}, "m.toml: embeddings = 'zip'"),
        ({"embeddings": "nothing"}, "there is no such output, only 'label' tensor(int64) [rows], "),
        ({"probabilities": ("a",), "embeddings": "a"}, "cannot be probabilities and embeddings"),
        ({"probabilities": ("one",), "activation": "softmax"}, 'write activation = "sigmoid"'),
    ],
)
def test_settings_that_cannot_be_true_are_refused(settings, says):
    outputs = [
        *[LABEL, output("a"), output("one", (None, 1)), output("deep", (None, 2, 3))],
        output("zip", kind=ZIPMAP),
    ]
    with pytest.raises(Unusable) as caught:
        roles(*outputs, **settings)
    assert says in str(caught.value)


def test_one_column_of_skl2onnx_is_a_decision_value():
    assert roles(LABEL, output("probabilities", (None, 1)), producer="skl2onnx").activation == (
        "sigmoid"
    )
    assert roles(LABEL, output("probabilities"), producer="skl2onnx").activation == "none"
