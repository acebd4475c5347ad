"""A browser without scripts: it keeps cookies, follows redirects, and sends the forms of pages."""

from html.parser import HTMLParser
from typing import Any, Self

import httpx

PASSWORD = "a password for tests"


class _Forms(HTMLParser):
    """Collects the forms of a page: address, and the fields with the values that they have."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append((given.get("action") or "", {}))
        elif tag == "input" and self.forms and given.get("name"):
            self.forms[-1][1][str(given["name"])] = given.get("value") or ""


def forms_of(page: httpx.Response) -> list[tuple[str, dict[str, str]]]:
    read = _Forms()
    read.feed(page.text)
    return read.forms


class Browser:
    """One visitor of the console at an address."""

    def __init__(self, origin: str) -> None:
        self.client = httpx.Client(
            base_url=origin, headers={"Origin": origin}, follow_redirects=True, timeout=30.0
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close()

    def get(self, address: str, **headers: str) -> httpx.Response:
        return self.client.get(address, headers=headers)

    def post(self, address: str, fields: dict[str, Any], **headers: str) -> httpx.Response:
        """Send fields as they are: without a token where none is among them."""
        return self.client.post(address, data=fields, headers=headers)

    def submit(self, page: httpx.Response, action: str, **filled: Any) -> httpx.Response:
        """Send the form of a page that goes to an address, with fields filled in."""
        fields = next(fields for address, fields in forms_of(page) if address == action)
        return self.post(action, {**fields, **filled})

    def sign_in(
        self, name: str, password: str = PASSWORD, back: str = "/sign-in"
    ) -> httpx.Response:
        return self.submit(self.get(back), "/sign-in", name=name, password=password)

    def be(self, name: str) -> None:
        """Sign one of the people in, however busy the machine is.

        It may take longer for a password than the console waits.
        """
        page = self.sign_in(name)
        for _ in range(3):
            page = (
                page if page.status_code != httpx.codes.SERVICE_UNAVAILABLE else self.sign_in(name)
            )
        assert page.status_code == httpx.codes.OK, page.text
