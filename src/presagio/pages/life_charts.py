"""Charts of failures foreseen, as SVG: how early alarms came, and what was said along a life."""

from collections.abc import Sequence

from presagio.pages.charts import AXIS, NOW, label, line, svg
from presagio.pages.writing import Writing

_SIZE, _LEFT, _TOP, _HEIGHT = 300, 44, 20, 200
_BINS, _TICKS = 12, 4


def _place_of(left: float, longest: float) -> float:
    """Return where a time before the failure is drawn; the failure is at the right."""
    return _LEFT + _SIZE * (1 - left / longest)


def _time_axis(longest: float, unit: str, say: Writing) -> list[str]:
    bottom = _TOP + _HEIGHT
    parts = [line(_LEFT, bottom, _LEFT + _SIZE, bottom, AXIS)]
    for i in range(_TICKS + 1):
        left = longest * i / _TICKS
        x = _place_of(left, longest)
        parts += [
            line(x, bottom, x, bottom + 4, AXIS),
            label(x, bottom + 15, say.significant(left, 3)),
        ]
    about = say.phrase("Time until the failure [%(unit)s]", unit=unit)
    return [*parts, label(_LEFT + _SIZE / 2, bottom + 34, about)]


def lead_chart(leads: Sequence[float], horizon: float | None, unit: str, say: Writing) -> str:
    """Draw how many failures had their first alarm how long before.

    Parameters
    ----------
    leads
        The time from first alarm to failure of each that had one; at least one.
    horizon
        How far ahead failures are to be foreseen, in the same unit; None: it is not drawn.
    unit
        Of the times.
    say
        Writes texts and numbers.
    """
    longest = max(*leads, horizon or 0.0, 1e-9) * 1.05
    counts = [0] * _BINS
    for lead in leads:
        counts[min(max(int(lead / longest * _BINS), 0), _BINS - 1)] += 1
    bottom, top, step = _TOP + _HEIGHT, max(counts), _SIZE / _BINS
    parts = []
    for i in sorted({0, top // 2, top}):
        y = bottom - _HEIGHT * i / top
        parts += [line(_LEFT, y, _LEFT + _SIZE, y), label(_LEFT - 5, y + 3, str(i), "end")]
    for i, count in enumerate(counts):
        tall, x = _HEIGHT * count / top, _LEFT + _SIZE - (i + 1) * step
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{bottom - tall:.1f}" width="{step - 2:.1f}" '
            f'height="{tall:.1f}" fill="{NOW}"><title>{count}</title></rect>'
        )
    if horizon is not None:
        x = _place_of(horizon, longest)
        parts.append(line(x, _TOP, x, bottom, f'{AXIS} stroke-dasharray="3 4"'))
        parts.append(label(x, _TOP - 6, say.phrase("horizon")))
    return svg(
        _TOP + _HEIGHT + 44, say.phrase("How long before the failure the first alarm came"),
        [*parts, *_time_axis(longest, unit, say)],
    )  # fmt: skip


def life_chart(
    left: Sequence[float], probability: Sequence[float], alarm: Sequence[bool], unit: str,
    say: Writing,
) -> str:  # fmt: skip
    """Draw the probability of a failure along a life, and where an alarm was on.

    Parameters
    ----------
    left
        Time until the failure of each reading, in order; at least one.
    probability
        From 0 to 1, of each.
    alarm
        Whether an alarm was on, of each.
    unit
        Of the times.
    say
        Writes texts and numbers.
    """
    longest, bottom = max(*left, 1e-9), _TOP + _HEIGHT
    places = [_place_of(max(time, 0.0), longest) for time in left]
    parts = []
    for i in range(_TICKS + 1):
        y = bottom - _HEIGHT * i / _TICKS
        shown = say.significant(i / _TICKS, 3)
        parts += [line(_LEFT, y, _LEFT + _SIZE, y), label(_LEFT - 5, y + 3, shown, "end")]
    for i, on in enumerate(alarm):
        if on:
            end = places[i + 1] if i + 1 < len(places) else _LEFT + _SIZE
            parts.append(
                f'<rect x="{places[i]:.1f}" y="{_TOP}" width="{max(end - places[i], 0.5):.1f}" '
                f'height="{_HEIGHT}" fill="#d64545" fill-opacity="0.18"/>'
            )
    path = " ".join(
        f"{x:.1f},{bottom - _HEIGHT * min(max(value, 0.0), 1.0):.1f}"
        for x, value in zip(places, probability, strict=True)
    )
    parts.append(f'<polyline points="{path}" fill="none" stroke="{NOW}" stroke-width="1.5"/>')
    return svg(
        _TOP + _HEIGHT + 44, say.phrase("Probability of a failure along a life"),
        [*parts, *_time_axis(longest, unit, say)],
    )  # fmt: skip
