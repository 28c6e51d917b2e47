"""What `holotype init` makes of bad folders on the command line, and of the real sets where they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from holotype.cli.main import main
from holotype.recipe.load import load_recipe

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HOLOTYPE_DATA") or CHECKOUT.parent / "shared" / "data")
Captured = pytest.CaptureFixture[str]


def folder_of(place: Path, labels: Sequence[str], test_depth: type | None = None) -> Path:
    """Sixteen-bit images, one a label, and perhaps two to predict."""
    place.mkdir()
    rows = [f"i{number},{label}" for number, label in enumerate(labels)]
    (place / "train.csv").write_text("\n".join(["id,label", *rows]) + "\n")
    for number in range(len(labels)):
        tifffile.imwrite(place / f"i{number}.tif", np.zeros((8, 8), np.uint16))
    if test_depth is not None:
        (place / "test.csv").write_text("id\nt0\nt1\n")
        for name in ("t0", "t1"):
            tifffile.imwrite(place / f"{name}.tif", np.zeros((8, 8), test_depth))
    return place


BAD_LABELS = {
    "amounts": ([f"{number / 7:.3f}" for number in range(30)], "which seem to be an amount, not classes"),
    "few amounts": ([f"{number / 7:.3f}" for number in range(8)], "which seem to be an amount, not classes"),
    "dates": (["2024-01-05", "2024-02-07"] * 4, "the labels are dates, not classes"),
    "free text": ([f"the cell number {number} looks odd" for number in range(9)], "the labels are free text"),
}


@pytest.mark.parametrize(("labels", "words"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_that_are_no_classes_are_one_sentence_and_status_2(
    labels: list[str], words: str, tmp_path: Path, capsys: Captured
) -> None:
    recipe = tmp_path / "recipe.yaml"
    assert main(["init", str(folder_of(tmp_path / "cells", labels)), "-o", str(recipe)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("holotype: column 'label': ")
    assert words in sentence
    assert not recipe.exists()


def test_folders_of_one_image_each_are_one_sentence_and_status_2(tmp_path: Path, capsys: Captured) -> None:
    for number in range(6):
        (tmp_path / "cells" / f"specimen{number}").mkdir(parents=True)
        tifffile.imwrite(tmp_path / "cells" / f"specimen{number}" / "scan.tif", np.zeros((8, 8), np.uint16))
    assert main(["init", str(tmp_path / "cells"), "-o", str(tmp_path / "recipe.yaml")]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "6 of 6 folders hold a single image, but a class needs several; " in sentence


def test_test_images_of_another_depth_are_asked_about_and_the_recipe_says_so(tmp_path: Path, capsys: Captured) -> None:
    recipe = tmp_path / "recipe.yaml"
    assert main(["init", str(folder_of(tmp_path / "cells", ["a", "b"] * 5, np.uint8)), "-o", str(recipe)]) == 0
    asked = "The test images have 8 bits per channel and the training images 16: were both saved in the same way?"
    assert asked in capsys.readouterr().err
    assert "# Warning: The test images have 8 bits per channel" in recipe.read_text()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set HOLOTYPE_DATA to the folder of the sets")
@pytest.mark.parametrize("name", ["mitocheck", "jurkat", "leaf", "bccd"])
def test_the_recipe_of_a_real_set_is_right_as_it_was_written(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "out" / "recipe.yaml"
    assert main(["init", str(DATA / name), "-o", str(recipe)]) == 0
    data = load_recipe(recipe).data
    assert data.groups == (["plate"] if name == "mitocheck" else [])
    assert (data.labels.taxonomy or "").endswith("taxonomy.csv") == (name == "leaf")
    assert data.labels.kind == ("multilabel" if name == "bccd" else "multiclass")
    assert data.channels == (["brightfield", "darkfield", "dna"] if name == "jurkat" else None)
    assert data.test is not None


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set HOLOTYPE_DATA to the folder of the sets")
@pytest.mark.parametrize("name", ["mitocheck", "jurkat", "leaf", "bccd"])
def test_the_recipe_of_a_real_set_runs(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    assert main(["init", str(DATA / name), "-o", str(recipe)]) == 0
    assert main(["check", str(recipe)]) == 0
    small = [
        "split.folds_to_train=[0]",
        "models.0.backbone=test_resnet",
        "models.0.weights=none",
        "models.0.input.size=64",
        "models.0.phases=[{epochs: 1}]",
        "models.0.predict.tta=none",
    ]
    assert main(["run", str(recipe), *(word for change in small for word in ("--set", change))]) == 0
    assert (tmp_path / "runs" / name / "submission.csv").is_file()
