"""Sentences: English by themselves, kept as JSON, and nothing that JSON says breaks a page."""

from typing import Any

import pytest

from presagio.errors import PresagioError, UnreadableFileError
from presagio.sentences import (
    Code,
    Count,
    English,
    Listed,
    Measured,
    Moment,
    Number,
    Points,
    Sentence,
    Share,
    either,
    in_english,
    read_sentence,
    sentence_json,
)

WHOLE = Sentence(
    "%(bad)s of %(all)s (%(kinds)s), more than %(share)s: %(cost)s, %(low)s, %(points)s, %(rise)s, "
    "%(at)s, %(why)s",
    {
        "bad": Count(1200), "all": either(["a", "b", "c"]), "share": Share(0.2),
        "kinds": Listed((Code("missing"), Sentence("line %(n)s", {"n": Number(3, 0)})), "; "),
        "cost": Number(2.5, 2), "low": Number(0.25), "points": Points(0.5),
        "rise": Measured(1.5, "K"), "at": Moment("2026-11-29T20:00:00+00:00"),
        "why": English("no TOML"),
    },
)  # fmt: skip


def test_a_sentence_is_english_by_itself() -> None:
    assert str(WHOLE) == (
        "1,200 of a or b or c (missing; line 3), more than 20%: 2.50, 0.25, +50, 1.5 K, "
        "2026-11-29T20:00:00+00:00, no TOML"
    )
    assert in_english(either(["a"])) == "a"


def test_it_comes_back_from_json_as_it_was() -> None:
    assert read_sentence(sentence_json(WHOLE)) == WHOLE


def test_postgresql_takes_its_json() -> None:
    assert sentence_json(Sentence("%(name)s", {"name": "a\0b"}))["values"] == {"name": "a\ufffdb"}
    kept = sentence_json(Sentence("%(why)s", {"why": English("a\0b")}))["values"]
    assert kept == {"why": {"kind": "english", "words": "a\ufffdb"}}


@pytest.mark.parametrize(
    "found",
    [
        None, 7, "text", [], {}, {"text": 7, "values": {}}, {"text": "%(gap)s", "values": {}},
        {"text": "%(gap)999999999s", "values": {"gap": "x"}},
        {"text": "%s", "values": {}}, {"text": "100 %", "values": {}},
        {"text": "%(n)s", "values": {"n": {"kind": "count", "number": "many"}}},
        {"text": "%(n)s", "values": {"n": {"kind": "number", "value": 1, "decimals": 10**9}}},
        {"text": "%(n)s", "values": {"n": {"kind": "unheard of"}}},
        {"text": "%(n)s", "values": {"n": {"kind": "count", "number": 1, "more": 2}}},
    ],
)  # fmt: skip
def test_what_is_none_is_none(found: Any) -> None:
    assert read_sentence(found) is None


def test_an_error_has_its_sentence_and_says_its_english() -> None:
    err = UnreadableFileError("empty", WHOLE)
    assert (err.reason, str(err), err.sentence) == ("empty", str(WHOLE), WHOLE)
    assert PresagioError("text").sentence is None
