"""Sections of a recipe, one module each. Only the pipeline reads a recipe as a whole."""

from holotype.recipe.sections.audit import AuditSpec, DuplicatesSpec
from holotype.recipe.sections.augment import AugmentSpec, CustomAugmentSpec, MixSpec
from holotype.recipe.sections.base import Section
from holotype.recipe.sections.checkpoints import CheckpointsSpec
from holotype.recipe.sections.classifier import (
    ClassifierSpec,
    CustomClassifierSpec,
    KnnClassifierSpec,
    LdaClassifierSpec,
    LightgbmClassifierSpec,
    LogisticClassifierSpec,
    RidgeClassifierSpec,
)
from holotype.recipe.sections.data import DataSpec, LabelSpec
from holotype.recipe.sections.decision import (
    ArgmaxSpec,
    AssignSpec,
    CascadeSpec,
    CustomDecisionSpec,
    DecisionSpec,
    PerClassSpec,
    PriorSpec,
    ThresholdSpec,
    TopSpec,
)
from holotype.recipe.sections.ensemble import (
    CalibrationSpec,
    CalibrationSpecOrNone,
    EnsembleSpec,
    GreedySpec,
    MeanSpec,
    StackSpec,
    VoteSpec,
    WeightedSpec,
)
from holotype.recipe.sections.head import HeadSpec, MarginSpec
from holotype.recipe.sections.input import InputSpec, TileSpec
from holotype.recipe.sections.learning import NeighborsSpec, PseudoLabelsSpec, SpecialistsSpec
from holotype.recipe.sections.measurements import MeasurementsSpec
from holotype.recipe.sections.model import ModelSpec, PredictSpec
from holotype.recipe.sections.optimizer import OptimizerSpec
from holotype.recipe.sections.phase import PhaseSpec
from holotype.recipe.sections.predictions import PredictionsSpec
from holotype.recipe.sections.report import ReportSpec
from holotype.recipe.sections.run import PluginSpec, RunSpec
from holotype.recipe.sections.split import SplitSpec
from holotype.recipe.sections.submission import SubmissionSpec
from holotype.recipe.sections.taxonomy import TaxonomySpec

__all__ = [
    "ArgmaxSpec",
    "AssignSpec",
    "AuditSpec",
    "AugmentSpec",
    "CalibrationSpec",
    "CalibrationSpecOrNone",
    "CascadeSpec",
    "CheckpointsSpec",
    "ClassifierSpec",
    "CustomAugmentSpec",
    "CustomClassifierSpec",
    "CustomDecisionSpec",
    "DataSpec",
    "DecisionSpec",
    "DuplicatesSpec",
    "EnsembleSpec",
    "GreedySpec",
    "HeadSpec",
    "InputSpec",
    "KnnClassifierSpec",
    "LabelSpec",
    "LdaClassifierSpec",
    "LightgbmClassifierSpec",
    "LogisticClassifierSpec",
    "MarginSpec",
    "MeanSpec",
    "MeasurementsSpec",
    "MixSpec",
    "ModelSpec",
    "NeighborsSpec",
    "OptimizerSpec",
    "PerClassSpec",
    "PhaseSpec",
    "PluginSpec",
    "PredictSpec",
    "PredictionsSpec",
    "PriorSpec",
    "PseudoLabelsSpec",
    "ReportSpec",
    "RidgeClassifierSpec",
    "RunSpec",
    "Section",
    "SpecialistsSpec",
    "SplitSpec",
    "StackSpec",
    "SubmissionSpec",
    "TaxonomySpec",
    "ThresholdSpec",
    "TileSpec",
    "TopSpec",
    "VoteSpec",
    "WeightedSpec",
]
