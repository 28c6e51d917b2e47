"""Class name checks: near-identical names, and names of unlabeled data."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from holotype.core.errors import join_names, pluralize
from holotype.data.missing import MISSING_WORDS
from holotype.types import ImageTable

UNLABELED = re.compile(
    r"\?+|(still |yet )?(to|2) ?be ?\w+|to ?do|to ?(sort|label|check|review)|tb[acd]|unknowns?|unsorted|unclear|unsure|"
    r"unlabell?ed|undefined|unclassified|uncategori[sz]ed|undetermined|unidentified|unassigned|unannotated|maybe|"
    r"(not|un) ?(yet )?(sorted|labell?ed|sure|known|assigned)|no label|inbox|sort( me)?|te?mp|"
    r"(new|untitled) folder( ?\(?\d+\)?)?"
)
"""Names of unsorted images, in lower case with single blanks."""


def class_name_warnings(images: ImageTable, named: bool = False) -> tuple[str, ...]:
    """Warnings about near-identical class names and classes that look unlabeled, with their row counts."""
    numbers = images.frame["labels"].explode().drop_nulls()
    counts = dict(numbers.value_counts().iter_rows()) if numbers.len() else {}
    descriptions = {
        name: f"{name!r} ({pluralize(counts.get(number, 0), 'row')})" for number, name in enumerate(images.classes)
    }
    warnings = [
        f"The classes {join_names(descriptions[name] for name in names)} differ only by case, blanks, dashes or the "
        "encoding of accents; if they are one class, use one spelling."
        for names in find_similar_class_names(images.classes)
    ]
    unsorted = [
        name for name in images.classes if UNLABELED.fullmatch(normalize_class_name(name)) or name in MISSING_WORDS
    ]
    if unsorted and not named:
        what = "The class" if len(unsorted) == 1 else "The classes"
        warnings.append(
            f"{what} {join_names(descriptions[name] for name in unsorted)} may hold unlabeled images but "
            "is trained and scored like any other; move its images to `test` if so."
        )
    return tuple(warnings)


def find_similar_class_names(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only by case, blanks, dashes or Unicode form."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[normalize_class_name(name).replace(" ", "")].append(name)
    return [group for key, group in groups.items() if len(group) > 1 and key]


def normalize_class_name(name: str) -> str:
    """Normalize case, blanks, dashes and Unicode form."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
