"""The training specimens of a finished run: which are most like an image, what they are, what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.data import read_image
from holotype.digest import digest_file, digest_value
from holotype.errors import DataError
from holotype.finished.drawn import draw
from holotype.finished.opened import OpenedRun
from holotype.finished.seen import NewImages, look_at, specimens_for
from holotype.finished.voices import Nearest
from holotype.nets import load_network
from holotype.predict import embed_with_network
from holotype.retrieval import ExactIndex, FaissIndex, load_index, make_index, save_index
from holotype.store import StageKey, Store
from holotype.table_files import read_parquet
from holotype.train import find_device
from holotype.types import Floats, ImageTable

__all__ = ["TrainingSpecimens"]

VERSION = 1
AT_ONCE = 16  # images that are embedded while nobody asks
MOST = 50_000  # specimens of an index that is made here
THUMBNAIL = 192
KEPT = 512  # thumbnails
VIEWS = {"none": 1, "flips": 4, "d4": 8}


class TrainingSpecimens:
    """The labelled images of a run.

    Args:
        opened: The run, its networks held.
        store: Keeps an index that is made here.
        wanted: Whether specimens are named at all.
    """

    def __init__(self, opened: OpenedRun, store: Path, wanted: bool) -> None:
        self.opened, self.store = opened, Store(store)
        frame = opened.folder.images().filter(pl.col("role") != "test")
        self.frame = frame.with_columns(pl.col("id").cast(pl.String))
        self._row = {name: row for row, name in enumerate(self.frame["id"])}
        self.wanted, self.why = wanted, "being made" if wanted else "off"
        self._names: list[str] = []
        self._search: ExactIndex | FaissIndex | None = None
        self._rows: list[int] = []
        self._parts: list[Floats] = []
        self._ear: _Ear | None = None
        self.picture = lru_cache(KEPT)(self._draw)

    def open(self) -> None:
        """Look for an index, of a member or of an earlier start, or begin one."""
        if not self.wanted:
            return
        if any(voice.indexes for voice in self.opened.voices):
            self.why = "known"
            return
        voice = self.opened.voices[0]
        if self._ear is None and isinstance(voice.section.predict.views, str) and voice.section.input.tile is None:
            self._ear = _Ear(load_network(voice.networks[0]), VIEWS[voice.section.predict.views])
        place = self.store.place(self._key())
        if self.store.holds(self._key()):
            collection = load_index(place)
            self._ready(collection.embeddings, collection.specimens["id"].to_list())
            return
        if voice.section.input.normalise == "plate":
            self.why = "its images are scaled by plate"
            return
        there = [row for row, name in enumerate(self.frame["id"]) if self.pictured(name)]
        if not there:
            self.why = "the training images are gone"
            return
        spread = np.unique(np.linspace(0, len(there) - 1, min(MOST, len(there))).astype(int))
        self._rows = [there[place] for place in spread]

    def work(self) -> bool:
        """Embed some more specimens; false where none are left."""
        if not self._rows:
            return False
        chosen, self._rows = self._rows[:AT_ONCE], self._rows[AT_ONCE:]
        try:
            self._parts.append(self._embedded(self._new(chosen)))
            self._names += self.frame["id"].gather(chosen).to_list()
        except DataError:
            for row in chosen if len(chosen) > 1 else ():  # one of them cannot be read: the others can
                self._embed_alone(row)
        if self._rows:
            return True
        if not self._parts:
            self.why = "the training images cannot be read"
            return False
        embeddings, names = np.concatenate(self._parts), self._names
        known = pl.DataFrame({"id": names})
        self.store.make(self._key(), lambda folder: save_index(folder, embeddings, known))
        self._ready(embeddings, names)
        return False

    def near(self, new: NewImages, known: Nearest, most: int) -> Nearest | None:
        """The specimens that are most like some images; none where they are not known.

        Args:
            new: Images that the run was just asked about.
            known: What a member said of them, if any does.
            most: How many.
        """
        heard = None if self._ear is None else self._ear.take(len(new.images))
        if not self.wanted or not most:
            return None
        if known:
            return [own[:most] for own in known]
        if self._search is None:
            return None
        queries = self._embedded(new) if heard is None else heard
        found = self._search.search(queries, min(most, len(self._names)))
        rows = zip(found.rows.tolist(), found.similarity.tolist(), strict=True)
        return [[(self._names[row], like) for row, like in zip(*own, strict=True) if row >= 0] for own in rows]

    def labels(self, name: str) -> tuple[str, ...]:
        """What a specimen is.

        Args:
            name: Its id.
        """
        row = self._row.get(name)
        numbers = None if row is None else self.frame["labels"][row]
        return tuple(self.opened.decision.classes[number] for number in numbers) if numbers is not None else ()

    def pictured(self, name: str) -> bool:
        """Whether its image is still there.

        Args:
            name: Its id.
        """
        row = self._row.get(name) if self.wanted else None
        files = [] if row is None else self.frame["files"][row]
        return bool(len(files)) and all(Path(file).is_file() for file in files)

    def _draw(self, name: str) -> bytes | None:
        if not self.pictured(name):
            return None
        try:
            data = self.opened.recipe.data
            channels, projection = data.channels, data.projection
            pixels = read_image(list(self.frame["files"][self._row[name]]), channels=channels, projection=projection)
        except DataError:
            return None
        return draw(pixels, channels, THUMBNAIL)

    def _key(self) -> StageKey:
        network = self.opened.voices[0].networks[0]
        rows = digest_value([self.frame["id"].to_list(), self._digests()])
        inputs = {"network": digest_file(network.folder / "weights.safetensors"), "training images": rows}
        return StageKey("specimens", VERSION, {"views": "none"}, inputs)

    def _digests(self) -> list[str | None]:
        frame = read_parquet(self.opened.folder.existing("audit/statistics.parquet"), columns=["id", "digest"])
        known = dict(zip(frame["id"].cast(pl.String), frame["digest"], strict=True))
        return [known.get(name) for name in self.frame["id"]]

    def _ready(self, embeddings: Floats, names: list[str]) -> None:
        self._search, self._names, self._parts, self.why = make_index(embeddings, "auto"), names, [], "known"

    def _new(self, rows: Sequence[int]) -> NewImages:
        some = self.frame[list(rows)].with_columns(role=pl.lit("test"), sample=pl.col("id"))
        decision, data = self.opened.decision, self.opened.recipe.data
        channels = tuple(data.channels) if data.channels else None
        table = ImageTable(some, decision.classes, decision.kind, channels, projection=data.projection)
        return look_at(table, self.opened.runtime, self.opened.usual)

    def _embed_alone(self, row: int) -> None:
        try:
            self._parts.append(self._embedded(self._new([row])))
            self._names.append(self.frame["id"][row])
        except DataError:
            return

    def _embedded(self, new: NewImages) -> Floats:
        network, runtime = self.opened.voices[0].networks[0], self.opened.runtime
        rows, device = np.arange(len(new.images)), find_device(runtime)
        made = embed_with_network(network, specimens_for(network.card, new), rows, runtime, device)
        if self._ear is not None:
            self._ear.take(0)
        return made


class _Ear:
    """Hears what a network's neck makes of the first view of each batch, so that no image is looked at twice."""

    def __init__(self, network: Any, views: int) -> None:
        self.views, self.heard = views, []  # type: tuple[int, list[Any]]
        network.head.neck.register_forward_hook(lambda _, __, said: self.heard.append(said))

    def take(self, rows: int) -> Floats | None:
        """The embeddings of the batches since the last call, where they are those of so many rows."""
        plain, self.heard = self.heard[:: self.views], []
        if sum(map(len, plain)) != rows or not rows:
            return None
        return np.concatenate([one.flatten(1).float().cpu().numpy() for one in plain])
