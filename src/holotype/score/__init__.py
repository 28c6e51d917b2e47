"""From predictions to scores that can be believed: gathering out of fold, refitting every choice, the ledger."""

from holotype.score.apart import score_apart, score_without
from holotype.score.choices import Choice, FittedChain, Scores, cross_apply, fit_chain, grouped_folds
from holotype.score.ledger import Against, Step, make_ledger
from holotype.score.links import ClassLink, company_links, confusion_links
from holotype.score.nested import NestedScore, add_caveats, metric_names, score_nested
from holotype.score.oof import POOLS, gather_oof, gather_test, pool_images
from holotype.score.tables import class_table, confusion_counts, domain_table, group_table, scorecard_to_json

__all__ = [
    "POOLS",
    "Against",
    "Choice",
    "ClassLink",
    "FittedChain",
    "NestedScore",
    "Scores",
    "Step",
    "add_caveats",
    "class_table",
    "company_links",
    "confusion_counts",
    "confusion_links",
    "cross_apply",
    "domain_table",
    "fit_chain",
    "gather_oof",
    "gather_test",
    "group_table",
    "grouped_folds",
    "make_ledger",
    "metric_names",
    "pool_images",
    "score_apart",
    "score_nested",
    "score_without",
    "scorecard_to_json",
]
