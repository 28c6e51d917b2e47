"""An ensemble as `ensemble.json` holds it."""

from __future__ import annotations

from typing import Any

import numpy as np

from holotype.types import Ensemble

__all__ = ["ensemble_from_json", "ensemble_to_json"]


def ensemble_to_json(ensemble: Ensemble) -> dict[str, Any]:
    """What is needed to apply it again: weights, ranks, the models of a stack.

    Args:
        ensemble: From `fit_ensemble`.
    """
    content: dict[str, Any] = {
        "kind": ensemble.kind,
        "space": ensemble.space,
        "members": list(ensemble.members),
        "weights": list(ensemble.weights),
    }
    if ensemble.pools:
        content["pools"] = list(ensemble.pools)
    if ensemble.routes:
        content["specialists"] = dict(zip(ensemble.members, map(list, ensemble.routes), strict=True))
    if ensemble.parts:
        content["parts"] = {name: list(weights) for name, weights in ensemble.parts.items()}
    if ensemble.ladder is not None:
        content["ladder"] = ensemble.ladder.tolist()
    if ensemble.stack:
        content["stack"] = [list(models) for models in ensemble.stack]
        content["domains"] = list(ensemble.domains)
        content["columns"] = list(ensemble.columns)
    return content


def ensemble_from_json(content: dict[str, Any]) -> Ensemble:
    """The ensemble of a finished run.

    Args:
        content: Of `ensemble.json`.
    """
    return Ensemble(
        content["kind"], content["space"], tuple(content["members"]), tuple(content["weights"]),
        {name: tuple(weights) for name, weights in content.get("parts", {}).items()},
        np.asarray(content["ladder"]) if "ladder" in content else None,
        tuple(tuple(models) for models in content.get("stack", ())), tuple(content.get("domains", ())),
        tuple(content.get("pools", ())), tuple(content.get("columns", ())),
        tuple(tuple(content["specialists"][name]) for name in content["members"]) if "specialists" in content else (),
    )  # fmt: skip
