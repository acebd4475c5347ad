"""What a browser sends with a request: bounded before it is read, text as PostgreSQL takes it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from presagio.console.problems import RefusedError
from presagio.sentences import Count, Sentence

_URLENCODED, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_MOST_FIELDS, _MOST_FILES = 200, 100
_FIELD_BYTES = 64 << 10


@dataclass(frozen=True)
class Form:
    """Fields of a form, by name; ``files`` where it may have some, each to be read once."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[UploadFile, ...] = ()

    def text(self, name: str) -> str:
        """Return a field's text without blanks around it; empty where it is not there."""
        return self.fields.get(name, "").strip()


def _bad(why: str | Sentence) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, why)


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Sentence("at most %(most)s bytes are taken at once", {"most": Count(most)}),
    )


async def _parts(request: Request, most: int) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise _too_large(most)
    got = 0
    try:
        async for part in request.stream():
            got += len(part)
            if got > most:
                raise _too_large(most)
            yield part
    except ClientDisconnect as err:
        raise _bad(Sentence("the browser has gone")) from err


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_utf8(request: Request) -> bool:
    """Tell whether texts of a form are UTF-8, which browsers name nowhere.

    Of the encodings that could be named some make lone surrogates, and some take a minute.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    return options.get(b"charset", b"utf-8").lower() in {b"utf-8", b"utf8"}


def _checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if any("\0" in text for pair in pairs for text in pair):
        raise _bad(Sentence("a field has a NUL in it"))
    return dict(pairs)


async def read_form(request: Request, most: int) -> Form:
    """Read a form without files.

    Raises
    ------
    RefusedError
        If it is larger than ``most`` bytes, or no such form.
    """
    if _kind(request) != _URLENCODED:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Sentence("only a form is taken here"))
    raw = bytearray()
    async for part in _parts(request, most):
        raw += part
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as err:
        raise _bad(Sentence("the form cannot be read")) from err
    return Form(_checked(pairs))


async def read_files(request: Request, most: int) -> Form:
    """Read a form with files, which go to temporary files; whoever reads it closes them.

    Raises
    ------
    RefusedError
        If it is larger than ``most`` bytes, or no such form.
    """
    if _kind(request) != _MULTIPART or not _is_utf8(request):
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Sentence("only a form with files is taken")
        )
    parser = MultiPartParser(
        request.headers, _parts(request, most), max_files=_MOST_FILES,  # type: ignore[arg-type]
        max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES,
    )  # fmt: skip
    try:
        read = await parser.parse()
    except MultiPartException as err:
        raise _bad(str(err)) from err
    pairs = [(name, value) for name, value in read.multi_items() if isinstance(value, str)]
    # Several may be of one name.
    files = tuple(value for _, value in read.multi_items() if isinstance(value, UploadFile))
    return Form(_checked(pairs), files)
