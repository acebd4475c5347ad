"""A driver of two nodes: ``python -m tests.scoring.drive_cluster ADDRESS ARTIFACT SOURCE TO``."""

import json
import sys
import time
from pathlib import Path

from presagio.inference.predictor import load_predictor
from presagio.scoring.cluster import opened_cluster
from presagio.settings import Settings
from tests.scoring.runs import score_folder


def main() -> None:
    """Score a folder, and print what came of it."""
    address, artifact, source, to = sys.argv[1:]
    settings = Settings(home=Path(to).parent / "home")
    with opened_cluster(settings, address, None) as engine:
        print("connected", flush=True)
        began = time.monotonic()
        found = score_folder(
            load_predictor(Path(artifact)), Path(source), Path(to), settings, engine=engine
        )
        seconds = time.monotonic() - began
    print(json.dumps({"rows": found.counts.rows, "faults": found.faults, "seconds": seconds}))


if __name__ == "__main__":
    main()
