"""Paths in a recipe are relative to its folder; here they become absolute."""

from __future__ import annotations

from pathlib import Path

from holotype.spec import AssignSpec, DataSpec, DecideSpec, MemberSpec, PriorSpec, SubmitSpec

__all__ = ["anchored_data", "anchored_decision", "anchored_member", "anchored_submission"]


def anchored_data(data: DataSpec, folder: Path) -> DataSpec:
    """The section with absolute paths.

    Args:
        data: The recipe's section.
        folder: Of the recipe.
    """

    def anchor(path: str) -> str:
        return path if "://" in path else str(folder / path)

    def beside(pattern: str) -> str:
        return pattern if "://" in pattern else str(plain / pattern)

    plain = Path(str(folder).replace("{", "{{").replace("}", "}}"))  # the folder's own braces name no columns

    images = data.images
    classes, taxonomy = data.labels.classes, data.labels.taxonomy
    return data.model_copy(
        update={
            "train": anchor(data.train),
            "external": [anchor(path) for path in data.external],
            "test": anchor(data.test) if data.test else None,
            "review": anchor(data.review) if data.review else None,
            "images": {name: beside(pattern) for name, pattern in images.items()}
            if isinstance(images, dict)
            else beside(images)
            if images
            else None,
            "labels": data.labels.model_copy(
                update={
                    "classes": anchor(classes) if isinstance(classes, str) else classes,
                    "taxonomy": anchor(taxonomy) if isinstance(taxonomy, str) else taxonomy,
                }
            ),
        }
    )


def anchored_member(member: MemberSpec, folder: Path) -> MemberSpec:
    """The section with absolute paths to weights and scores.

    Args:
        member: The recipe's section.
        folder: Of the recipe.
    """
    weights, scores = member.weights, member.predictions
    if weights.startswith("run:"):
        weights = f"run:{folder / weights.removeprefix('run:')}"
    elif weights not in {"auto", "imagenet", "lite", "none"}:
        weights = str(folder / weights)
    if scores is not None:
        files = {name: getattr(scores, name) for name in ("oof", "test")}
        scores = scores.model_copy(
            update={name: None if path is None else str(folder / path) for name, path in files.items()}
        )
    return member.model_copy(update={"weights": weights, "predictions": scores})


def anchored_submission(section: SubmitSpec, folder: Path) -> SubmitSpec:
    """The section with an absolute path to the sample submission, if it names one.

    Args:
        section: The recipe's section.
        folder: Of the recipe.
    """
    return section if section.order == "test" else section.model_copy(update={"order": str(folder / section.order)})


def anchored_decision(section: DecideSpec | None, folder: Path) -> DecideSpec | None:
    """The section with absolute paths to the tables that it names.

    Args:
        section: The recipe's section.
        folder: Of the recipe.
    """
    if isinstance(section, PriorSpec) and section.like is not None:
        return section.model_copy(update={"like": str(folder / section.like)})
    if isinstance(section, AssignSpec) and section.sets is not None:
        return section.model_copy(update={"sets": str(folder / section.sets)})
    return section
