"""A report on drift as a page: the verdict, column by column, and how readings are spread now."""

from pathlib import Path

from presagio.lifecycle.drift_report import ColumnDrift, DriftReport
from presagio.pages.charts import NOW, THEN, share_bars
from presagio.pages.elements import Badge, Cell, Number, badge, page, table, text

_TITLES = (
    "Column", "Verdict", "PSI", "Normal maximum", "Test", "p-value", "Outside training range",
    "Effective sample size",
)  # fmt: skip
_TERMS = {
    "PSI": "population stability index: how differently readings are spread over ten equal parts "
    "of the training data, or over categories",
    "Normal maximum": "the highest PSI of any stretch of the training data of the same length",
    "p-value": "probability that so large a difference is chance, by the effective sample size",
    "Outside training range": "readings beyond all training data by a standard deviation",
    "Effective sample size": "how many independent readings these are worth: readings that follow "
    "each other closely, such as an hour of temperatures, are worth few",
    "Cannot tell": "too few independent readings, or a difference that may be chance; more "
    "readings over a longer time decide it",
}


def _verdict(column: ColumnDrift) -> Badge:
    kind = {"drift": "alarm", "cannot tell": "doubt", "no drift": ""}[column.verdict]
    return Badge(column.in_words, kind)


def _row(column: ColumnDrift) -> tuple[Cell, ...]:
    return (
        column.title or column.name, _verdict(column), Number(f"{column.psi:.2f}"),
        Number(f"{column.usual_psi:.2f}"), column.test,
        Number("< 0.0001" if column.p_value < 1e-4 else f"{column.p_value:.2g}"),  # noqa: PLR2004
        Number(f"{column.outside:.1%}"), Number(f"{column.effective_rows:,.0f}"),
    )  # fmt: skip


def _chart(column: ColumnDrift) -> str:
    name = column.title or column.name
    return (
        f"<figure><h3>{text(name)} {badge(_verdict(column))}</h3>"
        f"{share_bars(name, column.shares, column.edges)}</figure>"
    )


def _lead(report: DriftReport) -> str:
    titles = {column.name: column.title or column.name for column in report.columns}
    parts = []
    if report.drifted:
        parts.append(f"Drift in {', '.join(titles[name] for name in report.drifted)}.")
    elif len(report.undecided) < len(report.columns):
        parts.append("No drift.")
    if report.undecided:
        parts.append(f"Cannot tell for {', '.join(titles[name] for name in report.undecided)}.")
    return " ".join(parts)


def write_report(path: Path, report: DriftReport, *, model: str, window: str) -> Path:
    """Write a report as a page that stands alone.

    Parameters
    ----------
    path
        The file to write.
    report
        What was found.
    model
        The model's name and version, in words.
    window
        Which readings were looked at, in words.
    """
    terms = "".join(
        f"<li><strong>{text(t)}</strong>: {text(about)}.</li>" for t, about in _TERMS.items()
    )
    square = '<span style="color:{}">■</span>'
    body = (
        f'<p class="lead"><strong>{text(_lead(report))}</strong></p>'
        f"<p>{text(window)}, compared with {report.reference_rows:,} rows that {text(model)} was "
        "trained on.</p>"
        f"{table(_TITLES, [_row(column) for column in report.columns])}"
        "<h2>How the readings are spread</h2>"
        f'<p class="note">Share of rows in each bin: {square.format(THEN)} training data, '
        f"{square.format(NOW)} now.</p>"
        f'<div class="charts">{"".join(map(_chart, report.columns))}</div>'
        f"<h2>Terms</h2><ul>{terms}</ul>"
    )
    path.write_text(page(f"Drift: {model}", body), encoding="utf-8")
    return path
