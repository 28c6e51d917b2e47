"""How a trained network sees some images: its embeddings on a plane, and where it looks; each from the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.data import resize_image
from holotype.digest import digest_array
from holotype.feed import Specimens, row_moments
from holotype.keys import look_key
from holotype.members.pixels import opened_pixels, unlabelled
from holotype.members.workshop import Workshop
from holotype.nets import open_checkpoint
from holotype.predict import embed_with_network, grad_cam
from holotype.retrieval import project
from holotype.spec import MemberSpec
from holotype.train import ALL_ROWS, launch_fabric
from holotype.types import Floats, Integers

__all__ = ["Landscape", "Observer", "heat_maps", "map_images"]

THUMBS, THUMB_BYTES = (96, 64, 48), 40_000_000  # pixels of the longer side, the first that fits


@dataclass(frozen=True)
class Observer:
    """The member whose networks are looked through.

    Args:
        member: The recipe's section, its size resolved.
        networks: The checkpoints' places in the store, by fold.
        workshop: What they were made from.
    """

    member: MemberSpec
    networks: dict[int, Path]
    workshop: Workshop

    @property
    def first(self) -> int:
        """The first fold that has a network of its own."""
        return min(fold for fold in self.networks if fold != ALL_ROWS)

    @cached_property
    def specimens(self) -> Specimens:
        """The images as the networks look at them, opened once and only where they are needed."""
        images, statistics, work = self.workshop.images, self.workshop.ready.statistics, self.workshop
        pack = opened_pixels(self.member, images, statistics, work.stages, (work.runtime, work.pack))
        return unlabelled(self.member, pack, images, statistics)

    @property
    def moments(self) -> tuple[Floats, Floats] | None:
        """What scales each image row instead of the whole set."""
        return row_moments(self.member, self.workshop.images, self.workshop.ready.statistics)

    def words(self, fold: int) -> str:
        """Which network, as people say it.

        Args:
            fold: The fold it never saw.
        """
        return f"{self.member.name}, fold {fold}"


@dataclass(frozen=True)
class Landscape:
    """Images as one network sees them.

    Args:
        rows: Image rows, shape (n,).
        embeddings: Shape (n, width).
        places: On a plane, shape (n, 2), from -1 to 1.
        thumbs: The stored images, made small, shape (n, channels, height, width).
        how: How they were brought onto it, in words.
    """

    rows: Integers
    embeddings: Floats
    places: Floats
    thumbs: NDArray[Any]
    how: str


def map_images(observer: Observer, fold: int, rows: Integers) -> Landscape:
    """Images embedded by one network and brought onto a plane.

    Args:
        observer: The networks.
        fold: Which of them.
        rows: Image rows, shape (n,).
    """
    network, workshop = observer.networks[fold], observer.workshop
    runtime, name = workshop.runtime, f"map {observer.member.name} {fold}"
    key = look_key(name, network, workshop.ready.statistics, rows, {"seed": workshop.seed}, observer.moments)

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        specimens = observer.specimens
        seen = embed_with_network(open_checkpoint(network), specimens, rows, runtime, device)
        places, how = project(seen, workshop.seed)
        np.save(folder / "embeddings.npy", seen, allow_pickle=False)
        np.save(folder / "places.npy", places, allow_pickle=False)
        np.save(folder / "thumbs.npy", _small(specimens, rows), allow_pickle=False)
        (folder / "how.json").write_text(json.dumps(how), encoding="utf-8")

    place = workshop.stages.folder(key, write)
    seen, places, thumbs = (
        np.load(place / f"{part}.npy", allow_pickle=False) for part in ("embeddings", "places", "thumbs")
    )
    return Landscape(rows, seen, places, thumbs, json.loads((place / "how.json").read_text(encoding="utf-8")))


def heat_maps(observer: Observer, fold: int, rows: Integers, classes: Integers) -> Floats:
    """Where one network finds what speaks for a class, in each of some images.

    Args:
        observer: The networks.
        fold: Which of them.
        rows: Image rows, shape (n,).
        classes: In the order of the network's own classes, shape (n,).

    Returns:
        Shape (n, height, width) of the stored images, 0 to 1.

    Raises:
        InputError: The backbone ends in something without places.
    """
    network, workshop = observer.networks[fold], observer.workshop
    runtime, name = workshop.runtime, f"heat {observer.member.name} {fold}"
    key = look_key(name, network, workshop.ready.statistics, rows, {"classes": digest_array(classes)},
                   observer.moments)  # fmt: skip

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        heat = grad_cam(open_checkpoint(network), observer.specimens, rows, classes, runtime, device)
        np.save(folder / "heat.npy", heat.astype(np.float16), allow_pickle=False)

    place = workshop.stages.folder(key, write)
    return np.load(place / "heat.npy", allow_pickle=False).astype(np.float32)


def _small(specimens: Specimens, rows: Integers) -> NDArray[Any]:
    stored = specimens.pack.pixels
    each = len(rows) * stored.shape[1] * stored.dtype.itemsize
    side = next((side for side in THUMBS if each * side * side <= THUMB_BYTES), THUMBS[-1])
    share = min(1.0, side / max(stored.shape[2:]))
    sides = [max(1, round(side * share)) for side in stored.shape[2:]]
    made = [resize_image(np.asarray(stored[row]), *sides) for row in rows]
    return np.stack(made) if made else np.empty((0, stored.shape[1], *sides), stored.dtype)
