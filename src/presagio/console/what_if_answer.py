"""What the API answers to a question of the page "What if", in a visitor's language and units."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from presagio.console import reasons
from presagio.console.catalogue import mark
from presagio.console.presentation import Presentation
from presagio.console.series_view import Times
from presagio.console.wording import write_all
from presagio.inference.diagnosis_words import describe, title_of
from presagio.machine.limits import distances_of
from presagio.machine.shown_units import ShownUnits
from presagio.machine.spec import MachineSpec

_MOST_FAULTS = 5
# The score is the log odds of the probability, as far as an artifact's parity bound goes.
_PARITY = 1e-3


@dataclass(frozen=True)
class Outcome:
    """What the model says of such a reading.

    Attributes
    ----------
    threshold
        The probability from which on it is an alarm; None where the score is on another scale.
    words
        What is expected, what clears it, why.
    limits
        Quantity, failure mode and distance of each operating limit.
    """

    label: bool
    probability: float
    threshold: float | None
    version: str
    model: str
    degraded: bool
    mode: str
    remaining: str
    words: tuple[str, ...]
    limits: tuple[tuple[str, str, str, bool], ...]


def _share_of(answer: Mapping[str, Any]) -> float | None:
    def share(score: float) -> float:
        return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, score))))

    agrees = abs(share(float(answer["score"])) - float(answer["probability"])) < _PARITY
    return share(float(answer["threshold"])) if agrees else None


def outcome(show: Presentation, spec: MachineSpec, answer: Mapping[str, Any]) -> Outcome:
    """Return what the API's answer says to a visitor.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is no answer of ``POST /predict``.
    """
    diagnosis = answer.get("diagnosis") or {}
    language = show.catalogue.language
    units, titles = show.units_of(spec), title_of(spec, language)
    words = describe(spec, diagnosis, language, units)
    label = bool(answer["label"])
    sentences = words.all if label else (*words.limits, *words.reasons)
    life, remaining = answer.get("remaining_life") or {}, ""
    if life.get("value") is not None and spec.time is not None:
        remaining = f"{show.significant(float(life['value']))} {Times(show, spec.time).day}"
    return Outcome(
        label, float(answer["probability"]), _share_of(answer), str(answer["version"]),
        str(answer["model"]), bool(answer.get("degraded")), titles(diagnosis.get("mode")),
        remaining, tuple(write_all(show, sentences)),
        tuple(_limits(show, spec, units, diagnosis.get("limits") or ())),
    )  # fmt: skip


def _limits(
    show: Presentation, spec: MachineSpec, units: ShownUnits, found: Iterable[Mapping[str, Any]]
) -> Iterable[tuple[str, str, str, bool]]:
    known = {each.name: each for each in distances_of(spec)}
    titles = title_of(spec, show.catalogue.language)
    for limit in found:
        distance = known.get(str(limit.get("limit")))
        if distance is None:
            continue
        far, unit = float(limit["distance"]), units.of(distance.bound.of)
        text = show.measured(unit.difference(abs(far)), unit.symbol)
        yield titles(distance.bound.of), titles(distance.mode), text, far < 0


def refusal(show: Presentation, spec: MachineSpec, problem: Mapping[str, Any]) -> str:
    """Return why the API refuses a reading, in the language and the units that a visitor sees.

    Raises
    ------
    AttributeError, TypeError, ValueError
        If it is no problem document of the API.
    """
    faults = (problem.get("errors") or ())[:_MOST_FAULTS]
    named = [_fault(show, spec, fault) for fault in faults]
    return "; ".join(named) or str(problem.get("detail") or problem.get("title") or "")


def _fault(show: Presentation, spec: MachineSpec, fault: Mapping[str, Any]) -> str:
    """Say what is wrong with a value: by its reason where it has one, else what is allowed."""
    name, reason = str(fault.get("field")).rpartition(".")[2], str(fault.get("reason"))
    title, text = title_of(spec, show.catalogue.language)(name), show.catalogue.gettext
    if not reasons.is_known(reason):
        return f"{title}: {fault.get('allowed')}"
    found, low, high = reasons.title_of(reason), fault.get("minimum"), fault.get("maximum")
    if low is None or high is None:
        return f"{title}: {text(found)}"
    unit = show.units_of(spec).of(name)
    ends = text(mark("%(low)s to %(high)s")) % {
        "low": show.measured(unit.reading(float(low))),
        "high": show.measured(unit.reading(float(high)), unit.symbol),
    }
    return f"{title}: {text(found)} ({ends})"
