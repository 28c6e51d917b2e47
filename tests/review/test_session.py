"""What is asked, what is shown of it, and what may be decided."""

from __future__ import annotations

import json

import pytest

from holotype.core.errors import InputError, StoreError
from holotype.review import ReviewRow
from holotype.review.session import ReviewSession
from holotype.review.tiles import Region


def done(desk: ReviewSession, tab: str) -> dict[str, str]:
    (found,) = [one for one in desk.state()["tabs"] if one["name"] == tab]
    return {item["id"]: item["done"] for item in found["items"] if item["done"]}


def test_the_lists_hold_what_there_is_in_the_order_of_its_worth(desk: ReviewSession) -> None:
    state = desk.state()
    tabs = {tab["name"]: tab["items"] for tab in state["tabs"]}
    assert [item["id"] for item in tabs["label_errors"]][:3] == ["s00", "s01", "s02"]
    assert len(tabs["label_errors"]) == 20
    assert [item["id"] for item in tabs["clusters"]] == ["s00", "s05"]  # the contradiction first
    assert len(tabs["uncertain"]) == 23
    assert state["tab"] == "label_errors"
    json.dumps(state)


def test_a_sample_is_shown_with_what_the_networks_say_and_what_is_near(desk: ReviewSession) -> None:
    item = desk.item("label_errors", 0)
    assert item["labels"] == ("round cell",)
    assert item["suggested"] == (desk.data.images.classes[1],)
    assert sum(one["probability"] for one in item["predictions"]) == pytest.approx(1)
    assert [near["id"] for near in item["neighbors"]] == ["s03"]  # one that is no image of the table is left out
    assert ["plate", "p0"] in item["facts"]
    with pytest.raises(InputError):
        desk.item("label_errors", 20)


def test_the_pairs_of_a_cluster_are_counted_by_kind_without_noughts(desk: ReviewSession) -> None:
    for number in (0, 1):
        item = desk.item("clusters", number)
        near = sum(link[2] == "near" for link in item["links"])
        assert (" with equal pixels" in item["words"]) is (near < len(item["links"]))
        assert (" with similar pixels" in item["words"]) is (near > 0)
        assert not item["words"].startswith("0 ")


def test_a_decision_knows_the_labels_before_and_moves_on(desk: ReviewSession) -> None:
    other = desk.data.images.classes[2]
    desk.decide([ReviewRow("sample", "s00", "relabel", (), (other,), "why not")])
    desk.decide([ReviewRow("sample", "s00", "keep")])
    rows = desk.record.active.decisions
    assert [(row.before, row.after) for row in rows] == [(("round cell",), (other,)), ((other,), ())]
    assert rows[0].note == "why not"
    assert rows[0].run == "runs/drawn 0123"
    assert done(desk, "label_errors") == {"s00": "keep"}
    assert {tab["name"]: tab["at"] for tab in desk.state()["tabs"]}["label_errors"] == 1


def test_where_one_stopped_is_where_one_continues(desk: ReviewSession) -> None:
    desk.decide([ReviewRow("sample", "s04", "drop")])
    again = ReviewSession(desk.data, desk.record)
    (tab,) = [one for one in again.state()["tabs"] if one["name"] == "label_errors"]
    assert tab["at"] == 5
    desk.decide([ReviewRow("cluster", "s00", "keep")])
    assert again.state()["tab"] == "clusters"


def test_undo_says_what_it_was_about(desk: ReviewSession) -> None:
    desk.decide([ReviewRow("sample", "s01", "drop")])
    answer = desk.step("undo")
    assert answer["about"] == ["sample", "s01"]
    assert {(one["tab"], one["number"], one["done"]) for one in answer["changed"]} >= {("label_errors", 1, None)}
    assert desk.step("undo")["words"] == "There is nothing to undo"
    assert desk.step("redo")["about"] == ["sample", "s01"]


@pytest.mark.parametrize(
    "wish",
    [
        ReviewRow("sample", "nobody", "keep"),
        ReviewRow("sample", "s00", "split", after=("s01",)),
        ReviewRow("sample", "s00", "relabel", after=("no class",)),
        ReviewRow("sample", "s00", "relabel"),
        ReviewRow("sample", "s00", "relabel", after=("round cell", "<img src=x onerror=alert(1)>")),
        ReviewRow("sample", "s00", "undo"),
        ReviewRow("sample", "=s23", "drop"),  # a test row
        ReviewRow("cluster", "s01", "keep"),
        ReviewRow("cluster", "s00", "drop"),
        ReviewRow("cluster", "s00", "split"),
        ReviewRow("cluster", "s00", "split", after=("s00", "s01", "s02")),
        ReviewRow("cluster", "s00", "split", after=("s09",)),
        ReviewRow("cluster", "s00", "split", after=("s01",)),  # its pixels equal those of s00
    ],
)
def test_what_cannot_be_decided_is_refused_and_writes_nothing(desk: ReviewSession, wish: ReviewRow) -> None:
    with pytest.raises(InputError):
        desk.decide([ReviewRow("sample", "s03", "keep"), wish])
    assert desk.record.count == 0


def test_a_split_cluster_is_done_for_these_images_only(desk: ReviewSession) -> None:
    desk.decide([ReviewRow("cluster", "s00", "split", after=("s02",))])
    (row,) = desk.record.active.decisions
    assert (row.before, row.after) == (("s00", "s01", "s02"), ("s02",))
    assert done(desk, "clusters") == {"s00": "split"}
    desk.record.decide([ReviewRow("cluster", "s00", "keep", ("s00", "s07"))])  # about another set, of an older run
    assert done(desk, "clusters") == {}


def test_pixels_are_sent_by_row_number_at_their_depth(desk: ReviewSession) -> None:
    tile = desk.tile(3, Region())
    assert tile.facts["depth"] == "16-bit"
    assert tile.planes.shape == (5, 40, 30)
    assert len(tile.content) == 5 * 40 * 30 * 2
    for row in (-1, 24):
        with pytest.raises(InputError):
            desk.tile(row, Region())


def test_what_was_not_written_is_not_done(desk: ReviewSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("holotype.review.decisions_file._append_and_sync", full)
    with pytest.raises(StoreError):
        desk.decide([ReviewRow("sample", "s00", "keep")])
    assert done(desk, "label_errors") == {}
