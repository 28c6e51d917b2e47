"""A finished run opened again: new images in, labels out, by the very networks, views and decision of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from holotype.decide import calibrate, decide
from holotype.ensemble import apply_ensemble
from holotype.errors import DataError, InputError, listing
from holotype.finished.answering import predict_parts
from holotype.finished.asked import images_asked
from holotype.finished.seen import NewImages, look_at
from holotype.finished.stored import intact, read_decision, read_ensemble
from holotype.finished.voices import Nearest, Voice, hear_members, open_voices
from holotype.pipeline import make_runtime
from holotype.recipe import Recipe, load_recipe
from holotype.road.choosing import place_numbers, sample_facts
from holotype.road.unusual import Usual, read_usual
from holotype.runs import RunFolder
from holotype.runtime import Runtime
from holotype.types import (
    AnyLabels,
    AnyScores,
    Calibration,
    Decision,
    Ensemble,
    ImageTable,
    Integers,
)

__all__ = ["PART", "OpenedRun", "open_run"]

PART = 4096  # images that are held at once, where nothing ties more of them together


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
        held: Whether its networks stay in memory from one question to the next.
    """

    folder: RunFolder
    recipe: Recipe
    decision: Decision
    calibration: Calibration
    ensemble: Ensemble
    runtime: Runtime
    held: bool = False

    @cached_property
    def voices(self) -> tuple[Voice, ...]:
        """Its members' networks, opened when they are first asked for.

        Raises:
            InputError: A member's scores were made elsewhere.
        """
        self._refuse_imported()
        return open_voices(self.recipe.members, self.folder, self.ensemble, self.decision.classes, self.held)

    def _refuse_imported(self) -> None:
        imported = [member.name for member in self.recipe.members if member.predictions is not None]
        if imported:
            raise InputError(f"the scores of {listing(imported)} were made elsewhere: new images cannot be predicted",
                             remedy="predict with a run whose members are all networks")  # fmt: skip

    @cached_property
    def usual(self) -> Usual:
        """What its training images are like, against which new ones are checked."""
        with intact(self.folder.root / "audit" / "statistics.parquet"):
            return read_usual(self.folder, self.decision.kind, len(self.decision.classes))

    def predict(self, images: Path | str | Sequence[Path | str], skip_unreadable: bool = False) -> pl.DataFrame:
        """Labels and probabilities of new images.

        Args:
            images: Folders, files, or tables with the columns that the recipe's pattern names.
            skip_unreadable: Give images that cannot be predicted a row without labels, and the reason in a column
                `error`, instead of stopping.

        Returns:
            `id`, `labels`, the likeliest classes with their probabilities, and `warning`: in which respects an image is
            unlike the training images.

        Raises:
            InputError: There are no images, or some cannot be read or have other channels or another depth than the
                training images.
        """
        return pl.concat([table for table, _ in self.predict_in_parts(images, skip_unreadable=skip_unreadable)])

    def predict_in_parts(
        self, images: Path | str | Sequence[Path | str], most: int = PART, skip_unreadable: bool = False
    ) -> Iterator[tuple[pl.DataFrame, AnyScores]]:
        """The same, part by part, so that however many images there are, few are held.

        Args:
            images: As above.
            most: Images of a part; plates that a decision or a normalisation looks at as a whole stay together.
            skip_unreadable: As above.

        Returns:
            Tables as `predict` gives them, and the scores behind them, shape (rows, classes).
        """
        self._refuse_imported()  # better now than after the images are read
        table, separator = self.asked(images), self.recipe.submit.separator
        yield from predict_parts(self, table, most, self._kept_together, separator, skip_unreadable)

    def asked(self, images: Path | str | Sequence[Path | str]) -> ImageTable:
        """New images as a table, their files named by the recipe's pattern.

        Args:
            images: As in `predict`.
        """
        decision, progress = self.decision, self.runtime.progress
        return images_asked(images, self.recipe.data, decision.classes, decision.kind, progress, self.trained_files)

    @property
    def trained_files(self) -> pl.Series | None:
        """The lists of files of the run's own images; None where the run's folder does not hold their table."""
        there = (self.folder.root / "images.parquet").is_file()
        return self.folder.images()["files"] if there else None

    @property
    def _kept_together(self) -> str | None:
        """The column of the plates, where a decision or a normalisation looks at them as a whole."""
        if self.decision.one_class_per is not None:
            return f"group.{self.decision.unique_set_per or self.decision.one_class_per}"
        by_plate = any(member.input.normalise == "plate" for member in self.recipe.members)
        return f"group.{self.recipe.data.groups[0]}" if by_plate and self.recipe.data.groups else None

    def logits(self, images: ImageTable) -> AnyScores:
        """The ensemble's scores.

        Args:
            images: Rows of the role `test`.

        Returns:
            Shape (samples, classes), in the order of the table.
        """
        return self.hear(look_at(images, self.runtime, self.usual))[0]

    def hear(self, new: NewImages) -> tuple[AnyScores, Nearest]:
        """The ensemble's scores, and each sample's nearest specimens where a member knows them.

        Args:
            new: From `look_at`.

        Returns:
            Scores of shape (samples, classes) in the order of the table; one entry a sample, or none.
        """
        said, nearest = hear_members(self.voices, new)
        looks = self.ensemble.stack or self.ensemble.parts
        facts = sample_facts(new.images, new.statistics) if looks else None
        together = apply_ensemble(self.ensemble, said, self.decision.kind, facts)
        return calibrate(self.calibration, together, self.decision.kind), nearest

    def decide(self, logits: AnyScores, images: ImageTable) -> AnyLabels:
        """The labels of samples.

        Args:
            logits: From `hear`.
            images: The table they belong to, which knows their plates.

        Returns:
            Shape (samples, classes).
        """
        columns = (self.decision.one_class_per, self.decision.unique_set_per)
        return decide(self.decision, logits, *(self._places(images, name) for name in columns))

    def _places(self, images: ImageTable, name: str | None) -> Integers | None:
        """The plate or experiment of each sample, where the decision looks at it."""
        if name is None:
            return None
        column, frame = f"group.{name}", images.samples.frame
        if column not in frame.columns:
            raise DataError(f"the decision gives each class or set once a {name}, and the images "
                            "do not say theirs", field="images", remedy="give a table with that column")  # fmt: skip
        return place_numbers(frame[column])


def open_run(folder: Path | str, runtime: Runtime | None = None, held: bool = False) -> OpenedRun:
    """Open a finished run.

    Args:
        folder: The run's folder.
        runtime: Device and threads; as the recipe says where none is given.
        held: Keep the networks in memory from one question to the next.

    Raises:
        InputError: The folder is not a finished run's, or a file of it is damaged.
    """
    run = RunFolder(Path(folder))
    source = run.existing("recipe.yaml")
    run.require_intact(weights=False)  # those are read when networks are opened
    recipe = load_recipe(source)
    decision, calibration = read_decision(run)
    ensemble = read_ensemble(run, recipe.members)
    made = runtime or make_runtime(recipe, Path(folder))
    return OpenedRun(run, recipe, decision, calibration, ensemble, made, held)
