"""What the header of a table may be: how many columns, and how long a name."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from presagio.errors import HeaderLimitError
from presagio.sentences import Count, Sentence, Value, in_english

_SHOWN_CHARACTERS = 80
_SHOWN_NAMES = 20


@dataclass(frozen=True)
class HeaderLimits:
    """What a header may be, at every door.

    Attributes
    ----------
    columns
        How many columns it may have.
    name_length
        How many characters the name of one may have.
    """

    columns: int = 4096
    name_length: int = 512


def shown(names: Iterable[str]) -> str:
    """Join names for a message of bounded length; it says how many more there are."""
    return in_english(bounded(names))


def bounded(names: Iterable[str]) -> Value:
    """Return names as of :func:`shown` for a sentence."""
    listed = list(names)
    cut = [
        name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"
        for name in listed[:_SHOWN_NAMES]
    ]
    more = len(listed) - len(cut)
    joined = ", ".join(cut)
    if not more:
        return joined
    return Sentence("%(names)s and %(count)s more", {"names": joined, "count": Count(more)})


def check_header(names: Collection[str], limits: HeaderLimits) -> None:
    """Refuse a header with too many columns or too long a name; takes linear time.

    Call it before anything else is done with names from outside.

    Parameters
    ----------
    names
        The column names, or the keys of a JSON object.
    limits
        What a header may be.

    Raises
    ------
    HeaderLimitError
        ``too_many_columns`` or ``name_too_long``, whose message names the limit and its setting; or
        ``nul_in_name``, which no receipt could keep.
    """
    if len(names) > limits.columns:
        raise HeaderLimitError(
            "too_many_columns",
            Sentence(
                "there are %(count)s columns, and at most %(most)s are taken; send fewer, or raise "
                "PRESAGIO_MAX_COLUMNS",
                {"count": Count(len(names)), "most": Count(limits.columns)},
            ),
        )
    for position, name in enumerate(names, start=1):
        if len(name) > limits.name_length:
            raise HeaderLimitError(
                "name_too_long",
                Sentence(
                    "the name of column %(position)s has %(length)s characters (%(name)s…), and at "
                    "most %(most)s are taken; shorten it, or raise PRESAGIO_MAX_NAME_LENGTH",
                    {
                        "position": Count(position), "length": Count(len(name)),
                        "name": repr(name[:_SHOWN_CHARACTERS]), "most": Count(limits.name_length),
                    },
                ),
            )  # fmt: skip
        if "\0" in name:
            raise HeaderLimitError(
                "nul_in_name",
                Sentence(
                    "the name of column %(position)s (%(name)s) has a NUL character; give it "
                    "another name",
                    {"position": Count(position), "name": repr(name[:_SHOWN_CHARACTERS])},
                ),
            )
