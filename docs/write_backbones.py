"""Write the list of timm's networks that recipes are checked by without importing timm.

python docs/write_backbones.py
"""

from __future__ import annotations

import json
from dataclasses import asdict

from holotype.networks.backbones import LIST_FILE, list_of_timm

if __name__ == "__main__":
    LIST_FILE.write_text(json.dumps(asdict(list_of_timm()), indent=0) + "\n", encoding="utf-8")
    print(f"{LIST_FILE} written")
