"""Commands that read the registry: models, card."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from presagio.cli.composition import Parts
from presagio.cli.decision_view import describe_decision
from presagio.cli.output import (
    AsJson,
    FleetName,
    Home,
    local_time,
    print_json,
    print_table,
    say,
    warn,
)
from presagio.cli.tables import Column
from presagio.inference.artifact import read_artifact
from presagio.pages.model_card import card_page
from presagio.registry.versions import GATE_TAG, ListedVersion
from presagio.storage.promotions import Promotions, RecordedDecision

_METRICS = ("test_f1", "test_average_precision", "test_cost_per_1000")


def _as_json(listed: ListedVersion) -> dict[str, Any]:
    return {
        **asdict(listed.version),
        "aliases": list(listed.aliases),
        "created_at": listed.created_at,
        "metrics": dict(listed.metrics),
        "tags": {name: value for name, value in listed.tags.items() if "presagio" in name},
    }


_VERSIONS = (
    Column("Version", right=True), Column("Alias", "words"), Column("Trained", "words"),
    Column("F1", right=True), Column("Average precision", right=True),
    Column("Cost per 1,000", right=True), Column("Gate"), Column("Data", "words"),
)  # fmt: skip
_DECISIONS = (
    Column("When", "words"), Column("Version", right=True), Column("Decision", "words"),
    Column("Before", right=True), Column("Who", "middle"), Column("Why", "words"),
)  # fmt: skip


def _version_row(listed: ListedVersion) -> tuple[str, ...]:
    metrics = [listed.metrics.get(name) for name in _METRICS]
    return (
        listed.version.version,
        ", ".join(listed.aliases),
        local_time(listed.created_at),
        *("" if value is None else f"{value:.3f}" for value in metrics),
        listed.tags.get(GATE_TAG, ""),
        listed.tags.get("presagio.data_source", ""),
    )


def _decision_row(recorded: RecordedDecision) -> tuple[str, ...]:
    decision = recorded.decision
    what = "not promoted" if decision.kind == "refusal" else decision.kind
    return (
        local_time(recorded.created_at),
        decision.version,
        f"{what}, forced" if decision.forced else what,
        decision.previous or "",
        decision.who,
        decision.why,
    )


def models(
    history: Annotated[
        bool, typer.Option("--history", help="List the decisions instead: what, who, why.")
    ] = False,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the newest model versions: aliases, metrics on the held-out test set, data."""
    parts = Parts(home, fleet)
    name = parts.settings.model_name
    if history:
        decisions = Promotions(parts.database).history(name)
        if as_json:
            for recorded in decisions:
                print_json(describe_decision(recorded))
        else:
            print_table(_DECISIONS, list(map(_decision_row, decisions)))
        return
    versions = parts.reader.listing()
    if as_json:
        for listed in versions:
            print_json(_as_json(listed))
        return
    print_table(_VERSIONS, list(map(_version_row, versions)))
    if not versions:
        of = f" --fleet {fleet}" if fleet else ""
        warn(f"No version of {name} is registered yet; train one: presagio train{of}")


def card(
    version: Annotated[
        str | None, typer.Argument(help="Number of the version; by default the champion.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", dir_okay=False, help="File; else home/cards/NAME-N.html."),
    ] = None,
    fleet: FleetName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the model card of a version as a page that stands alone; open it in any browser."""
    parts = Parts(home, fleet)
    settings, reader = parts.settings, parts.reader
    found = reader.resolve() if version is None else reader.version(version)
    artifact = read_artifact(reader.fetch(found, settings.model_cache), digest=found.digest)
    if as_json:
        print_json({"name": found.name, "version": found.version, "card": artifact.card})
        return
    path = output or settings.home / "cards" / f"{settings.model_name}-{int(found.version)}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(card_page(artifact.card), encoding="utf-8")
    say(f"Model card of {found.name} version {found.version}: {path}")
