"""A finished run's networks as one graph that needs neither this library nor, as ONNX, torch."""

from holotype.export.card import decision_facts, describe, plain_rule, started_from
from holotype.export.example import write_example
from holotype.export.formats import FORMATS, asked, check_extra, written
from holotype.export.graph import CalibratedGraph, EnsembleGraph, MemberGraph, member_graph
from holotype.export.refusals import refuse_ensemble, refuse_member

__all__ = [
    "FORMATS",
    "CalibratedGraph",
    "EnsembleGraph",
    "MemberGraph",
    "asked",
    "check_extra",
    "decision_facts",
    "describe",
    "member_graph",
    "plain_rule",
    "refuse_ensemble",
    "refuse_member",
    "started_from",
    "write_example",
    "written",
]
