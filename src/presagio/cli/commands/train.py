"""Commands that train: train, export-fallback."""

import getpass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.engines import EngineName, EngineOption, RayAddress
from presagio.cli.exit_status import ExitStatus, leave_unless_done
from presagio.cli.output import AsJson, FleetName, Home, print_json, say
from presagio.cli.training_view import print_metrics, training_progress
from presagio.errors import InvalidSpecError, NoDataError
from presagio.machine.spec import load_spec

if TYPE_CHECKING:
    from presagio.registry.versions import RegisteredVersion

# ruff: noqa: PLC0415 - training takes 4.2 s to import, which a stack that has its champion does not
# wait for each time it starts (train --unless-champion).


class Method(StrEnum):
    """How a model is trained."""

    auto = "auto"
    exact = "exact"
    streamed = "streamed"


class Search(StrEnum):
    """How many parameters are tried."""

    full = "full"
    small = "small"


def train(
    csv: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Train on this file of labelled readings."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A log of failures and repairs that belongs to --csv."
        ),
    ] = None,
    processed: Annotated[
        bool,
        typer.Option(
            "--processed", help="Train on the labelled rows that the intake has processed."
        ),
    ] = False,
    challenger: Annotated[
        bool, typer.Option("--challenger", help="Register only; the gate is not asked.")
    ] = False,
    unless_champion: Annotated[
        bool,
        typer.Option(
            "--unless-champion",
            help="Do nothing if there is a champion, or as long as there is nothing to learn from.",
        ),
    ] = False,
    method: Annotated[
        Method,
        typer.Option(
            metavar="METHOD",
            help="exact, streamed for many rows, or auto: streamed for more than 40,000 rows in "
            "the training part.",
        ),
    ] = Method.auto,
    search: Annotated[
        Search | None,
        typer.Option(
            help="How many parameters are tried; PRESAGIO_TRAIN_SEARCH when not given. `small` is "
            "for tests."
        ),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Evaluate baseline models too, for the report.")
    ] = False,
    # Its name until 0.1; scripts may have it.
    rivals: Annotated[bool, typer.Option("--rivals", hidden=True)] = False,
    seed: Annotated[int, typer.Option(help="Seed of split and folds.")] = 0,
    fleets: Annotated[
        str | None,
        typer.Option(
            "--fleets", metavar="A,B,…",
            help="Train these fleets, each on what the intake has taken: a task each.",
        ),
    ] = None,
    every_fleet: Annotated[
        bool, typer.Option("--every-fleet", help="Train all fleets, as with --fleets.")
    ] = False,
    engine: EngineOption = EngineName.local,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Of --fleets so many at a time; one a core by default."),
    ] = None,
    ray_address: RayAddress = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Search, train, evaluate and register a model; it becomes champion if the gate lets it.

    Without --csv or --processed it takes the data at hand: PRESAGIO_AI4I_CSV, what `presagio data
    fetch` brought, or generated rows. For a machine spec that cannot generate any it takes the
    rows that the intake has processed.
    """
    _check_sources(csv, events, processed=processed)
    if fleets is not None or every_fleet:
        given = (csv, processed, challenger, unless_champion, baselines or rivals, fleet)
        _check_alone(given, fleets, every_fleet=every_fleet)
        from presagio.cli.many_fleets import train_many

        status = train_many(
            Parts(home).deployment, _names(fleets), search=None if search is None else search.value,
            engine=engine, workers=workers, ray_address=ray_address, as_json=as_json,
        )  # fmt: skip
        leave_unless_done(status)
        return
    parts = Parts(home, fleet)
    if unless_champion and _is_settled(parts, as_json=as_json):
        return
    from presagio.cli.decision_view import decision_status, describe_decision, print_decision
    from presagio.jobs.promote import promote
    from presagio.jobs.train import choose_dataset, has_data_at_hand
    from presagio.jobs.train import train as train_and_register

    settings = parts.settings
    curated = processed or (csv is None and not has_data_at_hand(settings, parts.spec))
    try:
        dataset = choose_dataset(
            settings,
            parts.spec,
            csv=csv,
            events=events,
            intake=parts.intake if curated else None,
        )
    except NoDataError as err:
        if not unless_champion:
            raise
        _print_waiting(parts.spec.name, str(err), as_json=as_json)
        return
    if not as_json:
        say(
            f"Data: {dataset.source}, {len(dataset.target)} rows, "
            f"{int(dataset.target.sum())} failures"
        )
    with training_progress(as_json=as_json) as progress:
        model, registered = train_and_register(
            dataset, parts.spec, parts.registry, progress=progress, seed=seed,
            with_baselines=baselines or rivals,
            method=None if method is Method.auto else method.value,
            search=settings.train_search if search is None else search.value,
        )  # fmt: skip
    decision = None
    if not challenger:
        who, why = getpass.getuser(), "presagio train"
        decision = promote(parts.promoter, registered.version, who=who, why=why)
    status = ExitStatus.DONE if decision is None else decision_status(decision)
    if unless_champion and parts.reader.find_champion() is not None:
        # Another training was quicker: there is a champion, as was asked for.
        status = ExitStatus.DONE
    if as_json:
        f1 = model.evaluation.test.f1
        note = f"trained on {dataset.source}: {len(dataset.target)} rows, F1 {f1:.2f}"
        decided = None if decision is None else describe_decision(decision)
        print_json(
            {"registered": vars(registered), "card": model.card, "decision": decided, "note": note}
        )
    else:
        print_metrics(model)
        say(f"Registered as {registered.name} version {registered.version}, challenger.")
        if decision is not None:
            print_decision(decision, fleet)
    leave_unless_done(status)


def _check_sources(csv: Path | None, events: Path | None, *, processed: bool) -> None:
    if csv is not None and processed:
        raise typer.BadParameter("use either --csv or --processed")
    if events is not None and csv is None:
        raise typer.BadParameter("--events belongs to --csv; of --processed the intake has them")


def _check_alone(given: tuple[object, ...], fleets: str | None, *, every_fleet: bool) -> None:
    if fleets is not None and every_fleet:
        raise typer.BadParameter("use either --fleets or --every-fleet")
    if any(given):
        raise typer.BadParameter(
            "--fleets and --every-fleet train on what the intake has taken and ask the gate; they "
            "go with --search, --engine, --workers and --json only"
        )


def _names(fleets: str | None) -> list[str]:
    return [name.strip() for name in (fleets or "").split(",") if name.strip()]


def _is_settled(parts: Parts, *, as_json: bool) -> bool:
    """Tell whether nothing is to be trained: there is a champion, or the spec is at fault."""
    from presagio.fleet import load_fleets

    if (champion := parts.reader.find_champion()) is not None:
        _print_kept(champion, as_json=as_json)
        return True
    try:
        _ = parts.spec
    except InvalidSpecError as err:
        # The other fleets go on, where there are any.
        load_fleets(parts.deployment).check_any()
        _print_waiting(parts.deployment.machine_spec, str(err), as_json=as_json)
        return True
    return False


def _print_kept(champion: "RegisteredVersion", *, as_json: bool) -> None:
    if as_json:
        print_json({"champion": vars(champion), "note": f"version {champion.version} kept"})
    else:
        say(f"{champion.name} version {champion.version} is champion already.")


def _print_waiting(machine: str, why: str, *, as_json: bool) -> None:
    note = f"no model of {machine} yet: {why}"
    if as_json:
        print_json({"champion": None, "note": note})
    else:
        say(note)


def export_fallback(
    output: Annotated[Path, typer.Argument(file_okay=False, help="The artifact folder to write.")],
    as_json: AsJson = False,
) -> None:
    """Make the artifact that ships with the package, from generated rows."""
    from presagio.jobs.train import train_fallback

    with training_progress(as_json=as_json) as progress:
        model, digest = train_fallback(load_spec(), output, progress=progress)
    if as_json:
        print_json({"path": output, "digest": digest, "card": model.card})
        return
    print_metrics(model)
    say(f"{output}: {digest}")
