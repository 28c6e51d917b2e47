"""Fitted classifiers read back from their files."""

from __future__ import annotations

import json
from pathlib import Path

from holotype.classifiers.custom import PluginClassifier
from holotype.classifiers.fitted import ARRAYS, FACTS, FittedClassifier
from holotype.classifiers.knn import NeighborClassifier
from holotype.classifiers.linear import LinearClassifier
from holotype.classifiers.trees import TreeClassifier
from holotype.core.digest import changed_names, digest_file
from holotype.core.errors import StoreError, first_line

__all__ = ["load_classifier"]

METHODS: dict[str, type[FittedClassifier]] = {
    each.method: each for each in (LinearClassifier, NeighborClassifier, TreeClassifier)
}


def load_classifier(folder: Path) -> FittedClassifier:
    """Read what `FittedClassifier.save` wrote.

    Raises:
        StoreError: A file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        facts = json.loads((folder / FACTS).read_bytes())
        names = [Path(name).name for name in facts["files"]]
        if changed_names(facts["files"], {name: digest_file(folder / name) for name in names}):
            raise ValueError(f"{ARRAYS} and {FACTS} were not written together")
        arrays = load((folder / ARRAYS).read_bytes())
        texts = tuple((folder / name).read_bytes().decode() for name in names if name != ARRAYS)
        common = (facts["kind"], int(facts["classes"]), int(facts["width"]), facts["summary"])
        parts = {"models": texts, **arrays} if facts["method"] == TreeClassifier.method else arrays
        if facts["method"] == PluginClassifier.method:
            return PluginClassifier(*common, arrays)
        return METHODS[facts["method"]](*common, **parts)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StoreError(
            f"the classifier in {folder} cannot be read: {first_line(error)}",
            remedy="delete the folder and run the same command again",
        ) from error
