"""All kinds of classifiers: oracles, invariances, labels that are absent, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.special import expit, softmax
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from holotype.classifiers import FittedClassifier, LinearClassifier, fit_classifier, importances, logistic
from holotype.classifiers.closed_form import shrunk_covariance
from holotype.classifiers.targets import make_targets, row_losses
from holotype.classifiers.training_rows import STRENGTHS, TrainingRows
from holotype.core.errors import DataError
from holotype.recipe.sections import ClassifierSpec
from holotype.types import LabelMatrix

KINDS = ("logistic", "ridge", "lda", "knn", "lightgbm")
OF_BOTH = ("logistic", "ridge", "knn", "lightgbm")
LINEAR = ("logistic", "ridge", "lda")


def spec(kind: str, **options: Any) -> Any:
    quick = {"rounds": 40} if kind == "lightgbm" and "rounds" not in options else {}
    return TypeAdapter(ClassifierSpec).validate_python({"kind": kind, **quick, **options})


def draw(rows: int, width: int, classes: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different scales around class centers, and class numbers; every class occurs."""
    generator = np.random.default_rng(seed)
    labels = np.append(np.arange(classes), generator.integers(0, classes, rows - classes))
    centers = 0.5 * np.random.default_rng(99).standard_normal((classes, width))
    values = generator.standard_normal((rows, width)) + centers[labels]
    return (values * np.geomspace(0.01, 100, width) + 3).astype(np.float32), labels


def draw_labels(labels: np.ndarray, classes: int) -> np.ndarray:
    """Mask of several labels per row: the class, and class 0 for every second one."""
    mask = np.eye(classes, dtype=bool)[labels]
    mask[:, 0] |= labels % 2 == 0
    return mask


def fit(features: np.ndarray, truth: np.ndarray, kind: str, classes: int, **options: Any) -> FittedClassifier:
    keywords = {name: options.pop(name) for name in ("groups", "sample_weight", "seed", "threads") if name in options}
    keywords.setdefault("groups", np.arange(len(features)))
    labels = "multiclass" if truth.ndim == 1 else "multilabel"
    return fit_classifier(features, truth, spec(kind, **options), classes=classes, kind=labels, **keywords)


def probability(fitted: FittedClassifier, features: np.ndarray) -> np.ndarray:
    logits = fitted.logits(features).astype(np.float64)
    return np.asarray(softmax(logits, axis=1) if fitted.kind == "multiclass" else expit(logits))


@pytest.mark.parametrize("c", [1e-4, 0.1, 10.0])
@pytest.mark.parametrize(("rows", "width", "classes"), [(300, 20, 5), (300, 20, 2), (60, 90, 3)])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_logistic_regression_is_that_of_scikit_learn(
    c: float, rows: int, width: int, classes: int, class_weight: str | None
) -> None:
    features, labels = draw(rows, width, classes)
    new, _ = draw(50, width, classes, seed=2)
    weights = np.random.default_rng(3).uniform(0.5, 2, rows)
    scaler = StandardScaler().fit(features.astype(np.float64), sample_weight=weights)
    oracle = LogisticRegression(C=c, tol=1e-9, max_iter=10_000, class_weight=class_weight)
    expected = oracle.fit(scaler.transform(features), labels, weights).predict_proba(scaler.transform(new))
    ours = fit(features, labels, "logistic", classes, c=c, class_weight=class_weight, sample_weight=weights)
    assert probability(ours, new) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_multilabel_logistic_regression_is_one_of_scikit_learn_per_label(class_weight: str | None) -> None:
    features, labels = draw(300, 20, 4)
    new, _ = draw(50, 20, 4, seed=2)
    scaler, truth = StandardScaler().fit(features.astype(np.float64)), draw_labels(labels, 4)
    oracle = OneVsRestClassifier(LogisticRegression(C=0.1, tol=1e-9, max_iter=10_000, class_weight=class_weight))
    expected = oracle.fit(scaler.transform(features), truth).predict_proba(scaler.transform(new))
    ours = fit(features, truth, "logistic", 4, c=0.1, class_weight=class_weight)
    assert probability(ours, new) == pytest.approx(expected, abs=1e-3)


def test_logistic_regression_without_scaling_is_that_of_scikit_learn() -> None:
    features, labels = draw(200, 5, 3)
    oracle = LogisticRegression(C=0.1, tol=1e-9, max_iter=100_000).fit(features.astype(np.float64), labels)
    ours = fit(features, labels, "logistic", 3, c=0.1, standardize=False)
    assert probability(ours, features) == pytest.approx(oracle.predict_proba(features), abs=1e-3)


@pytest.mark.parametrize("width", [20, 90])
def test_ridge_scores_are_those_of_scikit_learn_up_to_the_temperature(width: int) -> None:
    features, labels = draw(80, width, 4)
    new, _ = draw(50, width, 4, seed=2)
    weights = np.random.default_rng(3).uniform(0.5, 2, 80)
    scaler = StandardScaler().fit(features.astype(np.float64), sample_weight=weights)
    oracle = Ridge(alpha=1 / 0.05).fit(scaler.transform(features), np.eye(4)[labels], sample_weight=weights)
    expected = oracle.predict(scaler.transform(new))
    ours = fit(features, labels, "ridge", 4, c=0.05, sample_weight=weights)
    scores = ours.logits(new) / ours.describe()["factor"]
    centered = expected - expected.mean(axis=1, keepdims=True)  # a softmax does not see the difference
    assert scores - scores.mean(axis=1, keepdims=True) == pytest.approx(centered, abs=1e-4)


def test_multilabel_ridge_is_linear_in_the_scores_of_scikit_learn() -> None:
    features, labels = draw(200, 10, 4)
    truth, share = draw_labels(labels, 4), draw_labels(labels, 4).mean(axis=0)
    scaler = StandardScaler().fit(features.astype(np.float64))
    scores = Ridge(alpha=20).fit(scaler.transform(features), truth).predict(scaler.transform(features))
    ours = fit(features, truth, "ridge", 4, c=0.05)
    with_label = (scores * truth).sum(axis=0) / truth.sum(axis=0)
    without = (scores * ~truth).sum(axis=0) / (~truth).sum(axis=0)
    certainty = truth.sum(axis=0) / (truth.sum(axis=0) + 3)
    slope = ours.describe()["factor"] * certainty / (share * (1 - share))
    midpoint = share + certainty * ((with_label + without) / 2 - share)
    expected = np.log(share / (1 - share)) + slope * (scores - midpoint)
    assert ours.logits(features) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_lda_is_that_of_scikit_learn_up_to_the_temperature(
    shrinkage: float, class_weight: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holotype.classifiers.closed_form.MEAN_COUNTS", (0.0,))
    features, labels = draw(120, 8, 4)
    features[:60], labels[:60] = features[labels == 0][:1], 0  # shares that differ
    features += np.random.default_rng(1).standard_normal(features.shape).astype(np.float32)
    ours = fit(features, labels, "lda", 4, shrinkage=shrinkage, class_weight=class_weight, standardize=False)
    priors = np.full(4, 0.25) if class_weight else None
    oracle = LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage, priors=priors).fit(features.astype(float), labels)
    logits = ours.logits(features) / ours.describe()["factor"]
    assert softmax(logits, axis=1) == pytest.approx(oracle.predict_proba(features.astype(float)), abs=1e-3)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**31))
def test_automatic_shrinkage_is_that_of_ledoit_and_wolf(rows: int, width: int, seed: int) -> None:
    residuals = np.random.default_rng(seed).standard_normal((rows, width)) * np.geomspace(1, 5, width)
    expected, expected_share = ledoit_wolf(residuals, assume_centered=True)
    covariance, share = shrunk_covariance(residuals, np.ones(rows), "auto")
    assert share == pytest.approx(expected_share, abs=1e-9)
    assert covariance == pytest.approx(expected, abs=1e-8)
    twice, _ = shrunk_covariance(residuals, np.full(rows, 2.0), "auto")
    doubled, _ = ledoit_wolf(np.vstack([residuals, residuals]), assume_centered=True)
    assert twice == pytest.approx(doubled, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns(kind: str) -> None:
    features, labels = draw(300, 20, 4)
    new, expected = draw(200, 20, 4, seed=2)
    fitted = fit(features, labels, kind, 4, **({"standardize": True} if kind == "knn" else {}))
    assert (fitted.logits(new).argmax(axis=1) == expected).mean() > 0.65
    assert fitted.logits(new).dtype == np.float32
    assert fitted.describe()["kind"] == kind
    if kind == "lda":
        return
    several = fit(features, draw_labels(labels, 4), kind, 4, **({"standardize": True} if kind == "knn" else {}))
    assert ((several.logits(new) > 0) == draw_labels(expected, 4)).mean() > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_classes_without_training_rows_get_a_finite_low_logit(kind: str) -> None:
    features, labels = draw(100, 6, 3)
    fitted = fit(features, labels * 2, kind, 6)  # classes 1, 3 and 5 are absent
    logits = fitted.logits(features)
    assert np.isfinite(logits).all()
    assert (probability(fitted, features)[:, 1::2] < 0.02).all()
    assert set(logits.argmax(axis=1)) <= {0, 2, 4}
    if kind in LINEAR:
        assert logits[:, 1] == pytest.approx(np.log(0.5 / 100.5))
    single = fit(features[:5], np.full(5, 2), kind, 4)
    assert np.isfinite(single.logits(features)).all()
    assert (single.logits(features).argmax(axis=1) == 2).all()


@pytest.mark.parametrize("kind", OF_BOTH)
def test_labels_that_no_row_or_every_row_has_get_constant_log_odds(kind: str) -> None:
    features, labels = draw(100, 6, 3)
    truth = np.column_stack([draw_labels(labels, 3), np.zeros(100, bool), np.ones(100, bool)])
    logits = fit(features, truth, kind, 5).logits(features)
    assert np.isfinite(logits).all()
    assert (logits[:, 3] < -3).all()
    assert (logits[:, 4] > 3).all()
    assert np.isfinite(fit(features, truth[:, 3:], kind, 2).logits(features)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_are_enough(kind: str, rows: int) -> None:
    features, _ = draw(10, 4, 3)
    fitted = fit(features[:rows], np.arange(rows) % 2, kind, 3)
    assert np.isfinite(fitted.logits(features)).all()


@pytest.mark.parametrize("kind", [*LINEAR, "knn"])
@settings(max_examples=8)
@given(exponents=st.lists(st.integers(-8, 8), min_size=6, max_size=6))
def test_scaled_features_give_the_same_logits_where_they_are_standardized(kind: str, exponents: list[int]) -> None:
    features, labels = draw(60, 6, 3)
    factors = np.float32(2.0) ** np.array(exponents, np.float32)  # without rounding
    first = fit(features, labels, kind, 3, standardize=True)
    second = fit(features * factors, labels, kind, 3, standardize=True)
    assert np.allclose(first.logits(features), second.logits(features * factors), atol=1e-4)


@pytest.mark.parametrize("kind", [*LINEAR, "knn"])
@settings(max_examples=8)
@given(order=st.permutations(range(4)))
def test_permuted_classes_permute_the_logits(kind: str, order: list[int]) -> None:
    features, labels = draw(80, 6, 4)
    first = fit(features, labels, kind, 4)
    second = fit(features, np.array(order)[labels], kind, 4)
    assert np.allclose(first.logits(features), second.logits(features)[:, order], atol=2e-3)


@pytest.mark.parametrize("kind", LINEAR)
@settings(max_examples=8)
@given(weights=st.lists(st.integers(0, 3), min_size=40, max_size=40))
def test_a_weight_of_two_counts_as_the_row_twice(kind: str, weights: list[int]) -> None:
    features, labels = draw(40, 6, 3)
    weights = [max(weight, number < 3) for number, weight in enumerate(weights)]  # every class keeps a row
    options = {"shrinkage": 0.5} if kind == "lda" else {"c": 0.1}
    repeated = np.repeat(np.arange(40), weights)
    weighted = fit(features, labels, kind, 3, sample_weight=np.array(weights), **options)
    several = fit(features[repeated], labels[repeated], kind, 3, groups=repeated, **options)
    # inner folds, which differ, select the temperature alone
    scale = several.describe().get("factor", 1) / weighted.describe().get("factor", 1)
    if kind == "lda":
        assert weighted.describe()["mean_count"] in {0, 1, 3, 10, 30, 100}
        if weighted.describe()["mean_count"] != several.describe()["mean_count"]:
            return
    assert np.allclose(weighted.logits(features) * scale, several.logits(features), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes(kind: str) -> None:
    features, labels = draw(120, 8, 3)
    fits = [fit(features, labels, kind, 3, groups=np.arange(120) // 3, seed=5) for _ in range(2)]
    assert fits[0].describe() == fits[1].describe()
    assert fits[0].texts() == fits[1].texts()
    for name, values in fits[0].arrays().items():
        assert values.tobytes() == fits[1].arrays()[name].tobytes()


def test_inner_losses_are_those_of_separate_fits_on_the_inner_folds() -> None:
    generator = np.random.default_rng(4)
    features, labels = generator.standard_normal((300, 200)).astype(np.float32), generator.integers(0, 3, 300)
    targets = make_targets(labels, kind="multiclass", classes=3, rows=300, sample_weight=None)
    folds = list(TrainingRows(features, targets, np.arange(300), 1, 1).inner_folds())
    path = fit(features, labels, "logistic", 3, standardize=False).describe()["path"]
    for entry in path[::2]:
        expected = 0.0
        for train, scored in folds:
            separate = fit(features[train], labels[train], "logistic", 3, c=entry["c"], standardize=False)
            expected += row_losses(separate.logits(features[scored]), targets.rows(scored)).sum() / 300
        assert entry["log_loss"] == pytest.approx(expected, rel=0.08), entry["c"]


def test_no_inner_fold_starts_from_what_another_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first tolerance is loose: a start that knows the labels of the rows to score would be kept nearly as it is.
    minimize, starts = logistic._minimize, []

    def recorded(problem: Any, strength: float, start: np.ndarray, tolerance: float) -> np.ndarray:
        starts.append((strength, bool(start.any())))
        return minimize(problem, strength, start, tolerance)

    monkeypatch.setattr(logistic, "_minimize", recorded)
    features, labels = draw(100, 6, 3)
    fit(features, labels, "logistic", 3)
    assert len(starts) == 3 * len(STRENGTHS) + 1
    assert [strength for strength, is_warm in starts if not is_warm] == [STRENGTHS[0]] * 3


@pytest.mark.parametrize("kind", LINEAR)
def test_random_labels_are_not_predictable_on_inner_folds(kind: str) -> None:
    generator = np.random.default_rng(4)
    features, labels = generator.standard_normal((300, 200)).astype(np.float32), generator.integers(0, 3, 300)
    path = fit(features, labels, kind, 3).describe()["path"]
    assert min(each["log_loss"] for each in path) > np.log(3) - 0.02


def test_strength_is_selected_on_groups_that_are_not_divided() -> None:
    # Pairs of equal rows with random labels: only an inner split that divides pairs would call them predictable.
    generator = np.random.default_rng(4)
    features = np.repeat(generator.standard_normal((60, 30)), 2, axis=0).astype(np.float32)
    labels = np.repeat(np.append([0, 1], generator.integers(0, 2, 58)), 2)
    safe = fit(features, labels, "logistic", 2, groups=np.arange(120) // 2).describe()
    leaky = fit(features, labels, "logistic", 2).describe()
    assert safe["inner_unit"] == "groups"
    assert len(safe["path"]) == 7
    assert safe["inner_log_loss"] == min(each["log_loss"] for each in safe["path"])
    assert safe["c"] <= 1e-2 < leaky["c"]
    assert fit(features, labels, "logistic", 2, groups=np.zeros(120, int)).describe()["inner_unit"] == "rows"


def test_the_temperature_of_votes_is_fitted_without_the_own_group() -> None:
    generator = np.random.default_rng(4)
    features = np.repeat(generator.standard_normal((60, 30)), 2, axis=0).astype(np.float32)
    labels = np.repeat(np.append([0, 1], generator.integers(0, 2, 58)), 2)
    safe = fit(features, labels, "knn", 2, groups=np.arange(120) // 2).describe()["temperature"]
    leaky = fit(features, labels, "knn", 2).describe()["temperature"]  # each row is predicted by its copy
    assert leaky < 0.1 < safe


def test_weights_multiply_votes() -> None:
    corners = np.eye(3, dtype=np.float32)  # as similar to their sum as each other
    weights = np.array([1.0, 3.0, 4.0])
    fitted = fit(corners, np.arange(3), "knn", 3, k=3, temperature=0.1, sample_weight=weights)
    # the prior and the votes have the same shares, so that their mixture has too
    assert probability(fitted, np.ones((1, 3)))[0] == pytest.approx(weights / 8, abs=1e-5)
    shares = fit(corners, np.arange(3), "knn", 3, k=3, temperature=0.1)
    assert probability(shares, np.ones((1, 3)))[0] == pytest.approx([1 / 3] * 3, abs=1e-5)


@pytest.mark.parametrize("kind", ["lda", "logistic", "lightgbm"])
def test_an_absent_class_is_far_below_however_certain_the_others_are(kind: str) -> None:
    features = np.repeat(np.eye(3, dtype=np.float32) * 9, 30, axis=0)
    logits = fit(features, np.repeat([0, 1, 2], 30), kind, 4).logits(features)
    assert (logits.max(axis=1) - logits[:, 3] > 4).all()
    assert np.abs(logits[:, :3].mean(axis=1)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("kind", LINEAR)
def test_a_linear_classifier_is_a_linear_layer_on_the_features(kind: str) -> None:
    features, labels = draw(100, 6, 3)
    fitted = fit(features, labels, kind, 4)
    assert isinstance(fitted, LinearClassifier)
    weight, bias = fitted.as_linear()
    assert (weight.shape, bias.shape, weight.dtype, bias.dtype) == ((4, 6), (4,), np.float32, np.float32)
    assert features @ weight.T + bias == pytest.approx(fitted.logits(features), abs=1e-3)
    assert fit(features, labels, "knn", 4).as_linear() is None


@pytest.mark.parametrize("kind", LINEAR)
def test_a_feature_far_outside_of_the_training_rows_does_not_decide_alone(kind: str) -> None:
    features, labels = draw(100, 6, 3)
    features[:, 5], features[:5, 5] = 0, 1e-4  # a feature of the backbone that is nearly dead
    fitted = fit(features, labels, kind, 3, **({"c": 10.0} if kind != "lda" else {}))
    rows = np.repeat(features[5:6], 5, axis=0)
    rows[:, 5] = [0, 1e-4, 2e-4, 1.0, -1.0]
    assert isinstance(fitted, LinearClassifier)
    assert (fitted.lower[5], fitted.upper[5]) == pytest.approx((-1e-4, 2e-4))
    logits = fitted.logits(rows)
    assert np.array_equal(logits[2], logits[3])
    assert np.abs(logits - logits[0]).max() < 50
    weight, bias = fitted.as_linear()
    clipped = np.clip(rows, fitted.lower, fitted.upper)
    assert clipped @ weight.T + bias == pytest.approx(logits, abs=1e-3)


def test_neighbors_ignore_features_that_are_not_used_in_new_rows_too() -> None:
    features, labels = draw(100, 6, 3)
    features[:, 4:], features[0, 5] = 0, 1e-4
    fitted = fit(features, labels, "knn", 3, standardize=True)
    changed = features.copy()
    changed[:, 4:] = 100
    assert np.array_equal(fitted.logits(changed), fitted.logits(features))


@pytest.mark.parametrize("kind", LINEAR)
def test_a_feature_that_varies_in_a_single_row_is_not_used_and_counted(kind: str) -> None:
    features, labels = draw(100, 6, 3)
    features[:, 4:], features[0, 5] = 0, 1e-4
    fitted = fit(features, labels, kind, 3)
    assert isinstance(fitted, LinearClassifier)
    assert (fitted.weight[:, 4:] == 0).all()
    assert fitted.describe()["unused_features"] == 2
    features[1, 5] = 2e-4
    assert fit(features, labels, kind, 3).describe()["unused_features"] == 2
    features[1:3, 5] = 1e-4
    assert fit(features, labels, kind, 3).describe()["unused_features"] == 1


def test_features_of_large_mean_lose_no_digits() -> None:
    features, labels = draw(200, 6, 3)
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    far = (standardized + 2**12).astype(np.float32)
    expected = fit(far - 2**12, labels, "logistic", 3, c=1.0).logits(far - 2**12)
    assert fit(far, labels, "logistic", 3, c=1.0).logits(far) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", [*LINEAR, "lightgbm"])
def test_importances_rank_the_features_that_matter(kind: str) -> None:
    generator = np.random.default_rng(2)
    features = generator.standard_normal((300, 5)).astype(np.float32) * np.float32([1, 1000, 1, 1, 0])
    labels = (features[:, 1] > 0).astype(int)
    names = ["a", "b", "c", "d", "constant"]
    table = importances(fit(features, labels, kind, 2), names)
    assert table is not None
    assert table.columns == ["name", "importance"]
    assert table["name"][0] == "b"
    assert table["importance"].sum() == pytest.approx(1)
    assert table.filter(table["name"] == "constant")["importance"][0] == 0
    assert importances(fit(features, labels, "knn", 2), names) is None
    with pytest.raises(DataError, match="4 names do not match 5 features"):
        importances(fit(features, labels, kind, 2), names[:4])


def test_trees_allow_missing_values_and_stop_early() -> None:
    features, labels = draw(400, 8, 3)
    features[np.random.default_rng(1).uniform(size=features.shape) < 0.2] = np.nan
    fitted = fit(features, labels, "lightgbm", 3, rounds="auto", groups=np.arange(400) // 2)
    assert (fitted.logits(features).argmax(axis=1) == labels).mean() > 0.8
    assert 1 <= fitted.describe()["rounds"][0] < 1000
    with pytest.raises(DataError, match=r"values are missing or infinite.*use kind: lightgbm"):
        fit(features, labels, "logistic", 3)
    with pytest.raises(DataError, match="are infinite"):
        fit(np.where(np.isnan(features), np.inf, features), labels, "lightgbm", 3)


def test_balanced_weights_raise_rare_classes() -> None:
    features, labels = draw(300, 6, 2)
    rows = np.append(np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:20])
    for kind in ("logistic", "ridge", "lda", "lightgbm"):
        shares = [
            probability(fit(features[rows], labels[rows], kind, 2, class_weight=each), features)[:, 1].mean()
            for each in (None, "balanced")
        ]
        assert shares[1] > shares[0] + 0.05, kind


@pytest.mark.parametrize(("kind", "truth"), [("multiclass", "numbers"), ("multilabel", "mask")])
def test_very_many_classes_are_fitted_in_closed_form(kind: Any, truth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holotype.classifiers.closed_form.MAX_SCORES", 2**19)
    features, labels = draw(6_500, 16, 3_000)
    features = features + 10 * np.random.default_rng(8).standard_normal((3_000, 16))[labels].astype(np.float32)
    sparse = LabelMatrix.from_pairs(np.arange(6_500), labels, (6_500, 3_000))
    fitted = fit_classifier(
        features,
        labels if truth == "numbers" else sparse,
        spec("logistic", **({"c": 1.0} if kind == "multilabel" else {})),
        classes=3_000,
        kind=kind,
        groups=np.arange(6_500),
    )
    facts = fitted.describe()
    assert (facts["kind"], facts["solver"]) == ("logistic", "covariance" if kind == "multiclass" else "eigen")
    logits = fitted.logits(features[:300])
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == labels[:300]).mean() > 0.3


def test_class_numbers_masks_and_sparse_masks_are_the_same_labels() -> None:
    features, labels = draw(60, 6, 3)
    mask = np.eye(3, dtype=bool)[labels]
    keywords: dict[str, Any] = {"classes": 3, "kind": "multiclass", "groups": np.arange(60)}
    forms = (labels, mask, LabelMatrix.from_dense(mask))
    logits = [fit_classifier(features, each, spec("logistic", c=1), **keywords).logits(features) for each in forms]
    assert np.array_equal(logits[0], logits[1])
    assert np.array_equal(logits[0], logits[2])


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "an infinite feature": (
        {"features": np.full((4, 2), np.inf)},
        r"features: 8 values are missing or infinite, in 4 rows",
    ),
    "no columns": ({"features": np.zeros((4, 0))}, r"features need the shape \(rows, width\)"),
    "a class number too large": ({"truth": np.array([0, 1, 2, 9])}, "exactly one of 3 classes: 1 rows"),
    "too few labels": ({"truth": np.array([0, 1])}, r"truth: labels of shape \(2,\) do not match 4 rows"),
    "two labels": ({"truth": np.ones((4, 3), bool)}, "exactly one of 3 classes: 4 rows"),
    "an unknown kind": ({"kind": "regression"}, "kind: unknown kind of labels"),
    "too few groups": ({"groups": np.zeros(3)}, "groups: 4 rows need one group each"),
    "a negative weight": ({"sample_weight": np.array([1, 1, 1, -1])}, "sample_weight: 4 rows need one finite weight"),
    "no weight": ({"sample_weight": np.zeros(4)}, "features: there is nothing to fit"),
    "lda for many labels": (
        {"kind": "multilabel", "truth": np.eye(4, 3, dtype=bool), "spec": spec("lda")},
        "classifier.kind: linear discriminant analysis needs exactly one label per row",
    ),
    "trees for many classes": ({"classes": 2_001, "spec": spec("lightgbm")}, "limited to 2,000 classes"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_wrong_arguments_are_refused(name: str) -> None:
    changes, message = REFUSALS[name]
    arguments: dict[str, Any] = {
        "features": np.eye(4, 2),
        "truth": np.array([0, 1, 2, 0]),
        "spec": spec("logistic"),
        "classes": 3,
        "kind": "multiclass",
        "groups": np.arange(4),
    }
    with pytest.raises(DataError, match=message):
        fit_classifier(**(arguments | changes))


def test_other_features_than_those_of_the_fit_are_refused() -> None:
    features, labels = draw(30, 6, 3)
    fitted = fit(features, labels, "logistic", 3)
    with pytest.raises(DataError, match="fitted on 6 features, but these rows have 5"):
        fitted.logits(features[:, :5])
    with pytest.raises(DataError, match="values are missing or infinite"):
        fitted.logits(np.full((1, 6), np.nan))
    assert fitted.logits(features[:0]).shape == (0, 3)
