"""What lies in a folder: tables or what stands for them, images, and what the columns are.

`look(Path("my_images"))`
"""

from holotype.plan.survey.annotated import TOLD, labels_of_json, ranks_of_json
from holotype.plan.survey.class_names import questions_on_classes
from holotype.plan.survey.flags import find_flags, joined_flags
from holotype.plan.survey.groups import DOMAIN_NAME, GroupGuess, find_domain, find_groups, find_sample
from holotype.plan.survey.labels import (
    LESS_SURE,
    LabelGuess,
    choose_label_column,
    judge_folder_names,
    judge_labels,
)
from holotype.plan.survey.look import Findings, look
from holotype.plan.survey.mending import SEVERAL
from holotype.plan.survey.naming import Naming, files_of_row
from holotype.plan.survey.ranks import find_taxonomy
from holotype.plan.survey.tables import WRITTEN, are_dates, as_numbers, is_submission
from holotype.plan.survey.trial import TrialReading, are_photographs

__all__ = [
    "DOMAIN_NAME",
    "LESS_SURE",
    "SEVERAL",
    "TOLD",
    "WRITTEN",
    "Findings",
    "GroupGuess",
    "LabelGuess",
    "Naming",
    "TrialReading",
    "are_dates",
    "are_photographs",
    "as_numbers",
    "choose_label_column",
    "files_of_row",
    "find_domain",
    "find_flags",
    "find_groups",
    "find_sample",
    "find_taxonomy",
    "is_submission",
    "joined_flags",
    "judge_folder_names",
    "judge_labels",
    "labels_of_json",
    "look",
    "questions_on_classes",
    "ranks_of_json",
]
