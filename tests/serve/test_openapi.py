"""The server against its own OpenAPI document: whatever that allows is answered as that says."""

from __future__ import annotations

import time

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from holotype.serve import AccessPolicy, Limits, Service, make_app

EXAMPLES = settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


def without_lifespan(app):
    """The application for callers that would begin and end it with every request."""

    async def called(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})

    return called


@pytest.fixture(params=[None, "secret"], ids=["open", "token"])
def schema(request, stand):
    service = Service(stand, Limits(seconds=5), 2)
    app = make_app(service, AccessPolicy(request.param, None))
    service.start()
    while not service.batcher.ready:
        time.sleep(0.01)
    made = schemathesis.openapi.from_dict(app.openapi())
    made.app = without_lifespan(app)
    yield made, {} if request.param is None else {"Authorization": f"Bearer {request.param}"}
    service.close()


def test_every_answer_is_as_the_document_says(schema):
    document, headers = schema
    # Random bytes fit the document and are no images: being refused is right for them.
    left_out = [positive_data_acceptance]
    tried = set()

    def ask(case):
        answer = case.call(headers=headers)
        case.validate_response(answer, excluded_checks=left_out, headers=headers)
        tried.add((case.operation.path, answer.status_code // 100))

    for found in document.get_all_operations():
        operation = found.ok()
        modes = [schemathesis.GenerationMode.POSITIVE]
        if not headers and (operation.body or list(operation.query)):  # a header left out would be put in again
            modes.append(schemathesis.GenerationMode.NEGATIVE)
        for mode in modes:
            EXAMPLES(given(case=operation.as_strategy(generation_mode=mode))(ask))()
    assert {path for path, _ in tried} == {
        "/predict",
        "/predict/stream",
        "/explain",
        "/health",
        "/version",
        "/classes",
        "/metrics",
        "/specimen",
    }
    assert 5 not in {status for _, status in tried}


def test_the_document_tells_of_every_refusal(schema):
    document, headers = schema
    paths = document.raw_schema["paths"]
    for path in ("/predict", "/predict/stream", "/explain"):
        told = set(paths[path]["post"]["responses"])
        assert {"200", "400", "403", "408", "413", "421", "422", "429", "503"} <= told
        assert ("401" in told) == bool(headers)
    assert "StreamLine" in document.raw_schema["components"]["schemas"]
    assert paths["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == [
        "images"
    ]
