"""A finished run opened again: new images in, labels out, by the very networks, views and decision of the run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.choosing import place_numbers, sample_facts
from holotype.data import Pack, measure_images, pack_images, plan_pack, read_table
from holotype.data.images import ENDINGS
from holotype.data.layouts import image_files, pattern_fields
from holotype.decide import (
    calibrate,
    calibration_from_json,
    decide,
    decision_from_json,
    label_names,
    prediction_marks,
    probabilities,
)
from holotype.ensemble import apply_ensemble, ensemble_from_json
from holotype.errors import DataError, InputError, listing
from holotype.feed import Specimens, make_specimens
from holotype.nets import open_checkpoint
from holotype.pipeline import make_runtime
from holotype.predict import infer
from holotype.recipe import Recipe, load_recipe
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.score import gather_test
from holotype.spec import DataSpec, MemberSpec
from holotype.submit import prediction_table
from holotype.train import launch_fabric
from holotype.types import (
    Calibration,
    Decision,
    Ensemble,
    Floats,
    ImageStatistics,
    ImageTable,
    Integers,
    Normalisation,
)

__all__ = ["OpenedRun", "open_run"]


@dataclass(frozen=True)
class OpenedRun:
    """A run that can be asked.

    Args:
        folder: The run's folder.
        recipe: As it was run.
        decision: As it was fitted.
        calibration: As it was fitted.
        ensemble: As it was fitted.
        runtime: Device, threads and progress.
    """

    folder: RunFolder
    recipe: Recipe
    decision: Decision
    calibration: Calibration
    ensemble: Ensemble
    runtime: Runtime

    def predict(self, images: Path | str | Sequence[Path | str]) -> pl.DataFrame:
        """Labels and probabilities of new images.

        Args:
            images: A folder, files, or a table with the columns that the recipe's pattern names.

        Returns:
            `id`, `labels`, and the likeliest classes with their probabilities.

        Raises:
            InputError: There are no images, one cannot be read, or their channels are not those of the run.
        """
        table = self._table(images)
        logits = self.logits(table)
        classes, kind, separator = self.decision.classes, self.decision.kind, self.recipe.submit.separator
        names = label_names(decide(self.decision, logits, self._places(table)), classes)
        said = probabilities(logits, kind)
        made = prediction_table(table.samples.frame["sample"], names, said, classes, separator)
        return made.with_columns(prediction_marks(self.calibration, said, classes, kind, separator))

    def logits(self, images: ImageTable) -> Floats:
        """The ensemble's scores.

        Args:
            images: Rows of the role `test`.

        Returns:
            Shape (samples, classes), in the order of the table.
        """
        imported = [member.name for member in self.recipe.members if member.predictions is not None]
        if imported:
            raise InputError(f"the scores of {listing(imported)} were made elsewhere: new images cannot be predicted",
                             remedy="predict with a run whose members are all networks")  # fmt: skip
        statistics = measure_images(images, self.runtime)
        _all_readable(statistics)
        device = launch_fabric(self.runtime).device
        rows = np.arange(len(images))
        scores = []
        for member, pool in zip(self.recipe.members, self.ensemble.pools, strict=True):
            checkpoints = [open_checkpoint(folder) for folder in self.folder.checkpoints(member.name)]
            specimens = self._specimens(images, statistics, checkpoints[0].card)
            wanted = member.predict.model_copy(update={"pool": pool})
            said = [infer(one, specimens, rows, wanted, self.runtime, device)[0] for one in checkpoints]
            scores.append(gather_test(said, images, rows, pool))
        together = apply_ensemble(self.ensemble, scores, self.decision.kind, sample_facts(images, statistics))
        return calibrate(self.calibration, together, self.decision.kind)

    def _places(self, images: ImageTable) -> Integers | None:
        """The plate of each sample, where the decision looks at it."""
        if self.decision.one_class_per is None:
            return None
        column, frame = f"group.{self.decision.one_class_per}", images.samples.frame
        if column not in frame.columns:
            raise DataError(f"the decision gives each class once a {self.decision.one_class_per}, and the images "
                            "do not say theirs", field="images", remedy="give a table with that column")  # fmt: skip
        return place_numbers(frame[column])

    def _specimens(self, images: ImageTable, statistics: ImageStatistics, card: dict[str, Any]) -> Specimens:
        found = statistics.frame["channels"].unique().to_list()
        if found != [card["channels"]]:
            raise DataError(f"the images have {listing(found)} channels and the run was trained on {card['channels']}")
        member = MemberSpec.model_validate(card["member"])
        tile = member.input.tile
        plan = plan_pack(statistics, member.stored_size, member.input.resize, tile.side if tile else None)
        plan = replace(plan, shape=(*plan.shape[:2], *card["canvas"]))  # what an image becomes hangs on no other image
        scale = Normalisation(tuple(card["normalisation"]["mean"]), tuple(card["normalisation"]["deviation"]))
        truth = np.zeros((len(images), len(card["classes"])), dtype=bool)
        pack = Pack(pack_images(images, plan, None, self.runtime), plan.fitting)
        return make_specimens(member, pack, images, statistics, scale, truth)

    def _table(self, images: Path | str | Sequence[Path | str]) -> ImageTable:
        data = self.recipe.data
        one = Path(images) if isinstance(images, str | Path) else None
        if one is not None and one.suffix.lower() in {".csv", ".parquet", ".pq"}:
            frame = _frame_of_table(one, data)
        else:
            files = _files(one if one is not None else [Path(file) for file in images])  # type: ignore[union-attr]
            frame = _frame_of_files(files, data.images or "", data.channels)
        return ImageTable(
            frame, self.decision.classes, self.decision.kind, tuple(data.channels) if data.channels else None
        )


def open_run(folder: Path | str, runtime: Runtime | None = None) -> OpenedRun:
    """Open a finished run.

    Args:
        folder: The run's folder.
        runtime: Device and threads; as the recipe says where none is given.

    Raises:
        InputError: The folder is not a finished run's.
    """
    run = RunFolder(Path(folder))
    recipe = load_recipe(run.existing("recipe.yaml"))
    facts = json.loads(run.existing("decision.json").read_text(encoding="utf-8"))
    ensemble = ensemble_from_json(json.loads(run.existing("ensemble.json").read_text(encoding="utf-8")))
    made = runtime or make_runtime(recipe, Path(folder))
    return OpenedRun(run, recipe, decision_from_json(facts), calibration_from_json(facts), ensemble, made)


def _files(place: Path | list[Path]) -> list[Path]:
    if isinstance(place, list):
        files = place
    elif place.is_dir():
        files = sorted(path for path in place.rglob("*") if path.suffix.lower() in ENDINGS)
    else:
        files = [place]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise InputError(f"{len(missing):,} of {len(files):,} images do not exist: {listing(missing, 5)}")
    if not files:
        raise InputError(f"there are no images in {str(place)!r}", remedy=f"known endings: {listing(sorted(ENDINGS))}")
    return files


def _frame_of_files(files: list[Path], pattern: str, channels: list[str] | None) -> pl.DataFrame:
    """One row an image; the files of an image are brought together by the end of the recipe's pattern."""
    by_channel = channels is not None and "{channel}" in pattern
    if not by_channel:
        stems = Counter(file.stem for file in files)
        rows = {file.stem if stems[file.stem] == 1 else str(file): [file] for file in files}
    else:
        parts = Path(pattern).parts
        last = max(number for number, part in enumerate(parts) if "{channel}" in part)
        rows = _grouped_by_channel(files, parts[last:], channels or [])
    ids = pl.Series("id", list(rows))
    return _frame(ids, ids, pl.Series("files", [[str(file) for file in row] for row in rows.values()]))


def _frame_of_table(path: Path, data: DataSpec) -> pl.DataFrame:
    """One row an image, its files named by the recipe's pattern; the run's own tables are not looked at."""
    table = read_table(path, "images")
    for column in (data.id, data.sample or data.id):
        if column not in table.columns:
            what = f"there is no column {column!r} in {str(path)!r}"
            raise DataError(what, field="images", value=column, allowed=table.columns)
    ids = table[data.id]
    unfit = ids.filter(ids.is_null() | ids.is_duplicated()).unique(maintain_order=True).to_list()
    if unfit:
        raise DataError(f"ids are missing or stand more than once: {listing(unfit, 5)}", field="images")
    frame = _frame(ids, table[data.sample or data.id].fill_null(ids), image_files(data, table, str(path), "test"))
    return frame.with_columns(table[name].alias(f"group.{name}") for name in data.groups if name in table.columns)


def _frame(ids: pl.Series, samples: pl.Series, files: pl.Series) -> pl.DataFrame:
    columns = [ids.alias("id"), samples.alias("sample"), pl.Series("role", ["test"] * len(ids)), files.alias("files")]
    empty = [pl.lit(None, pl.List(pl.Int64)).alias("labels"), pl.lit(None, pl.String).alias("domain")]
    return pl.DataFrame(columns).with_columns(empty)


def _grouped_by_channel(files: list[Path], parts: tuple[str, ...], channels: list[str]) -> dict[str, list[Path]]:
    """The files of each image in the order of the channels, by what their paths have beside the channel's name."""
    pattern, depth = "/".join(parts), len(parts)
    expression, number = "", 0
    for text, name in pattern_fields(pattern):
        expression += re.escape(text)
        if name == "channel":
            expression += f"(?P<channel>{'|'.join(map(re.escape, channels))})"
        elif name is not None:
            expression += f"(?P<part{number}>[^/]+)"
            number += 1
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        match = re.fullmatch(expression, "/".join(file.parts[-depth:]))
        if match:
            named = match.groupdict()
            name = "_".join(value for key, value in named.items() if key != "channel")
            found.setdefault(str(Path(*file.parts[:-depth]) / name), {})[named["channel"]] = file
    if not found:
        raise InputError(f"no file is named as in {pattern!r}; the first is {files[0].name!r}")
    for name, held in found.items():
        lacking = [channel for channel in channels if channel not in held]
        if lacking:
            raise InputError(
                f"{Path(name).name!r} has no file for {listing(lacking)}", remedy=f"name it as in {pattern!r}"
            )
    names = Counter(Path(name).name for name in found)
    return {
        Path(name).name if names[Path(name).name] == 1 else name: [held[channel] for channel in channels]
        for name, held in found.items()
    }


def _all_readable(statistics: ImageStatistics) -> None:
    broken = statistics.frame.filter(pl.col("error").is_not_null())
    if broken.height:
        reasons = listing(broken["error"].to_list(), 3)
        raise DataError(
            f"{broken.height:,} of {statistics.frame.height:,} images cannot be read: {reasons}",
            remedy="mend or remove them",
        )
