from pathlib import Path

from presagio.monitoring.drift import ColumnDrift, DriftReport
from presagio.monitoring.report import write_report


def test_the_page_says_what_has_drifted_and_stands_alone(tmp_path: Path) -> None:
    column = ColumnDrift(
        "<torque>", "KS", 0.5, 0.1, 1e-9, 0.0, 700.0, (("to 40", 0.5, 0.1), ("40 to", 0.5, 0.9)),
        drifted=True,
    )  # fmt: skip
    report = DriftReport(6400, 800, (column,))
    page = write_report(
        tmp_path / "d.html", report, model="svm_prod version 3", window="The newest 800 readings"
    ).read_text(encoding="utf-8")
    assert "Drift in &lt;torque&gt;." in page
    assert "<torque>" not in page
    assert "6400 rows that svm_prod version 3 was trained on" in page
    assert page.count("<rect") == 4
    assert "http" not in page
