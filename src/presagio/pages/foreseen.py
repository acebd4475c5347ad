"""How failures are foreseen: a section of the model card."""

from collections.abc import Mapping

from presagio.pages.elements import Cell, fields, section, table, text
from presagio.pages.life_charts import lead_chart, life_chart
from presagio.pages.values import Card, is_number, mapping, numbers
from presagio.pages.writing import Writing, mark

# Of the card's example lives so many are drawn.
_MOST_LIVES = 6


_COST = mark("Cost of the held-out failures and false alarms; always-negative baseline")
_LOGGED = {
    "failures": mark("Failures"), "repairs": mark("Repairs"), "errors": mark("Errors"),
    "repeated": mark("repeated"), "contradicting": mark("contradicting"), "late": mark("late"),
}  # fmt: skip
_PARTS = {
    "test": mark("Held-out test set"), "out_of_fold": mark("Training part, out of fold"),
}  # fmt: skip


def _of(confirm: object, say: Writing) -> str:
    if not isinstance(confirm, list) or len(confirm) != 2:  # noqa: PLR2004
        return say.words(confirm)
    return say.phrase("%(some)s of %(all)s", some=say.words(confirm[0]), all=say.words(confirm[1]))


def _within(horizon: Card, unit: str, say: Writing) -> str:
    """Say how far ahead: a number has a unit, a text such as ``7d`` says its."""
    within = horizon.get("within")
    return f"{say.words(within)} {unit}".strip() if is_number(within) else say.words(within)


def _unit(horizon: Card, say: Writing) -> str:
    """Return what times are counted in: days, or what a counter of the machine's is called."""
    return say.phrase(str(horizon.get("unit", "")))


def ahead_of(card: Card, say: Writing) -> str:
    """Say how far ahead failures are foreseen; nothing of a card whose label has no horizon."""
    horizon = mapping(card, "horizon")
    return _within(horizon, _unit(horizon, say), say) if horizon else ""


def _titles(unit: str, say: Writing) -> dict[str, str]:
    """Return the columns of the table of failures, with their titles."""
    return {
        "failures": say.phrase("Failures"), "caught": say.phrase("Caught"),
        "too_early": say.phrase("Alarm too early"), "missed": say.phrase("Missed"),
        "lead_p10": say.phrase("Lead time p10 [%(unit)s]", unit=unit),
        "lead_p50": f"p50 [{unit}]", "lead_p90": f"p90 [{unit}]",
        "false_alarms": say.phrase("False alarms"),
        "false_alarms_per_1000": say.phrase("per 1,000 %(unit)s", unit=unit),
        "rises_per_life": say.phrase("Alarms a life"),
    }  # fmt: skip


def _remaining(card: Card, say: Writing) -> list[tuple[str, object]]:
    life = mapping(card, "remaining_life")
    if not life:
        return []
    most, wanted = say.words(life.get("most")), say.words(life.get("coverage_wanted"))
    return [
        (say.phrase("Remaining life up to %(most)s: RMSE, held-out units", most=most),
         say.number(life.get("rmse"), 1).text),
        (say.phrase("Its interval holds %(share)s of units: measured", share=wanted),
         say.number(life.get("coverage"), 2).text),
    ]  # fmt: skip


def foreseen(card: Card, say: Writing) -> str:
    """Return the section of a card that says how failures are foreseen; else nothing."""
    horizon = mapping(card, "horizon")
    if not horizon:
        return ""
    unit = _unit(horizon, say)
    titles, events = _titles(unit, say), mapping(horizon, "events")
    rows: list[list[Cell]] = [
        [say.phrase(title), *(say.number(found.get(name), 1) for name in titles)]
        for part, title in _PARTS.items() if (found := mapping(events, part))
    ]  # fmt: skip
    shown: list[tuple[str, object]] = [
        (say.phrase("Horizon"), _within(horizon, unit, say)),
        (say.phrase("Newest readings that have to say so"), _of(horizon.get("confirm"), say)),
        (say.phrase("Readings left out as censored"), say.words(horizon.get("censored_rows"))),
    ]  # fmt: skip
    for name, count in mapping(horizon, "logged").items():
        kind = say.phrase(_LOGGED.get(name, name.replace("_", " ")))
        shown.append((say.phrase("Of logs of events: %(name)s", name=kind), say.words(count)))
    shown += _remaining(card, say)
    if is_number(cost := horizon.get("cost")):
        never = say.number(horizon.get("cost_always_negative"), 1).text
        shown.append((say.phrase(_COST), f"{say.number(cost, 1).text}; {never}"))
    return section(
        say.phrase("Failures foreseen"), fields(shown),
        table(("", *titles.values()), rows) if rows else "", _charts(horizon, unit, say),
    )  # fmt: skip


def _charts(horizon: Card, unit: str, say: Writing) -> str:
    """Draw lead times and example lives, of what the card has of them."""
    drawn, leads, lives = [], horizon.get("lead_times"), horizon.get("lives")
    times = [lead for lead in leads if is_number(lead)] if isinstance(leads, list) else []
    if times:
        ahead = float(found) if is_number(found := horizon.get("ahead")) else None
        title = say.phrase("First alarms of %(count)s failures", count=len(times))
        drawn.append((title, lead_chart(times, ahead, unit, say)))
    for life in lives[:_MOST_LIVES] if isinstance(lives, list) else ():
        if not isinstance(life, Mapping):
            continue
        left, probability = numbers(life.get("left")), numbers(life.get("probability"))
        alarm = life.get("alarm")
        if left and isinstance(alarm, list) and len(left) == len(probability) == len(alarm):
            title = say.phrase("Unit %(unit)s: probability; red: alarm", unit=life.get("unit"))
            is_on = [on is True for on in alarm]
            drawn.append((title, life_chart(left, probability, is_on, unit, say)))
    pictures = (f"<figure><h3>{text(title)}</h3>{chart}</figure>" for title, chart in drawn)
    return f'<div class="charts">{"".join(pictures)}</div>' if drawn else ""
