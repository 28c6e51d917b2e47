"""Saved classifiers: the same logits, the same bytes, and damage that is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from holotype.classifiers import FittedClassifier, fit_classifier, load_classifier
from holotype.core.errors import StoreError
from holotype.recipe.sections import ClassifierSpec

KINDS = ("logistic", "ridge", "lda", "knn", "lightgbm")


def fitted(kind: str, labels: str = "multiclass") -> tuple[FittedClassifier, np.ndarray]:
    generator = np.random.default_rng(1)
    features, numbers = generator.standard_normal((80, 5)).astype(np.float32), np.arange(80) % 3
    features[:, 0] += numbers
    truth: Any = numbers if labels == "multiclass" else np.eye(4, dtype=bool)[numbers]
    spec = TypeAdapter(ClassifierSpec).validate_python({"kind": kind, **({"rounds": 5} if kind == "lightgbm" else {})})
    groups = np.arange(80)
    return fit_classifier(features, truth, spec, classes=4, kind=labels, groups=groups), features  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("kind", "labels"), [*((kind, "multiclass") for kind in KINDS), ("knn", "multilabel"), ("lightgbm", "multilabel")]
)
def test_a_loaded_classifier_predicts_and_saves_the_same_bytes(kind: str, labels: str, tmp_path: Path) -> None:
    classifier, features = fitted(kind, labels)
    classifier.save(tmp_path / "first")
    loaded = load_classifier(tmp_path / "first")
    assert loaded.logits(features).tobytes() == classifier.logits(features).tobytes()
    assert loaded.describe() == classifier.describe()
    loaded.save(tmp_path / "second")
    assert content(tmp_path / "first") == content(tmp_path / "second")


@pytest.mark.parametrize("name", ["classifier.json", "classifier.safetensors", "trees-0000.txt"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_files_are_refused(name: str, damage: str, tmp_path: Path) -> None:
    fitted("lightgbm")[0].save(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    with pytest.raises(StoreError, match="cannot be read"):
        load_classifier(tmp_path)


def test_files_of_two_classifiers_are_refused(tmp_path: Path) -> None:
    fitted("logistic")[0].save(tmp_path / "first")
    fitted("ridge")[0].save(tmp_path / "second")
    name = "classifier.safetensors"
    (tmp_path / "first" / name).write_bytes((tmp_path / "second" / name).read_bytes())
    with pytest.raises(StoreError, match="were not written together"):
        load_classifier(tmp_path / "first")


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    fitted("logistic")[0].save(tmp_path)
    facts = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps(facts | {"method": "forest"}))
    with pytest.raises(StoreError, match="cannot be read"):
        load_classifier(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        fitted("logistic")[0].save(tmp_path / "file")


def test_the_package_and_a_linear_fit_import_no_slow_library() -> None:
    code = """
import sys
import numpy as np
import holotype.classifiers
import holotype.recipe.sections
print(sorted({"sklearn", "lightgbm", "torch", "polars"} & set(sys.modules)))
from holotype.classifiers import fit_classifier
from holotype.recipe.sections import LogisticClassifierSpec
values = np.eye(6, 2, dtype=np.float32)
fit_classifier(values, np.arange(6) % 2, LogisticClassifierSpec(), classes=2, kind="multiclass", groups=np.arange(6))
print(sorted({"sklearn", "lightgbm", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
