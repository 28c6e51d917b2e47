"""Inspection of a data folder: tables, images, labels and groups, and the recipe proposed for them.

`write_recipe(propose(inspect_folder(Path("my_images"))), Path("recipe.yaml"))`
"""

from holotype.inspect.class_names import questions_on_classes
from holotype.inspect.coco import COCO_COLUMNS, labels_of_json, ranks_of_json
from holotype.inspect.file_match import FileMatch, files_of_row
from holotype.inspect.groups import DOMAIN_NAME, GroupGuess, find_domain, find_groups, find_sample
from holotype.inspect.inspect_folder import FolderFindings, inspect_folder
from holotype.inspect.labels import POSSIBLE_NAME, LabelGuess, choose_label_column, judge_folder_names, judge_labels
from holotype.inspect.one_hot_labels import find_one_hot_columns, join_one_hot
from holotype.inspect.propose import Proposal, propose
from holotype.inspect.repair_tables import SEPARATOR
from holotype.inspect.tables import WRITTEN_MARK, are_dates, as_numbers, is_submission
from holotype.inspect.taxonomy import find_taxonomy
from holotype.inspect.trial import TrialReading, are_photographs
from holotype.inspect.write_recipe import recipe_text, write_recipe

__all__ = [
    "COCO_COLUMNS",
    "DOMAIN_NAME",
    "POSSIBLE_NAME",
    "SEPARATOR",
    "WRITTEN_MARK",
    "FileMatch",
    "FolderFindings",
    "GroupGuess",
    "LabelGuess",
    "Proposal",
    "TrialReading",
    "are_dates",
    "are_photographs",
    "as_numbers",
    "choose_label_column",
    "files_of_row",
    "find_domain",
    "find_groups",
    "find_one_hot_columns",
    "find_sample",
    "find_taxonomy",
    "inspect_folder",
    "is_submission",
    "join_one_hot",
    "judge_folder_names",
    "judge_labels",
    "labels_of_json",
    "propose",
    "questions_on_classes",
    "ranks_of_json",
    "recipe_text",
    "write_recipe",
]
