"""Commands on machine specs: draft, check, schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, print_json, say
from presagio.errors import InvalidSpecError
from presagio.machine.spec import MachineSpec, parse_spec

_Specs = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="TOML files.")]


def draft(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="CSV or Parquet files of one kind of machine."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else it is printed.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the machine; else that of the first file.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column that tells failures; else one is proposed.")
    ] = None,
) -> None:
    """Write a first machine spec from files of readings, with questions in it.

    Names, units in headers, ranges, categories, labels, identifiers and missing values are
    proposed by what the files hold. Read it, answer the questions, and check it:
    presagio spec check FILE.
    """
    from presagio.jobs.spec_draft import draft_spec  # noqa: PLC0415 - Polars

    text = draft_spec(files, name=name, target=target)
    if output is None:
        print(text, end="")
        return
    # Somebody's answers may stand in an earlier one.
    with output.open("x", encoding="utf-8") as file:
        file.write(text)
    say(f"{output}: read it, answer its questions, then: presagio spec check {output}")


def check(files: _Specs, as_json: AsJson = False) -> None:
    """Say in words, line by line, what is wrong with specs."""
    status = ExitStatus.DONE
    for path in files:
        try:
            spec: MachineSpec | None = parse_spec(path.read_bytes(), str(path))
            faults: tuple[str, ...] = ()
        except InvalidSpecError as err:
            spec, status = None, ExitStatus.FAILED
            faults = tuple(map(str, err.faults))
        if as_json:
            print_json({"path": path, "faults": list(faults), **(_summary(spec) if spec else {})})
        elif spec is None:
            say("\n".join(f"{path}: {fault}" for fault in faults))
        else:
            counts = ", ".join(f"{key} {value}" for key, value in _summary(spec).items())
            say(f"{path}: fine; {counts}")
    leave_unless_done(status)


def _summary(spec: MachineSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "features": len(spec.features),
        "optional": len(spec.optional_names),
        "categories": len(spec.categories),
        "quantities": len(spec.quantities),
        "modes": len(spec.modes),
        "target": spec.target.name,
    }


def schema() -> None:
    """Print the JSON Schema of machine specs, for editors."""
    print(json.dumps(MachineSpec.model_json_schema(), indent=1))
