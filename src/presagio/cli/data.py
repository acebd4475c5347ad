"""Commands on data sets: fetch, generate."""

from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.output import AsJson, Home, print_json, progress, say
from presagio.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Get readings: the real data set, or generated ones.")


@app.command()
def fetch(home: Home = None, as_json: AsJson = False) -> None:
    """Download the AI4I 2020 data set from UCI (S. Matzka, CC BY 4.0), checked by SHA-256."""
    from presagio.machine.spec import load_spec  # noqa: PLC0415 - heavy imports
    from presagio.training.datasets.download import AI4I, fetch_data  # noqa: PLC0415

    settings = load_settings(home)
    with progress(as_json=as_json) as bar:
        task = bar.add_task("Downloading from UCI", total=None)
        path = fetch_data(
            settings.data_folder,
            AI4I,
            load_spec(),
            sha256=settings.ai4i_sha256,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"path": path})
        return
    say(f"{path}\nAI4I 2020 Predictive Maintenance Dataset, S. Matzka, CC BY 4.0")


@app.command()
def generate(
    rows: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; else home/data/generated.csv.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Generate labelled readings from the machine spec's recipe, any number in bounded memory."""
    from presagio.machine.simulation import simulate  # noqa: PLC0415 - heavy imports
    from presagio.machine.spec import load_spec  # noqa: PLC0415

    settings = load_settings(home)
    path = output or settings.data_folder / "generated.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    spec, failures, written = load_spec(settings.machine_spec), 0, 0
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
