"""Texts in YAML that cannot be read: one sentence with the line, whatever the parser makes of them."""

from __future__ import annotations

import time

import pytest

from holotype.core.errors import RecipeError
from holotype.core.yaml_text import load_yaml
from holotype.recipe.load import load_recipe

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n" for number in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nname: 2024-13-99", 2, "'2024-13-99' is not a valid date: month must be in 1..12"),
        ("name: 2024-01-01T99:00:00", 1, "is not a valid date"),
        ("seed: !!int abc", 1, "'abc' is not a valid whole number"),
        ("\na: !!bool x", 2, "'x' is not a valid `true` or `false`"),
        ("a: !!float x", 1, "'x' is not a valid number"),
        ("a: !!binary '@@@@a'", 1, "is not a valid binary value|is not YAML"),
        ("seed: " + "1" * 4301, 1, "has 4,301 digits"),
        ("seed: 0x" + "f" * 5000, 1, "has 5,002 digits"),
        ("a: 0x_", 1, "is not a valid whole number"),
        ("[" * 1000, 1, "nested more than 50 levels deep"),
        ("a: 1\nb: " + "{a: " * 1000, 2, "nested more than 50 levels deep"),
        ("\n" + "- " * 1000 + "a", 2, "nested more than 50 levels deep"),
        ("[" * 60 + "]" * 60, 1, "nested more than 50 levels deep"),
        ("a: 1\nb: \x00", 2, "unacceptable character"),
        ('a: "\\0"', 1, "a character that is not allowed in text"),
        ('a: "\\ud800"', 1, "a character that is not allowed in text"),
        (LAUGHS, 7, "expands to more than 2,000,000 values"),
        ("a: &x [*x]", 1, "an alias is inside the value"),
        ("a: *x", 1, "undefined alias"),
        ("a: 1\na: 2", 2, "duplicate key"),
        ("? [a, b]\n: c", 1, "a key must be a single value"),
        ("? {a: b}\n: c", 1, "a key must be a single value"),
        ("a: !!python/object/apply:os.system [x]", 1, "could not determine a constructor"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("%YAML 9.9\n---\na: 1", 1, "incompatible YAML document"),
        ("<<: [1]", 1, "mapping for merging"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_its_line(text, line, words):
    began = time.monotonic()
    with pytest.raises(RecipeError, match=words) as refused:
        load_yaml(text, "the recipe 'r.yaml'")
    assert str(refused.value).startswith("the recipe 'r.yaml'")
    assert f"at line {line}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600
    assert time.monotonic() - began < 10


def test_an_escape_beyond_unicode_is_refused():
    with pytest.raises(RecipeError, match="is not YAML"):
        load_yaml('a: "\\U00110000"', "the text")


def test_aliases_and_merges_are_read_as_yaml_has_them():
    text = "a: &x {b: [1, 2.5, yes, null, '007']}\nc: *x\nd: {<<: *x, e: 1}\n"
    part = {"b": [1, 2.5, True, None, "007"]}
    assert load_yaml(text.replace("yes", "true"), "x") == {"a": part, "c": part, "d": {**part, "e": 1}}
    assert load_yaml("", "x") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfea", "not UTF-8 text: byte 0 is 0xff; save it as UTF-8"), (b"name: \xe9", "byte 6 is 0xe9")],
)
def test_a_recipe_that_is_not_utf_8_is_refused_with_the_byte(tmp_path, content, words):
    (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=words):
        load_recipe(tmp_path / "r.yaml")


def test_a_folder_or_a_path_that_is_none_is_refused_as_a_recipe(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*: it is a folder; give the YAML file itself"):
        load_recipe(tmp_path)
    with pytest.raises(RecipeError, match="embedded null byte"):
        load_recipe("a\0b")


def test_a_recipe_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbfdata: {train: t.csv, id: id, labels: {column: l}}")
    assert load_recipe(tmp_path / "r.yaml").data.id == "id"


def test_a_long_value_is_not_echoed_whole(tmp_path):
    (tmp_path / "r.yaml").write_text(f"name: '{'?' * 1_000_000}'\ndata: {{train: t.csv, id: id}}")
    with pytest.raises(RecipeError) as refused:
        load_recipe(tmp_path / "r.yaml")
    assert len(str(refused.value)) < 1000


def test_an_anchor_that_stands_twice_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert load_yaml("a: &x 1\nb: &x 2\nc: *x\n", "the recipe") == {"a": 1, "b": 2, "c": 2}
    assert not recwarn.list
