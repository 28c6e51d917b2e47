"""A run as the review sees it, drawn here: three classes of hostile names, 16-bit pictures, two sets of duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile

from holotype.review.decisions_file import DecisionsFile
from holotype.review.items import ReviewData
from holotype.review.session import ReviewSession
from holotype.types import Decision, ImageTable

CLASSES = ("round cell", "<img src=x onerror=alert(1)>", '=cmd|"/c calc"!A1')
COUNT = 24


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> ReviewData:
    place = tmp_path_factory.mktemp("pictures")
    drawn = np.random.default_rng(1)
    ids = [f"s{number:02d}" for number in range(COUNT - 2)] + ["\u202eevil\n", "=s23"]
    files = []
    for number in range(COUNT):
        pixels = drawn.integers(0, 60_000, (5, 40, 30)).astype(np.uint16)
        files.append([str(place / f"{number}.tif")])
        tifffile.imwrite(files[-1][0], pixels, photometric="minisblack")
    labels = [[number % 3] for number in range(COUNT)]
    roles = ["train"] * (COUNT - 1) + ["test"]
    labels[-1] = None  # type: ignore[call-overload]
    frame = pl.DataFrame(
        {
            "id": ids,
            "sample": ids,
            "role": roles,
            "files": files,
            "labels": pl.Series(labels, dtype=pl.List(pl.Int64)),
            "domain": pl.Series([None] * COUNT, dtype=pl.String),
            "group.plate": [f"p{n % 4}" for n in range(COUNT)],
        }
    )
    images = ImageTable(frame, CLASSES, "multiclass")
    scores = drawn.normal(size=(COUNT - 1, 3)).astype(np.float32)
    suspects = pl.DataFrame(
        {
            "position": range(COUNT - 1),
            "sample": ids[:-1],
            "given_label": [[CLASSES[n % 3]] for n in range(COUNT - 1)],
            "predicted_label": [[CLASSES[(n + 1) % 3]] for n in range(COUNT - 1)],
            "quality": [n / COUNT for n in range(COUNT - 1)],
            "suspect": [n < 20 for n in range(COUNT - 1)],
        }
    )
    clusters = pl.DataFrame({"cluster": [0, 0, 0, 1, 1], "row": [0, 1, 2, 5, COUNT - 1]})
    links = pl.DataFrame(
        {
            "cluster": [0, 0, 1],
            "row": [0, 1, 5],
            "other": [1, 2, COUNT - 1],
            "kind": ["exact", "near", "near"],
            "bits": [0, 3, 2],
            "similarity": [1.0, 0.97, 0.99],
        }
    )
    return ReviewData(
        name="drawn",
        images=images,
        label_errors=suspects,
        clusters=clusters,
        duplicate_pairs=links,
        conflicts=pl.DataFrame({"cluster": [0]}),
        ids=tuple(ids[:-1]),
        scores=scores,
        decision=Decision("argmax", CLASSES, "multiclass"),
        nearest={"s00": [("s03", 0.9), ("gone", 0.8)]},
        colors=lambda count: ([f"c{n}" for n in range(count)], [[1.0, 0.0, 0.0]] * count, False),
        fold_of={name: number % 3 for number, name in enumerate(ids)},
    )


@pytest.fixture
def desk(materials: ReviewData, tmp_path: Path) -> Iterator[ReviewSession]:
    """The run under review, with a file of its own."""
    record = DecisionsFile(tmp_path / "review.csv", "runs/drawn 0123")
    yield ReviewSession(materials, record)
    record.close()
