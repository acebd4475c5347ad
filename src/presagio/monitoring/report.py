"""A report on drift as a page: what has drifted, and how each column is spread now and then."""

import html
from pathlib import Path

from presagio.monitoring.drift import ColumnDrift, DriftReport
from presagio.pages import page, table

_WIDTH, _HEIGHT = 480, 120
_THEN, _NOW = "#9aa5b1", "#c0392b"


def _bars(column: ColumnDrift) -> str:
    """Draw the share of each bin, in the training data and in the window."""
    highest = max(max(then, now) for _, then, now in column.shares) or 1.0
    step = _WIDTH / len(column.shares)
    drawn = []
    for i, (label, then, now) in enumerate(column.shares):
        for place, share, colour in ((0.1, then, _THEN), (0.5, now, _NOW)):
            height = _HEIGHT * share / highest
            drawn.append(
                f'<rect x="{(i + place) * step:.1f}" y="{_HEIGHT - height:.1f}" '
                f'width="{0.4 * step:.1f}" height="{height:.1f}" fill="{colour}">'
                f"<title>{html.escape(label)}: {share:.1%}</title></rect>"
            )
    return (
        f'<svg role="img" aria-label="shares of {html.escape(column.name)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}">{"".join(drawn)}</svg>'
    )


def _figures(column: ColumnDrift) -> dict[str, object]:
    return {
        "drifted": "yes" if column.drifted else "no",
        "test": column.test,
        "PSI": column.psi,
        "usual at most": column.usual_psi,
        "p": column.p_value,
        "beyond": column.outside,
        "worth rows": column.effective_rows,
    }


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
    said = f"drift in {', '.join(report.drifted)}" if report.drifted else "no drift"
    charts = "".join(
        f"<h2>{html.escape(column.name)}</h2>{_bars(column)}" for column in report.columns
    )
    body = (
        f"<p><strong>{html.escape(said.capitalize())}.</strong> {html.escape(window)}, held "
        f"against {report.reference_rows} rows that {html.escape(model)} was trained on.</p>"
        + table({column.name: _figures(column) for column in report.columns})
        + "<p>Bars: share of rows in each tenth of the training data or each category; "
        f'<span style="color:{_THEN}">grey: training data</span>, '
        f'<span style="color:{_NOW}">red: these readings</span>.</p>' + charts
    )
    path.write_text(page(f"Drift: {model}", body), encoding="utf-8")
    return path
