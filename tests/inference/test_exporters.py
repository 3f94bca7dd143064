"""What scikit-learn's exporter writes, in all its forms, against `predict_proba`."""

import numpy as np
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from nextlabel_server.errors import InvalidRequest, ModelUnfit

from . import graphs

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4)).astype(np.float32)
# Neither in order nor from 0, so that a column in the wrong place shows.
CLASSES = {
    "three integers": np.array([33, -2, 10]),
    "two integers": np.array([1, 0, 0]),
    "three strings": np.array(["b", "é x", "a"]),
    "two strings": np.array(["yes", "no", "no"]),
    "two booleans": np.array([True, False, False]),
}
KIND = np.argmax(X[:, :3] + rng.normal(size=(90, 3)), axis=1)


@pytest.fixture(params=CLASSES, ids=lambda name: name.replace(" ", "-"))
def classes(request):
    return CLASSES[request.param][KIND]


def served(directory, classifier, settings="", sample=X[:1], **options):
    chosen = {id(classifier): options} if options else None
    return graphs.load(directory, to_onnx(classifier, sample, options=chosen), settings)


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
def test_every_form_of_zipmap_gives_the_columns_of_predict_proba(tmp_path, classes, zipmap):
    fitted = LogisticRegression().fit(X, classes)
    model = served(tmp_path, fitted, zipmap=zipmap)
    model.require_probabilities()
    found = graphs.run(model, X=X).probabilities
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    "classifier",
    [
        RandomForestClassifier(5, random_state=0),
        DecisionTreeClassifier(max_depth=4, random_state=0),
        MLPClassifier((5,), max_iter=5000, random_state=0),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_other_families_of_classifiers_are_served_alike(tmp_path, classes, classifier):
    fitted = classifier.fit(X, classes)
    found = graphs.run(served(tmp_path, fitted), X=X).probabilities
    np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
def test_raw_scores_are_logits_when_the_settings_say_so(tmp_path, zipmap):
    # Nothing in the file tells raw scores from probabilities: they go by the same name.
    options = {"zipmap": zipmap, "raw_scores": True}
    three = LogisticRegression().fit(X, KIND)
    model = served(tmp_path, three, 'activation = "softmax"', **options)
    logits = graphs.run(model, X=X).probabilities
    assert model.activation == "softmax"
    np.testing.assert_allclose(logits, three.decision_function(X), atol=1e-5)

    # Of two classes they are [-d, d], so a sigmoid gives probabilities that sum to 1.
    two = LogisticRegression().fit(X, KIND == 0)
    model = served(tmp_path, two, 'activation = "sigmoid"', **options)
    logits = graphs.run(model, X=X).probabilities.astype(float)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), two.predict_proba(X), atol=1e-5)


def test_decision_values_of_a_binary_linear_svc_are_one_column_of_logits(tmp_path):
    fitted = LinearSVC().fit(X, KIND == 0)
    model = served(tmp_path, fitted)
    assert model.activation == "sigmoid"
    found = graphs.run(model, X=X).probabilities
    np.testing.assert_allclose(found[:, 0], fitted.decision_function(X), atol=1e-5)


def test_decision_values_of_a_linear_svc_of_three_classes_are_three_columns(tmp_path):
    fitted = LinearSVC().fit(X, KIND)
    model = served(tmp_path, fitted, 'activation = "softmax"')
    found = graphs.run(model, X=X).probabilities
    np.testing.assert_allclose(found, fitted.decision_function(X), atol=1e-5)


def test_a_ridge_classifier_declares_two_columns_and_gives_one(tmp_path):
    fitted = RidgeClassifier().fit(X, KIND == 0)
    model = served(tmp_path, fitted, 'activation = "sigmoid"')
    assert model.outputs[1].shape == (None, 2)
    found = graphs.run(model, X=X).probabilities
    np.testing.assert_allclose(found[:, 0], fitted.decision_function(X), atol=1e-5)


def test_double_inputs_are_fed_as_doubles(tmp_path):
    fitted = LogisticRegression().fit(X, KIND)
    model = served(tmp_path, fitted, sample=X[:1].astype(np.float64), zipmap=False)
    assert model.inputs[0].dtype == np.dtype(np.float64)
    found = graphs.run(model, X=X).probabilities
    assert found.dtype == np.float64
    # The exporter rounds the coefficients to float32.
    np.testing.assert_allclose(found, fitted.predict_proba(X), atol=1e-6)


def test_doubles_before_a_zipmap_do_not_load_and_the_problem_says_what_to_do(tmp_path):
    fitted = LogisticRegression().fit(X, KIND)
    model = served(tmp_path, fitted, sample=X[:1].astype(np.float64))
    assert model.problem.endswith("export it with zipmap=False")


TEXTS = ["good film", "bad film", "so good", "very bad"] * 5
GOOD = [1, 0, 1, 0] * 5


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer, CountVectorizer])
@pytest.mark.parametrize("shape", [[None, 1], [None]])
def test_texts_are_strings(tmp_path, vectorizer, shape):
    fitted = make_pipeline(vectorizer(), LogisticRegression()).fit(TEXTS, GOOD)
    exported = to_onnx(
        fitted,
        initial_types=[("text", StringTensorType(shape))],
        options={vectorizer: {"locale": "C.UTF-8"}},
    )
    model = graphs.load(tmp_path, exported)
    texts = np.array(["Good film", "bad", "so so"], object)
    shaped = texts.reshape(-1, *shape[1:])
    model.check_inputs({"text": (np.dtype(object), shaped.shape)})
    found = graphs.run(model, text=shaped).probabilities
    np.testing.assert_allclose(found, fitted.predict_proba(texts), atol=1e-5)

    wrong = (3,) if shape == [None, 1] else (3, 1)
    with pytest.raises(InvalidRequest, match=r"but the model takes \[rows"):
        model.check_inputs({"text": (np.dtype(object), wrong)})


def test_a_locale_that_the_server_lacks_is_a_problem_that_names_the_option(tmp_path):
    # skl2onnx asks for en_US.UTF-8 unless told otherwise; small images do not have it.
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, GOOD)
    exported = to_onnx(
        fitted,
        initial_types=[("text", StringTensorType([None, 1]))],
        options={TfidfVectorizer: {"locale": "xx_YY.UTF-8"}},
    )
    problem = graphs.load(tmp_path, exported).problem
    assert "option locale='C.UTF-8'" in problem


def test_a_table_is_one_input_for_each_column(tmp_path):
    table = np.array([["a", 1.0, 2.0], ["b", 3.0, 5.0], ["a", 5.0, 8.0]] * 6, object)
    columns = ColumnTransformer([("city", OneHotEncoder(), [0]), ("n", StandardScaler(), [1, 2])])
    fitted = make_pipeline(columns, LogisticRegression()).fit(table, [0, 1, 0] * 6)
    types = [("city", StringTensorType([None, 1]))]
    types += [(name, FloatTensorType([None, 1])) for name in ("age", "height")]
    model = graphs.load(tmp_path, to_onnx(fitted, initial_types=types))
    sent = {"city": table[:, :1], "age": table[:, 1:2], "height": table[:, 2:]}
    model.check_inputs(
        {
            "city": (np.dtype(object), (-1, 1)),
            "age": (np.dtype(np.int32), (-1, 1)),
            "height": (np.dtype(np.float64), (-1, 1)),
        }
    )
    found = graphs.run(model, **sent).probabilities
    np.testing.assert_allclose(found, fitted.predict_proba(table), atol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "targets"),
    [
        (LinearRegression(), X[:, 0]),
        (LinearRegression(), X[:, :2]),
        (KMeans(3, n_init=1), KIND),
    ],
    ids=["regressor", "regressor of two targets", "clusters"],
)
def test_models_without_class_probabilities_are_refused(tmp_path, estimator, targets):
    model = served(tmp_path, estimator.fit(X, targets))
    assert "none of its outputs is known to hold class probabilities" in model.problem
    with pytest.raises(ModelUnfit, match=r"m\.toml|export it"):
        model.require_probabilities()


def test_several_labels_at_once_are_refused(tmp_path):
    labels = np.stack([KIND == 0, KIND == 1], axis=1)
    fitted = MultiOutputClassifier(LogisticRegression()).fit(X, labels)
    model = served(tmp_path, fitted, zipmap=False)
    assert "'probabilities' seq(tensor(float))" in model.problem
