"""How failures are foreseen: a section of the model card."""

from presagio.pages.elements import Cell, fields, section, table
from presagio.pages.values import Card, mapping, number, words


def _of(confirm: object) -> str:
    if not isinstance(confirm, list) or len(confirm) != 2:  # noqa: PLR2004
        return words(confirm)
    return f"{words(confirm[0])} of {words(confirm[1])}"


def foreseen(card: Card) -> str:
    """Return the section of a card that says how failures are foreseen; else nothing."""
    horizon = mapping(card, "horizon")
    if not horizon:
        return ""
    unit = str(horizon.get("unit", ""))
    titles = {
        "failures": "Failures", "caught": "Caught", "too_early": "Alarm too early",
        "missed": "Missed", "lead_p10": f"Lead time p10 [{unit}]",
        "lead_p50": f"p50 [{unit}]", "lead_p90": f"p90 [{unit}]", "false_alarms": "False alarms",
        "false_alarms_per_1000": f"per 1,000 {unit}", "rises_per_life": "Alarms a life",
    }  # fmt: skip
    parts = {"test": "Held-out test set", "out_of_fold": "Training part, out of fold"}
    events = mapping(horizon, "events")
    rows: list[list[Cell]] = [
        [title, *(number(found.get(name), 1) for name in titles)]
        for part, title in parts.items() if (found := mapping(events, part))
    ]  # fmt: skip
    shown = [
        ("Horizon", f"{words(horizon.get('within'))} {unit}"),
        ("Newest readings that have to say so", _of(horizon.get("confirm"))),
        ("Readings left out as censored", words(horizon.get("censored_rows"))),
    ]  # fmt: skip
    shown += [
        (f"Of logs of events: {name.replace('_', ' ')}", words(count))
        for name, count in mapping(horizon, "logged").items()
    ]
    if life := mapping(card, "remaining_life"):
        shown.append(
            (
                f"Remaining life up to {words(life.get('most'))}: RMSE, held-out units",
                number(life.get("rmse"), 1).text,
            )
        )
        shown.append((f"Its interval holds {words(life.get('coverage_wanted'))} of units: measured",
                      number(life.get("coverage"), 2).text))  # fmt: skip
    return section(
        "Failures foreseen", fields(shown), table(("", *titles.values()), rows) if rows else ""
    )
