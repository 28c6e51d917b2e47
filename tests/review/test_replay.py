"""Undoing: what was decided, undone and decided again is as if it had never been undone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holotype.review import ReviewRow, replay, undo_row

decisions = st.builds(
    ReviewRow,
    st.just("sample"),
    st.sampled_from("abc"),
    st.sampled_from(["keep", "relabel", "drop"]),
    st.just(()),
    st.sampled_from([(), ("x",), ("y",)]),
)
steps = st.lists(st.one_of(decisions, st.just("undo"), st.just("undo"), st.just("redo")), max_size=30)


def walked(done: list[ReviewRow | str]) -> tuple[list[ReviewRow], list[ReviewRow], list[ReviewRow]]:
    """What the file gets, and two plain stacks as the oracle."""
    rows: list[ReviewRow] = []
    stack: list[ReviewRow] = []
    undone: list[ReviewRow] = []
    for step in done:
        if step == "undo":
            if stack:
                rows.append(undo_row(stack[-1]))
                undone.append(stack.pop())
        elif step == "redo":
            if undone:
                rows.append(undone[-1])
                stack.append(undone.pop())
        elif isinstance(step, ReviewRow):
            if undone and undone[-1].decides_same(step):
                undone.pop()
            else:
                undone.clear()
            rows.append(step)
            stack.append(step)
    return rows, stack, undone


@given(steps)
def test_what_stands_is_what_two_stacks_would_hold(done: list[ReviewRow | str]) -> None:
    rows, stack, undone = walked(done)
    standing = replay(rows)
    assert list(standing.decisions) == stack
    assert list(standing.undone) == undone
    assert standing.warnings == ()


@given(st.lists(decisions, min_size=1, max_size=10))
def test_undoing_everything_leaves_nothing_and_doing_it_again_all(made: list[ReviewRow]) -> None:
    rows = [*made, *(undo_row(row) for row in reversed(made))]
    assert replay(rows).decisions == ()
    assert replay([*rows, *made]).decisions == tuple(made)


def test_what_was_undone_twice_is_done_again_twice() -> None:
    first, second = ReviewRow("sample", "a", "keep"), ReviewRow("sample", "b", "drop")
    undone = [first, second, undo_row(second), undo_row(first)]
    assert replay([*undone, first]).undone == (second,)
    assert replay([*undone, first, second]).undone == ()
    assert replay([*undone, second]).undone == ()  # another decision: what was undone is past


@given(st.lists(decisions, max_size=10))
def test_the_last_decision_about_a_sample_counts(made: list[ReviewRow]) -> None:
    latest = replay(made).latest
    assert latest == {row.target: row for row in made}


def test_undoing_what_was_never_decided_is_said() -> None:
    standing = replay([ReviewRow("sample", "a", "undo"), ReviewRow("sample", "b", "keep")])
    assert [row.id for row in standing.decisions] == ["b"]
    assert "'a'" in standing.warnings[0]
