"""Paths in recipes: made absolute, and made relative to another folder."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from holotype.recipe.sections import AssignSpec, DataSpec, DecisionSpec, ModelSpec, PriorSpec, RunSpec, SubmissionSpec


class Paths(ABC):
    """Mapping of the paths in a recipe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, text: str) -> str:
        """Map a path."""
        return self._map(text, self.folder)

    def pattern(self, text: str) -> str:
        """Map a pattern of paths; braces of the folder's name are doubled, so that they name no columns."""
        return self._map(text, Path(str(self.folder).replace("{", "{{").replace("}", "}}")))

    @abstractmethod
    def _map(self, text: str, folder: Path) -> str: ...


class AbsolutePaths(Paths):
    """Paths of a recipe, made absolute; URIs stay unchanged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.relative: set[str] = set()
        """Absolute forms of the paths that were relative."""

    def _map(self, text: str, folder: Path) -> str:
        if "://" in text or Path(text).is_absolute():
            return text
        rest = Path(text)
        while rest.parts[:1] == ("..",):  # exact, as the folder has no links
            folder, rest = folder.parent, Path(*rest.parts[1:])
        absolute = str(folder / rest)
        self.relative.add(absolute)
        return absolute


class RelativePaths(Paths):
    """Absolute paths, made relative to another folder if they were relative in the recipe."""

    def __init__(self, folder: Path, relative: Iterable[str]) -> None:
        super().__init__(folder.resolve())
        self.relative = frozenset(relative)

    def _map(self, text: str, folder: Path) -> str:
        try:
            return Path(os.path.relpath(text, folder)).as_posix() if text in self.relative else text
        except ValueError:  # on another drive (Windows)
            return text


def resolve_data_paths(data: DataSpec, paths: Paths) -> DataSpec:
    """Map the paths of `data`."""
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
    """Map the paths to weights and predictions of a model."""
    scores = model.predictions
    addresses = {"backbone": _resolve_model_folder(model.backbone, paths)}
    if model.weights.startswith("run:"):
        run, mark, model_name = model.weights.removeprefix("run:").partition("#")
        addresses["weights"] = f"run:{paths.path(run)}{mark}{model_name}"
    elif model.weights.startswith(("local-dir:", "hf-hub:")):
        addresses["weights"] = _resolve_model_folder(model.weights, paths)
    elif model.weights not in {"auto", "imagenet", "lite", "none"}:
        addresses["weights"] = paths.path(model.weights)
    if scores is not None:
        files = {name: getattr(scores, name) for name in ("oof", "test")}
        scores = scores.model_copy(
            update={name: None if path is None else paths.path(path) for name, path in files.items()}
        )
    measurements = model.measurements
    if measurements is not None:
        measurements = measurements.model_copy(update={"table": paths.path(measurements.table)})
    return model.model_copy(update=addresses | {"predictions": scores, "measurements": measurements})


def _resolve_model_folder(address: str, paths: Paths) -> str:
    folder = address.removeprefix("local-dir:")
    return address if folder == address else f"local-dir:{paths.path(folder)}"


def resolve_run_paths(section: RunSpec, paths: Paths) -> RunSpec:
    """Map the folders of plugins."""
    plugins = [
        plugin if plugin.folder is None else plugin.model_copy(update={"folder": paths.path(plugin.folder)})
        for plugin in section.plugins
    ]
    return section.model_copy(update={"plugins": plugins})


def resolve_submission_paths(section: SubmissionSpec, paths: Paths) -> SubmissionSpec:
    """Map the path of a sample submission, if `order` is one."""
    return section if section.order == "test" else section.model_copy(update={"order": paths.path(section.order)})


def resolve_decision_paths(section: DecisionSpec | None, paths: Paths) -> DecisionSpec | None:
    """Map the paths of the tables of `decision`."""
    if isinstance(section, PriorSpec) and section.class_frequencies_from is not None:
        return section.model_copy(update={"class_frequencies_from": paths.path(section.class_frequencies_from)})
    if isinstance(section, AssignSpec) and section.class_sets is not None:
        return section.model_copy(update={"class_sets": paths.path(section.class_sets)})
    return section
