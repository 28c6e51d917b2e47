"""The sections of a recipe, one file a section. Only the pipeline sees a recipe as a whole."""

from holotype.spec.audit import AuditSpec, OnLeakSpec
from holotype.spec.augment import AugmentSpec, MixSpec
from holotype.spec.base import Later, Section
from holotype.spec.combine import (
    ArgmaxSpec,
    CalibrateSpec,
    DecideSpec,
    EnsembleSpec,
    LaterDecideSpec,
    LaterEnsembleSpec,
    MeanSpec,
    ThresholdSpec,
)
from holotype.spec.data import DataSpec, LabelSpec
from holotype.spec.head import HeadSpec
from holotype.spec.input import InputSpec, TileSpec
from holotype.spec.keep import KeepSpec
from holotype.spec.member import MemberSpec, ViewSpec
from holotype.spec.optimizer import OptimizerSpec
from holotype.spec.phase import PhaseSpec
from holotype.spec.run import RunSpec
from holotype.spec.split import SplitSpec
from holotype.spec.submit import SubmitSpec

__all__ = [
    "ArgmaxSpec",
    "AuditSpec",
    "AugmentSpec",
    "CalibrateSpec",
    "DataSpec",
    "DecideSpec",
    "EnsembleSpec",
    "HeadSpec",
    "InputSpec",
    "KeepSpec",
    "LabelSpec",
    "Later",
    "LaterDecideSpec",
    "LaterEnsembleSpec",
    "MeanSpec",
    "MemberSpec",
    "MixSpec",
    "OnLeakSpec",
    "OptimizerSpec",
    "PhaseSpec",
    "RunSpec",
    "Section",
    "SplitSpec",
    "SubmitSpec",
    "ThresholdSpec",
    "TileSpec",
    "ViewSpec",
]
