"""A finished run asked for images that are not like its own: refused, warned of by name, or accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image

import holotype
from holotype.cli.main import main
from holotype.core.errors import DataError, InputError
from holotype.pipeline.write_predictions import describe_single_label, describe_uniform_predictions

SIDE = 32


def picture(seed: int) -> np.ndarray:
    """Twelve bits: dark or bright spots, by the seed's parity."""
    random = np.random.default_rng(seed)
    level = 800 if seed % 2 else 2400
    return random.integers(level - 300, level + 300, (SIDE, SIDE)).astype(np.uint16)


@pytest.fixture(scope="module")
def run_of_12_bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bits")
    (folder / "images").mkdir()
    for seed in range(12):
        tifffile.imwrite(folder / "images" / f"i{seed}.tif", picture(seed))
    for seed, depth in ((12, "uint16"), (13, "uint16")):
        tifffile.imwrite(folder / "images" / f"i{seed}.tif", picture(seed).astype(depth) * (1 + 5 * (seed == 13)))
    rows = {"id": [f"i{seed}" for seed in range(12)], "label": ["a", "b"] * 6, "plate": ["p", "p", "q"] * 4}
    pl.DataFrame(rows).write_csv(folder / "train.csv")
    pl.DataFrame({"id": ["i12", "i13"], "plate": ["p", "q"]}).write_csv(folder / "test.csv")
    model = {
        "name": "main",
        "backbone": "test_efficientnet",
        "weights": "none",
        "input": {"size": SIDE},
        "phases": [{"epochs": 1, "lr": 0.002}],
        "predict": {"tta": "none"},
    }
    recipe = {
        "name": "bits",
        "run": {"threads": 1, "workers": 0, "device": "cpu"},
        "split": {"folds": 2},
        "data": {
            "train": "train.csv",
            "test": "test.csv",
            "images": "images/{id}.tif",
            "groups": ["plate"],
            "labels": {"column": "label", "kind": "multiclass"},
        },
        "models": [model],
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return holotype.run(folder / "recipe.yaml").folder.root


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    else:
        Image.fromarray(pixels).save(path)
    return path


def test_images_of_another_depth_or_other_channels_are_refused_by_name(run_of_12_bits: Path, tmp_path: Path) -> None:
    opened = holotype.open_run(run_of_12_bits)
    strange = {
        "eight.png": (picture(20) >> 4).astype(np.uint8),
        "float.tif": (picture(20) / 4095).astype(np.float32),
        "rgb.tif": np.stack([picture(20)] * 3, axis=-1),
    }
    words = {
        "eight.png": "its pixels are uint8, but those of the training images are uint16",
        "float.tif": "its pixels are float32, but those of the training images are uint16",
        "rgb.tif": "it has 3 channels, but the training images have 1",
    }
    for name, pixels in strange.items():
        path = save(tmp_path / name, pixels)
        with pytest.raises(DataError, match=f"{path.stem}: {words[name]}"):
            opened.predict(path)
    with pytest.raises(DataError) as caught:
        opened.predict(tmp_path)
    assert all(text in str(caught.value) for text in words.values())


def test_images_of_the_same_kind_are_predicted_without_a_word(run_of_12_bits: Path, tmp_path: Path, capsys) -> None:
    for seed in range(20, 28):
        save(tmp_path / f"{seed}.tif", picture(seed))
    table = holotype.open_run(run_of_12_bits).predict(tmp_path)
    assert [text for text in table["warning"] if text and "no class is likely" not in text] == []


def test_an_image_of_another_range_is_warned_of_by_name(run_of_12_bits: Path, tmp_path: Path, capsys) -> None:
    save(tmp_path / "bright.tif", picture(20) * 16)
    assert main(["predict", str(run_of_12_bits), str(tmp_path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["warnings"] == 1
    assert "it is brighter than the training images: mean 3.8" in answer["predictions"][0]["warning"]
    assert "it has values from" in answer["predictions"][0]["warning"]
    assert main(["predict", str(run_of_12_bits), str(tmp_path), "-o", str(tmp_path / "out.csv")]) == 0
    assert "1 of 1 image is unlike the training images: 'bright': it is brighter" in capsys.readouterr().err
    assert "brighter" in (tmp_path / "out.csv").read_text(encoding="utf-8-sig")


def test_each_file_is_accounted_for(run_of_12_bits: Path, tmp_path: Path, capsys) -> None:
    good = save(tmp_path / "in" / "good.tif", picture(20))
    save(tmp_path / "in" / "eight.png", (picture(20) >> 4).astype(np.uint8))
    (tmp_path / "in" / "torn.tif").write_bytes(good.read_bytes()[:100])
    (tmp_path / "in" / "phone.heic").write_bytes(b"")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    assert main(["predict", str(run_of_12_bits), str(tmp_path / "in")]) == 2
    error = capsys.readouterr().err
    for text in ("3 of 4 images", "eight: its pixels are uint8", "torn.tif", "phone.heic", "1 .txt"):
        assert text in error
    output = tmp_path / "out.parquet"
    assert main(["predict", str(run_of_12_bits), str(tmp_path / "in"), "--skip-unreadable", "-o", str(output)]) == 0
    assert "3 of 4 images have no prediction" in capsys.readouterr().err
    table = pl.read_parquet(output)
    assert sorted(table["id"]) == ["eight", "good", "phone", "torn"]
    by_id = {row["id"]: row for row in table.iter_rows(named=True)}
    assert by_id["good"]["labels"] in {"a", "b"}
    assert by_id["good"]["error"] is None
    assert np.isfinite(by_id["good"]["scores"]).all()
    for name in ("eight", "phone", "torn"):
        assert by_id[name]["labels"] is None
        assert by_id[name]["error"]
        assert np.isnan(by_id[name]["scores"]).all()


def test_folders_files_and_tables_may_be_mixed(run_of_12_bits: Path, tmp_path: Path) -> None:
    paths = [save(tmp_path / place / "same.tif", picture(20)) for place in ("one", "two")]
    alone = save(tmp_path / "three.tif", picture(21))
    opened = holotype.open_run(run_of_12_bits)
    table = opened.predict([tmp_path / "one", tmp_path / "two", alone, run_of_12_bits.parents[1] / "test.csv"])
    assert table["id"].to_list() == ["i12", "i13", *map(str, paths), "three"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=r"there are no images in .*nothing"):
        opened.predict([tmp_path / "one", tmp_path / "nothing"])


def test_the_runs_own_table_has_its_groups_and_the_same_warnings(run_of_12_bits: Path) -> None:
    table = pl.read_csv(run_of_12_bits / "predictions.csv")
    assert table["plate"].to_list() == ["p", "q"]
    again = holotype.open_run(run_of_12_bits).predict(run_of_12_bits.parents[1] / "test.csv")
    assert table["warning"].to_list() == again["warning"].to_list()
    assert "brighter" in table["warning"][1]


def test_pixels_without_data_and_hot_pixels_change_no_answer(run_of_12_bits: Path, tmp_path: Path) -> None:
    clean, hot = picture(20), picture(20)
    hot[3, 4] = 65535
    opened = holotype.open_run(run_of_12_bits)
    table = opened.predict([save(tmp_path / "clean.tif", clean), save(tmp_path / "hot.tif", hot)])
    assert table["probability_1"][0] == pytest.approx(table["probability_1"][1], abs=0.02)
    assert "single pixels reach from" in table["warning"][1]


@pytest.mark.parametrize(
    ("labels", "count", "classes", "note"),
    [
        ({"a"}, 10, 2, "note: all 10 images were labeled a."),
        ({""}, 1200, 2, "note: all 1,200 images were labeled with no class."),
        ({"a"}, 9, 2, None),
        ({"a"}, 10, 1, None),
        ({"a", "b"}, 10, 2, None),
    ],
)
def test_predictions_of_a_single_label_are_noted(labels: set[str], count: int, classes: int, note: str | None) -> None:
    assert describe_single_label(labels, count, classes) == note


def test_a_run_notes_that_all_test_images_or_else_all_out_of_fold_ones_were_labeled_alike() -> None:
    alike = np.tile([[False, True]], (12, 1))
    mixed = np.eye(2, dtype=bool)[[0, 1] * 6]
    note = "note: all 12 images were labeled b."

    def result(test: np.ndarray | None, scored: np.ndarray) -> SimpleNamespace:
        fitted = SimpleNamespace(test=test, decided=test, decision=SimpleNamespace(classes=("a", "b")))
        return SimpleNamespace(postprocessing=fitted, nested=SimpleNamespace(decided=scored))

    assert describe_uniform_predictions(result(alike, mixed)) == note  # type: ignore[arg-type]
    assert describe_uniform_predictions(result(mixed, alike)) is None  # type: ignore[arg-type]
    assert describe_uniform_predictions(result(None, alike)) == note  # type: ignore[arg-type]


def test_predict_notes_that_all_images_were_labeled_alike(
    run_of_12_bits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(12):
        save(tmp_path / f"n{seed}.tif", picture(1))  # the same image twelve times
    assert main(["predict", str(run_of_12_bits), str(tmp_path)]) == 0
    assert "note: all 12 images were labeled " in capsys.readouterr().err


def test_predict_counts_the_images_that_trained_the_run(
    run_of_12_bits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("copy", 3), ("other", 4), ("test", 12), ("new", 40)):
        save(tmp_path / f"{name}.tif", picture(seed))
    assert main(["predict", str(run_of_12_bits), str(tmp_path)]) == 0
    assert "note: 2 of 4 images are training images of this run." in capsys.readouterr().err
    (tmp_path / "copy.tif").unlink()
    (tmp_path / "other.tif").unlink()
    assert main(["predict", str(run_of_12_bits), str(tmp_path)]) == 0
    assert "training images of this run" not in capsys.readouterr().err
