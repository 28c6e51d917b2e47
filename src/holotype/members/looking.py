"""How a trained network sees some images: its embeddings on a plane, and where it looks; each from the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.data import resize_image
from holotype.digest import digest_array
from holotype.feed import Specimens
from holotype.keys import look_key
from holotype.members.pixels import stored_pixels, unlabelled
from holotype.members.workshop import Workshop
from holotype.nets import open_checkpoint
from holotype.predict import embed_with_network, grad_cam
from holotype.retrieval import project
from holotype.spec import MemberSpec
from holotype.train import launch_fabric
from holotype.types import Floats, Integers

__all__ = ["Landscape", "heat_maps", "map_images"]

THUMBS, THUMB_BYTES = (96, 64, 48), 40_000_000  # pixels of the longer side, the first that fits


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


def map_images(member: MemberSpec, network: Path, rows: Integers, workshop: Workshop) -> Landscape:
    """Images embedded by one network and brought onto a plane.

    Args:
        member: The recipe's section, its size resolved.
        network: The checkpoint's place in the store.
        rows: Image rows, shape (n,).
        workshop: What networks are made from.
    """
    checkpoint, runtime = open_checkpoint(network), workshop.runtime
    name = f"map {member.name} {checkpoint.fold}"
    key = look_key(name, network, workshop.ready.statistics, rows, {"seed": workshop.seed})

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        specimens = _specimens(member, workshop)
        seen = embed_with_network(checkpoint, specimens, rows, runtime, device)
        places, how = project(seen, workshop.seed)
        np.save(folder / "embeddings.npy", seen, allow_pickle=False)
        np.save(folder / "places.npy", places, allow_pickle=False)
        np.save(folder / "thumbs.npy", _small(specimens, rows), allow_pickle=False)
        (folder / "how.json").write_text(json.dumps(how), encoding="utf-8")

    place = workshop.stages.folder(key, write)
    arrays = (np.load(place / f"{part}.npy", allow_pickle=False) for part in ("embeddings", "places", "thumbs"))
    return Landscape(rows, *arrays, json.loads((place / "how.json").read_text(encoding="utf-8")))


def heat_maps(member: MemberSpec, network: Path, rows: Integers, classes: Integers, workshop: Workshop) -> Floats:
    """Where one network finds what speaks for a class, in each of some images.

    Args:
        member: The recipe's section, its size resolved.
        network: The checkpoint's place in the store.
        rows: Image rows, shape (n,).
        classes: In the order of the network's own classes, shape (n,).
        workshop: What networks are made from.

    Returns:
        Shape (n, height, width) of the stored images, 0 to 1.

    Raises:
        InputError: The backbone ends in something without places.
    """
    checkpoint, runtime = open_checkpoint(network), workshop.runtime
    name = f"heat {member.name} {checkpoint.fold}"
    key = look_key(name, network, workshop.ready.statistics, rows, {"classes": digest_array(classes)})

    def write(folder: Path) -> None:
        device = launch_fabric(runtime).device
        heat = grad_cam(checkpoint, _specimens(member, workshop), rows, classes, runtime, device)
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


def _specimens(member: MemberSpec, workshop: Workshop) -> Specimens:
    images, statistics = workshop.images, workshop.ready.statistics
    pack = stored_pixels(member, images, statistics, workshop.stages, (workshop.runtime, workshop.pack))
    return unlabelled(member, pack, images, statistics)
