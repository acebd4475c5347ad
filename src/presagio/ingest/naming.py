"""What the outputs of an object are called: from any key, a name that every store takes."""

import re
from collections.abc import Iterator

from presagio.ingest.reading import suffix_of

# S3 takes 1,024 bytes; prefixes and endings of ours need some of them.
_LONGEST_NAME = 900
# File systems, on which some stores keep their objects, take 255 bytes between two slashes.
_LONGEST_PART = 200
_DIGEST = 12
_SAME_NAMES = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def _safe_part(part: str) -> str:
    if part in ("", ".", ".."):
        return "_"
    return _cut(_CONTROL.sub("_", part), _LONGEST_PART)


def _stem(name: str) -> str:
    """Return a name without its suffix, safe to be used as a part of a key."""
    stem = name[: -len(suffix_of(name) or "")] or "_"
    safe = "/".join(_safe_part(part) for part in stem.split("/"))
    return _cut(safe, _LONGEST_NAME).rstrip("/") or "_"


def output_names(name: str, sha256: str) -> Iterator[str]:
    """Yield names for the outputs of an object, the best first.

    Parameters
    ----------
    name
        The object's key below the incoming prefix.
    sha256
        The digest of its bytes.

    Yields
    ------
    str
        The object's own name with ``.csv`` for its suffix, where that can be had; names with the
        beginning of the digest for when another object has it, or when the own name had to be
        changed, so that two names which change into one stay apart.
    """
    stem, digest = _stem(name), sha256[:_DIGEST]
    own = name[: -len(suffix_of(name) or "")]
    if stem == own:
        yield f"{stem}.csv"
    for number in range(1, _SAME_NAMES):
        yield f"{stem}.{digest}{f'-{number}' if number > 1 else ''}.csv"
