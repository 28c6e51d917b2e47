"""Plugins: modules beside a recipe or installed, that register parts by name, with a digest of their source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holotype.core.errors import RecipeError
from holotype.core.plugins import announced_plugins, load_installed_plugins, load_plugin
from holotype.core.registry import (
    Registry,
    plugin_identities,
    plugin_identity,
    plugin_parts,
    plugins_named,
    source_digest,
    unregister_plugin,
)

SHIFTED = """\
from holotype.losses import LOSSES

@LOSSES.register
def shifted_bce(logits, targets):
    return logits.sum()
"""


pytestmark = pytest.mark.usefixtures("without_plugins")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_module_beside_the_recipe_registers_its_parts(tmp_path: Path) -> None:
    from holotype.losses import LOSSES

    file = write(tmp_path, "plugin_a.py", SHIFTED)
    plugin = load_plugin("plugin_a", tmp_path)
    assert (plugin.source, plugin.folder) == (file, tmp_path)
    assert LOSSES["shifted-bce"].__module__ == "plugin_a"
    assert list(plugin_parts("loss")) == ["shifted_bce"]
    assert plugin_identity("shifted_bce") == plugin_identity("shifted-bce") == plugin.digest == source_digest(file)
    assert plugin_identity("bce") == plugin_identity("no such part") == ""


def test_changed_code_has_another_identity_and_is_imported_again(tmp_path: Path, monkeypatch) -> None:
    from holotype.losses import LOSSES

    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # a compiled file would hide the change

    file = write(tmp_path, "plugin_a.py", SHIFTED)
    first = load_plugin("plugin_a", tmp_path)
    stats = file.stat()
    write(tmp_path, "plugin_a.py", SHIFTED.replace("logits.sum", "logits.max"))
    os.utime(file, ns=(stats.st_atime_ns, stats.st_mtime_ns))  # same size and time
    second = load_plugin("plugin_a", tmp_path)
    assert plugin_identity("shifted_bce") == second.digest != first.digest

    class Logits:
        def max(self) -> str:
            return "new code"

    assert LOSSES["shifted_bce"](Logits(), None) == "new code"


def test_all_files_of_a_package_count_and_compiled_ones_do_not(tmp_path: Path) -> None:
    write(tmp_path, "plugin_b/__init__.py", "")
    write(tmp_path, "plugin_b/losses.py", SHIFTED)
    helper = write(tmp_path, "plugin_b/deep/helper.py", "SCALE = 1\n")
    first = load_plugin("plugin_b.losses", tmp_path).digest
    write(tmp_path, "plugin_b/__pycache__/losses.cpython-311.pyc", "compiled")
    assert load_plugin("plugin_b.losses", tmp_path).digest == first
    helper.write_text("SCALE = 2\n", encoding="utf-8")
    assert load_plugin("plugin_b.losses", tmp_path).digest != first
    assert plugin_identity("shifted_bce") == source_digest(tmp_path / "plugin_b")


def test_settings_name_the_plugins_whose_parts_they_use(tmp_path: Path) -> None:
    digest = (write(tmp_path, "plugin_a.py", SHIFTED), load_plugin("plugin_a", tmp_path))[1].digest
    phases = {"phases": [{"epochs": 1, "loss": {"bce": 1.0, "shifted_bce": {"weight": 0.5}}}]}
    assert plugin_identities(phases) == {"shifted_bce": digest}
    assert plugins_named(phases) == {"plugin_a"}
    assert plugin_identities({"phases": [{"loss": {"bce": 1.0}}]}) == {}


def test_recorded_code_is_required_before_other_code_runs(tmp_path: Path) -> None:
    digest = source_digest(write(tmp_path, "plugin_a.py", SHIFTED))
    assert load_plugin("plugin_a", tmp_path, digest).digest == digest
    write(tmp_path, "plugin_a.py", "raise SystemExit('this code must not run')\n")
    with pytest.raises(RecipeError, match=r"^run.plugins: the plugin 'plugin_a' .* has other code than recorded"):
        load_plugin("plugin_a", tmp_path, digest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{SHIFTED}\n1 / 0\n", r"ZeroDivisionError: division by zero \(.*plugin_a.py, line 7\)"),
        ("def f(:\n", r"SyntaxError: invalid syntax \(.*plugin_a.py, line 1\)"),
        ("import no_such_module\n", r"ModuleNotFoundError: No module named 'no_such_module' \(.*plugin_a.py, line 1\)"),
        ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(.*plugin_a.py, line 2\)"),
        (
            SHIFTED.replace("shifted_bce", "bce"),
            r"ValueError: the loss 'bce' exists already, in holotype.losses.multilabel; plugin_a cannot register it "
            r"\(.*plugin_a.py, line 3\); rename the part",
        ),
    ],
)
def test_a_plugin_that_fails_is_named_with_file_and_line_and_leaves_nothing(
    tmp_path: Path, text: str, message: str
) -> None:
    write(tmp_path, "plugin_a.py", text)
    for _ in range(2):  # the second attempt is no other
        with pytest.raises(RecipeError, match=rf"^run.plugins: the plugin 'plugin_a' cannot be loaded: {message}"):
            load_plugin("plugin_a", tmp_path)
    assert plugin_parts("loss") == {}
    assert plugin_identity("bce") == ""


def test_a_missing_module_is_named_with_the_way_out(tmp_path: Path) -> None:
    message = r"there is no plugin 'plugin_z', neither in .* nor among the installed packages; write plugin_z.py beside"
    with pytest.raises(RecipeError, match=message):
        load_plugin("plugin_z", tmp_path)
    with pytest.raises(RecipeError, match=r"there is no plugin 'holotype.losses', not among"):
        load_plugin("holotype.losses")


def test_a_module_may_not_take_the_name_of_another(tmp_path: Path) -> None:
    write(tmp_path, "json.py", "")
    with pytest.raises(RecipeError, match=r"the plugin 'json' .* has the name of another module.*; rename it"):
        load_plugin("json", tmp_path)
    write(tmp_path / "a", "plugin_a.py", SHIFTED)
    write(tmp_path / "b", "plugin_a.py", SHIFTED + "# other\n")
    write(tmp_path / "c", "plugin_a.py", SHIFTED)
    assert load_plugin("plugin_a", tmp_path / "a") is load_plugin("plugin_a", tmp_path / "c")  # a copied folder
    with pytest.raises(RecipeError, match=r"this process has loaded another plugin 'plugin_a'"):
        load_plugin("plugin_a", tmp_path / "b")
    with pytest.raises(RecipeError, match=r"there is no plugin 'plugin_a'"):  # of another recipe
        load_plugin("plugin_a", tmp_path)


def test_loaded_code_is_announced_once(tmp_path: Path) -> None:
    write(tmp_path, "plugin_a.py", SHIFTED)
    sentences: list[str] = []
    with announced_plugins(sentences.append):
        load_plugin("plugin_a", tmp_path)
        load_plugin("plugin_a", tmp_path)
    assert sentences == [f"the plugin plugin_a is loaded from {tmp_path / 'plugin_a.py'}"]


def test_parts_that_a_script_registers_have_the_identity_of_its_module(tmp_path: Path, monkeypatch) -> None:
    file = write(tmp_path, "plugin_a.py", SHIFTED)
    monkeypatch.syspath_prepend(tmp_path)
    import plugin_a  # type: ignore[import-not-found]  # noqa: F401

    assert plugin_identity("shifted_bce") == source_digest(file)
    load_plugin("plugin_a", tmp_path)
    assert plugin_identity("shifted_bce") == source_digest(file)
    unregister_plugin("plugin_a")


def test_an_installed_package_with_an_entry_point_is_loaded_by_itself(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, "plugin_lab/__init__.py", "")
    write(tmp_path, "plugin_lab/parts.py", SHIFTED)
    write(tmp_path, "plugin_lab-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: plugin-lab\nVersion: 1.0\n")
    write(tmp_path, "plugin_lab-1.0.dist-info/entry_points.txt", "[holotype.plugins]\nlab = plugin_lab.parts\n")
    monkeypatch.syspath_prepend(tmp_path)
    (plugin,) = load_installed_plugins()
    assert (plugin.module, plugin.folder) == ("plugin_lab.parts", None)
    assert plugin_identity("shifted_bce") == plugin.digest


def test_a_registry_knows_which_parts_are_of_plugins() -> None:
    registry = Registry("loss of a test")
    registry.register(name="x-y")(lambda: None)
    assert list(registry) == ["x_y"]
    assert registry.plugin_of("x-y") == __name__.partition(".")[0]


def test_an_error_of_a_plugin_at_work_is_not_a_bug_of_holotype(tmp_path: Path) -> None:
    from holotype.cli.execute import _format_internal_error
    from holotype.losses import LOSSES

    write(tmp_path, "plugin_a.py", SHIFTED)
    load_plugin("plugin_a", tmp_path)
    with pytest.raises(AttributeError) as caught:
        LOSSES["shifted_bce"](1, None)
    message = "the plugin 'plugin_a' failed: AttributeError: 'int' object has no attribute 'sum' ("
    text = _format_internal_error(caught.value)
    assert text.startswith(message)
    assert "plugin_a.py, line 5)" in text
    assert "internal error" in _format_internal_error(ValueError("elsewhere"))


SPAWN = """\
import multiprocessing
import sys
from pathlib import Path

from holotype.core.plugins import load_plugin
from holotype.core.registry import plugin_identity
from holotype.losses import LOSSES


def print_identity(name):
    print(callable(LOSSES[name]) and plugin_identity(name))


if __name__ == "__main__":
    print(load_plugin("plugin_a", Path.cwd()).digest, flush=True)
    child = multiprocessing.get_context("spawn").Process(target=print_identity, args=("shifted_bce",))
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


def test_a_process_that_is_spawned_finds_the_parts_of_its_parent(tmp_path: Path) -> None:
    write(tmp_path, "plugin_a.py", SHIFTED)
    write(tmp_path / "scripts", "spawn.py", SPAWN)
    call = [sys.executable, "scripts/spawn.py"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100)
    parent, child = done.stdout.split()
    assert parent == child == source_digest(tmp_path / "plugin_a.py")
