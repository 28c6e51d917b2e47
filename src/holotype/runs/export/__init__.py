"""Export of a finished run's networks as one graph that needs neither this library nor, as ONNX, torch."""

from holotype.runs.export.example import write_example
from holotype.runs.export.formats import FORMATS, load_session, require_extra, write_graph
from holotype.runs.export.model_card import decision_facts, model_card, simple_rule, weight_provenance
from holotype.runs.export.onnx_graph import CalibratedGraph, EnsembleGraph, ModelGraph, model_graph
from holotype.runs.export.unsupported import require_exportable_ensemble, require_exportable_model

__all__ = [
    "FORMATS",
    "CalibratedGraph",
    "EnsembleGraph",
    "ModelGraph",
    "decision_facts",
    "load_session",
    "model_card",
    "model_graph",
    "require_exportable_ensemble",
    "require_exportable_model",
    "require_extra",
    "simple_rule",
    "weight_provenance",
    "write_example",
    "write_graph",
]
