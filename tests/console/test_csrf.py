import pytest
from starlette.requests import Request

from presagio.console.csrf import comes_from_here, is_token_of, token_of


def _request(**headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": pairs})


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "same-origin", "origin": "http://console:8050", "host": "console:8050"},
        # Over plain HTTP, browsers say the origin alone.
        {"origin": "http://console:8050", "host": "console:8050"},
        # TLS ends before this program.
        {"origin": "https://Console", "host": "console"},
    ],
)
def test_forms_of_this_console_are_taken(headers: dict[str, str]) -> None:
    assert comes_from_here(_request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "console"},
        {"origin": "null", "host": "console"},
        {"origin": "", "host": ""},
        {"origin": "http://evil.test", "host": "console"},
        # Another port of the same machine, and another name of the same site.
        {"origin": "http://console:8000", "host": "console:8050"},
        {"sec_fetch_site": "same-site", "origin": "http://console", "host": "console"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin", "origin": "http://evil.test", "host": "console"},
    ],
)
def test_forms_of_others_are_not(headers: dict[str, str]) -> None:
    assert not comes_from_here(_request(**headers))


def test_a_token_is_of_one_secret_alone() -> None:
    assert is_token_of("a secret", token_of("a secret"))
    assert not is_token_of("another", token_of("a secret"))
    assert not is_token_of("a secret", "")
    assert not is_token_of("a secret", "é")
    assert "a secret" not in token_of("a secret")
