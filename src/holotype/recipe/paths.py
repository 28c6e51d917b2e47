"""Paths in a recipe are relative to its folder; here they become absolute, and relative to another folder again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from holotype.recipe.sections import AssignSpec, DataSpec, DecisionSpec, ModelSpec, PriorSpec, SubmissionSpec

__all__ = [
    "AbsolutePaths",
    "Paths",
    "RelativePaths",
    "resolve_data_paths",
    "resolve_decision_paths",
    "resolve_model_paths",
    "resolve_submission_paths",
]


class Paths(Protocol):
    """A change of every path in a recipe."""

    def path(self, text: str) -> str:
        """A path, changed.

        Args:
            text: As it stands in a section.
        """
        ...

    def pattern(self, text: str) -> str:
        """A pattern of paths, changed; doubled braces in it name no columns.

        Args:
            text: As it stands in a section.
        """
        ...


class AbsolutePaths:
    """Paths of a recipe, made absolute; addresses stay.

    Args:
        folder: Of the recipe, without links in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.relative: set[str] = set()
        """What was made of the paths that were relative."""

    def path(self, text: str) -> str:
        """A path from the recipe's folder.

        Args:
            text: As the recipe has it.
        """
        return self._resolve(text, self.folder)

    def pattern(self, text: str) -> str:
        """A pattern from the recipe's folder, whose own braces name no columns.

        Args:
            text: As the recipe has it.
        """
        return self._resolve(text, Path(str(self.folder).replace("{", "{{").replace("}", "}}")))

    def _resolve(self, text: str, folder: Path) -> str:
        if "://" in text or Path(text).is_absolute():
            return text
        rest = Path(text)
        while rest.parts[:1] == ("..",):  # the folder has no links, so that this is what the system would do
            folder, rest = folder.parent, Path(*rest.parts[1:])
        absolute = str(folder / rest)
        self.relative.add(absolute)
        return absolute


class RelativePaths:
    """Absolute paths, made relative to another folder where the recipe had them relative.

    Args:
        folder: The other folder.
        relative: Of `AbsolutePaths`.
    """

    def __init__(self, folder: Path, relative: Iterable[str]) -> None:
        self.folder, self.relative = folder.resolve(), frozenset(relative)

    def path(self, text: str) -> str:
        """A path from the other folder.

        Args:
            text: From `AbsolutePaths`.
        """
        return self._relativize(text, str(self.folder))

    def pattern(self, text: str) -> str:
        """A pattern from the other folder.

        Args:
            text: From `AbsolutePaths`.
        """
        return self._relativize(text, str(self.folder).replace("{", "{{").replace("}", "}}"))

    def _relativize(self, text: str, folder: str) -> str:
        try:
            return Path(os.path.relpath(text, folder)).as_posix() if text in self.relative else text
        except ValueError:  # another drive of Windows
            return text


def resolve_data_paths(data: DataSpec, paths: Paths) -> DataSpec:
    """The section with changed paths.

    Args:
        data: The recipe's section.
        paths: Changes them.
    """
    resolve_path, resolve_pattern = paths.path, paths.pattern
    images = data.images
    classes, taxonomy = data.labels.classes, data.labels.taxonomy
    return data.model_copy(
        update={
            "train": resolve_path(data.train),
            "external": [resolve_path(path) for path in data.external],
            "test": resolve_path(data.test) if data.test else None,
            "review": resolve_path(data.review) if data.review else None,
            "images": {name: resolve_pattern(pattern) for name, pattern in images.items()}
            if isinstance(images, dict)
            else resolve_pattern(images)
            if images
            else None,
            "labels": data.labels.model_copy(
                update={
                    "classes": resolve_path(classes) if isinstance(classes, str) else classes,
                    "taxonomy": resolve_path(taxonomy) if isinstance(taxonomy, str) else taxonomy,
                }
            ),
        }
    )


def resolve_model_paths(model: ModelSpec, paths: Paths) -> ModelSpec:
    """The section with changed paths to weights and scores.

    Args:
        model: The recipe's section.
        paths: Changes them.
    """
    weights, scores = model.weights, model.predictions
    if weights.startswith("run:"):
        run, mark, model_name = weights.removeprefix("run:").partition("#")
        weights = f"run:{paths.path(run)}{mark}{model_name}"
    elif weights not in {"auto", "imagenet", "lite", "none"}:
        weights = paths.path(weights)
    if scores is not None:
        files = {name: getattr(scores, name) for name in ("oof", "test")}
        scores = scores.model_copy(
            update={name: None if path is None else paths.path(path) for name, path in files.items()}
        )
    return model.model_copy(update={"weights": weights, "predictions": scores})


def resolve_submission_paths(section: SubmissionSpec, paths: Paths) -> SubmissionSpec:
    """The section with a changed path to the sample submission, if it names one.

    Args:
        section: The recipe's section.
        paths: Changes them.
    """
    return section if section.order == "test" else section.model_copy(update={"order": paths.path(section.order)})


def resolve_decision_paths(section: DecisionSpec | None, paths: Paths) -> DecisionSpec | None:
    """The section with changed paths to the tables that it names.

    Args:
        section: The recipe's section.
        paths: Changes them.
    """
    if isinstance(section, PriorSpec) and section.class_frequencies_from is not None:
        return section.model_copy(update={"class_frequencies_from": paths.path(section.class_frequencies_from)})
    if isinstance(section, AssignSpec) and section.class_sets is not None:
        return section.model_copy(update={"class_sets": paths.path(section.class_sets)})
    return section
