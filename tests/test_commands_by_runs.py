"""Every command on every kind of run, as lines, as JSON and quietly: an answer, or a refusal in one sentence."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from holotype.cli.main import main

Captured = pytest.CaptureFixture[str]
ROWS, TESTS, CLASSES = 20, 4, 2_100
DOCUMENTATION = Path(__file__).parents[1] / "docs" / "terminal.md"
MANNERS = ("plain", "json", "quiet")
NETWORK = {
    "name": "main",
    "backbone": "test_efficientnet",
    "weights": "none",
    "input": {"size": 32},
    "augment": {"rotate": 0},
    "predict": {"tta": "none"},
    "phases": [{"epochs": 1}],
}


def imported(oof: str | None, test: str | None) -> dict[str, Any]:
    """A model whose scores were made elsewhere."""
    files = {name: file for name, file in (("oof", oof), ("test", test)) if file is not None}
    return {"name": "elsewhere", "predictions": files}


LARGE = {"column": "species", "classes": "species.csv"}
KINDS: dict[str, dict[str, Any]] = {
    "networks": {},
    "two models": {"models": [NETWORK, NETWORK | {"name": "other", "phases": [{"epochs": 1, "lr": 0.002}]}]},
    "imported with out-of-fold scores": {"data": {"images": None}, "models": [imported("oof.npy", "test.npy")]},
    "imported without out-of-fold scores": {"data": {"images": None}, "models": [imported(None, "test.npy")]},
    "imported with images": {"models": [imported(None, "test.npy")]},
    "no test table": {"data": {"test": None}},
    "one used fold": {"split": {"folds": 2, "folds_to_train": [0]}},
    "many labels": {"data": {"labels": {"column": "labels", "kind": "multilabel"}}},
    "2,100 classes": {
        "data": {"images": None, "labels": LARGE},
        "models": [imported("large.parquet", "large_test.parquet")],
    },
    "neighbors": {"models": [NETWORK | {"neighbors": {"k": 3}}]},
    "specialists": {
        "data": {"domain": "domain"},
        "models": [NETWORK | {"specialists": {"phases": [{"epochs": 1, "lr": 0.01}], "min_samples": 4}}],
    },
    "a class without a row": {"data": {"labels": {"column": "label", "classes": ["a", "b", "c"]}}},
    "a mapping of channels": {"data": {"images": {"dna": "{dna}", "er": "{er}"}}},
}
IMPORTED = tuple(kind for kind in KINDS if kind.startswith("imported") or kind == "2,100 classes")
UNSCORED = ("imported without out-of-fold scores", "imported with images")
ELSEWHERE = ["the scores of", "elsewhere", "were made elsewhere"]
REFUSED: dict[tuple[str, str], list[str]] = {
    **{("predict", kind): [*ELSEWHERE, "predict with a run that trained all of its models"] for kind in IMPORTED},
    **{("serve", kind): [*ELSEWHERE, "new images cannot be predicted"] for kind in IMPORTED},
    **{("export", kind): [*ELSEWHERE, "there is no network"] for kind in IMPORTED},
    **{
        ("tune", kind): ["models: a search tunes a single model, which must be trained"]
        for kind in (*IMPORTED, "two models")
    },
    ("export", "neighbours"): ["'main.neighbors' needs an index", "--model main"],
    ("export", "specialists"): ["--domain"],
}  # what a command cannot do with a kind of run: words of the one sentence that says so

SCORE = {"metric", "value", "low", "high", "prediction_interval", "samples", "groups", "method"}
FOUND = {"recipe", "images", "forms", "classes", "kind", "folds", "notes"}
KEYS = {
    "run": {"run", "files", "metrics", "steps", "classes", "domains", *SCORE},
    "report": {"run", "files", "metrics", "steps", "classes", "domains", *SCORE},
    "compare A B": {"page", "runs", "lines"},
    "check": FOUND,
    "audit": FOUND | {"written", "page"},
    "predict": {"run", "rows", "warnings", "errors"},
    "export": {"folder", "files", "card"},
    "tune": {"trials", "best", "judged", "page", "recipe"},
    "dry run": {"run", "steps"},
    "cache list": {"store", "bytes", "artifacts"},
    "cache size": {"store", "bytes", "artifacts"},
    "cache verify": {"store", "artifacts", "damaged"},
    "cache prune": {"store", "freed"},
    "review": {"run", "page", "decisions", "count", "notes"},
    "serve": {"run", "address", "callers"},
}  # of JSON, as docs/terminal.md promises them


@dataclass(frozen=True)
class Ended:
    """How a call of the command line ended.

    Args:
        status: Its exit status.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
        warnings: Of libraries, as Python shows them to a user.
    """

    status: int
    out: str
    err: str
    warnings: tuple[str, ...] = ()


def call(capture: Captured, *words: str | Path) -> Ended:
    """Call the command line in this process, with the warnings that a user's Python shows."""
    capture.readouterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)
        status = main([str(word) for word in words])
    written = capture.readouterr()
    return Ended(status, written.out, written.err, tuple(str(one.message) for one in caught))


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn images of two channels, their tables, scores made elsewhere, and a recipe for each kind of run."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "images").mkdir()
    random = np.random.default_rng(3)
    names = [f"i{number:02d}" for number in range(ROWS + TESTS)]
    for number, name in enumerate(names):
        for channel in ("dna", "er"):
            pixels = random.integers(0, 120 + 100 * (number % 2), (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{name}_{channel}.png")
    numbers = range(ROWS + TESTS)
    table = pl.DataFrame(
        {
            "id": names,
            "label": ["ab"[number % 2] for number in numbers],
            "labels": [("a", "b", "a b", "")[number % 4] for number in numbers],
            "species": [f"species {number % 4:04d}" for number in numbers],
            "plate": [f"p{number // 2}" for number in numbers],
            "domain": ["xy"[number // 2 % 2] for number in numbers],
            "dna": [f"images/{name}_dna.png" for name in names],
            "er": [f"images/{name}_er.png" for name in names],
        }
    )
    table[:ROWS].write_csv(folder / "train.csv")
    table[ROWS:].drop("label", "labels", "species").write_csv(folder / "test.csv")
    pl.DataFrame({"name": [f"species {number:04d}" for number in range(CLASSES)]}).write_csv(folder / "species.csv")
    scores = random.dirichlet(np.ones(2), ROWS + TESTS)
    np.save(folder / "oof.npy", scores[:ROWS])
    np.save(folder / "test.npy", scores[ROWS:])
    shares = np.log([0.4, 0.3, 0.2])
    large = pl.DataFrame(
        {
            "id": names,
            "top_classes": [[number % 4, 1000, number % 3 + 4] for number in numbers],
            "top_logits": [shares.tolist()] * len(names),
            "rest_logsumexp": [float(np.log(0.1))] * len(names),
        }
    )
    large[:ROWS].write_parquet(folder / "large.parquet")
    large[ROWS:].write_parquet(folder / "large_test.parquet")
    for kind, sections in KINDS.items():
        write_recipe(folder, kind, sections)
    return folder


def slug(kind: str) -> str:
    return re.sub(r"\W+", "-", kind)


def write_recipe(folder: Path, kind: str, sections: dict[str, Any]) -> None:
    data = {
        "train": "train.csv",
        "test": "test.csv",
        "images": "images/{id}_dna.png",
        "groups": ["plate"],
        "labels": {"column": "label"},
        **sections.get("data", {}),
    }
    recipe = {
        "name": slug(kind),
        "run": {"threads": 1, "workers": 0, "batch": 8, "device": "cpu"},
        "split": {"folds": 2},
        "models": [NETWORK],
        **sections,
        "data": {name: value for name, value in data.items() if value is not None},
    }
    (folder / f"{slug(kind)}.yaml").write_text(json.dumps(recipe), encoding="utf-8")


@pytest.fixture(scope="session")
def made(bench: Path) -> Callable[[str], Path]:
    """Gives the folder of a finished run of a kind, made when it is first needed."""

    @cache
    def make(kind: str) -> Path:
        assert main(["run", str(bench / f"{slug(kind)}.yaml"), "--quiet"]) == 0
        return bench / "runs" / slug(kind)

    return make


def documented(command: str) -> set[str]:
    """All that the documentation puts in the place of the keys of a command's JSON."""
    rows = [row for row in DOCUMENTATION.read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
    (keys,) = [row.partition(" | ")[2] for row in rows if f"`{command}`" in row.partition(" | ")[0]]
    return set(re.findall(r"`(\w+)`", keys))


@pytest.mark.parametrize("command", KEYS)
def test_the_documentation_names_the_keys_of_an_answer(command: str) -> None:
    keys = documented(command)
    assert KEYS[command] - (keys | documented("check") if "check" in keys else keys) == set()


def require_answer(ended: Ended, manner: str, command: str) -> Any:
    """Demand that a call answered, in the manner that was asked for; the answer's JSON where it is one."""
    assert ended.status == 0, ended
    require_no_noise(ended)
    # the address of a server is news to a person, and the answer to a program
    assert (ended.err if (command, manner) == ("serve", "plain") else ended.out).strip()
    if manner != "plain":
        assert ended.err == ""
    if manner == "json":
        answer = json.loads(ended.out)
        assert KEYS[command] - set(answer) == set()
        return answer
    return None


def require_refusal(ended: Ended, manner: str, words: list[str]) -> None:
    """Demand that a call was refused in one sentence that says all that is expected."""
    assert ended.status == 2, ended
    require_no_noise(ended)
    assert ended.out == ""
    (sentence,) = [line for line in ended.err.splitlines() if line.startswith(("holotype: ", "{"))]
    if manner != "plain":
        assert ended.err.strip() == sentence
    if manner == "json":
        error = json.loads(sentence)["error"]
        assert set(error) == {"message", "what", "field", "value", "allowed", "remedy", "status"}
        assert error["remedy"]
        sentence = error["message"]
    assert [word for word in words if word not in sentence] == []
    assert sentence.endswith(".")


def require_no_noise(ended: Ended) -> None:
    assert ended.warnings == ()
    for noise in ("Traceback", "internal error", "Warning", "site-packages", "could not be made"):
        assert noise not in ended.err
        assert noise not in ended.out


def words_of(command: str, folder: Path, bench: Path, place: Path) -> list[str | Path]:
    """The command line of a command on a finished run; what it writes goes to a place of its own."""
    recipe = bench / f"{folder.name}.yaml"
    another = bench / "runs" / slug("networks")
    return {
        "run": ["run", recipe],
        "check": ["check", recipe],
        "audit": ["audit", recipe, "--out", place / "run"],
        "report": ["report", folder],
        "compare A B": ["compare", another, folder, "-o", place / "compare.html"],
        "compare B A": ["compare", folder, another, "-o", place / "compare.html"],
        "predict": ["predict", folder, bench / "test.csv"],
        "predict to a file": ["predict", folder, bench / "test.csv", "-o", place / "labels.csv"],
        "export": ["export", folder, "-o", place / "export"],
        "tune": ["tune", recipe, "--trials", "1", "--size", "32", "--epochs", "1"],
        "dry run": ["run", recipe, "--dry-run"],
        "cache list": ["cache", "list", folder],
        "cache size": ["cache", "size", folder],
        "cache verify": ["cache", "verify", folder],
        "cache prune": ["cache", "prune", folder],
        "review": ["review", folder, "--port", "0", "--decisions", place / "review.csv", "--open"],
        "serve": ["serve", folder, "--port", "0"],
    }[command]


QUICK = (
    "run",
    "check",
    "audit",
    "report",
    "compare A B",
    "compare B A",
    "predict",
    "predict to a file",
    "dry run",
    "cache list",
    "cache size",
    "cache verify",
    "review",
)
SLOW = ("tune", "export", "serve")
ONCE = ("run", "audit", "compare B A", "predict to a file")  # they write most: by default their JSON alone


def is_slow(kind: str, command: str, manner: str) -> bool:
    return (command, kind) not in REFUSED and (command in SLOW or (command in ONCE and manner != "json"))


CELLS = [
    pytest.param(*cell, marks=[pytest.mark.slow] * is_slow(*cell)) for cell in product(KINDS, (*QUICK, *SLOW), MANNERS)
]


@pytest.mark.parametrize(("kind", "command", "manner"), CELLS)
def test_a_command_answers_for_a_run_or_refuses_it_in_one_sentence(
    bench: Path,
    made: Callable[[str], Path],
    tmp_path: Path,
    capfd: Captured,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    command: str,
    manner: str,
) -> None:
    made("networks")
    pages = Pages(bench)
    monkeypatch.setattr("webbrowser.open", pages.begin)
    monkeypatch.setattr("holotype.serve.server._set_send_timeout", pages.begin_serving)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    words = words_of(command, made(kind), bench, tmp_path)
    ended = call(capfd, *words, *([] if manner == "plain" else [f"--{manner}"]))
    for number, handler in before.items():
        signal.signal(number, handler)
    refusal = REFUSED.get((command.removesuffix(" to a file"), kind))
    if refusal is not None:
        require_refusal(ended, manner, refusal)
        return
    key = {"compare B A": "compare A B", "predict to a file": "predict"}.get(command, command)
    answer = require_answer(ended, manner, key)
    if command in {"review", "serve"}:
        assert pages.end() == ""
    if manner == "json":
        require_sense(command, kind, answer)


@pytest.mark.parametrize("command", ["report", "compare A B", "check", "dry run", "cache list"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_drawn_on_a_terminal(
    bench: Path,
    made: Callable[[str], Path],
    tmp_path: Path,
    capfd: Captured,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    command: str,
) -> None:
    made("networks")
    words = words_of(command, made(kind), bench, tmp_path)
    monkeypatch.setattr("holotype.cli.output.is_interactive", lambda stream: True)
    require_answer(call(capfd, *words), "plain", command)


def require_sense(command: str, kind: str, answer: dict[str, Any]) -> None:
    """Demand of an answer what is known of the kind of run."""
    if command in {"run", "report"}:
        scored = 0 if kind in UNSCORED else ROWS // 2 if kind == "one used fold" else ROWS
        assert (answer["samples"] or 0) == scored
        assert (answer["value"] is None) is (scored == 0)
        assert set(answer["files"]) >= {"report", "table"}
        assert ("submission" in answer["files"]) is (kind != "no test table")
    if command in {"check", "audit"}:
        assert answer["images"] == {"train": ROWS} | ({} if kind == "no test table" else {"test": TESTS})
        assert sum(form["len"] for form in answer["forms"]) in {0, sum(answer["images"].values())}
    if command == "predict":
        assert len(answer["predictions"]) == answer["rows"] == TESTS
    if command == "dry run":
        assert {step["state"] for step in answer["steps"]} == {"kept"}


class Pages:
    """Asks a server of this process, started by the command line, and ends it."""

    def __init__(self, bench: Path) -> None:
        self.image = bench / "images" / f"i{ROWS:02d}_dna.png"
        self.failure = "it was never started"
        self.thread: threading.Thread | None = None

    def begin(self, address: str) -> bool:
        """Begin to ask a review's page, in place of a browser."""
        self._begin(address, signal.SIGINT, lambda: b"<html" in urllib.request.urlopen(address, timeout=60).read())
        return True

    def begin_serving(self, listening: socket.socket, _: float) -> None:
        """Begin to ask a server whose port is known."""
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._begin(address, signal.SIGTERM, lambda: self._is_served(address))

    def end(self) -> str:
        """What went wrong; an empty string where nothing did."""
        if self.thread is not None:
            self.thread.join()
        return self.failure

    def _begin(self, address: str, number: signal.Signals, question: Callable[[], bool]) -> None:
        def ask() -> None:
            try:
                self.failure = "" if question() else f"{address} answered something else"
            except Exception as error:  # noqa: BLE001  (whatever it is, the server has to end)
                self.failure = repr(error)
            finally:
                os.kill(os.getpid(), number)

        self.thread = threading.Thread(target=ask)
        self.thread.start()

    def _is_ready(self, address: str) -> bool:
        try:
            return bool(json.load(urllib.request.urlopen(f"{address}/health", timeout=60))["ready"])
        except urllib.error.HTTPError as error:
            return error.code != 503  # which it is until the networks are read

    def _is_served(self, address: str) -> bool:
        until = time.monotonic() + 240
        while not self._is_ready(address):
            assert time.monotonic() < until
            time.sleep(0.05)
        files = [self.image.with_name(self.image.name.replace("dna", channel)) for channel in ("dna", "er")]
        head = 'Content-Disposition: form-data; name="images"; filename='
        parts = [f'--x\r\n{head}"{file.name}"\r\n\r\n'.encode() + file.read_bytes() + b"\r\n" for file in files]
        request = urllib.request.Request(
            f"{address}/predict", b"".join(parts) + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
        )
        answer = json.load(urllib.request.urlopen(request, timeout=240))
        return all("labels" in prediction for prediction in answer["predictions"])
