"""Where decisions are made: what there is to look at, what is known of each, and what may be decided about it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import polars as pl
from numpy.typing import NDArray

from holotype.data import read_row, usable_pixels
from holotype.errors import DataError, InputError, counted
from holotype.review.items import ClusterItem, Materials, SampleItem, likeliest_classes, make_queue
from holotype.review.pixels import MOST_SIDE, Region, Tile, cut_tile
from holotype.review.record import DecisionsFile
from holotype.review.rows import ReviewRow

__all__ = ["Desk"]

TITLES = {"suspects": "Likely wrong labels", "clusters": "Duplicates", "uncertain": "Uncertain"}
NEIGHBOURS_SHOWN = 6
PICTURES_KEPT = 300_000_000  # bytes


class Desk:
    """A run under review, and the file that decisions go to.

    Args:
        materials: The run.
        record: Where decisions are written.
    """

    def __init__(self, materials: Materials, record: DecisionsFile) -> None:
        self.materials, self.record = materials, record
        queue = make_queue(materials)
        self.tabs: dict[str, Sequence[SampleItem | ClusterItem]] = {
            "suspects": queue.suspects, "clusters": queue.clusters, "uncertain": queue.uncertain,
        }  # fmt: skip
        frame = materials.images.frame
        self._ids = frame["id"].cast(pl.String).to_list()
        self._owners = frame["sample"].cast(pl.String).to_list()
        self._rows: dict[str, list[int]] = {}
        for row, owner in enumerate(self._owners):
            self._rows.setdefault(owner, []).append(row)
        self._row_of = {name: row for row, name in enumerate(self._ids)}
        self._scored = {name: row for row, name in enumerate(materials.ids)}
        self._place = {name: number for number, name in enumerate(materials.images.classes)}
        self._clusters = {item.id: item for item in queue.clusters}
        self._pictures: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._reading = threading.Lock()

    def state(self) -> dict[str, Any]:
        """Everything but the items themselves: the tabs, what of them is done, and where to go on."""
        self.record.refresh()
        standing = self.record.standing
        latest = standing.latest
        tabs = []
        for name, items in self.tabs.items():
            done = [self._done(item, latest) for item in items]
            listed = [{"id": item.id, "done": said, "conflict": isinstance(item, ClusterItem) and item.conflict}
                      for item, said in zip(items, done, strict=True)]  # fmt: skip
            tabs.append({"name": name, "title": TITLES[name], "items": listed, "at": self._next(items, done)})
        return {
            "name": self.materials.name,
            "kind": self.materials.images.kind,
            "classes": list(self.materials.images.classes),
            "file": str(self.record.path),
            "tabs": tabs,
            "tab": self._last_tab(),
            **self._history(),
        }

    def item(self, tab: str, number: int) -> dict[str, Any]:
        """What is known of one thing in the queue.

        Args:
            tab: `suspects`, `clusters` or `uncertain`.
            number: Its place in the list.

        Raises:
            InputError: There is none.
        """
        items = self.tabs.get(tab, ())
        if not 0 <= number < len(items):
            raise InputError(f"there is no item {number} in {tab!r}")
        found = items[number]
        latest = self.record.standing.latest
        decided = latest.get((found.kind, found.id)) if self._done(found, latest) else None
        about = self._cluster(found) if isinstance(found, ClusterItem) else self._sample(found)
        return about | {"kind": found.kind, "id": found.id, "decision": None if decided is None else asdict(decided)}

    def tile(self, row: int, region: Region, side: int = MOST_SIDE) -> Tile:
        """Pixels of an image of the run's own table.

        Args:
            row: Its number.
            region: The part that is asked for.
            side: The most rows or columns that may be sent.

        Raises:
            InputError: There is no such row.
            DataError: The image cannot be read.
        """
        if not 0 <= row < len(self._ids):
            raise InputError(f"there is no image {row}")
        pixels = self._pixels(row)
        names, colours, together = self.materials.colours(len(pixels))
        tile = cut_tile(pixels, region, side)
        return Tile(tile.planes, tile.facts | {"names": names, "colours": colours, "together": together})

    def decide(self, wishes: Sequence[ReviewRow]) -> dict[str, Any]:
        """Write decisions; when this returns they are on the disk.

        Args:
            wishes: Without the labels before, which are known here.

        Returns:
            What was written, and what is done now.

        Raises:
            InputError: One of them cannot be decided; none was written.
            StoreError: They could not be written.
        """
        rows = [self._checked(wish) for wish in wishes]
        self.record.decide(rows)
        words = f"{rows[0].action} {rows[0].id}" if len(rows) == 1 else f"{len(rows)} decisions"
        return self._changed({row.about for row in rows}, f"Saved: {words}")

    def step(self, direction: Literal["undo", "redo"]) -> dict[str, Any]:
        """Take the last decision back, or make it again.

        Args:
            direction: Which of the two.

        Raises:
            StoreError: It could not be written.
        """
        row = self.record.undo() if direction == "undo" else self.record.redo()
        if row is None:
            return self._changed(set(), f"There is nothing to {direction}")
        words = "Undone" if direction == "undo" else "Done again"
        return self._changed({row.about}, f"{words}: {row.action} {row.id}") | {"about": list(row.about)}

    def labels(self, sample: str) -> tuple[str, ...]:
        """The labels of a sample as they stand after all decisions.

        Args:
            sample: Its id.
        """
        decided = self.record.standing.latest.get(("sample", sample))
        if decided is not None and decided.action == "relabel":
            return decided.after
        return self._given(sample)

    def _given(self, sample: str) -> tuple[str, ...]:
        numbers = self.materials.images.frame["labels"][self._rows[sample][0]]
        return () if numbers is None else tuple(self.materials.images.classes[number] for number in numbers)

    def _checked(self, wish: ReviewRow) -> ReviewRow:
        images = self.materials.images
        if wish.kind == "cluster":
            item = self._clusters.get(wish.id)
            if item is None or wish.action not in {"keep", "split"}:
                raise InputError(f"{wish.action!r} cannot be decided about the duplicates of {wish.id!r}")
            before = tuple(self._ids[row] for row in item.rows)
            if wish.action == "split":
                self._refuse_split(item, wish.after, before)
            return ReviewRow("cluster", wish.id, wish.action, before, wish.after, wish.note)
        if wish.id not in self._rows or wish.action not in {"keep", "relabel", "drop"}:
            raise InputError(f"{wish.action!r} cannot be decided about {wish.id!r}")
        if images.frame["role"][self._rows[wish.id][0]] == "test":
            raise InputError(f"{wish.id!r} is to be predicted and has no label that could be wrong")
        after = tuple(dict.fromkeys(wish.after)) if wish.action == "relabel" else ()
        strange = [name for name in after if name not in self._place]
        if strange:
            raise InputError("there is no such class", field="after", value=strange[0], allowed=images.classes)
        if wish.action == "relabel" and images.kind == "multiclass" and len(after) != 1:
            raise InputError(f"{wish.id!r} needs one label, not {len(after)}")
        return ReviewRow("sample", wish.id, wish.action, self.labels(wish.id), after, wish.note)

    def _refuse_split(self, item: ClusterItem, apart: Sequence[str], every: Sequence[str]) -> None:
        chosen = set(apart)
        if not chosen or not chosen < set(every):
            raise InputError("choose the images that are not the same as the others: one at least, and not all")
        if any(kind == "exact" and (self._ids[row] in chosen) != (self._ids[other] in chosen)
               for row, other, kind, _ in item.links):  # fmt: skip
            raise InputError("the pixels of an image that was chosen equal those of one that was not")

    def _done(self, item: SampleItem | ClusterItem, latest: dict[tuple[str, str], ReviewRow]) -> str | None:
        """What was decided about it; of duplicates only if it was about these very images."""
        decided = latest.get((item.kind, item.id))
        if decided is None or isinstance(item, SampleItem):
            return None if decided is None else decided.action
        own, seen = {self._ids[row] for row in item.rows}, set(decided.before)
        settled = own == seen or own <= seen - set(decided.after) or not seen
        return decided.action if settled else None

    def _next(self, items: Sequence[SampleItem | ClusterItem], done: Sequence[str | None]) -> int:
        """The first that is not done behind the one that was decided last, else the first that is not done."""
        open_items = [number for number, said in enumerate(done) if said is None]
        place = {(item.kind, item.id): number for number, item in enumerate(items)}
        last = next((place[row.about] for row in reversed(self.record.standing.decisions) if row.about in place), -1)
        return next((number for number in open_items if number > last), open_items[0] if open_items else 0)

    def _last_tab(self) -> str:
        """Where the last decision was made; at the beginning the first tab that is not empty."""
        for row in reversed(self.record.standing.decisions):
            for name, items in self.tabs.items():
                if any((item.kind, item.id) == row.about for item in items):
                    return name
        return next((name for name, items in self.tabs.items() if items), "suspects")

    def _history(self) -> dict[str, Any]:
        standing = self.record.standing
        return {
            "undo": f"{standing.decisions[-1].action} {standing.decisions[-1].id}" if standing.decisions else None,
            "redo": f"{standing.undone[-1].action} {standing.undone[-1].id}" if standing.undone else None,
            "decisions": len(standing.decisions),
            "warnings": list(self.record.warnings),
        }

    def _changed(self, about: set[tuple[str, str]], words: str) -> dict[str, Any]:
        latest = self.record.standing.latest
        changed = [
            {"tab": name, "number": number, "done": self._done(item, latest)}
            for name, items in self.tabs.items()
            for number, item in enumerate(items)
            if (item.kind, item.id) in about
        ]
        return {"words": words, "changed": changed, **self._history()}

    def _sample(self, item: SampleItem) -> dict[str, Any]:
        materials, rows = self.materials, self._rows[item.id]
        frame, labels = materials.images.frame, self.labels(item.id)
        facts = [[name, frame[f"group.{name}"][rows[0]]] for name in materials.images.group_names]
        facts += [["domain", frame["domain"][rows[0]]], ["fold", materials.fold_of.get(item.id)]]
        opinion: list[dict[str, Any]] = []
        if materials.scores is not None and item.id in self._scored:
            also = [self._place[name] for name in labels if name in self._place]
            said = likeliest_classes(materials.scores, self._scored[item.id], materials.images.kind, also)
            opinion = [{"name": materials.images.classes[number], "probability": p} for number, p in said]
        named = next((materials.nearest[self._ids[row]] for row in rows if self._ids[row] in materials.nearest), ())
        known = [(self._row_of[name], similar) for name, similar in named[:NEIGHBOURS_SHOWN] if name in self._row_of]
        near = [{"id": self._ids[row], "row": row, "labels": self.labels(self._owners[row]), "similarity": similar}
                for row, similar in known]  # fmt: skip
        return {
            "rows": rows, "images": [self._ids[row] for row in rows], "labels": labels, "given": self._given(item.id),
            "suggested": item.suggested, "doubt": item.doubt, "role": frame["role"][rows[0]],
            "facts": [[name, str(value)] for name, value in facts if value is not None], "opinion": opinion,
            "neighbours": near,
        }  # fmt: skip

    def _cluster(self, item: ClusterItem) -> dict[str, Any]:
        latest, frame = self.record.standing.latest, self.materials.images.frame
        images = []
        for row in item.rows:
            owner = self._owners[row]
            decided = latest.get(("sample", owner))
            images.append({
                "row": row, "id": self._ids[row], "sample": owner, "role": frame["role"][row],
                "labels": self.labels(owner), "decided": None if decided is None else decided.action,
            })  # fmt: skip
        near = [link for link in item.links if link[2] == "near"]
        words = f"{counted(len(item.links) - len(near), 'pair')} with equal pixels, {len(near):,} alike"
        return {"images": images, "conflict": item.conflict, "links": item.links, "words": words}

    def _pixels(self, row: int) -> NDArray[Any]:
        with self._reading:
            if row in self._pictures:
                self._pictures.move_to_end(row)
                return self._pictures[row]
        if not self.materials.images.files_of_row(row):
            raise DataError("this run has no image files")
        pixels = usable_pixels(read_row(self.materials.images, row))
        with self._reading:
            self._pictures[row] = pixels
            while len(self._pictures) > 1 and sum(one.nbytes for one in self._pictures.values()) > PICTURES_KEPT:
                self._pictures.popitem(last=False)
        return pixels
