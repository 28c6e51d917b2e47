"""Classifiers of plugins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holotype.classifiers import CLASSIFIERS, fit_classifier, load_classifier
from holotype.core.errors import RecipeError
from holotype.recipe.load import parse_recipe
from holotype.recipe.sections import CustomClassifierSpec

FEATURES = np.float32([[0, 0], [0, 1], [4, 4], [4, 5]])
TRUTH = np.eye(2, dtype=bool)[[0, 0, 1, 1]]


@pytest.fixture(autouse=True)
def centroids() -> Iterator[type]:
    """Nearest centroid, as a plugin registers it."""

    class Centroids:
        @staticmethod
        def fit(features, truth, weights, *, scale: float = 1.0):
            shares = truth * weights[:, None]
            return {"centers": scale * (shares.T @ features) / shares.sum(axis=0)[:, None]}

        @staticmethod
        def logits(features, arrays):
            return -((features[:, None] - arrays["centers"]) ** 2).sum(axis=2)

    CLASSIFIERS.register(name="centroids")(Centroids)
    yield Centroids
    del CLASSIFIERS._functions["centroids"], CLASSIFIERS._plugins["centroids"]


def fit(**options: object):
    spec = CustomClassifierSpec(kind="custom", name="centroids", options=options)
    return fit_classifier(FEATURES, TRUTH, spec, classes=2, kind="multiclass", groups=np.arange(4))


def test_a_classifier_of_a_plugin_survives_its_files(tmp_path: Path) -> None:
    fitted = fit(scale=2.0)
    np.testing.assert_allclose(fitted.logits(FEATURES)[0], [-1, -(64 + 81)])
    fitted.save(tmp_path)
    loaded = load_classifier(tmp_path)
    np.testing.assert_array_equal(loaded.logits(FEATURES), fitted.logits(FEATURES))
    assert loaded.describe() == {"kind": "custom", "name": "centroids", "options": {"scale": 2.0}}
    assert loaded.as_linear() is None


def test_what_is_no_array_or_no_logit_is_refused(centroids) -> None:
    logits = centroids.logits
    centroids.logits = staticmethod(lambda features, arrays: features[:, 0])
    with pytest.raises(RecipeError, match=r"`logits` returns shape \(4,\), not finite values of shape \(4, 2\)"):
        fit().logits(FEATURES)
    centroids.logits = logits
    centroids.fit = staticmethod(lambda features, truth, weights: features)
    with pytest.raises(RecipeError, match="the classifier 'centroids' does not fit: `fit` returns ndarray, not arrays"):
        fit()


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        ({"kind": "custom", "name": "centroid"}, "no classifier is named 'centroid'; did you mean 'centroids'?"),
        ({"kind": "custom", "name": "centroids", "options": {"k": 1}}, "its options are scale"),
    ],
)
def test_an_unknown_classifier_or_option_is_refused_with_the_nearest(classifier, message, tmp_path: Path) -> None:
    content = {"data": {"train": "t.csv", "images": "{id}.png"}, "models": [{"classifier": classifier}]}
    with pytest.raises(RecipeError) as caught:
        parse_recipe(content, tmp_path)
    assert message in str(caught.value)
