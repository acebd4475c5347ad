"""The command that generates readings."""

from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, FleetName, Home, print_json, progress, say
from presagio.machine.simulation import simulate


def generate(
    rows: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; else home/data/generated.csv.")
    ] = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Generate labelled readings from the machine spec's recipe, any number in bounded memory."""
    parts = Parts(home, fleet)
    path = output or parts.settings.data_folder / "generated.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    spec, failures, written = parts.spec, 0, 0
    with path.open("wb") as file, progress(as_json=as_json) as bar:
        task = bar.add_task("Generating", total=rows)
        for block in simulate(spec, rows, seed=seed):
            block.write_csv(file, include_header=written == 0)
            written += len(block)
            failures += int(block[spec.target.name].sum())
            bar.update(task, completed=written)
    if as_json:
        print_json({"path": path, "rows": written, "failures": failures})
        return
    say(f"{path}: {written} rows, {failures} failures")
