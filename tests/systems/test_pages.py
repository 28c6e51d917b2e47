"""Pages of the systems: every recipe has one, and what it says of the recipe is so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML

from holotype.recipe.load import load_recipe

LookUp = Callable[[Any, str], list[Any]]
CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = CHECKOUT / "docs" / "systems"
PART = re.compile(r"`([a-z_]+(?:\.[a-z_0-9*]+)*: [^`]+)`")
HEADINGS = ["The original beside ours", "Switches", "On the original data", "What each part is worth"]


def sections(name: str) -> dict[str, str]:
    """A page's text by heading."""
    parts = re.split(r"^## (.+)$", (PAGES / f"{name}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(table: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def addresses(text: str) -> list[tuple[str, str]]:
    """Paths of the recipe and what is written there, as text."""
    found = (part.partition(": ") for part in PART.findall(text))
    return [(path, value) for path, _, value in found]


def says(found: Any, told: Any) -> bool:
    """Whether a value is what is told; of a section some keys may be told."""
    if isinstance(told, dict) and isinstance(found, dict):
        return all(key in found and says(found[key], value) for key, value in told.items())
    if isinstance(found, str) and isinstance(told, str):
        return found == told or found.endswith(f"/{told}")  # paths are absolute once they are read
    if isinstance(found, list | tuple) and isinstance(told, list):
        return len(found) == len(told) and all(map(says, found, told))
    return bool(found == told) and isinstance(found, bool) == isinstance(told, bool)


def test_every_system_has_a_page_and_the_index_names_it(name: str) -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert f"[{name}]({name}.md)" in index
    assert f"`recipes/{name}.yaml`" in index
    assert (CHECKOUT / "recipes" / f"{name}.yaml").is_file()


def test_no_page_lacks_a_recipe() -> None:
    for page in PAGES.glob("*.md"):
        assert page.stem == "README" or (CHECKOUT / "recipes" / f"{page.stem}.yaml").is_file()


def test_a_page_has_its_four_parts_and_a_place_for_what_is_measured(name: str) -> None:
    found = sections(name)
    assert list(found) == HEADINGS
    assert re.search(r"<!-- ablation: begin -->\n.+\n<!-- ablation: end -->", found[HEADINGS[3]], re.DOTALL)
    marks = re.findall(r"<!-- measured: ([a-z0-9-]+) -->", found["Switches"])
    assert len(set(marks)) == len(rows(found["Switches"]))


def test_what_a_page_says_of_the_recipe_is_so(name: str, look_up: LookUp) -> None:
    content = load_recipe(CHECKOUT / "recipes" / f"{name}.yaml").model_dump()
    told = addresses(sections(name)["The original beside ours"])
    assert len(told) > 8
    yaml = YAML(typ="safe", pure=True)
    wrong = [
        f"{path}: {text}, and it is {one!r}"
        for path, text in told
        for one in look_up(content, path)
        if not says(one, yaml.load(text))
    ]
    assert wrong == []


def test_every_row_ends_in_a_verdict(name: str) -> None:
    verdicts = [row[-1] for row in rows(sections(name)["The original beside ours"])]
    assert [word for word in verdicts if not word.startswith(("same", "better: ", "left out: ", "ours"))] == []


def test_every_switch_is_allowed_in_its_recipe(name: str) -> None:
    for row in rows(sections(name)["Switches"]):
        changes = tuple(f"{path}={value}" for path, value in addresses(row[1]))
        assert changes, row
        recipe = load_recipe(CHECKOUT / "recipes" / f"{name}.yaml", changes)
        assert recipe != load_recipe(CHECKOUT / "recipes" / f"{name}.yaml"), row


def test_a_page_says_what_was_measured(name: str, writer: ModuleType) -> None:
    """Where this fails, `make docs` was not run after `bench/parts.py --record`."""
    measured = json.loads((PAGES / "measured.json").read_text(encoding="utf-8"))
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert writer.fill_page(text, name, measured) == text
    if drawn := writer.score_changes(name, measured):
        assert (CHECKOUT / f"docs/images/parts-{name}.svg").read_text(encoding="utf-8") == writer.draw_parts(drawn)


def test_the_index_and_the_page_of_plans_say_what_was_measured(writer: ModuleType) -> None:
    measured = json.loads((PAGES / "measured.json").read_text(encoding="utf-8"))
    budgets = json.loads((CHECKOUT / "docs/budgets.json").read_text(encoding="utf-8"))
    assert writer.parts_table(measured) in (PAGES / "README.md").read_text(encoding="utf-8")
    assert writer.budget_table(budgets) in (CHECKOUT / "docs/plan.md").read_text(encoding="utf-8")
    assert (CHECKOUT / "docs/images/budgets.svg").read_text(encoding="utf-8") == writer.draw_budgets(budgets)


def test_every_part_that_is_measured_for_a_system_is_a_switch_of_its_page(name: str, writer: ModuleType) -> None:
    marks = {part.marks[name] for part in writer.PARTS.values() if name in part.marks}
    assert marks <= set(re.findall(r"<!-- measured: ([a-z0-9-]+) -->", sections(name)["Switches"]))
