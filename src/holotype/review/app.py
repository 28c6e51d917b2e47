"""Review web application for the local machine: thin routes over a `ReviewSession`, with access checks."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined
from pydantic import BaseModel, Field

from holotype.core.errors import HolotypeError, InputError
from holotype.review.decisions import ReviewRow
from holotype.review.session import ReviewSession
from holotype.review.tiles import MAX_SIDE, Region

TOKEN = "x-holotype-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC_FILES = {
    "style.css": "text/css",
    "review.js": "text/javascript",
    "pictures.js": "text/javascript",
    "panels.js": "text/javascript",
    "dialogs.js": "text/javascript",
}


class _DecisionRequest(BaseModel):
    kind: Literal["sample", "cluster"]
    id: str
    action: str
    after: list[str] = []
    note: str = Field(default="", max_length=10_000)


class _DecisionsRequest(BaseModel):
    decisions: list[_DecisionRequest] = Field(min_length=1, max_length=10_000)


class _StepRequest(BaseModel):
    direction: Literal["undo", "redo"]


def make_app(session: ReviewSession, token: str, hosts: frozenset[str]) -> FastAPI:
    """FastAPI application of a review session.

    `hosts`: allowed `Host` headers with port; protects against DNS rebinding.
    """
    app = FastAPI(title="Holotype review", docs_url=None, redoc_url=None, openapi_url=None)
    page = _render_page(token)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = _rejection(request, token, hosts) or await go_on(request)
        answer.headers.update(HEADERS)
        return answer

    @app.exception_handler(HolotypeError)
    async def explain(_request: Request, error: HolotypeError) -> JSONResponse:
        status = 422 if isinstance(error, InputError) else 500
        return JSONResponse({"error": " ".join(str(error).splitlines())}, status)

    @app.exception_handler(RequestValidationError)
    async def refuse(_request: Request, _error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": "invalid request"}, 422)

    @app.get("/")
    def show() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC_FILES:
            return JSONResponse({"error": "file not found"}, 404)
        return Response(files("holotype.review").joinpath("static", name).read_bytes(), media_type=STATIC_FILES[name])

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/api/state")
    def state() -> JSONResponse:
        return _AsciiResponse(session.state())

    @app.get("/api/item/{tab}/{number}")
    def item(tab: str, number: int) -> JSONResponse:
        return _AsciiResponse(session.item(tab, number))

    @app.get("/pixels/{row}")
    def pixels(
        row: int, side: int = MAX_SIDE, left: int = 0, top: int = 0, width: int = 0, height: int = 0
    ) -> Response:
        tile = session.tile(row, Region(left, top, width, height), side)
        facts = json.dumps(tile.facts)  # ASCII, as a header must be
        return Response(tile.content, media_type="application/octet-stream", headers={"X-Picture": facts})

    @app.post("/api/decide")
    def decide(wishes: _DecisionsRequest) -> JSONResponse:
        rows = [
            ReviewRow(decision.kind, decision.id, decision.action, (), tuple(decision.after), decision.note)
            for decision in wishes.decisions
        ]
        return _AsciiResponse(session.decide(rows))

    @app.post("/api/step")
    def step(wish: _StepRequest) -> JSONResponse:
        return _AsciiResponse(session.step(wish.direction))

    return app


def _rejection(request: Request, token: str, hosts: frozenset[str]) -> JSONResponse | None:
    if request.headers.get("host", "").lower() not in hosts:
        return JSONResponse({"error": "this server only answers at its own address"}, 421)
    origin = request.headers.get("origin")
    if origin is not None and origin.lower().removeprefix("http://") not in hosts:
        return JSONResponse({"error": "requests from other pages are not allowed"}, 403)
    if request.method not in {"GET", "HEAD"} and not hmac.compare_digest(
        request.headers.get(TOKEN, "").encode(), token.encode()
    ):
        return JSONResponse({"error": "this page belongs to an earlier server; reload it"}, 403)
    return None


class _AsciiResponse(JSONResponse):
    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode("ascii")


def _render_page(token: str) -> str:
    folder = files("holotype.review")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
    )
    return environment.get_template("page.html.j2").render(token=token)
