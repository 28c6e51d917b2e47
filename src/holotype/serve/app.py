"""The application: endpoints, their documents, and errors that are answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from holotype.serve.guard import Guard, Rules
from holotype.serve.page import SCRIPT, STYLE, page, page_policy
from holotype.serve.refusals import Fault, Problem, Refusal, documented, refused, shortage
from holotype.serve.schemas import Classes, Health, Line, Predictions, Version, classes_of
from holotype.serve.service import Service, Wish
from holotype.serve.streaming import NdjsonResponse, answer_stream

__all__ = ["make_app"]

MOST_NEAREST = 20
Nearest = Annotated[int, Query(ge=0, le=MOST_NEAREST, description="How many training specimens are named.")]
Picture = Annotated[bool, Query(description="Send each image back as a PNG in a `data:` address.")]


class _PngResponse(Response):
    """A picture."""

    media_type = "image/png"


def make_app(service: Service, rules: Rules) -> FastAPI:
    """The application of one run.

    Args:
        service: Reads and answers; it is started and ended with the application.
        rules: Who may ask.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.close)

    about = service.answerer.about
    app = FastAPI(
        title=f"Holotype: {about.run}", version=about.holotype, docs_url=None, redoc_url=None, lifespan=lifespan,
        description="Labels images by a finished run. Errors are JSON and name what is wrong and the way out.",
    )  # fmt: skip
    app.state.service = service
    _handle_errors(app)
    _add_questions(app, service, rules)
    _add_facts(app, service, rules)
    _add_page(app, service, rules)
    _add_documents(app, rules)
    app.add_middleware(Guard, rules=rules, limits=service.limits, measures=service.measures)
    return app


def _add_questions(app: FastAPI, service: Service, rules: Rules) -> None:
    always = (400, 403, 408, 413, 421, 422, 429, 503, *((401,) if rules.token else ()))
    many, one = _form(service.limits.files), _form(max(1, service.answerer.files_an_image))

    @app.post("/predict", response_model=Predictions, openapi_extra=many, responses=documented(*always, 504))
    async def predict(request: Request, nearest: Nearest = 3, picture: Picture = False) -> Any:
        """Labels and probabilities of one or many images, in the order in which they were sent."""
        said = await service.predict(request, Wish(nearest, picture))
        return Response(said.model_dump_json(), media_type="application/json")

    @app.post("/predict/stream", response_class=NdjsonResponse, openapi_extra=_form(None),
              responses={**documented(*always), **_answers("application/x-ndjson", LINES)})  # fmt: skip
    async def predict_stream(request: Request, nearest: Nearest = 0, picture: Picture = False) -> Any:
        """Any number of images: a line of JSON each, as soon as it is ready; an image that is refused stops nothing."""
        return await answer_stream(service, request, Wish(nearest, picture))

    heat = documented(*always, 504) | _png()

    @app.post("/explain", response_class=_PngResponse, openapi_extra=one, responses=heat)
    async def explain(
        request: Request, name: Annotated[str, Query(alias="class", description="The class that is looked for.")]
    ) -> Any:
        """Where in one image a class was found (Grad-CAM): a PNG with transparency that lies over the picture."""
        return _PngResponse(await service.explain(request, name))


LINES = "One JSON object a line, each a `Line`: a prediction, or what was wrong with one image."


def _add_facts(app: FastAPI, service: Service, rules: Rules) -> None:
    always = (400, 403, 413, 421, *((401,) if rules.token else ()))

    unready: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Not ready, and why not."}}

    @app.get("/health", responses={**documented(400, 403, 413, 421), **unready})
    async def health() -> Health:
        """Whether images can be sent, and why not."""
        why = service.why
        said = Health(ready=not why, why=why or "ready", nearest=service.answerer.nearest)
        return said if not why else JSONResponse(said.model_dump(), 503, {"Retry-After": "1"})  # type: ignore[return-value]

    @app.get("/version", responses=documented(*always))
    async def version() -> Version:
        """Which program and which run answer."""
        about = service.answerer.about
        return Version(holotype=about.holotype, run=about.run, digests=about.digests)

    @app.get("/classes", responses=documented(*always))
    async def classes() -> Classes:
        """What is answered, what an image must be, and what a request may cost."""
        return classes_of(service.answerer.about, service.limits)

    measures = _answers("text/plain", "As Prometheus reads it.")

    @app.get("/metrics", response_class=Response, responses=documented(*always) | measures)
    async def metrics() -> Response:
        """Requests, times, batches, queue and images, for Prometheus."""
        return Response(service.measures.text(), media_type="text/plain; version=0.0.4")

    @app.get("/specimen", response_class=_PngResponse, responses=documented(*always, 404, 422) | _png())
    async def specimen(id: Annotated[str, Query(description="As `nearest` names it.")]) -> Any:  # noqa: A002
        """The picture of a training specimen."""
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(service.drawing, service.answerer.specimen, id)
        if picture is None:
            raise refused(404, f"there is no picture of a specimen {id!r}", "id")
        return _PngResponse(picture, headers={"Cache-Control": "private, max-age=3600"})


def _add_page(app: FastAPI, service: Service, rules: Rules) -> None:
    policy = {"Content-Security-Policy": page_policy()}

    @app.get("/", include_in_schema=False)
    async def front() -> HTMLResponse:
        return HTMLResponse(page(service.answerer.about.run, locked=rules.token is not None), headers=policy)

    @app.get("/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    @app.get("/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(SCRIPT, media_type="text/javascript")


def _answers(kind: str, words: str, form: str | None = None) -> dict[int | str, dict[str, Any]]:
    """An answer that is no JSON, as the document lists it."""
    schema = {"type": "string"} | ({} if form is None else {"format": form})
    return {200: {"content": {kind: {"schema": schema}}, "description": words}}


def _png() -> dict[int | str, dict[str, Any]]:
    return _answers("image/png", "A PNG.", "binary")


def _form(most: int | None) -> dict[str, Any]:
    files: dict[str, Any] = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    if most is not None:
        files["maxItems"] = most
    files["description"] = "Image files; where a run wants a file a channel, all of them, told apart by their names."
    schema = {"type": "object", "required": ["images"], "properties": {"images": files}, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _add_documents(app: FastAPI, rules: Rules) -> None:
    """Lines and errors are documented though no endpoint declares them; the token is, where there is one."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = plain()
            parts = made["components"]["schemas"]
            for model in (Line, Problem):
                shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
                known = {**shape.pop("$defs", {}), model.__name__: shape}
                parts |= {name: one for name, one in known.items() if name not in parts}
            if rules.token is not None:
                made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                for path, methods in made["paths"].items():
                    for one in methods.values() if path != "/health" else ():
                        one["security"] = [{"token": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refusal(_: Request, error: Refusal) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        value = None if first.get("input") is None else str(first["input"])[:200]
        name = str(first["loc"][-1])
        return Refusal(422, Fault(what=first["msg"], field=name, value=value, remedy="see /openapi.json")).response()

    @app.exception_handler(HTTPException)
    async def status(_: Request, error: HTTPException) -> Response:
        return Refusal(error.status_code, Fault(what=str(error.detail), field="request"), error.headers).response()

    @app.exception_handler(OSError)
    async def system(_: Request, error: OSError) -> Response:
        refusal = shortage(error)
        if refusal is None:
            raise error
        return refusal.response()

    @app.exception_handler(Exception)
    async def mistake(_: Request, error: Exception) -> Response:
        said = Problem(error=Fault(what="a mistake of ours", field="server", value=type(error).__name__))
        return JSONResponse(said.model_dump(), 500)
