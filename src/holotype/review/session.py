"""Review session: the queue, details of each item, and validated decisions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError, InputError, pluralize
from holotype.data import read_row, usable_pixels
from holotype.review.decisions import ReviewRow
from holotype.review.decisions_file import DecisionsFile
from holotype.review.items import ClusterItem, ReviewData, SampleItem, likeliest_classes, make_queue
from holotype.review.tiles import MAX_SIDE, Region, Tile, cut_tile

TITLES = {"label_errors": "Label errors", "clusters": "Duplicates", "uncertain": "Least certain"}
MAX_NEIGHBORS = 6
MAX_CACHE_BYTES = 300_000_000


class ReviewSession:
    """Review of one run, and the file of its decisions."""

    def __init__(self, data: ReviewData, record: DecisionsFile) -> None:
        self.data, self.record = data, record
        queue = make_queue(data)
        self.tabs: dict[str, Sequence[SampleItem | ClusterItem]] = {
            "label_errors": queue.label_errors,
            "clusters": queue.clusters,
            "uncertain": queue.uncertain,
        }
        frame = data.images.frame
        self._ids = frame["id"].cast(pl.String).to_list()
        self._sample_of_row = frame["sample"].cast(pl.String).to_list()
        self._rows: dict[str, list[int]] = {}
        for row, owner in enumerate(self._sample_of_row):
            self._rows.setdefault(owner, []).append(row)
        self._row_of = {name: row for row, name in enumerate(self._ids)}
        self._scored = {name: row for row, name in enumerate(data.ids)}
        self._class_index = {name: number for number, name in enumerate(data.images.classes)}
        self._clusters = {item.id: item for item in queue.clusters}
        self._pictures: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._reading = threading.Lock()

    def state(self) -> dict[str, Any]:
        """State of the page: tabs, finished items and the next item."""
        self.record.refresh()
        standing = self.record.active
        latest = standing.latest
        tabs = []
        for name, items in self.tabs.items():
            done = [self._decided_action(item, latest) for item in items]
            listed = [
                {"id": item.id, "done": action, "conflict": isinstance(item, ClusterItem) and item.conflict}
                for item, action in zip(items, done, strict=True)
            ]
            tabs.append({"name": name, "title": TITLES[name], "items": listed, "at": self._next_index(items, done)})
        return {
            "name": self.data.name,
            "kind": self.data.images.kind,
            "classes": list(self.data.images.classes),
            "file": str(self.record.path),
            "tabs": tabs,
            "tab": self._last_tab(),
            **self._history(),
        }

    def item(self, tab: str, number: int) -> dict[str, Any]:
        """Details of one item of the queue. `tab`: `label_errors`, `clusters` or `uncertain`."""
        items = self.tabs.get(tab, ())
        if not 0 <= number < len(items):
            raise InputError(f"there is no item {number} in {tab!r}")
        entry = items[number]
        latest = self.record.active.latest
        decided = latest.get((entry.kind, entry.id)) if self._decided_action(entry, latest) else None
        about = self._describe_cluster(entry) if isinstance(entry, ClusterItem) else self._describe_sample(entry)
        return about | {"kind": entry.kind, "id": entry.id, "decision": None if decided is None else asdict(decided)}

    def tile(self, row: int, region: Region, side: int = MAX_SIDE) -> Tile:
        """Pixels of an image of the run."""
        if not 0 <= row < len(self._ids):
            raise InputError(f"there is no image {row}")
        pixels = self._read_pixels(row)
        names, colors, is_photograph = self.data.colors(len(pixels))
        tile = cut_tile(pixels, region, side)
        return Tile(tile.planes, tile.facts | {"names": names, "colors": colors, "joint_contrast": is_photograph})

    def decide(self, requests: Sequence[ReviewRow]) -> dict[str, Any]:
        """Validate and write decisions; on return they are on the disk."""
        rows = [self._validated(request) for request in requests]
        self.record.decide(rows)
        words = f"{rows[0].action} {rows[0].id}" if len(rows) == 1 else f"{len(rows)} decisions"
        return self._describe_changes({row.target for row in rows}, f"Saved: {words}")

    def step(self, direction: Literal["undo", "redo"]) -> dict[str, Any]:
        """Undo or redo the last decision. Raises StoreError if it could not be written."""
        row = self.record.undo() if direction == "undo" else self.record.redo()
        if row is None:
            return self._describe_changes(set(), f"There is nothing to {direction}")
        words = "Undone" if direction == "undo" else "Redone"
        return self._describe_changes({row.target}, f"{words}: {row.action} {row.id}") | {"about": list(row.target)}

    def labels(self, sample: str) -> tuple[str, ...]:
        """Current labels of a sample after all decisions."""
        decided = self.record.active.latest.get(("sample", sample))
        if decided is not None and decided.action == "relabel":
            return decided.after
        return self._table_labels(sample)

    def _table_labels(self, sample: str) -> tuple[str, ...]:
        numbers = self.data.images.frame["labels"][self._rows[sample][0]]
        return () if numbers is None else tuple(self.data.images.classes[number] for number in numbers)

    def _validated(self, request: ReviewRow) -> ReviewRow:
        images = self.data.images
        if request.kind == "cluster":
            item = self._clusters.get(request.id)
            if item is None or request.action not in {"keep", "split"}:
                raise InputError(f"the action {request.action!r} is not possible for the duplicates of {request.id!r}")
            before = tuple(self._ids[row] for row in item.rows)
            if request.action == "split":
                self._require_valid_split(item, request.after, before)
            return ReviewRow("cluster", request.id, request.action, before, request.after, request.note)
        if request.id not in self._rows or request.action not in {"keep", "relabel", "drop"}:
            raise InputError(f"the action {request.action!r} is not possible for {request.id!r}")
        if images.frame["role"][self._rows[request.id][0]] == "test":
            raise InputError(f"{request.id!r} is a test sample and has no label")
        after = tuple(dict.fromkeys(request.after)) if request.action == "relabel" else ()
        strange = [name for name in after if name not in self._class_index]
        if strange:
            raise InputError("unknown class", field="after", value=strange[0], allowed=images.classes)
        if request.action == "relabel" and images.kind == "multiclass" and len(after) != 1:
            raise InputError(f"{request.id!r} needs one label, not {len(after)}")
        return ReviewRow("sample", request.id, request.action, self.labels(request.id), after, request.note)

    def _require_valid_split(self, item: ClusterItem, separated: Sequence[str], every: Sequence[str]) -> None:
        separated_ids = set(separated)
        if not separated_ids or not separated_ids < set(every):
            raise InputError("select the images that differ from the others: at least one, and not all")
        if any(
            kind == "exact" and (self._ids[row] in separated_ids) != (self._ids[other] in separated_ids)
            for row, other, kind, _ in item.links
        ):
            raise InputError("a selected image has the same pixels as one that is not selected")

    def _decided_action(self, item: SampleItem | ClusterItem, latest: dict[tuple[str, str], ReviewRow]) -> str | None:
        """Action decided about an item; for a cluster only if it was about the same images."""
        decided = latest.get((item.kind, item.id))
        if decided is None or isinstance(item, SampleItem):
            return None if decided is None else decided.action
        item_ids, reviewed_ids = {self._ids[row] for row in item.rows}, set(decided.before)
        settled = item_ids == reviewed_ids or item_ids <= reviewed_ids - set(decided.after) or not reviewed_ids
        return decided.action if settled else None

    def _next_index(self, items: Sequence[SampleItem | ClusterItem], done: Sequence[str | None]) -> int:
        open_items = [number for number, action in enumerate(done) if action is None]
        index_of_item = {(item.kind, item.id): number for number, item in enumerate(items)}
        last = next(
            (
                index_of_item[row.target]
                for row in reversed(self.record.active.decisions)
                if row.target in index_of_item
            ),
            -1,
        )
        return next((number for number in open_items if number > last), open_items[0] if open_items else 0)

    def _last_tab(self) -> str:
        for row in reversed(self.record.active.decisions):
            for name, items in self.tabs.items():
                if any((item.kind, item.id) == row.target for item in items):
                    return name
        return next((name for name, items in self.tabs.items() if items), "label_errors")

    def _history(self) -> dict[str, Any]:
        standing = self.record.active
        return {
            "undo": f"{standing.decisions[-1].action} {standing.decisions[-1].id}" if standing.decisions else None,
            "redo": f"{standing.undone[-1].action} {standing.undone[-1].id}" if standing.undone else None,
            "decisions": len(standing.decisions),
            "warnings": list(self.record.warnings),
        }

    def _describe_changes(self, about: set[tuple[str, str]], words: str) -> dict[str, Any]:
        latest = self.record.active.latest
        changed = [
            {"tab": name, "number": number, "done": self._decided_action(item, latest)}
            for name, items in self.tabs.items()
            for number, item in enumerate(items)
            if (item.kind, item.id) in about
        ]
        return {"words": words, "changed": changed, **self._history()}

    def _describe_sample(self, item: SampleItem) -> dict[str, Any]:
        data, rows = self.data, self._rows[item.id]
        frame, labels = data.images.frame, self.labels(item.id)
        facts = [[name, frame[f"group.{name}"][rows[0]]] for name in data.images.group_names]
        facts += [["domain", frame["domain"][rows[0]]], ["fold", data.fold_of.get(item.id)]]
        predictions: list[dict[str, Any]] = []
        if data.scores is not None and item.id in self._scored:
            also = [self._class_index[name] for name in labels if name in self._class_index]
            likeliest = likeliest_classes(data.scores, self._scored[item.id], data.images.kind, also)
            predictions = [{"name": data.images.classes[number], "probability": p} for number, p in likeliest]
        named = next((data.nearest[self._ids[row]] for row in rows if self._ids[row] in data.nearest), ())
        neighbors = [(self._row_of[name], similar) for name, similar in named[:MAX_NEIGHBORS] if name in self._row_of]
        near = [
            {"id": self._ids[row], "row": row, "labels": self.labels(self._sample_of_row[row]), "similarity": similar}
            for row, similar in neighbors
        ]
        return {
            "rows": rows,
            "images": [self._ids[row] for row in rows],
            "labels": labels,
            "table_labels": self._table_labels(item.id),
            "suggested": item.suggested,
            "doubt": item.doubt,
            "role": frame["role"][rows[0]],
            "facts": [[name, str(value)] for name, value in facts if value is not None],
            "predictions": predictions,
            "neighbors": near,
        }

    def _describe_cluster(self, item: ClusterItem) -> dict[str, Any]:
        latest, frame = self.record.active.latest, self.data.images.frame
        images = []
        for row in item.rows:
            owner = self._sample_of_row[row]
            decided = latest.get(("sample", owner))
            images.append(
                {
                    "row": row,
                    "id": self._ids[row],
                    "sample": owner,
                    "role": frame["role"][row],
                    "labels": self.labels(owner),
                    "decided": None if decided is None else decided.action,
                }
            )
        near = sum(link[2] == "near" for link in item.links)
        counts = {"equal": len(item.links) - near, "similar": near}
        words = ", ".join(f"{pluralize(count, 'pair')} with {what} pixels" for what, count in counts.items() if count)
        return {"images": images, "conflict": item.conflict, "links": item.links, "words": words}

    def _read_pixels(self, row: int) -> NDArray[Any]:
        with self._reading:
            if row in self._pictures:
                self._pictures.move_to_end(row)
                return self._pictures[row]
        if not self.data.images.files_of_row(row):
            raise DataError("this run has no image files")
        pixels = usable_pixels(read_row(self.data.images, row))
        with self._reading:
            self._pictures[row] = pixels
            while len(self._pictures) > 1 and sum(array.nbytes for array in self._pictures.values()) > MAX_CACHE_BYTES:
                self._pictures.popitem(last=False)
        return pixels
