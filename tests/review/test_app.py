"""The pages: they answer our own page and nobody else, and say what was refused."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from holotype.review import read_rows
from holotype.review.app import make_app
from holotype.review.session import ReviewSession
from holotype.review.tiles import Region

TOKEN = {"X-Holotype-Token": "secret"}
KEEP = {"decisions": [{"kind": "sample", "id": "s00", "action": "keep"}]}


@pytest.fixture
def client(desk: ReviewSession) -> TestClient:
    app = make_app(desk, "secret", frozenset({"127.0.0.1:8724", "localhost:8724"}))
    return TestClient(app, base_url="http://127.0.0.1:8724", raise_server_exceptions=False)


def test_the_page_runs_no_script_but_its_own(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    inline = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            names = {name for name, _ in attributes}
            if (tag == "script" and "src" not in names) or tag == "style" or "style" in names:
                inline.append(tag)
            inline.extend(name for name in names if name.startswith("on"))

    Reader().feed(answer.text)
    assert inline == []
    for name in ("style.css", "review.js", "pictures.js", "panels.js", "dialogs.js"):
        served = client.get(f"/static/{name}")
        assert served.status_code == 200
        assert served.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8724", "127.0.0.1", "127.0.0.1:80", ""])
def test_a_name_that_others_made_point_here_is_refused(client: TestClient, host: str) -> None:
    for address in ("/", "/api/state", "/pixels/0", "/static/style.css"):
        assert client.get(address, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Holotype-Token": "other"}, {**TOKEN, "Origin": "https://evil.example"}, {**TOKEN, "Origin": "null"}],
)
def test_no_other_page_can_decide(client: TestClient, desk: ReviewSession, headers: dict[str, str]) -> None:
    for address, content in (("/api/decide", KEEP), ("/api/step", {"direction": "undo"})):
        assert client.post(address, json=content, headers=headers).status_code == 403
    assert desk.record.count == 0


def test_a_decision_is_on_the_disk_when_the_answer_comes(client: TestClient, desk: ReviewSession) -> None:
    answer = client.post("/api/decide", json=KEEP, headers={**TOKEN, "Origin": "http://127.0.0.1:8724"})
    assert answer.status_code == 200
    assert [row.id for row in read_rows(desk.record.path).rows] == ["s00"]
    assert answer.json()["undo"] == "keep s00"
    undone = client.post("/api/step", json={"direction": "undo"}, headers=TOKEN).json()
    assert undone["redo"] == "keep s00"


def test_names_of_any_kind_arrive_as_they_are(client: TestClient) -> None:
    state = client.get("/api/state").json()
    assert "<img src=x onerror=alert(1)>" in state["classes"]
    uncertain = next(tab for tab in state["tabs"] if tab["name"] == "uncertain")
    place = next(number for number, item in enumerate(uncertain["items"]) if item["id"] == "\u202eevil\n")
    item = client.get(f"/api/item/uncertain/{place}")
    assert item.headers["content-type"] == "application/json"
    wish = {
        "kind": "sample",
        "id": "\u202eevil\n",
        "action": "relabel",
        "after": ["<img src=x onerror=alert(1)>"],
        "note": "=1+1",
    }
    body = json.dumps({"decisions": [wish]})
    answer = client.post("/api/decide", content=body, headers={**TOKEN, "Content-Type": "application/json"})
    assert answer.status_code == 200
    assert client.get(f"/api/item/uncertain/{place}").json()["labels"] == ["<img src=x onerror=alert(1)>"]


def test_pixels_come_with_what_is_needed_to_draw_them(client: TestClient, desk: ReviewSession) -> None:
    answer = client.get("/pixels/2?side=20")
    facts = json.loads(answer.headers["x-picture"])
    assert (facts["channels"], facts["rows"], facts["columns"], facts["bytes"]) == (5, 20, 15, 2)
    sent = np.frombuffer(answer.content, "<u2").reshape(5, 20, 15)
    assert np.array_equal(sent, desk.tile(2, Region(), 20).planes)


@pytest.mark.parametrize(
    "address",
    [
        "/pixels/999",
        "/pixels/-1",
        "/pixels/x",
        "/pixels/..%2f..%2fetc%2fpasswd",
        "/static/../app.py",
        "/static/app.py",
        "/static/%2e%2e%2fapp.py",
        "/pixels/0?left=99999",
        "/api/item/nothing/0",
        "/api/item/label_errors/-1",
        "/openapi.json",
        "/docs",
        "/api/item/label_errors/99999999999999999999",
    ],
)
def test_nothing_else_is_served(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code in {404, 422}
    assert b"root:" not in answer.content
    assert b"def " not in answer.content


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"decisions": []},
        {"decisions": [{"kind": "file", "id": "a", "action": "x"}]},
        {"decisions": [{"kind": "sample", "id": "s00", "action": "burn"}]},
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(
    client: TestClient, desk: ReviewSession, content: dict[str, object]
) -> None:
    answer = client.post("/api/decide", json=content, headers=TOKEN)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert desk.record.count == 0


def test_a_picture_that_is_gone_is_said_and_breaks_nothing(client: TestClient, desk: ReviewSession) -> None:
    file = Path(desk.data.images.files_of_row(9)[0])
    hidden = file.with_suffix(".away")
    file.rename(hidden)
    try:
        answer = client.get("/pixels/9")
        assert answer.status_code == 422
        assert "does not exist" in answer.json()["error"]
    finally:
        hidden.rename(file)
