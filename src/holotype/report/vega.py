"""Vega, Vega-Lite and Vega-Embed as one script, from the vl-convert wheel."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import vl_convert


@cache
def vega_script() -> str:
    """Script bundle; built once per machine and version (some seconds), cached in the user's cache folder."""
    try:
        cached = _cache_folder() / f"vega-{version('vl-convert-python')}.js"
    except RuntimeError:  # a container or a batch job without a home has no cache
        return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]
    try:
        return cached.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        script = str(vl_convert.javascript_bundle())  # type: ignore[call-arg]
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=cached.parent, delete=False) as stream:
            stream.write(script)
        Path(stream.name).replace(cached)
    except OSError:
        pass  # a cache that cannot be written costs the next report some seconds
    return script


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "holotype"
