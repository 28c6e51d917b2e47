"""Serialization of ensembles: `ensemble.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from holotype.types import Ensemble


def ensemble_to_json(ensemble: Ensemble) -> dict[str, Any]:
    """Convert an ensemble to the content of `ensemble.json`: weights, rank quantiles, models of a stack."""
    content: dict[str, Any] = {
        "kind": ensemble.kind,
        "space": ensemble.space,
        "models": list(ensemble.models),
        "weights": list(ensemble.weights),
    }
    if ensemble.pools:
        content["pools"] = list(ensemble.pools)
    if ensemble.specialist_domains:
        content["specialist_domains"] = dict(zip(ensemble.models, map(list, ensemble.specialist_domains), strict=True))
    if ensemble.weights_by_domain:
        content["weights_by_domain"] = {name: list(weights) for name, weights in ensemble.weights_by_domain.items()}
    if ensemble.rank_quantiles is not None:
        content["rank_quantiles"] = ensemble.rank_quantiles.tolist()
    if ensemble.stack:
        content["stack"] = [list(models) for models in ensemble.stack]
        content["domains"] = list(ensemble.domains)
        content["columns"] = list(ensemble.columns)
    return content


def ensemble_from_json(content: dict[str, Any]) -> Ensemble:
    """Read an ensemble from the content of `ensemble.json`."""
    return Ensemble(
        content["kind"],
        content["space"],
        tuple(content["models"]),
        tuple(content["weights"]),
        {name: tuple(weights) for name, weights in content.get("weights_by_domain", {}).items()},
        np.asarray(content["rank_quantiles"]) if "rank_quantiles" in content else None,
        tuple(tuple(models) for models in content.get("stack", ())),
        tuple(content.get("domains", ())),
        tuple(content.get("pools", ())),
        tuple(content.get("columns", ())),
        tuple(tuple(content["specialist_domains"][name]) for name in content["models"])
        if "specialist_domains" in content
        else (),
    )
