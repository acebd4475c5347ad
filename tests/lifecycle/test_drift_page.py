from pathlib import Path

from presagio.lifecycle.drift_page import write_report
from presagio.lifecycle.drift_report import ColumnDrift, DriftReport, Verdict


def _column(name: str, verdict: Verdict, effective_rows: float) -> ColumnDrift:
    return ColumnDrift(
        name, "KS", 5.4, 4.1, 0.31, 0.0, effective_rows,
        (("to 40", 0.5, 0.1), ("40 to", 0.5, 0.9)), (40.0,), f"<{name}> [Nm]", verdict,
    )  # fmt: skip


def _page(folder: Path, *columns: ColumnDrift) -> str:
    return write_report(
        folder / "d.html", DriftReport(6400, 800, columns), model="svm_prod version 3",
        window="The newest 800 readings",
    ).read_text(encoding="utf-8")  # fmt: skip


def test_the_page_says_what_has_drifted_and_stands_alone(tmp_path: Path) -> None:
    page = _page(tmp_path, _column("torque", "drift", 700.0), _column("air", "no drift", 99.0))
    assert "Drift in &lt;torque&gt; [Nm]." in page
    assert "<torque>" not in page
    assert "6,400 rows that svm_prod version 3 was trained on" in page
    # Two bins of each column, then and now, and two swatches of the legend.
    assert page.count("<rect") == 10
    assert "http" not in page


def test_with_few_independent_readings_it_cannot_tell(tmp_path: Path) -> None:
    page = _page(tmp_path, _column("air", "cannot tell", 2.0), _column("speed", "no drift", 99.0))
    assert "No drift. Cannot tell for &lt;air&gt; [Nm]." in page
    assert "cannot tell: 2 independent readings" in page
    page = _page(tmp_path, _column("air", "cannot tell", 2.0))
    assert "No drift" not in page


def test_only_drift_is_red(tmp_path: Path) -> None:
    calm = _page(tmp_path, _column("air", "cannot tell", 2.0), _column("speed", "no drift", 99.0))
    assert 'class="badge alarm"' not in calm
    assert 'class="badge alarm"' in _page(tmp_path, _column("air", "drift", 2.0))
