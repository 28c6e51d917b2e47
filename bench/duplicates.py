"""Planted duplicates found again: recall and precision by kind, and no pair across folds.

python bench/duplicates.py                         3,000 simulated images, a few hundred planted copies
python bench/duplicates.py --real --pictures DIR   pairs in real sets (HOLOTYPE_DATA), as contact sheets
python bench/duplicates.py --half B                copies planted in real sets and among 300 drawn plankton, by kind
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _common import real_data
from _copies import CHANGES, MATERIALS, planted_copies
from PIL import Image

from holotype.audit import audit_images, find_duplicates
from holotype.core.runtime import Runtime
from holotype.data import fingerprint, measure_images, read_image, read_images, resize_image
from holotype.recipe.load import load_recipe
from holotype.recipe.sections import AuditSpec, DataSpec, LabelSpec, SplitSpec
from holotype.simulate.cells import SimulationPlan, simulate_cells
from holotype.split import make_folds

CHANNELS = ["microtubules", "nucleus", "reticulum", "protein"]
SIDE = 96


def re_encoded(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    planes = []
    for plane in pixels:
        top = max(int(plane.max()), 1)
        buffer = BytesIO()
        Image.fromarray((plane.astype(float) * (255 / top)).astype(np.uint8)).save(buffer, "JPEG", quality=75)
        planes.append(np.asarray(Image.open(buffer)).astype(float) * (top / 255))
    return np.stack(planes)


def resized(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    side = int(SIDE * generator.uniform(0.5, 0.9))
    return resize_image(pixels, side, side)


def brightened(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    top = np.iinfo(pixels.dtype).max
    gain = generator.uniform(0.6, 1.5, (len(pixels), 1, 1))
    return np.clip(pixels * gain + generator.uniform(0, 0.1) * top, 0, top)


def turned(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    turned = np.rot90(pixels, generator.integers(1, 4), axes=(1, 2))
    return turned[:, :, ::-1] if generator.random() < 0.3 else turned


def mirrored(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return pixels[:, ::-1] if generator.random() < 0.5 else pixels[:, :, ::-1]


def cropped(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    cut = generator.integers(1, int(0.05 * SIDE) + 1, 2)
    top, left = generator.integers(0, cut[0] + 1), generator.integers(0, cut[1] + 1)
    part = pixels[:, top : SIDE - cut[0] + top, left : SIDE - cut[1] + left]
    return resize_image(np.ascontiguousarray(part), SIDE, SIDE) if generator.random() < 0.5 else part


KINDS = [re_encoded, resized, brightened, turned, mirrored, cropped]


def plant(folder: Path, originals: int, copies: int) -> tuple[DataSpec, dict[frozenset[str], str]]:
    """A simulated screen with changed copies of some of its images, and which are whose."""
    plan = SimulationPlan(train=originals, test=2, size=SIDE, plates=20, duplicates=0.0)
    made = simulate_cells(folder, plan)
    table = pl.read_csv(made.folder / "train.csv", infer_schema=False)
    generator = np.random.default_rng(5)
    chosen = generator.choice(table.height, copies, replace=False)
    truth, rows = {}, []
    for number, row in enumerate(chosen):
        kind = KINDS[number % len(KINDS)]
        name = table["id"][int(row)]
        pixels = read_image([made.folder / "images" / f"{name}_{channel}.png" for channel in CHANNELS])
        changed = np.rint(kind(pixels, generator)).astype(pixels.dtype)
        for channel, plane in zip(CHANNELS, changed, strict=True):
            Image.fromarray(np.ascontiguousarray(plane)).save(made.folder / "images" / f"copy{number}_{channel}.png")
        rows.append(table.row(int(row), named=True) | {"id": f"copy{number}", "plate": f"p{number % 20}"})
        truth[frozenset([name, f"copy{number}"])] = kind.__name__
    path = made.folder / "planted.csv"
    pl.concat([table, pl.DataFrame(rows, schema=table.schema)]).write_csv(path)
    spec = DataSpec(
        train=str(path),
        images=f"{made.folder}/images/{{id}}_{{channel}}.png",
        channels=CHANNELS,
        labels=LabelSpec(column="labels", kind="multilabel"),
    )
    return spec, truth


def planted(originals: int, copies: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spec, truth = plant(Path(folder), originals, copies)
        images = read_images(spec)
        started = time.perf_counter()
        statistics = measure_images(images, Runtime())
        measured = time.perf_counter()
        report = audit_images(images, statistics, AuditSpec())
        audited = time.perf_counter() - measured
        print(f"{len(images):,} images: measured in {measured - started:.1f} s, audited in {audited:.1f} s")
        ids = images.frame["id"].to_numpy()
        found = {frozenset([ids[row], ids[other]]) for row, other in report.links.select("row", "other").iter_rows()}
        by_kind = defaultdict(list)
        for pair, kind in truth.items():
            by_kind[kind].append(pair in found)
        for kind, hits in by_kind.items():
            print(f"  {kind:<12} recall {np.mean(hits):.3f} of {len(hits)}")
        right = [pair in truth for pair in found]
        recall = np.mean([hit for hits in by_kind.values() for hit in hits])
        print(f"  all          recall {recall:.3f}, precision {np.mean(right):.3f} of {len(found)} pairs")
        folds = make_folds(images, report, SplitSpec(), 1).frame
        fold = dict(folds.select("id", "fold").iter_rows())
        print(f"  planted pairs across folds: {sum(len({fold[name] for name in pair}) > 1 for pair in truth)}")


def real(pictures: Path) -> None:
    """The pairs of the real sets, side by side."""
    pictures.mkdir(parents=True, exist_ok=True)
    for name in ("bccd", "mitocheck", "leaf", "jurkat"):
        if real_data(name) is None:
            continue
        recipe = load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.yaml")
        images = read_images(recipe.data)
        statistics = measure_images(images, Runtime())
        started = time.perf_counter()
        report = audit_images(images, statistics, recipe.audit)
        sizes = report.clusters.group_by("cluster").len()["len"]
        near = report.links.filter(pl.col("kind") == "near").sort("similarity")
        print(
            f"{name}: {len(images):,} images, {report.links.height} pairs in {len(sizes)} clusters of up to "
            f"{sizes.max()}, {time.perf_counter() - started:.1f} s"
        )
        labels = images.frame["labels"].to_list()
        differ = sum(
            labels[a] is not None and labels[b] is not None and labels[a] != labels[b]
            for a, b in report.links.select("row", "other").iter_rows()
        )
        print(f"  {differ} of the pairs carry different labels")
        if near.height:
            step = max(near.height // 40, 1)
            sheet(images, near[::step].head(40)).save(pictures / f"{name}.png")


def look_alikes(half: str, copies: int) -> None:
    """Planted copies and claimed pairs of one half of everything; pairs that were not planted are named."""
    every: dict[str, list[bool]] = defaultdict(list)
    claimed = 0
    for name in MATERIALS:
        if name != "plankton" and real_data(name) is None:
            continue
        started = time.process_time()
        images, names, truth = planted_copies(name, half, copies)
        digests = np.array([str(number) for number in range(len(images))])
        links = find_duplicates(digests, [fingerprint(pixels) for pixels in images], 6, images.__getitem__).links
        pairs = {(row, other) for row, other in links.select("row", "other").iter_rows()}
        by_change: dict[str, list[bool]] = defaultdict(list)
        for pair, change in truth.items():
            by_change[change].append(pair in pairs)
            every[change].append(pair in pairs)
        others = sorted(
            f"{names[row]} = {names[other]} ({similarity:.2f})"
            for row, other, similarity in links.select("row", "other", "similarity").iter_rows()
            if (row, other) not in truth
        )
        claimed += len(pairs)
        recall = ", ".join(f"{change.__name__} {np.mean(by_change[change.__name__]):.2f}" for change in CHANGES)
        hits = [pair in pairs for pair in truth]
        print(
            f"{name}, half {half}: {len(images):,} images, {len(pairs)} pairs, {len(others)} of them not planted, "
            f"recall {np.mean(hits):.3f} ({recall}), {time.process_time() - started:.0f} s"
        )
        for text in others:
            print(f"  {text}")
    right = sum(sum(hits) for hits in every.values())
    print(f"all: recall {right / sum(map(len, every.values())):.3f}, {right} of {claimed} pairs were planted")


def sheet(images: Any, links: pl.DataFrame, side: int = 96) -> Image.Image:
    """Pairs from the least to the most similar, five a row."""
    canvas = Image.new("RGB", (5 * (2 * side + 12), -(-links.height // 5) * (side + 8)), "white")
    for number, link in enumerate(links.iter_rows(named=True)):
        for place, row in enumerate((link["row"], link["other"])):
            pixels = read_image(images.files_of_row(row)).astype(float)
            pixels = (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1) * 255
            colours = pixels[[0, 0, 0]] if len(pixels) < 3 else pixels[:3]
            picture = Image.fromarray(np.moveaxis(colours, 0, -1).astype(np.uint8)).resize((side, side))
            canvas.paste(picture, ((number % 5) * (2 * side + 12) + place * side, number // 5 * (side + 8)))
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--pictures", type=Path, default=Path("pairs"))
    parser.add_argument("--half", choices=["A", "B"])
    parser.add_argument("--images", type=int, default=2700)
    parser.add_argument("--copies", type=int, default=300)
    asked = parser.parse_args()
    if asked.half:
        look_alikes(asked.half, 60)
    elif asked.real:
        real(asked.pictures)
    else:
        planted(asked.images, asked.copies)


if __name__ == "__main__":
    main()
