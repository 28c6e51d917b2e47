"""Scores that were made elsewhere, in files that are damaged or of another form."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from holotype.core.errors import DataError
from holotype.data import read_scores
from holotype.types import MANY_CLASSES, TopKScores

CLASSES = ("a", "b", "c")
SCORES = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
IDS = [f"id{number}" for number in range(20)]


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, SCORES)
    return stream.getvalue()


def npz(save: Callable[..., None] = np.savez_compressed, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, **({"scores": SCORES, "ids": np.array(IDS), "classes": np.array(CLASSES)} | arrays))
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    pl.DataFrame({"id": IDS, "scores": SCORES.tolist()}).write_parquet(stream)
    return stream.getvalue()


FORMS = {".npy": npy, ".npz": npz, "-stored.npz": lambda: npz(np.savez), ".parquet": parquet}


@pytest.mark.parametrize(("ending", "form"), FORMS.items(), ids=FORMS)
def test_a_whole_file_is_read(tmp_path: Path, ending: str, form: Callable[[], bytes]) -> None:
    path = tmp_path / f"scores[1]{ending}"
    path.write_bytes(form())
    read = read_scores(str(path), "logit", CLASSES, "multiclass", "models.0.predictions.oof")
    assert np.array_equal(read.logits, SCORES)
    assert read.ids == (None if ending == ".npy" else tuple(IDS))


@pytest.mark.parametrize(("ending", "form"), FORMS.items(), ids=FORMS)
def test_a_damaged_file_is_read_or_refused_with_one_sentence(
    tmp_path: Path, ending: str, form: Callable[[], bytes]
) -> None:
    path, whole = tmp_path / f"scores{ending}", form()
    random = np.random.default_rng(1)
    messages = []
    for turn in range(250):
        content = bytearray(whole)
        if turn % 3 == 0:
            content = content[: random.integers(len(whole))]
        else:
            for place in random.integers(len(whole), size=1 + turn % 7):
                content[place] = random.integers(256)
        path.write_bytes(content)
        try:
            read_scores(str(path), "logit", CLASSES, "multiclass", "models.0.predictions.oof")
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > 80
    for message in messages:
        assert message.startswith("models.0.predictions.oof: ")
        assert "allow_pickle" not in message
        assert "\n" not in message


UNFIT = {
    "objects": (lambda: npz(scores=np.array([{"a": 1}], object)), "holds Python objects, which are never loaded"),
    "words": (lambda: npz(scores=np.array([["x", "y", "z"]])), "is not an array of numbers"),
    "one dimension": (
        lambda: npz(scores=np.zeros(3), classes=np.array(CLASSES)),
        "the scores in .* are 3 and there are",
    ),
    "too few ids": (lambda: npz(ids=np.array(IDS[:5])), "has 5 `ids` and scores of 20 rows and 3 classes"),
    "too many classes": (lambda: npz(classes=np.array([*CLASSES, "d"])), "has 4 `classes` and scores of 20 rows and 3"),
    "ids in a square": (lambda: npz(ids=np.array(IDS).reshape(4, 5)), "names have the shape"),
    "half a character": (lambda: npz(ids=np.array(["\ud800", *IDS[1:]])), "surrogates not allowed"),
    "no scores": (lambda: npz(np.savez, scores=np.zeros(0), other=SCORES), "the scores in .* are 0"),
}


@pytest.mark.parametrize(("form", "reason"), UNFIT.values(), ids=UNFIT)
def test_an_array_of_another_form_is_refused(tmp_path: Path, form: Callable[[], bytes], reason: str) -> None:
    path = tmp_path / "scores.npz"
    path.write_bytes(form())
    with pytest.raises(DataError, match=reason):
        read_scores(str(path), "logit", CLASSES, "multiclass", "f")


def test_ids_are_text_whatever_their_type(tmp_path: Path) -> None:
    for ids, texts in (
        (np.arange(20), [str(number) for number in range(20)]),
        (np.arange(20.0), [str(number) for number in range(20)]),
        (np.array([name.encode() for name in IDS]), IDS),
    ):
        (tmp_path / "scores.npz").write_bytes(npz(ids=ids))
        assert read_scores(str(tmp_path / "scores.npz"), "logit", CLASSES, "multiclass", "f").ids == tuple(texts)


def test_the_likeliest_of_very_many_classes_are_read_or_refused(tmp_path: Path) -> None:
    classes = tuple(f"c{number}" for number in range(MANY_CLASSES + 1))
    right = {
        "id": ["x", "y"],
        "top_classes": [[0, 5], [7, 2]],
        "top_logits": [[2.0, 1.0], [3.0, 0.5]],
        "rest_logsumexp": [0.1, 0.2],
    }
    path = tmp_path / "scores.parquet"
    pl.DataFrame(right).write_parquet(path)
    read = read_scores(str(path), "logit", classes, "multiclass", "f")
    assert isinstance(read.logits, TopKScores)
    assert read.logits.top_classes.tolist() == right["top_classes"]
    for wrong in (
        {"top_classes": ["x", "y"]},
        {"top_classes": [[0, None], [7, 2]]},
        {"rest_logsumexp": ["x", "y"]},
        {"top_logits": [1.0, 2.0]},
        {"top_classes": [[0, 2**40], [1, 2]]},
        {"top_classes": [[0], [7, 2]]},
        {"rest_logsumexp": [None, 0.1]},
    ):
        pl.DataFrame(right | wrong).write_parquet(path)
        with pytest.raises(DataError):
            read_scores(str(path), "logit", classes, "multiclass", "f")
