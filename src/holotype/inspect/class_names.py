"""Questions on class names: names such as "unsorted", and names that differ only in case or blanks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from holotype.core.errors import join_names
from holotype.data.class_names import UNLABELED, find_similar_class_names, normalize_class_name

NO_CLASS = re.compile(
    rf"{UNLABELED.pattern}|[\W_]*|to ?delete|ambiguous|(not|un) ?(yet )?used|misc(ellaneous)?|others?|rest|various|"
    r"trash|junk|garbage|rubbish|bad|discard(ed)?|reject(ed|s)?|deleted?|skip(ped)?|ignored?|exclude[ds]?|bak|backup|"
    r"old|archive|cop(y|ies)( of .*)?|.* copy|duplicates?|images?|pictures?|photos?|masks?|thumb(nail)?s?|previews?|"
    r"overlays?|nan?|n/a|none|null"
)
"""Names of folders that hold no class, in lower case with single blanks."""


def questions_on_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """List questions on class names that are similar or look like no class."""
    questions = []
    for names in find_similar_class_names(counts):
        stripped = {name.strip() for name in names}
        read_as = "one class" if len(stripped) == 1 else f"{len(stripped)} classes"
        questions.append(
            f"Are {_format_names(names, counts)} one class? The names differ only in case, blanks, dashes or the "
            f"encoding of accents, and are read as {read_as}. If they are the same class, use a single name."
        )
    odd = [name for name in counts if NO_CLASS.fullmatch(normalize_class_name(name))]
    if odd:
        which = "Is {} a class? It is read as one" if len(odd) == 1 else "Are {} classes? They are read as classes"
        questions.append(
            f"{which.format(_format_names(odd, counts))}. If not, remove those images, or move them to the images "
            "to predict."
        )
    return tuple(questions)


def questions_on_empty_folders(names: Sequence[str]) -> tuple[str, ...]:
    """List questions on class folders without a readable image."""
    if not names:
        return ()
    subject, verb = ("folder", "contains") if len(names) == 1 else ("folders", "contain")
    return (
        f"The {subject} {join_names(map(repr, names), 6)} {verb} no readable image and cannot be used as a class. Are "
        "images missing?",
    )


def _format_names(names: Sequence[str], counts: Mapping[str, int]) -> str:
    return join_names([f"{name!r} ({counts[name]:,})" for name in names], 6)
