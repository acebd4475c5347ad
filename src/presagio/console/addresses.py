"""Addresses of pages: names of units become parts of them, and come back unchanged."""

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

from presagio.errors import NotFoundError
from presagio.registry.links import model_page, run_page
from presagio.registry.versions import ListedVersion
from presagio.sentences import Sentence

_LONGEST = 2048
# So many of a number of 64 bits.
_MOST_DIGITS = 18


def _written(name: str) -> str:
    # A browser takes "." and ".." for folders, also where they are escaped, and an empty part is
    # easily lost: each gets a mark, and so does what begins with it.
    marked = f"~{name}" if name in {"", ".", ".."} or name.startswith("~") else name
    return quote(marked, safe="")


def address(*parts: str, **query: object) -> str:
    """Return the address of a page.

    Parameters
    ----------
    *parts
        Parts of its path, of any text: ``address("units", fleet, unit)``.
    **query
        Fields after the question mark; those that are None or empty are left out.
    """
    path = "/" + "/".join(_written(part) for part in parts)
    fields = {name: value for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(fields)}" if fields else path


def read_part(raw: str) -> str:
    """Return the text that a part of a path was written from.

    Raises
    ------
    NotFoundError
        If it is no text that anything can be called.
    """
    try:
        text = unquote(raw, errors="strict")
    except UnicodeDecodeError as err:
        raise NotFoundError(Sentence("the address is no text")) from err
    if "\0" in text:
        raise NotFoundError(Sentence("nothing has a name with a NUL in it"))
    return text.removeprefix("~")


def read_number(raw: str) -> int | None:
    """Return the number that a part or field of an address is; None where it is none.

    It is one that PostgreSQL takes for the number of a row.
    """
    is_number = raw.isascii() and raw.isdigit() and len(raw) <= _MOST_DIGITS
    return int(raw) if is_number else None


def own_address(raw: str | None) -> str:
    """Return an address to go back to: a path of this console, the first page for all else."""
    text = raw or "/"
    split = urlsplit(text)
    is_path = text.startswith("/") and not text.startswith(("//", "/\\"))
    plain = text.isprintable() and "\\" not in text and len(text) <= _LONGEST
    return text if is_path and plain and not split.scheme and not split.netloc else "/"


@dataclass(frozen=True)
class MlflowPages:
    """Addresses of MLflow's pages; none where it is not known how browsers reach it.

    Attributes
    ----------
    url
        Where browsers reach MLflow.
    name
        Of the registered model.
    """

    url: str
    name: str

    def model(self) -> str:
        """Return the page of the registered model."""
        return model_page(self.name, url=self.url) if self.url else ""

    def version(self, number: str) -> str:
        """Return the page of a version."""
        return model_page(self.name, number, url=self.url) if self.url else ""

    def run(self, listed: ListedVersion | None) -> str:
        """Return the page of the run that made a version."""
        if not self.url or listed is None or not listed.experiment:
            return ""
        return run_page(listed.experiment, listed.version.run_id, url=self.url)
