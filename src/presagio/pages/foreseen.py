"""How failures are foreseen: a section of the model card."""

from collections.abc import Mapping

from presagio.pages.elements import Cell, fields, section, table, text
from presagio.pages.life_charts import lead_chart, life_chart
from presagio.pages.values import Card, is_number, mapping, number, numbers, words

# Of the card's example lives so many are drawn.
_MOST_LIVES = 6


def _of(confirm: object) -> str:
    if not isinstance(confirm, list) or len(confirm) != 2:  # noqa: PLR2004
        return words(confirm)
    return f"{words(confirm[0])} of {words(confirm[1])}"


def _within(horizon: Card, unit: str) -> str:
    """Say how far ahead: a number has a unit, a text such as ``7d`` says its."""
    within = horizon.get("within")
    return f"{words(within)} {unit}".strip() if is_number(within) else words(within)


def ahead_of(card: Card) -> str:
    """Say how far ahead failures are foreseen; nothing of a card whose label has no horizon."""
    horizon = mapping(card, "horizon")
    return _within(horizon, str(horizon.get("unit", ""))) if horizon else ""


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
        ("Horizon", _within(horizon, unit)),
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
    if is_number(cost := horizon.get("cost")):
        never = number(horizon.get("cost_always_negative"), 1).text
        shown.append(("Cost of the held-out failures and false alarms; always-negative baseline",
                      f"{number(cost, 1).text}; {never}"))  # fmt: skip
    return section(
        "Failures foreseen", fields(shown),
        table(("", *titles.values()), rows) if rows else "", _charts(horizon, unit),
    )  # fmt: skip


def _charts(horizon: Card, unit: str) -> str:
    """Draw lead times and example lives, of what the card has of them."""
    drawn, leads, lives = [], horizon.get("lead_times"), horizon.get("lives")
    times = [lead for lead in leads if is_number(lead)] if isinstance(leads, list) else []
    if times:
        ahead = float(found) if is_number(found := horizon.get("ahead")) else None
        drawn.append((f"First alarms of {len(times)} failures", lead_chart(times, ahead, unit)))
    for life in lives[:_MOST_LIVES] if isinstance(lives, list) else ():
        if not isinstance(life, Mapping):
            continue
        left, probability = numbers(life.get("left")), numbers(life.get("probability"))
        alarm = life.get("alarm")
        if left and isinstance(alarm, list) and len(left) == len(probability) == len(alarm):
            title = f"Unit {life.get('unit')}: probability; red: alarm"
            drawn.append((title, life_chart(left, probability, [on is True for on in alarm], unit)))
    pictures = (f"<figure><h3>{text(title)}</h3>{chart}</figure>" for title, chart in drawn)
    return f'<div class="charts">{"".join(pictures)}</div>' if drawn else ""
