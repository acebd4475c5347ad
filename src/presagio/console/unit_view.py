"""The charts of a unit, as a page shows them: its readings with limits, and what was said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from presagio.console.catalogue import mark
from presagio.console.presentation import Presentation
from presagio.console.series_view import ChartView, Column, Line, Mark, Times, drawing
from presagio.inference.diagnosis_words import title_of
from presagio.jobs.downsampling import Drawn
from presagio.jobs.unit_charts import Chart, Charts, LimitLine
from presagio.jobs.unit_history import UnitHistory
from presagio.machine.shown_units import ShownUnits
from presagio.machine.spec import MachineSpec
from presagio.machine.titles import title_in

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnitCharts:
    """Makes the charts of a unit for a visitor.

    Attributes
    ----------
    show
        Writes numbers, times and readings.
    spec
        The machine spec; of units and times.
    times
        How its times are written.
    marks
        Failures, repairs and alarms, which all charts have.
    """

    show: Presentation
    spec: MachineSpec
    times: Times
    marks: Sequence[Mark]

    def _text(self, message: str, **values: object) -> str:
        found = self.show.catalogue.gettext(message)
        return found % values if values else found

    @cached_property
    def _units(self) -> ShownUnits:
        return self.show.units_of(self.spec)

    def of_readings(self, history: UnitHistory, *, limited: bool) -> list[ChartView]:
        """Return the charts with an operating limit on them, or the others."""
        both = zip(history.charts.charts, history.tables.charts, strict=True)
        return [
            self._of_feature(chart, history.charts, table, history.tables)
            for chart, table in both if bool(chart.limits) is limited
        ]  # fmt: skip

    def _of_feature(self, chart: Chart, charts: Charts, table: Chart, few: Charts) -> ChartView:
        unit = self._units.of(chart.name)
        shown, title = unit.reading, title_of(self.spec, self.show.catalogue.language)(chart.name)
        lines = self._band(shown(chart.low), shown(chart.high), charts.drawn)
        lines += [Line(self._limit(line), shown(line.values), "limit") for line in chart.limits]
        title = f"{title} [{unit.symbol}]" if unit.symbol else title
        columns = [self._when(few.drawn)]
        columns += self._numbers(shown(table.low), shown(table.high), few.drawn)
        columns += [
            Column(self._limit(line), self._cells(shown(line.values))) for line in table.limits
        ]
        return ChartView(
            title, drawing(self.times, charts.drawn.times, lines, self.marks),
            tuple(self._notes(chart)), tuple(columns),
        )  # fmt: skip

    def _band(self, low: Floats, high: Floats, drawn: Drawn) -> list[Line]:
        if drawn.bucket is None:
            return [Line(self._text(mark("Reading")), high)]
        return [
            Line(self._text(mark("Lowest")), low, "low"),
            Line(self._text(mark("Highest")), high, "high"),
        ]

    def _numbers(self, low: Floats, high: Floats, drawn: Drawn) -> list[Column]:
        if drawn.bucket is None:
            return [Column(self._text(mark("Reading")), self._cells(high))]
        return [
            Column(self._text(mark("Lowest")), self._cells(low)),
            Column(self._text(mark("Highest")), self._cells(high)),
        ]

    def _cells(self, values: Floats) -> list[str]:
        return [self.show.significant(value, 4) for value in values.tolist()]

    def _when(self, drawn: Drawn) -> Column:
        column = self.times.column
        return Column(
            title_in(column.title or column.name, self.show.catalogue.language),
            [self.times.written(time) for time in drawn.times.tolist()],
        )

    def _limit(self, line: LimitLine) -> str:
        mode = title_of(self.spec, self.show.catalogue.language)(line.mode)
        if line.side == "below":
            return self._text(mark("Lower limit (%(mode)s)"), mode=mode)
        return self._text(mark("Upper limit (%(mode)s)"), mode=mode)

    def _notes(self, chart: Chart) -> list[str]:
        titles, found = title_of(self.spec, self.show.catalogue.language), []
        if chart.of:
            parts = ", ".join(map(titles, chart.of))
            found.append(self._text(mark("Computed from: %(parts)s."), parts=parts))
        for line in chart.limits:
            if line.together:
                others = ", ".join(map(titles, line.together))
                found.append(self._text(
                    mark("%(limit)s counts only together with that of: %(others)s."),
                    limit=self._limit(line), others=others,
                ))  # fmt: skip
        return found

    def of_probability(self, history: UnitHistory) -> ChartView | None:
        """Return the probability over time; None where no reading was scored."""
        drawn, few, scores = history.scores_drawn, history.scores_table, history.scores
        if drawn is None or few is None:
            return None

        def share(found: Drawn, name: str) -> tuple[Floats, Floats]:
            return 100.0 * found.low[name], 100.0 * found.high[name]

        says, alarm = self._text(mark("Failure expected")), few.high["alarm"]
        lines = self._band(*share(drawn, "probability"), drawn)
        lines.append(Line(says, share(drawn, "alarm")[1], "points"))
        columns = [self._when(few), *self._numbers(*share(few, "probability"), few)]
        yes = self._text(mark("yes"))
        columns.append(Column(says, ["" if gap else yes for gap in np.isnan(alarm).tolist()]))
        notes: tuple[str, ...] = ()
        if scores.threshold is not None:
            level = np.full(len(drawn.times), 100.0 * scores.threshold)
            lines.append(Line(self._text(mark("Alarm from here on")), level, "limit"))
            notes = (self._text(
                mark("Version %(version)s says so from about %(share)s on."),
                version=scores.version, share=self.show.percent(scores.threshold),
            ),)  # fmt: skip
        title = self._text(mark("Probability of a failure"))
        data = drawing(self.times, drawn.times, lines, self.marks, (0.0, 100.0))
        return ChartView(f"{title} [%]", data, notes, tuple(columns))

    def of_remaining(self, history: UnitHistory) -> ChartView | None:
        """Return how long the unit had left over time; None of a model that does not say it."""
        drawn, few = history.scores_drawn, history.scores_table
        if drawn is None or few is None or np.isnan(drawn.low["remaining_life"]).all():
            return None
        low, best, high = (self._text(text) for text in (
            mark("At least"), mark("Most likely"), mark("At most"),
        ))  # fmt: skip
        # Where the upper end is not told apart, the interval has none.
        lines = [
            Line(low, drawn.low["remaining_low"], "low"),
            Line(high, drawn.high["remaining_high"], "high"),
            Line(best, drawn.low["remaining_life"]),
        ]
        columns = (
            self._when(few), Column(low, self._cells(few.low["remaining_low"])),
            Column(best, self._cells(few.low["remaining_life"])),
            Column(high, self._cells(few.high["remaining_high"])),
        )  # fmt: skip
        title = self._text(mark("Time left [%(unit)s]"), unit=self.times.day)
        data = drawing(self.times, drawn.times, lines, self.marks)
        return ChartView(title, data, (), columns)
