"""Web page of the server: drop images, see their predictions. It contacts only this server."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

TEMPLATE_FOLDER = files("holotype.serve")
STYLE, SCRIPT = (TEMPLATE_FOLDER.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))


def page(name: str, locked: bool) -> str:
    """HTML of the page.

    `locked`: a token is required; the page then shows nothing of the run before it has the token.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE_FOLDER.joinpath("page.html.j2").read_text("utf-8"))
    return template.render(name=None if locked else name, locked=locked)


def page_policy() -> str:
    """Content security policy of the page: its own files, and images sent by the server."""
    policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    return policy + "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
