"""Charts have axes, ticks and titles, and stay within their frame."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.pages.charts import NOW, curve, share_bars

SHARES = [("to 40", 0.5, 0.1), ("40 to 50", 0.3, 0.2), ("50 to", 0.2, 0.7)]
share = st.floats(0.0, 1.0)


def _texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]  # noqa: S314 - ours


def test_bars_of_numbers_have_ticks_in_percent_and_edges() -> None:
    texts = _texts(share_bars("Torque [Nm]", SHARES, [40.0, 50.0]))
    assert texts == ["0%", "20%", "40%", "60%", "80%", "40", "50", "Torque [Nm]"]


def test_bars_of_categories_are_named() -> None:
    texts = _texts(share_bars("Type", [("L", 0.6, 0.6), ("M", 0.4, 0.4)], []))
    assert texts[-3:] == ["L", "M", "Type"]


def test_each_bar_says_its_share_and_none_is_red() -> None:
    svg = share_bars("<torque>", SHARES, [40.0, 50.0])
    assert svg.count("<rect") == 6
    assert "to 40: 50.0% (training data)" in svg
    assert "50 to: 70.0% (now)" in svg
    assert "<torque>" not in svg
    red = int(NOW[1:3], 16)
    assert red < int(NOW[5:7], 16)


def test_a_curve_has_both_axes_and_the_threshold() -> None:
    svg = curve([(0.0, 1.0), (1.0, 0.0)], x_title="Recall", y_title="Precision", mark=(0.5, 0.5))
    texts = _texts(svg)
    assert texts.count("0.5") == 2
    assert texts[-2:] == ["Recall", "Precision"]
    assert svg.count("<circle") == 1


@given(st.lists(st.tuples(st.just("bin"), share, share), min_size=1, max_size=12), st.booleans())
def test_bars_stay_within_their_frame(
    shares: list[tuple[str, float, float]], numbers: bool
) -> None:
    edges = [1e6 + i for i in range(len(shares) - 1)] if numbers else []
    svg = ET.fromstring(share_bars("x", shares, edges))  # noqa: S314 - ours
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    for bar in svg.iter("rect"):
        x, y, wide, tall = (float(bar.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert tall >= 0
        assert x + wide <= width + 0.1
        assert y + tall <= height


@pytest.mark.parametrize("value", [-1.0, 2.0])
def test_a_point_outside_of_the_square_is_drawn_at_its_edge(value: float) -> None:
    svg = curve([(value, value)], x_title="x", y_title="y")
    (path,) = re.findall(r'points="([^"]+)"', svg)
    x, y = map(float, path.split(","))
    assert 0 <= x <= 360
    assert 0 <= y <= 322
