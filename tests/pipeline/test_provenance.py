"""What the report says about the weights that networks started from."""

from __future__ import annotations

import json
from pathlib import Path

from holotype.pipeline.models import ModelPredictions
from holotype.pipeline.provenance import _weights_lines


def test_weights_are_named_with_license_and_citation_and_random_ones_are_not(tmp_path: Path) -> None:
    cards = {
        "known": {"weights": "dino.pth", "weights_license": "apache-2.0", "weights_citation": "arXiv:2304.07193"},
        "unknown": {"weights": "lite", "weights_license": None, "weights_citation": None},
        "random": {"weights": "random, as asked for"},
        "table": {"columns": []},
    }
    models = [ModelPredictions("imported")]
    for name, card in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(json.dumps(card))
        models.append(ModelPredictions(name, networks=[tmp_path / name]))
    assert list(_weights_lines(models)) == [
        "known: dino.pth; apache-2.0; arXiv:2304.07193",
        "unknown: lite; license unknown",
    ]
