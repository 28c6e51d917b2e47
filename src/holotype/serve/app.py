"""FastAPI application: endpoints, OpenAPI document and error handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from holotype.serve.access import AccessMiddleware, AccessPolicy
from holotype.serve.errors import ApiError, ErrorDetail, ErrorResponse, api_error, error_responses, shortage
from holotype.serve.page import SCRIPT, STYLE, page, page_policy
from holotype.serve.schemas import Classes, Health, Predictions, StreamLine, Version, classes_of
from holotype.serve.service import RequestOptions, Service
from holotype.serve.streaming import NdjsonResponse, answer_stream

MAX_NEAREST = 20
Nearest = Annotated[int, Query(ge=0, le=MAX_NEAREST, description="Number of similar training images to return.")]
Picture = Annotated[bool, Query(description="Return each image as a PNG in a `data:` URI.")]


class _PngResponse(Response):
    media_type = "image/png"


def make_app(service: Service, rules: AccessPolicy) -> FastAPI:
    """FastAPI application of one run."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.close)

    about = service.predictor.about
    app = FastAPI(
        title=f"Holotype: {about.run}",
        version=about.holotype,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        description="Predicts labels of images with a finished run. Errors are JSON with what is wrong and what to do.",
    )
    app.state.service = service
    _handle_errors(app)
    _add_prediction_routes(app, service, rules)
    _add_info_routes(app, service, rules)
    _add_page_routes(app, service, rules)
    _extend_openapi(app, rules)
    app.add_middleware(AccessMiddleware, rules=rules, limits=service.limits, measures=service.measures)
    return app


def _add_prediction_routes(app: FastAPI, service: Service, rules: AccessPolicy) -> None:
    always = (400, 403, 408, 413, 421, 422, 429, 503, *((401,) if rules.token else ()))
    batch_form, single_form = (
        _upload_form(service.limits.files),
        _upload_form(max(1, service.predictor.files_per_image)),
    )

    @app.post("/predict", response_model=Predictions, openapi_extra=batch_form, responses=error_responses(*always, 504))
    async def predict(request: Request, nearest: Nearest = 3, picture: Picture = False) -> Any:
        """Predict labels and probabilities of one or more images, in the order in which they were sent."""
        result = await service.predict(request, RequestOptions(nearest, picture))
        return Response(result.model_dump_json(), media_type="application/json")

    @app.post(
        "/predict/stream",
        response_class=NdjsonResponse,
        openapi_extra=_upload_form(None),
        responses={**error_responses(*always), **_text_response("application/x-ndjson", LINES)},
    )
    async def predict_stream(request: Request, nearest: Nearest = 0, picture: Picture = False) -> Any:
        """Predict any number of images: one line of JSON per image as soon as it is ready; errors stop nothing."""
        return await answer_stream(service, request, RequestOptions(nearest, picture))

    heat = error_responses(*always, 504) | _png_response()

    @app.post("/explain", response_class=_PngResponse, openapi_extra=single_form, responses=heat)
    async def explain(
        request: Request, name: Annotated[str, Query(alias="class", description="The class to explain.")]
    ) -> Any:
        """Grad-CAM heat map of a class in one image: a transparent PNG of the size of the picture."""
        return _PngResponse(await service.explain(request, name))


LINES = "One JSON object per line, each a `StreamLine`: a prediction, or the error of one image."


def _add_info_routes(app: FastAPI, service: Service, rules: AccessPolicy) -> None:
    always = (400, 403, 413, 421, *((401,) if rules.token else ()))

    unready: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Not ready, with the reason."}}

    @app.get("/health", responses={**error_responses(400, 403, 413, 421), **unready})
    async def health() -> Health:
        """Readiness of the server, with the reason if it is not ready."""
        why = service.why
        state = Health(ready=not why, why=why or "ready", nearest=service.predictor.nearest)
        return state if not why else JSONResponse(state.model_dump(), 503, {"Retry-After": "1"})  # type: ignore[return-value]

    @app.get("/version", responses=error_responses(*always))
    async def version() -> Version:
        """Versions of the program and the run."""
        about = service.predictor.about
        return Version(holotype=about.holotype, run=about.run, digests=about.digests)

    @app.get("/classes", responses=error_responses(*always))
    async def classes() -> Classes:
        """Classes of the run, requirements for images, and request limits."""
        return classes_of(service.predictor.about, service.limits)

    measures = _text_response("text/plain", "Prometheus text format.")

    @app.get("/metrics", response_class=Response, responses=error_responses(*always) | measures)
    async def metrics() -> Response:
        """Prometheus metrics: requests, times, batches, queue and images."""
        return Response(service.measures.text(), media_type="text/plain; version=0.0.4")

    @app.get("/specimen", response_class=_PngResponse, responses=error_responses(*always, 404, 422) | _png_response())
    async def specimen(id: Annotated[str, Query(description="Id in `nearest`.")]) -> Any:  # noqa: A002
        """Picture of a training image."""
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(service.drawing, service.predictor.specimen, id)
        if picture is None:
            raise api_error(404, f"there is no picture of the training image {id!r}", "id")
        return _PngResponse(picture, headers={"Cache-Control": "private, max-age=3600"})


def _add_page_routes(app: FastAPI, service: Service, rules: AccessPolicy) -> None:
    policy = {"Content-Security-Policy": page_policy()}

    @app.get("/", include_in_schema=False)
    async def front() -> HTMLResponse:
        return HTMLResponse(page(service.predictor.about.run, locked=rules.token is not None), headers=policy)

    @app.get("/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    @app.get("/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(SCRIPT, media_type="text/javascript")


def _text_response(kind: str, words: str, form: str | None = None) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string"} | ({} if form is None else {"format": form})
    return {200: {"content": {kind: {"schema": schema}}, "description": words}}


def _png_response() -> dict[int | str, dict[str, Any]]:
    return _text_response("image/png", "A PNG.", "binary")


def _upload_form(max_files: int | None) -> dict[str, Any]:
    files: dict[str, Any] = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    if max_files is not None:
        files["maxItems"] = max_files
    files["description"] = "Image files; if a run needs one file per channel, all of them, matched by their names."
    schema = {"type": "object", "required": ["images"], "properties": {"images": files}, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _extend_openapi(app: FastAPI, rules: AccessPolicy) -> None:
    base_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = base_openapi()
            parts = document["components"]["schemas"]
            for model in (StreamLine, ErrorResponse):
                shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
                definitions = {**shape.pop("$defs", {}), model.__name__: shape}
                parts |= {name: entry for name, entry in definitions.items() if name not in parts}
            if rules.token is not None:
                document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                for path, methods in document["paths"].items():
                    for entry in methods.values() if path != "/health" else ():
                        entry["security"] = [{"token": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(ApiError)
    async def refusal(_: Request, error: ApiError) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        value = None if first.get("input") is None else str(first["input"])[:200]
        name = str(first["loc"][-1])
        return ApiError(
            422, ErrorDetail(what=first["msg"], field=name, value=value, remedy="see /openapi.json")
        ).response()

    @app.exception_handler(HTTPException)
    async def status(_: Request, error: HTTPException) -> Response:
        return ApiError(
            error.status_code, ErrorDetail(what=str(error.detail), field="request"), error.headers
        ).response()

    @app.exception_handler(OSError)
    async def system(_: Request, error: OSError) -> Response:
        refusal = shortage(error)
        if refusal is None:
            raise error
        return refusal.response()

    @app.exception_handler(Exception)
    async def mistake(_: Request, error: Exception) -> Response:
        problem = ErrorResponse(
            error=ErrorDetail(what="internal server error", field="server", value=type(error).__name__)
        )
        return JSONResponse(problem.model_dump(), 500)
