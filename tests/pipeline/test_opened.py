"""A finished run, asked for new images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.special import expit

import holotype
from holotype.cli.commands import predict_images
from holotype.core.errors import DataError, InputError
from holotype.core.progress import Progress
from holotype.runs.new_images import in_chunks
from holotype.types import ImageTable

WriteRecipe = Callable[..., Path]


def said_of_test(run: Path) -> dict[str, list[float]]:
    """The probabilities of `test.parquet` by id."""
    scores = pl.read_parquet(run / "test.parquet")
    return {name: expit(np.array(row)).tolist() for name, row in scores.iter_rows()}


def same_as_the_run(table: pl.DataFrame, run: Path) -> None:
    """Every row of a prediction says what the run itself said of that image."""
    known = said_of_test(run)
    classes = pl.read_csv(run / "classes.csv")["name"].to_list()
    submission = dict(pl.read_csv(run / "submission.csv", infer_schema=False).iter_rows())
    for row in table.iter_rows(named=True):
        name = Path(row["id"]).name
        assert row["labels"] == submission[name]
        for rank in (1, 2, 3):
            of_class = known[name][classes.index(row[f"class_{rank}"])]
            assert row[f"probability_{rank}"] == pytest.approx(of_class, abs=6e-5)  # four digits are written


def copied(screen: Path, folder: Path, names: list[str], place: str = "{id}_{channel}.png") -> Path:
    """Some images of the screen under another layout."""
    for name in names:
        for file in (screen / "images").glob(f"{name}_*.png"):
            target = folder / place.format(id=name, channel=file.stem.removeprefix(f"{name}_"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return folder


@pytest.fixture(scope="module")
def new_ids(screen: Path) -> list[str]:
    return pl.read_csv(screen / "test.csv")["id"].to_list()


def test_a_folder_is_given_the_runs_own_scores(
    finished: Path, screen: Path, new_ids: list[str], tmp_path: Path
) -> None:
    opened = holotype.open_run(finished)
    folder = copied(screen, tmp_path, new_ids)
    same_as_the_run(opened.predict(folder), finished)
    logits = opened.logits(opened.read_images(folder))
    known = dict(pl.read_parquet(finished / "test.parquet").iter_rows())
    assert np.abs(logits - np.array([known[name] for name in sorted(new_ids)])).max() < 1e-5


def test_one_image_alone_is_given_the_same_as_in_company(
    finished: Path, screen: Path, new_ids: list[str], tmp_path: Path
) -> None:
    files = sorted(copied(screen, tmp_path, new_ids[:1]).iterdir())
    table = holotype.open_run(finished).predict(files)
    assert table.columns == [
        "id",
        "labels",
        "class_1",
        "probability_1",
        "class_2",
        "probability_2",
        "class_3",
        "probability_3",
        "warning",
    ]
    assert table.height == 1
    same_as_the_run(table, finished)


def test_parts_give_what_the_whole_gives_and_samples_stay_whole(finished: Path, screen: Path, tmp_path: Path) -> None:
    opened = holotype.open_run(finished)
    table = screen / "test.csv"
    whole = opened.predict(table)
    parts = list(opened.predict_in_parts(table, max_images=7))
    assert [part.height for part, _ in parts] == [7, 7, 6]
    assert all(len(scores) == part.height for part, scores in parts)
    joined = pl.concat([part for part, _ in parts])
    assert joined.select("id", "labels").equals(whole.select("id", "labels"))
    for name in ("predictions.csv", "predictions.parquet"):
        (said,) = predict_images(finished, [table], tmp_path / name, Progress(quiet=True)).lines
        assert said.startswith(f"{whole.height} predictions written")
    assert pl.read_csv(tmp_path / "predictions.csv", schema=whole.schema).equals(whole)
    written = pl.read_parquet(tmp_path / "predictions.parquet")
    assert written.drop("scores").equals(whole)
    assert written["scores"].list.len().unique().to_list() == [len(opened.decision.classes)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.csv", "predictions.parquet"]


def test_a_table_in_parts_keeps_samples_and_plates_whole() -> None:
    names = pl.DataFrame({"id": list("abcdefgh"), "sample": list("AABBCCDD"), "group.plate": list("ppppqqqq")})
    images = ImageTable(names, ("x",), "multiclass")
    assert [part.frame["id"].str.join("").item() for part in in_chunks(images, 5)] == ["abcd", "efgh"]
    assert [part.frame["id"].str.join("").item() for part in in_chunks(images, 2)] == ["ab", "cd", "ef", "gh"]
    assert [part.frame["id"].str.join("").item() for part in in_chunks(images, 2, "group.plate")] == ["abcd", "efgh"]
    assert next(part.frame["id"].str.join("").item() for part in in_chunks(images, 2, "group.none")) == "ab"


def test_a_table_is_read_by_the_recipes_pattern_in_its_own_order(
    finished: Path, new_ids: list[str], tmp_path: Path
) -> None:
    chosen = [new_ids[4], new_ids[0]]
    pl.DataFrame({"id": chosen}).write_csv(tmp_path / "new.csv")
    table = holotype.open_run(finished).predict(tmp_path / "new.csv")
    assert table["id"].to_list() == chosen
    same_as_the_run(table, finished)


def test_a_table_may_hold_the_training_rows(finished: Path, screen: Path) -> None:
    assert holotype.open_run(finished).predict(screen / "train.csv").height == 60


def test_a_moved_run_predicts_without_recipe_store_or_tables(
    finished: Path, screen: Path, new_ids: list[str], tmp_path: Path
) -> None:
    moved = shutil.copytree(finished, tmp_path / "elsewhere")
    recipe = (moved / "recipe.yaml").read_text()
    (moved / "recipe.yaml").write_text(recipe.replace(str(screen), str(tmp_path / "gone")))
    same_as_the_run(holotype.open_run(moved).predict(copied(screen, tmp_path / "new", new_ids[:3])), finished)


def test_channels_in_folders_of_their_own_are_brought_together(
    write_recipe: WriteRecipe, screen: Path, new_ids: list[str], tmp_path: Path
) -> None:
    every = pl.concat([pl.read_csv(screen / name)["id"] for name in ("train.csv", "test.csv")]).to_list()
    copied(screen, tmp_path / "data", every, "{channel}/{id}.png")
    recipe = write_recipe(tmp_path, data={"images": "data/{channel}/{id}.png"}, split={"folds_to_train": [0]})
    opened = holotype.run(recipe)
    table = opened.predict(copied(screen, tmp_path / "new", new_ids[:3], "{channel}/{id}.png"))
    assert sorted(table["id"]) == sorted(new_ids[:3])
    same_as_the_run(table, opened.folder.root)


def test_images_of_the_same_name_in_two_folders_are_told_apart(
    finished: Path, screen: Path, new_ids: list[str], tmp_path: Path
) -> None:
    for place in ("left", "right"):
        copied(screen, tmp_path / place, new_ids[:1])
    table = holotype.open_run(finished).predict(tmp_path)
    assert table["id"].to_list() == [str(tmp_path / place / new_ids[0]) for place in ("left", "right")]


def test_what_an_image_is_given_hangs_on_no_other_image_and_no_other_size(
    write_recipe: WriteRecipe, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    sizes = [(32, 32), (20, 32), (32, 24), (16, 16)]
    ids = [f"i{number}" for number in range(16)]
    for number, name in enumerate(ids):
        pixels = random.integers(0, 255, sizes[number // 4], dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    rows = {"id": ids[:-3], "label": ["a", "b"] * 6 + ["a"]}
    pl.DataFrame(rows).write_csv(tmp_path / "train.csv")
    pl.DataFrame({"id": ids[-3:]}).write_csv(tmp_path / "test.csv")
    labels = {"column": "label", "kind": "multiclass"}
    data = {"train": "train.csv", "test": "test.csv", "images": "images/{id}.png", "channels": None, "labels": labels}
    recipe = write_recipe(tmp_path, data=data | {"groups": [], "domain": None}, split={"folds": 2})
    opened = holotype.run(recipe)
    known = dict(pl.read_parquet(opened.folder.root / "test.parquet").iter_rows())
    for name in ids[-3:]:  # the smallest ones, each by itself
        logits = opened.logits(opened.read_images(tmp_path / "images" / f"{name}.png"))
        assert np.abs(logits[0] - np.array(known[name])).max() < 1e-5
    Image.new("RGB", (32, 32)).save(tmp_path / "colours.png")
    with pytest.raises(DataError, match="colours: it has 3 channels, but the training images have 1"):
        opened.predict(tmp_path / "colours.png")


def test_a_folder_without_images_is_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no images in"):
        holotype.open_run(finished).predict(tmp_path)


def test_an_image_that_lacks_a_channel_is_named(
    finished: Path, screen: Path, new_ids: list[str], tmp_path: Path
) -> None:
    folder = copied(screen, tmp_path, new_ids[:2])
    (folder / f"{new_ids[1]}_nucleus.png").unlink()
    with pytest.raises(InputError, match=f"'{new_ids[1]}' has no file for nucleus"):
        holotype.open_run(finished).predict(folder)


def test_a_broken_image_is_named(finished: Path, screen: Path, new_ids: list[str], tmp_path: Path) -> None:
    folder = copied(screen, tmp_path, new_ids[:2])
    (folder / f"{new_ids[1]}_nucleus.png").write_bytes(b"no image")
    with pytest.raises(
        DataError, match=f"1 of 2 images cannot be read or .*: .*{new_ids[1]}_nucleus.png is not an image"
    ):
        holotype.open_run(finished).predict(folder)


def test_files_of_other_names_and_missing_files_are_refused(finished: Path, screen: Path, tmp_path: Path) -> None:
    shutil.copy(next((screen / "images").iterdir()), tmp_path / "strange.png")
    with pytest.raises(InputError, match=r"no file matches '\{id\}_\{channel\}.png'; the first is 'strange"):
        holotype.open_run(finished).predict(tmp_path)
    with pytest.raises(InputError, match=r"there is no file or folder '.*gone.png'"):
        holotype.open_run(finished).predict([tmp_path / "gone.png"])


def test_a_table_without_the_id_column_is_refused_with_the_columns_it_has(finished: Path, tmp_path: Path) -> None:
    pl.DataFrame({"Id": ["a"], "plate": ["x"]}).write_csv(tmp_path / "new.csv")
    with pytest.raises(DataError, match=r"there is no column 'id'.*did you mean 'Id'.*allowed: Id, plate"):
        holotype.open_run(finished).predict(tmp_path / "new.csv")


@pytest.mark.parametrize("what", ["nothing", "half"])
def test_a_folder_that_is_no_finished_run_is_refused(finished: Path, tmp_path: Path, what: str) -> None:
    if what == "half":
        shutil.copy(finished / "recipe.yaml", tmp_path)
    with pytest.raises(InputError, match="is not a finished run: it has no"):
        holotype.open_run(tmp_path)
