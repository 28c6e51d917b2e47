"""Write the list of timm's networks, by which recipes are checked without importing timm.

One line per group, names separated by blanks; `name=` stands for a hub repository `timm/name`. Origins
are groups of a license, a citation, and the names of weights that have them.

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
    content: dict[str, object] = {"version": backbones.version}
    content |= {name: " ".join(entries) for name, entries in groups.items()}
    names_by_origin: dict[tuple[str, str], list[str]] = {}
    for name, origin in backbones.origins.items():
        names_by_origin.setdefault(origin, []).append(name)
    content["origins"] = ["\t".join([*origin, " ".join(names)]) for origin, names in sorted(names_by_origin.items())]
    LIST_FILE.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    print(f"{LIST_FILE} written")
