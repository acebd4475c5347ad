"""A report on drift as a page: the verdict, column by column, and how readings are spread now."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from presagio.lifecycle.drift_report import ColumnDrift, DriftReport
from presagio.pages.charts import NOW, THEN, share_bars
from presagio.pages.elements import Badge, Cell, Number, badge, page, section, swatch, table, text
from presagio.pages.writing import ENGLISH, Writing, mark

_PSI, _USUAL, _P_VALUE = "PSI", mark("Normal maximum"), mark("p-value")
_OUTSIDE, _WORTH = mark("Outside training range"), mark("Effective sample size")
_TITLES = (
    mark("Column"), mark("Verdict"), _PSI, _USUAL, mark("Test"), _P_VALUE, _OUTSIDE, _WORTH,
)  # fmt: skip
_TERMS = {
    _PSI: mark(
        "population stability index: how differently readings are spread over ten equal parts of "
        "the training data, or over categories"
    ),
    _USUAL: mark("the highest PSI of any stretch of the training data of the same length"),
    _P_VALUE: mark(
        "probability that so large a difference is chance, by the effective sample size"
    ),
    _OUTSIDE: mark("readings beyond all training data by a standard deviation"),
    _WORTH: mark(
        "how many independent readings these are worth: readings that follow each other closely, "
        "such as an hour of temperatures, are worth few"
    ),
    mark("Cannot tell"): mark(
        "too few independent readings, or a difference that may be chance; more readings over a "
        "longer time decide it"
    ),
}
_VERDICTS = {"drift": mark("drift"), "no drift": mark("no drift")}
_TESTS = {"KS": "KS", "chi-square": mark("chi-square")}
_SMALLEST_P = 1e-4


def verdict(column: ColumnDrift, say: Writing = ENGLISH) -> str:
    """Return the verdict on a column in words, with its reason where it is none."""
    if not column.undecided:
        return say.phrase(_VERDICTS[column.verdict])
    count = say.fixed(column.effective_rows, 0)
    return say.phrase("cannot tell: %(count)s independent readings", count=count)


def _badge(column: ColumnDrift, say: Writing) -> Badge:
    kind = {"drift": "alarm", "cannot tell": "doubt", "no drift": ""}[column.verdict]
    return Badge(verdict(column, say), kind)


def _row(column: ColumnDrift, say: Writing) -> tuple[Cell, ...]:
    small = f"< {say.significant(_SMALLEST_P, 1)}"
    return (
        column.title or column.name, _badge(column, say), Number(say.fixed(column.psi, 2)),
        Number(say.fixed(column.usual_psi, 2)), say.phrase(_TESTS[column.test]),
        Number(small if column.p_value < _SMALLEST_P else say.significant(column.p_value, 2)),
        Number(say.percent(column.outside)), Number(say.fixed(column.effective_rows, 0)),
    )  # fmt: skip


def _named(column: ColumnDrift, say: Writing) -> ColumnDrift:
    """Return a column whose bins of numbers are named in the reader's language."""
    if len(column.shares) != len(column.edges) + 1 or not column.edges:
        return column
    ends = ["", *(say.significant(edge, 4) for edge in column.edges), ""]
    names = [say.phrase("%(low)s to %(high)s", low=a, high=b).strip() for a, b in pairwise(ends)]
    shares = [(name, *found[1:]) for name, found in zip(names, column.shares, strict=True)]
    return replace(column, shares=tuple(shares))


def _chart(column: ColumnDrift, say: Writing) -> str:
    name, named = column.title or column.name, _named(column, say)
    return (
        f"<figure><h3>{text(name)} {badge(_badge(column, say))}</h3>"
        f"{share_bars(name, named.shares, named.edges, say)}</figure>"
    )


def summary(report: DriftReport, say: Writing = ENGLISH) -> str:
    """Return the verdict on all columns in words."""
    titles = {column.name: column.title or column.name for column in report.columns}

    def listed(names: tuple[str, ...]) -> str:
        return ", ".join(titles[name] for name in names)

    parts = []
    if report.drifted:
        parts.append(say.phrase("Drift in %(columns)s.", columns=listed(report.drifted)))
    elif len(report.undecided) < len(report.columns):
        parts.append(say.phrase("No drift."))
    if report.undecided:
        parts.append(say.phrase("Cannot tell for %(columns)s.", columns=listed(report.undecided)))
    return " ".join(parts)


def drift_body(
    report: DriftReport, *, model: str, window: str, say: Writing = ENGLISH
) -> str:  # fmt: skip
    """Return what a report says, as HTML without a frame.

    Parameters
    ----------
    report
        What was found; titles of columns are shown as they are.
    model
        The model's name and version, in words.
    window
        Which readings were looked at, in words.
    say
        Writes texts and numbers.
    """
    terms = "".join(
        f"<li><strong>{text(say.phrase(t))}</strong>: {text(say.phrase(about))}.</li>"
        for t, about in _TERMS.items()
    )
    compared = say.phrase(
        "%(window)s, compared with %(rows)s rows that %(model)s was trained on.",
        window=window, rows=say.fixed(report.reference_rows, 0), model=model,
    )  # fmt: skip
    about = say.phrase("Share of rows in each bin:")
    legend = (
        f"{text(about)} {swatch(THEN)} "
        f"{text(say.phrase('training data'))}, {swatch(NOW)} {text(say.phrase('now'))}."
    )
    charts = "".join(_chart(column, say) for column in report.columns)
    rows = [_row(column, say) for column in report.columns]
    return (
        f'<p class="lead"><strong>{text(summary(report, say))}</strong></p><p>{text(compared)}</p>'
        f"{table(say.phrases(_TITLES), rows)}"
        + section(
            say.phrase("How the readings are spread"),
            f'<p class="legend">{legend}</p><div class="charts">{charts}</div>',
        )
        + section(say.phrase("Terms"), f"<ul>{terms}</ul>")
    )


def write_report(path: Path, report: DriftReport, *, model: str, window: str) -> Path:
    """Write a report as a page that stands alone.

    Parameters
    ----------
    path
        The file to write.
    report
        What was found.
    model, window
        As of :func:`drift_body`.
    """
    path.write_text(
        page(f"Drift: {model}", drift_body(report, model=model, window=window)), encoding="utf-8"
    )
    return path
