import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.console.addresses import address, own_address, read_part
from presagio.errors import NotFoundError


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_name_comes_back_from_an_address(name: str) -> None:
    root, units, part = address("units", name).split("/")
    assert (root, units) == ("", "units")
    assert read_part(part) == name
    # Neither empty nor a folder to a browser, nor anything that ends a path.
    assert part not in {"", ".", ".."}
    assert not set(part) & set("?#&\"'<> \\")


def test_fields_without_a_value_are_left_out() -> None:
    assert address(state="alarm", fleet="", search=None) == "/?state=alarm"
    assert address("shift", "units", search="a&b=c") == "/shift/units?search=a%26b%3Dc"


@pytest.mark.parametrize("raw", ["%ff", "%00", "a%00b"])
def test_what_is_no_text_is_nothings_name(raw: str) -> None:
    with pytest.raises(NotFoundError):
        read_part(raw)


@pytest.mark.parametrize(
    "elsewhere",
    [
        None, "", "https://example.org/", "//example.org", "/\\example.org", "\\/example.org",
        "javascript:alert(1)", "/a\nb", "/a\r\nSet-Cookie: b", "/" + "a" * 5000, "units",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(elsewhere: str | None) -> None:
    assert own_address(elsewhere) == "/"


@pytest.mark.parametrize("here", ["/", "/alarms?open=1", "/units/f/a%2Fb", "/sign-in"])
def test_pages_of_the_console_are_gone_back_to(here: str) -> None:
    assert own_address(here) == here
