"""A run of bulk scoring as a program, for a model that is in no registry.

It says each file that is done, and what came of all of them.
"""

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from presagio.inference.predictor import load_predictor
from presagio.jobs.score import as_json, score
from presagio.scoring.cluster import opened_cluster
from presagio.scoring.engine import LocalEngine
from presagio.settings import load_settings
from tests.scoring.runs import planned


def main(artifact: str, source: str, to: str, address: str) -> None:
    """Score with the Ray cluster at an address, or with processes where it is empty."""
    settings = load_settings(Path(os.environ["PRESAGIO_HOME"]))
    predictor = load_predictor(Path(artifact))
    plan = planned(predictor, predictor.artifact.spec, source, to, settings)
    with (
        opened_cluster(settings, address, None)
        if address
        else nullcontext(LocalEngine(settings, 2)) as engine
    ):
        summary = score(plan, engine, settings, lambda *_: print("done", flush=True))
    print(json.dumps(as_json(summary)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
