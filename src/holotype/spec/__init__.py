"""The sections of a recipe, one file a section. Only the pipeline sees a recipe as a whole."""

from holotype.spec.audit import AuditSpec, OnLeakSpec
from holotype.spec.augment import AugmentSpec, MixSpec
from holotype.spec.base import Section
from holotype.spec.data import DataSpec, LabelSpec
from holotype.spec.decide import (
    ArgmaxSpec,
    AssignSpec,
    CascadeSpec,
    DecideSpec,
    PerClassSpec,
    PriorSpec,
    ThresholdSpec,
    TopSpec,
)
from holotype.spec.ensemble import (
    CalibrateSpec,
    CalibrationSpec,
    EnsembleSpec,
    GreedySpec,
    MeanSpec,
    StackSpec,
    VoteSpec,
    WeightedSpec,
)
from holotype.spec.head import HeadSpec, MarginSpec
from holotype.spec.input import InputSpec, TileSpec
from holotype.spec.keep import KeepSpec
from holotype.spec.learning import NeighboursSpec, PseudoSpec, SpecialiseSpec
from holotype.spec.levels import LevelsSpec
from holotype.spec.member import MemberSpec, ViewSpec
from holotype.spec.optimizer import OptimizerSpec
from holotype.spec.phase import PhaseSpec
from holotype.spec.predictions import PredictionsSpec
from holotype.spec.report import ReportSpec
from holotype.spec.run import RunSpec
from holotype.spec.split import SplitSpec
from holotype.spec.submit import SubmitSpec

__all__ = [
    "ArgmaxSpec",
    "AssignSpec",
    "AuditSpec",
    "AugmentSpec",
    "CalibrateSpec",
    "CalibrationSpec",
    "CascadeSpec",
    "DataSpec",
    "DecideSpec",
    "EnsembleSpec",
    "GreedySpec",
    "HeadSpec",
    "InputSpec",
    "KeepSpec",
    "LabelSpec",
    "LevelsSpec",
    "MarginSpec",
    "MeanSpec",
    "MemberSpec",
    "MixSpec",
    "NeighboursSpec",
    "OnLeakSpec",
    "OptimizerSpec",
    "PerClassSpec",
    "PhaseSpec",
    "PredictionsSpec",
    "PriorSpec",
    "PseudoSpec",
    "ReportSpec",
    "RunSpec",
    "Section",
    "SpecialiseSpec",
    "SplitSpec",
    "StackSpec",
    "SubmitSpec",
    "ThresholdSpec",
    "TileSpec",
    "TopSpec",
    "ViewSpec",
    "VoteSpec",
    "WeightedSpec",
]
