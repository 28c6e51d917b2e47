"""The page: drop images, see what the run says of them. It asks nobody but this server."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

__all__ = ["SCRIPT", "STYLE", "page", "page_policy"]

TEMPLATE_FOLDER = files("holotype.serve")
STYLE, SCRIPT = (TEMPLATE_FOLDER.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))


def page(name: str, locked: bool) -> str:
    """The page as HTML.

    Args:
        name: The run's.
        locked: Whether a token is asked for; the page then says nothing of the run before it has one.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE_FOLDER.joinpath("page.html.j2").read_text("utf-8"))
    return template.render(name=None if locked else name, locked=locked)


def page_policy() -> str:
    """What a browser may do for the page: its own files, and pictures that it was sent."""
    policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    return policy + "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
