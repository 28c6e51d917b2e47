"""A served run says what `holotype predict` says of the same files."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from PIL import Image

import holotype
from holotype.core.errors import InputError
from holotype.evaluation.metrics import probabilities
from holotype.runs import serve as served
from holotype.serve import Limits

IDS = 5
CHANNELS = ["microtubules", "nucleus", "reticulum", "protein"]


@pytest.fixture(scope="module")
def answerer(kept_run, tmp_path_factory):
    opened = holotype.open_run(kept_run, keep_in_memory=True)
    return served.RunPredictor(opened, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def files(screen):
    names = pl.read_csv(screen / "test.csv")["id"].to_list()[:IDS]
    return [screen / "images" / f"{name}_{channel}.png" for name in names for channel in CHANNELS]


def parts(files):
    return [("images", (Path(file).name, Path(file).read_bytes())) for file in files]


def known(client):
    until = time.monotonic() + 60
    while client.get("/health").json()["nearest"] == "being made":
        assert time.monotonic() < until
        time.sleep(0.02)


def same(one, row, logits, classes):
    assert " ".join(one["labels"]) == row["labels"]
    assert " ".join(one["label_set"]) == row["set"]
    assert one["abstain"] == row["abstain"]
    expected = probabilities(logits[None], "multilabel")[0]
    assert list(one["probabilities"].values()) == sorted(one["probabilities"].values(), reverse=True)
    assert [one["probabilities"][name] for name in classes] == pytest.approx(expected.tolist(), abs=1e-5)


def test_what_is_served_is_what_predict_says(ask, answerer, kept_run, files):
    opened = holotype.open_run(kept_run)
    table, logits = next(iter(opened.predict_in_parts(files)))
    classes = opened.decision.classes
    with ask(answerer) as client:
        together = client.post("/predict", files=parts(files[::-1])).json()["predictions"]
        stream = client.post("/predict/stream", files=parts(files)).text.splitlines()
        with ThreadPoolExecutor(4) as threads:
            own = [files[start : start + 4] for start in range(0, len(files), 4)]
            alone = list(threads.map(lambda some: client.post("/predict", files=parts(some)).json(), own))
    said = {row["id"]: (row, logits[place]) for place, row in enumerate(table.iter_rows(named=True))}
    assert len(together) == len(stream) == len(alone) == IDS
    for one in (
        together + [answer["predictions"][0] for answer in alone] + [json.loads(one)["prediction"] for one in stream]
    ):
        same(one, *said[one["id"]], classes)
    thresholds = dict(zip(classes, opened.decision.thresholds, strict=True))
    assert together[0]["thresholds"] == pytest.approx(thresholds)


def test_networks_are_read_once(kept_run, files, monkeypatch):
    from holotype.networks import checkpoint

    read, plain = [], checkpoint.load_tensors
    monkeypatch.setattr(checkpoint, "load_tensors", lambda path: read.append(path) or plain(path))
    held = holotype.open_run(kept_run, keep_in_memory=True)
    first = held.predict(files)
    assert len(read) == len(set(read)) == 4
    again = held.predict(files)
    assert len(read) == 4
    assert first.equals(again)
    assert first.equals(holotype.open_run(kept_run).predict(files))


def test_nearest_specimens_are_found_without_another_look(ask, answerer, files, monkeypatch):
    with ask(answerer) as client:
        known(client)
    explicit = []
    monkeypatch.setattr(answerer._training_index, "_embed", explicit.append)
    with ask(answerer) as client:
        said = client.post("/predict?nearest=2", files=parts(files)).json()["predictions"]
        none = client.post("/predict?nearest=0", files=parts(files)).json()["predictions"]
        picture = client.get("/" + said[0]["nearest"][0]["picture"])
        gone = client.get("/specimen", params={"id": "../../etc/passwd"})
    monkeypatch.undo()
    assert explicit == []
    assert all(len(one["nearest"]) == 2 for one in said)
    assert all(one["nearest"] is None for one in none)
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).size == (32, 32)
    assert gone.status_code == 404
    questions = [answerer.make_reader()([Path(file) for file in files[:4]], 10**6, False)]
    new = answerer._to_new_images(questions)
    direct = answerer._training_index._search.search(answerer._training_index._embed(new), 2)
    names = [answerer._training_index._names[row] for row in direct.rows[0]]
    by_id = {one["id"]: one for one in said}
    assert [near["id"] for near in by_id[Path(files[0]).stem.rsplit("_", 1)[0]]["nearest"]] == names


def test_a_training_image_is_nearest_to_itself_and_an_index_is_kept(ask, kept_run, screen, tmp_path):
    opened = holotype.open_run(kept_run, keep_in_memory=True)
    for _ in range(2):
        answerer = served.RunPredictor(opened, tmp_path / "store")
        with ask(answerer) as client:
            known(client)
            own = sorted((screen / "images").glob("train-00003_*.png"))
            near = client.post("/predict", files=parts(own)).json()["predictions"][0]["nearest"]
        assert near[0]["id"] == "train-00003"
        assert near[0]["similarity"] == pytest.approx(1, abs=1e-4)
        assert answerer._training_index._rows == []
    assert len(list((tmp_path / "store" / "specimens").iterdir())) == 1


def test_a_heat_map_lies_over_the_picture(ask, answerer, files):
    with ask(answerer) as client:
        name = client.get("/classes").json()["classes"][0]
        answer = client.post("/explain", params={"class": name}, files=parts(files[:4]))
        two = client.post("/explain", params={"class": name}, files=parts(files[:8]))
    heat = Image.open(io.BytesIO(answer.content))
    assert (heat.mode, heat.size) == ("RGBA", (32, 32))
    assert two.status_code == 422


def test_wrong_channels_are_refused_in_words(ask, answerer, files, png):
    with ask(answerer) as client:
        lacking = client.post("/predict", files=parts(files[:3])).json()["error"]
        strange = client.post("/predict", files={"images": ("cell.png", png())}).json()["error"]
        sizes = parts(files[:4])
        sizes[1] = ("images", (Path(files[1]).name, png(shape=(9, 9))))
        unequal = client.post("/predict", files=sizes).json()["error"]
        twice = client.post("/predict", files=parts([*files[:4], files[0]])).json()["error"]
    assert "has no file of protein" in lacking["what"]
    assert strange["field"] == "cell.png"
    assert "{id}_{channel}.png" in strange["what"]
    assert "differ in size or depth" in unequal["what"]
    assert Path(files[1]).name in unequal["what"]
    assert "upload-" not in json.dumps([lacking, strange, unequal, twice])
    assert "two files" in twice["what"]


def test_deep_pictures_of_several_channels_are_served_as_they_are(ask, write_recipe, tmp_path):
    random = np.random.default_rng(3)
    (tmp_path / "images").mkdir()
    ids = [f"i{number}" for number in range(14)]
    for number, name in enumerate(ids):
        pixels = random.integers(0, 9000 + 40_000 * (number % 2), (2, 40, 32), dtype=np.uint16)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", pixels, photometric="minisblack")
    pl.DataFrame({"id": ids[:-2], "label": ["a", "b"] * 6}).write_csv(tmp_path / "train.csv")
    pl.DataFrame({"id": ids[-2:]}).write_csv(tmp_path / "test.csv")
    data = {
        "train": "train.csv",
        "test": "test.csv",
        "images": "images/{id}.tif",
        "channels": ["dna", "actin"],
        "labels": {"column": "label", "kind": "multiclass"},
        "groups": [],
        "domain": None,
    }
    opened = holotype.run(write_recipe(tmp_path, data=data, split={"folds": 2}))
    files = [tmp_path / "images" / f"{name}.tif" for name in ids[-2:]]
    logits = opened.logits(opened.read_images(files))
    answerer = served.RunPredictor(
        holotype.open_run(opened.folder.root, keep_in_memory=True), tmp_path / "store", nearest=False
    )
    with ask(answerer, Limits(megapixels=0.01)) as client:
        said = client.post("/predict?picture=true", files=parts(files)).json()["predictions"]
        grey = np.zeros((40, 32), np.uint16)
        tifffile.imwrite(tmp_path / "grey.tif", grey)
        tifffile.imwrite(tmp_path / "bomb.tif", np.zeros((2, 4000, 4000), np.uint16), compression="zlib")
        wrong = client.post("/predict", files=parts([tmp_path / "grey.tif"])).json()["error"]
        bomb = client.post("/predict", files=parts([tmp_path / "bomb.tif"]))
    assert bomb.status_code == 422
    assert "more than 10,000" in bomb.json()["error"]["what"]
    assert "1 channel" in wrong["what"]
    assert wrong["allowed"] == ["2"]
    expected = probabilities(logits, "multiclass")
    for number, one in enumerate(said):
        found = [one["probabilities"][name] for name in opened.decision.classes]
        assert found == pytest.approx(expected[number].tolist(), abs=1e-5)
        assert one["image"] == {"channels": 2, "height": 40, "width": 32, "depth": "uint16"}
        assert one["thresholds"] is None
        assert one["picture"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decision": {"kind": "assign", "unique_class_per": "plate"}}, "decides over all images of a plate"),
        ({"models": [{"name": "x", "predictions": {"test": "s.npy", "kind": "logit"}}]}, "were made elsewhere"),
    ],
)
def test_a_run_that_looks_at_images_together_is_not_served(kept_run, change, words):
    opened = holotype.open_run(kept_run)
    recipe = opened.recipe.model_copy()
    from dataclasses import replace

    if "decision" in change:
        opened = replace(opened, decision=replace(opened.decision, rule="assign", unique_class_per="plate"))
    else:
        model = opened.recipe.models[0].model_validate(change["models"][0])
        opened = replace(opened, recipe=recipe.model_copy(update={"models": [model]}))
    with pytest.raises(InputError, match=words):
        served.RunPredictor(opened, Path("nowhere"))
