"""Pages lead where they say: links, anchors and files that are named exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from holotype.recipe.load import load_recipe

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
PAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in [*CHECKOUT.glob("*.md"), *DOCS.rglob("*.md")]
    if not {"_build", "made"} & set(path.relative_to(CHECKOUT).parts)
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Code spans that name a file of the checkout, as in `bench/parts.py` or `python bench/parts.py --seeds 1`.
NAMED = re.compile(r"`(?:python )?((?:src|bench|docs|recipes|tests)/[\w./-]+\.\w+)[^`]*`")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
MOST_BYTES_OF_PICTURES = 1_500_000


def text_of(page: str) -> str:
    return (CHECKOUT / page).read_text(encoding="utf-8")


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#{1,4} (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    faults = []
    for target in LINK.findall(FENCED.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (CHECKOUT / page).parent / file if file else CHECKOUT / page
        if not place.exists() or (anchor and anchor not in anchors_of(place)):
            faults.append(target)
    assert faults == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    assert [file for file in NAMED.findall(text_of(page)) if not (CHECKOUT / file).exists()] == []


def test_every_picture_is_shown_and_all_of_them_are_small() -> None:
    pictures = sorted((DOCS / "images").iterdir())
    shown = "".join(map(text_of, PAGES))
    assert [picture.name for picture in pictures if f"images/{picture.name}" not in shown] == []
    assert sum(picture.stat().st_size for picture in pictures) < MOST_BYTES_OF_PICTURES


def test_the_recipe_of_the_readme_is_valid() -> None:
    recipe = re.search(r"^```yaml\n(.*?)^```$", text_of("README.md"), re.MULTILINE | re.DOTALL)
    assert recipe is not None
    load_recipe(YAML(typ="safe", pure=True).load(recipe[1]))


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy", "-D", "packages=0"]
    done = subprocess.run([*command, str(DOCS), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
