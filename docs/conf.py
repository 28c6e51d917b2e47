"""Sphinx configuration: `make site` builds docs/_build/html offline, with warnings as errors.

The pages are plain Markdown without Sphinx directives, so that code hosting sites render them as well. Their order is
defined here and added when the site is built. Pages that only the site has are written to docs/made/.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
ARRAY = re.compile(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]")

from write_reference import documented_packages  # noqa: E402  (beside this file)

project = "Holotype"
copyright = "the Holotype authors, Apache-2.0"  # noqa: A001  (Sphinx reads this name)
release = version = installed("holotype")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build", "images"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the log's days begin one level below its title
smartquotes = False  # `--set` is no dash

default_role = "code"  # docstrings write `name` for code
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_title = "Holotype"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["holotype.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a page opened from a folder may not fetch others
html_show_sphinx = False

# Pages by purpose, in the order of a first visit. A page that is not listed is added to "Do".
ORDER = {
    "Learn": ["tutorial"],
    "Do": ["domains/README", "plan", "review", "embed", "serve", "export"],
    "Look up": ["recipe", "commands", "terminal", "images", "weights", "measurements", "run-folder", "python"],
    "Understand": [
        "honest-scores",
        "how-it-works",
        "architecture",
        "extend",
        "systems/README",
        "LOG",
        "made/changelog",
        "made/contributing",
    ],
}
INSIDE = {
    "domains/README": ["protein-patterns", "perturbation-screens", "photographs", "herbarium", "cytometry"],
    "systems/README": [
        "community-b1b2",
        "one-more-layer-of-stacking",
        "bestfitting",
        "pudae",
        "cellular-silver",
        "herbarium-focal",
    ],
    "python": [f"made/{room}" for room in documented_packages()],
}


def make_pages(app: Any) -> None:
    """Write the pages that only the site has: one per package, the changelog and the page on contributing."""
    made = HERE / "made"
    made.mkdir(exist_ok=True)
    for name in ("CHANGELOG", "CONTRIBUTING"):
        text = (HERE.parent / f"{name}.md").read_text(encoding="utf-8")
        _write(made / f"{name.lower()}.md", text.replace("](docs/", "](../"))
    if not app.config.packages:
        app.config.exclude_patterns.extend(f"made/{room}.md" for room in documented_packages())
        return
    for room in documented_packages():
        directive = f".. automodule:: holotype.{room}\n   :members:\n"
        _write(made / f"{room}.md", f"# `holotype.{room}`\n\n```{{eval-rst}}\n{directive}```\n")


def _write(place: Path, text: str) -> None:
    """Write a page if it changed, so that Sphinx rebuilds changed pages only."""
    if not place.is_file() or place.read_text(encoding="utf-8") != text:
        place.write_text(text, encoding="utf-8")


def add_tables_of_contents(app: Any, name: str, source: list[str]) -> None:
    """Add tables of contents to the index and to the pages of folders."""
    if name == "index":
        named = {page for pages in ORDER.values() for page in pages}
        found = {path.stem for path in HERE.glob("*.md")} - {"index"}
        there = {part: [page for page in pages if (HERE / f"{page}.md").is_file()] for part, pages in ORDER.items()}
        there["Do"] += sorted(found - named)
        source[0] += "".join(_toctree(pages, part) for part, pages in there.items())
    elif name in INSIDE and (name != "python" or app.config.packages):
        source[0] += _toctree([f"/{page}" if page.startswith("made/") else page for page in INSIDE[name]])


def point_inside(app: Any, name: str, source: list[str]) -> None:
    """Redirect links to files of the repository root to their pages on the site."""
    for file in ("CHANGELOG", "CONTRIBUTING"):
        source[0] = source[0].replace(f"](../{file}.md", f"](/made/{file.lower()}.md")


def keep_bars(app: Any, kind: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Escape `|`, which marks substitutions in reStructuredText."""
    lines[:] = [line.replace("|", "\\|") for line in lines]


def shorten(app: Any, kind: str, name: str, found: Any, options: Any, signature: str, returns: str) -> Any:
    """Shorten array types in signatures."""
    return tuple(ARRAY.sub(r"NDArray[\1]", text) if text else text for text in (signature, returns))


def mend_for_readers(app: Any, name: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Improve accessibility: heading levels of navigation captions, keyboard focus for areas that scroll."""
    if "furo_navigation_tree" in context:
        tree_of_pages = context["furo_navigation_tree"]
        context["furo_navigation_tree"] = tree_of_pages.replace('role="heading"', 'role="heading" aria-level="2"')
    for part in ('<div class="table-wrapper', "<pre>"):
        start = part.rstrip(">").partition(" ")[0]
        context["body"] = context.get("body", "").replace(part, part.replace(start, f'{start} tabindex="0"', 1))


def _toctree(pages: list[str], caption: str = "") -> str:
    options = f":caption: {caption}\n" if caption else ""
    return "\n\n```{toctree}\n:hidden:\n" + options + "\n" + "\n".join(pages) + "\n```\n"


def setup(app: Any) -> dict[str, bool]:
    app.add_config_value("packages", True, "env", bool)  # `-D packages=0`: without their pages, in a third of the time
    app.connect("builder-inited", make_pages)
    app.connect("source-read", add_tables_of_contents)
    app.connect("source-read", point_inside)
    app.connect("autodoc-process-docstring", keep_bars)
    app.connect("autodoc-process-signature", shorten)
    app.connect("html-page-context", mend_for_readers, priority=900)  # after furo
    return {"parallel_read_safe": True, "parallel_write_safe": True}
