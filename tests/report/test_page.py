"""The page as a whole: it needs nobody, trusts nobody, and says what it was given."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from holotype.core.errors import StoreError
from holotype.report import ExampleImage, Mistake, render_audit, render_report, write_report
from holotype.report.formatting import format_score
from holotype.types import AuditReport, Folds, Scorecard

HOSTILE = "<img src=x onerror=alert(1)>"
TRICKY = "a\"b'c\nd\u202egnp.exe\x00 \udc80&amp;"
VOID = {"meta", "img", "link", "br", "input", "hr"}


class Page(HTMLParser):
    """Reads a page, checks that its elements close in order, and gathers text, tags and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag], f"</{tag}> closes nothing"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_closes_every_element_it_opens(make):
    page = Page(render_report(make()))
    assert page.open == []
    assert [tag for tag, _ in page.tags].count("h1") == 1


def test_the_page_refers_to_nothing_outside_itself(make):
    text = render_report(make(channels=("red", "green", "blue", "yellow")))
    page = Page(text)
    assert not re.search(r"//[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]*", "", text.split("<script>")[0]))
    assert "http" not in re.sub("<script>.*?</script>", "", text, flags=re.DOTALL).replace("http-equiv", "")
    assert "@import" not in text
    assert not [tag for tag, _ in page.tags if tag in {"link", "iframe", "object", "embed", "base", "form"}]
    for tag, attributes in page.tags:
        assert not (tag == "script" and "src" in attributes)
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert all(found.startswith("data:image/png") for found in re.findall(r"url\(([^)]*)\)", text))


def test_its_links_lead_to_sections_that_are_there(make):
    for contents in (make(), make(classes=3, models=0, mistakes=0, samples=[])):
        page = Page(render_report(contents))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"} <= set(ids)


def test_the_browser_is_told_to_run_only_the_script_that_is_there(make):
    text = render_report(make(classes=2, mistakes=0))
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for t, a in Page(text).tags if a.get("http-equiv"))
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_hostile_names_come_out_as_text(make, kind):
    names = (HOSTILE, TRICKY, "</title><script>alert(2)</script>", "{{ 7 * 7 }}", "plain")
    contents = make(classes=5, kind=kind, classes_named=names, models=1, name=HOSTILE, channels=(HOSTILE, TRICKY))
    pixels = np.zeros((2, 8, 8))
    contents = dataclasses.replace(
        contents,
        mistakes=[
            Mistake(TRICKY, 0, (HOSTILE,), (TRICKY,), 0.9, pixels),
            Mistake(HOSTILE, 0, (), (HOSTILE,), 0.8, pixels),
        ],
        samples=[ExampleImage(TRICKY, names, pixels)],
        histories={f"{HOSTILE}/{TRICKY}": contents.histories["b0/fold0"]},
        warnings=(HOSTILE, TRICKY),
        recipe=f"name: {HOSTILE}\u202e\n",
        facts={HOSTILE: TRICKY},
        audit=AuditReport(
            pl.DataFrame(
                {
                    "cluster": [0, 0],
                    "row": [0, 1],
                    "id": [HOSTILE, "q\"'\n"],
                    "role": [HOSTILE] * 2,
                    "action": [HOSTILE] * 2,
                }
            ),
            pl.DataFrame({"cluster": [0], "ids": [[HOSTILE, "b"]], "labels": [[HOSTILE, "c"]]}),
            np.empty(0, np.int64),
        ),
        scorecard=dataclasses.replace(
            contents.scorecard,
            groups=[{"column": HOSTILE, "group": TRICKY, "samples": 9, "value": 0.5}],
            domains=[{"domain": HOSTILE, "samples": 9, "value": 0.5}],
            steps=[{**step, "step": HOSTILE} for step in contents.scorecard.steps],
        ),
    )
    text = render_report(contents)
    page = Page(text)
    assert page.open == []
    assert not [a for t, a in page.tags if "onerror" in a or a.get("src") == "x"]
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert HOSTILE in page.text
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", text)
    assert not re.search("[\u202e\x00\udc80]", text)
    assert "↵d‹U+202E›gnp.exe‹U+0000›" in page.text
    text.encode("utf-8")


def test_the_numbers_shown_are_the_numbers_given(make):
    contents = make(classes=4)
    own = contents.scorecard.metrics["macro_f1"]
    words = Page(render_report(contents)).text
    assert f"{format_score(own.value)} macro F1" in words
    assert f"95 % confidence interval {format_score(own.low)} to {format_score(own.high)}" in words.replace("\xa0", " ")
    assert (
        f"95 % prediction interval {format_score(own.prediction_interval['low'])} to "
        f"{format_score(own.prediction_interval['high'])}" in words.replace("\xa0", " ")
    )
    assert own.method in words
    for entry in contents.scorecard.classes:
        row = [
            str(entry["support"]),
            format_score(entry["f1"]),
            f"{format_score(entry['low'])} to {format_score(entry['high'])}",
        ]
        assert " ".join(row[:2]) in words
        assert row[2] in words
    for step in contents.scorecard.steps:
        assert f"{step['step']} " in words
        assert format_score(step["value"]) in words
    for mistake in contents.mistakes:
        assert mistake.id in words
    assert contents.warnings[0] in words
    assert "1.4 GB" in words


def test_the_score_on_top_is_the_metric_that_was_maximised(make):
    contents = make(classes=3, metric="accuracy")
    value = format_score(contents.scorecard.metrics["accuracy"].value)
    assert f"{value} accuracy Accuracy is the share of samples" in Page(render_report(contents)).text


def test_warnings_of_every_step_are_shown_once(make):
    contents = make(classes=2)
    audit = dataclasses.replace(contents.audit, warnings=("the audit says so", "twice"))
    folds = dataclasses.replace(contents.folds, warnings=("twice",))
    words = Page(render_report(dataclasses.replace(contents, audit=audit, folds=folds, warnings=()))).text
    assert "2 warnings the audit says so twice" in words
    assert words.count("twice") == 1


def test_a_run_with_next_to_nothing_still_has_a_page(make):
    full = make(classes=2, folds=2)
    one = next(iter(full.scorecard.metrics.values()))
    bare = Scorecard({"macro_f1": dataclasses.replace(one, prediction_interval={})}, [], [], [], [])
    frame = full.folds.frame.with_columns(pl.lit(0).alias("fold")).head(3)
    contents = dataclasses.replace(
        full,
        scorecard=bare,
        counts=np.zeros((2, 2), np.int64),
        histories={},
        mistakes=[],
        samples=[],
        warnings=(),
        audit=AuditReport(pl.DataFrame(), pl.DataFrame(), np.empty(0, np.int64)),
        facts={},
        recipe="",
        folds=Folds(frame, np.zeros(3, np.int64), 1, (0,)),
        fold_counts=None,
    )
    page = Page(render_report(contents))
    assert page.open == []
    assert "None to show." in page.text
    assert "No duplicate images" in page.text
    assert "prediction interval 0" not in page.text
    unscored = dataclasses.replace(contents, scorecard=dataclasses.replace(bare, metrics={}))
    assert "No score: this run has no out-of-fold predictions" in Page(render_report(unscored)).text


def test_a_class_without_samples_is_named_and_not_scored(make):
    contents = make(classes=3)
    contents.scorecard.classes[1].update(
        support=0, predicted=0, precision=None, recall=None, f1=None, low=None, high=None
    )
    contents.counts[1] = 0
    words = Page(render_report(contents)).text
    assert "No samples: Phenotype 01." in words
    assert "no samples" in words
    assert not re.search(r"\b(nan|None)\b", words)


def test_one_step_is_a_sentence_and_many_are_a_waterfall(make):
    contents = make(classes=2)
    one = dataclasses.replace(
        contents, scorecard=dataclasses.replace(contents.scorecard, steps=contents.scorecard.steps[:1])
    )
    assert "There is one step," in Page(render_report(one)).text
    assert "+0.021" in Page(render_report(contents)).text
    assert "−0.006" in Page(render_report(contents)).text


def test_many_duplicates_are_counted_and_some_are_shown(make):
    ids = [f"d{number}" for number in range(200)]
    clusters = pl.DataFrame(
        {"cluster": [n // 2 for n in range(200)], "row": range(200), "id": ids, "role": "train", "action": "same fold"}
    )
    contents = make(classes=2, audit=AuditReport(clusters, pl.DataFrame(), np.empty(0, np.int64)))
    words = Page(render_report(contents)).text
    assert "200 images in 100 sets" in words
    assert "And 40 more sets" in words


def test_two_hundred_classes_and_sixty_noisy_mistakes_stay_below_fifteen_megabytes(make, tmp_path):
    draw = np.random.default_rng(0)
    contents = make(classes=200, mistakes=0, samples=[], models=1)
    noise = draw.integers(0, 65535, (4, 220, 220), dtype=np.uint16)
    contents = dataclasses.replace(
        contents,
        counts=draw.integers(0, 90, (200, 200)),
        mistakes=[Mistake(f"m{n}", 0, ("a",), ("b",), 0.5, noise) for n in range(60)],
        samples=[ExampleImage(f"s{n}", (f"Phenotype {n:02d}",), noise[:, :110, :110]) for n in range(200)],
        channels=("red", "green", "blue", "yellow"),
    )
    write_report(tmp_path / "report.html", contents)
    assert (tmp_path / "report.html").stat().st_size < 15_000_000


def test_the_same_contents_give_the_same_bytes(make):
    assert render_report(make(classes=3)) == render_report(make(classes=3))


def test_the_file_appears_whole_or_not_at_all(make, tmp_path, monkeypatch):
    path = tmp_path / "run" / "report.html"
    write_report(path, make(classes=2, mistakes=0))
    before = path.read_bytes()
    assert before.endswith((b"</html>", b"</html>\n"))

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="No space left"):
        write_report(path, make(classes=3))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(("groups", "words"), [(1, "of one independent group"), (2, "of two independent groups only")])
def test_a_score_of_one_or_two_groups_is_the_first_warning(make, groups, words):
    contents = make(classes=3)
    metrics = {
        name: dataclasses.replace(metric, groups=groups, **({"low": 0.0, "high": np.inf} if name == "log_loss" else {}))
        for name, metric in contents.scorecard.metrics.items()
    }
    contents = dataclasses.replace(
        contents, scorecard=dataclasses.replace(contents.scorecard, metrics=metrics), warnings=("Another.",)
    )
    page = render_report(contents)
    warnings = page[page.index('<div class="warnings"') :]
    assert words in warnings[: warnings.index("Another.")]


@pytest.mark.parametrize(
    ("classes", "kind", "first"),
    [(6, "multiclass", "confusion"), (60, "multiclass", "classes"), (6, "multilabel", "classes")],
)
def test_the_first_page_shows_scores_mistakes_and_next_steps_and_folds_the_rest(make, classes, kind, first):
    text = render_report(make(classes=classes, kind=kind))
    open_sections = re.findall(r'<section id="([^"]+)"(?: class="")?>', text)
    folded = re.findall(r'<section id="([^"]+)" class="folded [^"]*">', text)
    assert open_sections == [first, "mistakes", "next", "details"]
    assert {"classes", "confusion"} - {first} <= set(folded)
    assert {"steps", "groups", "training", "folds", "duplicates", "run"} <= set(folded)
    assert "<details open" not in text


def test_words_between_backticks_are_code_and_stay_escaped(make):
    warning = "the key `review: <b>` under `data:` and a single ` stay"
    contents = dataclasses.replace(make(classes=3), warnings=(warning,))
    for page in (render_report(contents), render_audit(contents)):
        assert "the key <code>review: &lt;b&gt;</code> under <code>data:</code> and a single ` stay" in page
