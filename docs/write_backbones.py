"""Write the list of timm's networks, by which recipes are checked without importing timm.

One line per group, names separated by blanks; `name=` stands for a hub repository `timm/name`.

    python docs/write_backbones.py
"""

from __future__ import annotations

import json

from holotype.networks.backbones import LIST_FILE, list_of_timm

if __name__ == "__main__":
    backbones = list_of_timm()
    hub_files = [
        f"{name}=" if file == f"timm/{name}" else f"{name}={file}" for name, file in backbones.hub_files.items()
    ]
    groups = {
        "names": backbones.names,
        "deprecated": backbones.deprecated,
        "pretrained": backbones.pretrained,
        "hub_files": hub_files,
    }
    content = {"version": backbones.version} | {name: " ".join(entries) for name, entries in groups.items()}
    LIST_FILE.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    print(f"{LIST_FILE} written")
