"""What the server itself does: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from holotype.serve import AccessPolicy, Limits

HOSTILE = [
    "../../etc/passwd.png",
    "/etc/passwd.png",
    "..\\..\\boot.png",
    "C:\\boot.png",
    "a/../../b.png",
    "a\x00b.png",
    "'; rm -rf.png",
    "x" * 3000 + ".png",
    "\u202egnp.png",
    "%2e%2e%2fa.png",
]


def test_images_are_answered_for_in_the_order_in_which_they_came(ask, stand, png):
    with ask(stand) as client:
        files = [("images", (f"i{value}.png", png(value))) for value in (51, 102, 0)]
        said = client.post("/predict", files=files).json()
    assert said["run"] == "stand"
    assert [one["id"] for one in said["predictions"]] == ["i51", "i102", "i0"]
    assert [one["probabilities"]["bright"] for one in said["predictions"]] == pytest.approx([0.2, 0.4, 0.0])
    first = said["predictions"][0]
    assert first["thresholds"] == {"dark": 0.5, "bright": None}
    assert first["image"] == {"channels": 1, "height": 8, "width": 8, "depth": "uint8"}
    assert first["label_set"] is None
    assert first["out_of_distribution"] == {"unusual": False, "reasons": []}


def test_requests_in_flight_become_one_batch(ask, stand, png):
    with ask(stand) as client:
        stand.answers.clear()
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.post("/predict", files={"images": ("a.png", png())})))
            for _ in range(9)
        ]
        for thread in threads:
            thread.start()
        until(lambda: "\nholotype_queue_images 9.0" in client.get("/metrics").text)
        stand.answers.set()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [200] * 9
    assert sum(stand.batches) == 9
    assert len(stand.batches) <= 5  # their sizes are powers of two


def test_images_of_another_depth_are_never_in_one_batch(ask, stand, png):
    with ask(stand) as client:
        files = [("images", (f"{n}.png", png(dtype=dtype))) for n, dtype in enumerate(["uint8", "uint16", "uint8"])]
        said = client.post("/predict", files=files).json()["predictions"]
    assert [one["image"]["depth"] for one in said] == ["uint8", "uint16", "uint8"]


def test_one_that_cannot_be_answered_for_takes_nobody_down(ask, stand, png):
    with ask(stand) as client:
        files = [("images", (f"{value}.png", png(value))) for value in (51, 13, 102)]
        lines = [json.loads(line) for line in client.post("/predict/stream", files=files).text.splitlines()]
        alone = client.post("/predict", files=files[1:2])
    by_id = {line["id"]: line for line in lines}
    assert by_id["51"]["prediction"]["labels"] == by_id["102"]["prediction"]["labels"] == ["bright"]
    assert by_id["13"]["prediction"] is None
    assert by_id["13"]["error"]["what"] == "thirteen is not answered for"
    assert alone.status_code == 422
    assert alone.json()["error"]["what"] == "thirteen is not answered for"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_a_path(ask, stand, png, name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened: list[str] = []
    plain = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *rest, **more: opened.append(str(path)) or plain(path, *rest, **more)
    )
    with ask(stand) as client:
        boundary = "frontier"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'
        body = head.encode() + png() + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = client.post("/predict", content=body, headers=kind)
    assert answer.status_code in {200, 400}
    written = [path for path in opened if path.startswith(str(tmp_path)) and "/request-" in path]
    assert written or answer.status_code == 400
    assert all(Path(path).name.startswith("upload-") for path in written)
    assert list(tmp_path.iterdir()) == []
    if answer.status_code == 200:
        (said,) = answer.json()["predictions"]
        assert ".." not in said["files"][0].split("/")
        assert not said["files"][0].startswith(("/", "\\"))


def until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def refused(answer, status, field):
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"what", "field", "value", "allowed", "remedy"}
    assert error["field"] == field
    return error


def test_what_is_no_image_is_refused_by_the_name_it_came_with(ask, stand, png):
    with ask(stand) as client:
        error = refused(client.post("/predict", files={"images": ("cell.png", b"no image")}), 422, "cell.png")
        assert "cell.png is not an image of a known format" in error["what"]
        assert "upload-" not in json.dumps(error)
        assert "/tmp" not in json.dumps(error)
        refused(client.post("/predict", files={"images": ("cut.png", png(shape=(64, 64))[:-30])}), 422, "cut.png")
        refused(client.post("/predict", files={"images": ("a.exe", png())}), 422, "a.exe")
        refused(client.post("/predict", files={"images": ("rgb.png", png(shape=(8, 8, 3)))}), 422, "rgb.png")


def test_what_is_no_form_is_refused_in_words(ask, stand, png):
    with ask(stand) as client:
        refused(client.post("/predict", json={"images": []}), 422, "request")
        refused(client.post("/predict"), 422, "request")
        refused(client.post("/predict", files={"pictures": ("a.png", png())}), 422, "request")
        refused(client.post("/predict?nearest=99", files={"images": ("a.png", png())}), 422, "nearest")
        refused(client.post("/explain", files={"images": ("a.png", png())}), 422, "class")
        refused(client.post("/explain?class=drak", files={"images": ("a.png", png())}), 422, "class")
        cut = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\nabc'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        assert client.post("/predict", content=cut, headers=kind).status_code == 400
        refused(client.post("/predict", content=b"--x--\r\n", headers=kind), 422, "images")


def test_a_bomb_is_refused_before_it_is_decoded(ask, stand, png, monkeypatch):
    bomb = png(0, shape=(3000, 3000))
    assert len(bomb) < 40_000
    monkeypatch.setattr(np, "asarray", lambda *_, **__: pytest.fail("decoded"))
    with ask(stand, Limits(megapixels=4)) as client:
        error = refused(client.post("/predict", files={"images": ("bomb.png", bomb)}), 422, "bomb.png")
    assert error["what"] == "bomb.png has 3000x3000 pixels, more than 4,000,000"


def test_a_header_that_lies_about_an_array_is_refused(ask, stand, tmp_path):
    np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype="uint8", shape=(1000, 1000))
    cut = (tmp_path / "a.npy").read_bytes()[:400]
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with ask(stand) as client:
        refused(client.post("/predict", files={"images": ("a.npy", cut)}), 422, "a.npy")
        pickled = (tmp_path / "o.npy").read_bytes()
        refused(client.post("/predict", files={"images": ("o.npy", pickled)}), 422, "o.npy")


def test_a_request_that_is_too_large_is_refused_whether_it_says_so_or_not(ask, stand, png):
    with ask(stand, Limits(megabytes=0.1, files=3)) as client:
        large = {"images": ("a.png", b"x" * 200_000)}
        assert "larger than 0.1 MB" in refused(client.post("/predict", files=large), 413, "request")["what"]
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        unsaid = (
            b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n',
            *[b"y" * 9999] * 30,
        )
        refused(client.post("/predict", content=iter(unsaid), headers=kind), 413, "request")
        many = [("images", (f"{number}.png", png())) for number in range(4)]
        refused(client.post("/predict", files=many), 422, "images")


def test_a_full_queue_sends_callers_away_for_a_moment(ask, stand, png):
    with ask(stand, Limits(queue=2)) as client:
        stand.answers.clear()
        first = threading.Thread(
            target=client.post,
            args=("/predict",),
            kwargs={"files": [("images", (f"{number}.png", png())) for number in range(2)]},
        )
        first.start()
        until(lambda: "\nholotype_queue_images 2.0" in client.get("/metrics").text)
        answer = client.post("/predict", files={"images": ("a.png", png())})
        refused(answer, 429, "queue")
        assert int(answer.headers["retry-after"]) >= 1
        stand.answers.set()
        first.join()
        assert client.post("/predict", files={"images": ("a.png", png())}).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(ask, stand, png):
    with ask(stand, Limits(seconds=0.2)) as client:
        stand.answers.clear()
        refused(client.post("/predict", files={"images": ("a.png", png())}), 504, "request")
        stand.answers.set()
        assert client.post("/predict", files={"images": ("a.png", png())}).status_code == 200
        assert "holotype_queue_images 0.0" in client.get("/metrics").text


def test_health_says_why_it_is_not_ready(ask, stand, png):
    stand.opens.clear()
    with ask(stand) as client:
        answer = client.get("/health")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "why": "the models are loading", "nearest": "off"}
        refused(client.post("/predict", files={"images": ("a.png", png())}), 503, "server")
        stand.opens.set()
        until(lambda: client.get("/health").status_code == 200)
        assert client.get("/health").json()["why"] == "ready"


def test_a_token_is_asked_for_everywhere_but_at_the_door(ask, stand, png):
    with ask(stand, rules=AccessPolicy(token="häck")) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 200
        assert "stand" not in client.get("/").text
        for path in ("/classes", "/version", "/metrics", "/openapi.json", "/specimen?id=known"):
            assert client.get(path).status_code == 401
        wrong = {"Authorization": "Bearer hack"}
        answer = client.post("/predict", files={"images": ("a.png", png())}, headers=wrong)
        refused(answer, 401, "Authorization")
        assert answer.headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer häck".encode()}
        assert client.post("/predict", files={"images": ("a.png", png())}, headers=right).status_code == 200
        assert client.get("/openapi.json", headers=right).json()["components"]["securitySchemes"]


def test_another_name_or_another_site_is_refused(ask, stand, png):
    with ask(stand) as client:
        refused(client.get("/classes", headers={"Host": "evil.example"}), 421, "Host")
        refused(client.get("/classes", headers={"Origin": "http://evil.example"}), 403, "Origin")
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
            assert client.get("/classes", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


def test_the_page_may_do_nothing_but_ask_this_server(ask, stand):
    with ask(stand) as client:
        answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert " style=" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")


def test_names_that_come_twice_are_told_apart(ask, stand, png):
    with ask(stand) as client:
        files = [("images", (name, png())) for name in ("a.png", "a.png", "a.tif", "b/a.png")]
        files[2] = ("images", ("a.tif", png(kind="TIFF")))
        said = client.post("/predict", files=files).json()["predictions"]
    assert len({one["id"] for one in said}) == 4
    assert said[0]["id"] == "a"


def test_a_stream_answers_for_more_than_a_request_may_hold(ask, stand, png, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ask(stand, Limits(files=2, queue=8, batch=4)) as client:
        files = [("images", (f"i{number}.png", png(number % 12))) for number in range(50)]
        files.insert(7, ("images", ("bad.png", b"bad")))
        files.insert(9, ("images", ("bad.txt", b"bad")))
        answer = client.post("/predict/stream", files=files)
        nothing = client.post(
            "/predict/stream", content=b"--x--\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert "holotype_queue_images 0.0" in client.get("/metrics").text
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(52))
    by_number = {line["number"]: line for line in lines}
    assert by_number[7]["error"]["field"] == "bad.png"
    assert by_number[9]["error"]["field"] == "bad.txt"
    assert by_number[51]["prediction"]["id"] == "i49"
    assert sum(line["error"] is None for line in lines) == 50
    refused(nothing, 422, "images")
    assert list(tmp_path.iterdir()) == []
