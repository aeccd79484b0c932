"""Finished sets that somebody changes: hashes that fit again, and what ``verify`` finds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.stages.verify import verify_set

SHARD = "shard-000001.tar"


def problems(folder: Path, **options: Any) -> list[str]:
    return list(verify_set(str(folder), **options).problems)


def fix_hashes(folder: Path) -> None:
    """Make every hash and size fit again, as somebody who edits on purpose would."""
    index = json.loads((folder / "index.json").read_text())
    for shard in index["shards"]:
        data = (folder / shard["file"]).read_bytes()
        shard["bytes"], shard["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        path = folder / shard["file"].replace(".tar", ".json")
        sidecar = json.loads(path.read_text())
        sidecar["bytes"], sidecar["sha256"] = shard["bytes"], shard["sha256"]
        path.write_text(json.dumps(sidecar, sort_keys=True, separators=(",", ":")) + "\n")
    (folder / "index.json").write_text(json.dumps(index))
    names = [
        line.split("  ")[1] for line in (folder / "manifest-sha256.txt").read_text().splitlines()
    ]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / "manifest-sha256.txt").write_text("".join(lines))
