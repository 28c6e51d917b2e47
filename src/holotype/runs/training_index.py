"""Training image index of a finished run: nearest training images, their labels and thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.cache import StepKey, Store
from holotype.core.digest import digest_file, digest_value
from holotype.core.errors import DataError
from holotype.core.table_files import read_parquet
from holotype.data import read_image
from holotype.neighbors import ExactIndex, FaissIndex, load_index, make_index, save_index
from holotype.runs.fitted_run import FittedRun
from holotype.runs.model_predictors import Nearest
from holotype.runs.new_dataset import NewImages, dataset_for, measure_new_images
from holotype.runs.render import render_image
from holotype.types import Floats, ImageTable

VERSION = 2
BATCH_SIZE = 16  # images embedded per idle step
MAX_IMAGES = 50_000  # training images of an index built here
THUMBNAIL_SIDE = 192
CACHED_THUMBNAILS = 512
VIEWS = {"none": 1, "flips": 4, "d4": 8}


class TrainingIndex:
    """Training image index of a run."""

    def __init__(self, fitted_run: FittedRun, store: Path, is_enabled: bool) -> None:
        self.fitted_run, self.store = fitted_run, Store(store)
        frame = fitted_run.folder.images().filter(pl.col("role") != "test")
        self.frame = frame.with_columns(pl.col("id").cast(pl.String))
        self._row = {name: row for row, name in enumerate(self.frame["id"])}
        self.is_enabled, self.status = is_enabled, "being made" if is_enabled else "off"
        self._names: list[str] = []
        self._search: ExactIndex | FaissIndex | None = None
        self._rows: list[int] = []
        self._parts: list[Floats] = []
        self._hook: _FeatureHook | None = None
        self.picture = lru_cache(CACHED_THUMBNAILS)(self._draw)

    def open(self) -> None:
        """Open the index of a model or of an earlier start, or begin to build one."""
        from holotype.networks import load_network

        if not self.is_enabled:
            return
        if any(model.indexes for model in self.fitted_run.models):
            self.status = "known"
            return
        model = self.fitted_run.models[0]
        if self._hook is None and isinstance(model.section.predict.tta, str) and model.section.input.tile is None:
            self._hook = _FeatureHook(load_network(model.networks[0]), VIEWS[model.section.predict.tta])
        location = self.store.path(self._key())
        if self.store.contains(self._key()):
            collection = load_index(location)
            self._set_index(collection.embeddings, collection.images["id"].to_list())
            return
        if model.section.input.normalize == "plate":
            self.status = "its images are scaled by plate"
            return
        available = [row for row, name in enumerate(self.frame["id"]) if self.has_image(name)]
        if not available:
            self.status = "the training images are gone"
            return
        positions = np.unique(np.linspace(0, len(available) - 1, min(MAX_IMAGES, len(available))).astype(int))
        self._rows = [available[location] for location in positions]

    def step(self) -> bool:
        """Embed the next batch; False when none are left."""
        if not self._rows:
            return False
        batch, self._rows = self._rows[:BATCH_SIZE], self._rows[BATCH_SIZE:]
        try:
            self._parts.append(self._embed(self._measure_rows(batch)))
            self._names += self.frame["id"].gather(batch).to_list()
        except DataError:
            for row in batch if len(batch) > 1 else ():  # one of the batch cannot be read
                self._embed_alone(row)
        if self._rows:
            return True
        if not self._parts:
            self.status = "the training images cannot be read"
            return False
        embeddings, names = np.concatenate(self._parts), self._names
        ids = pl.DataFrame({"id": names})
        self.store.create(self._key(), lambda folder: save_index(folder, embeddings, ids))
        self._set_index(embeddings, names)
        return False

    def near(self, new: NewImages, model_nearest: Nearest, count: int) -> Nearest | None:
        """Find the nearest training images of new images; None if there is no index yet."""
        hooked = None if self._hook is None else self._hook.take(len(new.images))
        if not self.is_enabled or not count:
            return None
        if model_nearest:
            return [neighbors[:count] for neighbors in model_nearest]
        if self._search is None:
            return None
        queries = self._embed(new) if hooked is None else hooked
        matches = self._search.search(queries, min(count, len(self._names)))
        rows = zip(matches.rows.tolist(), matches.similarity.tolist(), strict=True)
        return [
            [(self._names[row], like) for row, like in zip(*neighbors, strict=True) if row >= 0] for neighbors in rows
        ]

    def labels(self, name: str) -> tuple[str, ...]:
        """Labels of a training image."""
        row = self._row.get(name)
        numbers = None if row is None else self.frame["labels"][row]
        return tuple(self.fitted_run.decision.classes[number] for number in numbers) if numbers is not None else ()

    def has_image(self, name: str) -> bool:
        """Tell if the files of a training image still exist."""
        row = self._row.get(name) if self.is_enabled else None
        files = [] if row is None else self.frame["files"][row]
        return bool(len(files)) and all(Path(file).is_file() for file in files)

    def _draw(self, name: str) -> bytes | None:
        if not self.has_image(name):
            return None
        try:
            data = self.fitted_run.recipe.data
            channels, projection = data.channels, data.projection
            pixels = read_image(list(self.frame["files"][self._row[name]]), channels=channels, projection=projection)
        except DataError:
            return None
        return render_image(pixels, channels, THUMBNAIL_SIDE)

    def _key(self) -> StepKey:
        network = self.fitted_run.models[0].networks[0]
        rows = digest_value([self.frame["id"].to_list(), self._digests()])
        inputs = {"network": digest_file(network.folder / "weights.safetensors"), "training images": rows}
        return StepKey("specimens", VERSION, {"views": "none"}, inputs)

    def _digests(self) -> list[str | None]:
        frame = read_parquet(self.fitted_run.folder.require("audit/statistics.parquet"), columns=["id", "digest"])
        digest_of_id = dict(zip(frame["id"].cast(pl.String), frame["digest"], strict=True))
        return [digest_of_id.get(name) for name in self.frame["id"]]

    def _set_index(self, embeddings: Floats, names: list[str]) -> None:
        self._search, self._names, self._parts, self.status = make_index(embeddings, "auto"), names, [], "known"

    def _measure_rows(self, rows: Sequence[int]) -> NewImages:
        selected = self.frame[list(rows)].with_columns(role=pl.lit("test"), sample=pl.col("id"))
        decision, data = self.fitted_run.decision, self.fitted_run.recipe.data
        channels = tuple(data.channels) if data.channels else None
        table = ImageTable(selected, decision.classes, decision.kind, channels, projection=data.projection)
        return measure_new_images(table, self.fitted_run.runtime, self.fitted_run.training_ranges)

    def _embed_alone(self, row: int) -> None:
        try:
            self._parts.append(self._embed(self._measure_rows([row])))
            self._names.append(self.frame["id"][row])
        except DataError:
            return

    def _embed(self, new: NewImages) -> Floats:
        from holotype.prediction import embed_with_network
        from holotype.training import find_device

        network, runtime = self.fitted_run.models[0].networks[0], self.fitted_run.runtime
        rows, device = np.arange(len(new.images)), find_device(runtime)
        embeddings = embed_with_network(network, dataset_for(network.card, new), rows, runtime, device)
        if self._hook is not None:
            self._hook.take(0)
        return embeddings


class _FeatureHook:
    def __init__(self, network: Any, views: int) -> None:
        self.views, self.features = views, []  # type: tuple[int, list[Any]]
        network.head.neck.register_forward_hook(lambda _, __, output: self.features.append(output))

    def take(self, rows: int) -> Floats | None:
        first_views, self.features = self.features[:: self.views], []
        if sum(map(len, first_views)) != rows or not rows:
            return None
        return np.concatenate([batch.flatten(1).float().cpu().numpy() for batch in first_views])
