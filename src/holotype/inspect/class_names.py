"""Questions on class names: names of what is still to be sorted, and names that differ by case or blanks only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from holotype.core.errors import join_names
from holotype.data.class_names import UNLABELED, find_similar_class_names, normalize_class_name

__all__ = ["questions_on_classes", "questions_on_empty_folders"]

NO_CLASS = re.compile(
    rf"{UNLABELED.pattern}|[\W_]*|to ?delete|ambiguous|(not|un) ?(yet )?used|misc(ellaneous)?|others?|rest|various|"
    r"trash|junk|garbage|rubbish|bad|discard(ed)?|reject(ed|s)?|deleted?|skip(ped)?|ignored?|exclude[ds]?|bak|backup|"
    r"old|archive|cop(y|ies)( of .*)?|.* copy|duplicates?|images?|pictures?|photos?|masks?|thumb(nail)?s?|previews?|"
    r"overlays?|nan?|n/a|none|null"
)
"""What people call folders that hold no class, in small letters with single blanks."""


def questions_on_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What a person should confirm of the names of classes.

    Args:
        counts: Class name, as it is written, to number of images.
    """
    questions = []
    for names in find_similar_class_names(counts):
        stripped = {name.strip() for name in names}
        read_as = "one" if len(stripped) == 1 else f"{len(stripped)}"
        questions.append(
            f"Are {_format_names(names, counts)} one class? The names differ by case, blanks, dashes or the "
            f"way accents are stored, and are read as {read_as}: write one name."
        )
    odd = [name for name in counts if NO_CLASS.fullmatch(normalize_class_name(name))]
    if odd:
        which = "Is {} a class? It is read as one" if len(odd) == 1 else "Are {} classes? They are read so"
        questions.append(
            f"{which.format(_format_names(odd, counts))}; if not, take those images out, or move them to the "
            "rows to predict."
        )
    return tuple(questions)


def questions_on_empty_folders(names: Sequence[str]) -> tuple[str, ...]:
    """What a person should confirm of folders among the classes in which no image is read.

    Args:
        names: The folders' names.
    """
    if not names:
        return ()
    what = "The folder {} holds" if len(names) == 1 else "The folders {} hold"
    return (
        f"{what.format(join_names([repr(name) for name in names], 6))} no image that is read, and so is no class: are "
        "images missing?",
    )


def _format_names(names: Sequence[str], counts: Mapping[str, int]) -> str:
    return join_names([f"{name!r} ({counts[name]:,})" for name in names], 6)
