import pytest

from presagio.errors import DataError, HeaderLimitError, UnreadableFileError
from presagio.machine.columns import match_columns, nearest_header
from presagio.machine.headers import HeaderLimits, check_header, shown
from presagio.machine.spec import MachineSpec
from tests.growth import LINEAR, growth
from tests.machine.test_columns import CONTRACT

LIMITS = HeaderLimits(columns=10, name_length=40)
UNLIMITED = HeaderLimits(columns=10**9, name_length=10**9)


def test_a_header_within_the_limits_is_taken() -> None:
    check_header(["x" * 40] * 10, LIMITS)
    check_header({"x" * 40: 1}, LIMITS)


@pytest.mark.parametrize(
    ("names", "reason", "named"),
    [
        (["x"] * 11, "too_many_columns", ["11", "10", "PRESAGIO_MAX_COLUMNS"]),
        (["x", "y" * 41], "name_too_long", ["column 2", "41", "40", "PRESAGIO_MAX_NAME_LENGTH"]),
        (["x", "y\0"], "nul_in_name", ["column 2", "'y\\x00'"]),
    ],
)
def test_a_refusal_names_the_column_and_the_limit(
    names: list[str], reason: str, named: list[str]
) -> None:
    with pytest.raises(HeaderLimitError) as refused:
        check_header(names, LIMITS)
    assert refused.value.reason == reason
    assert all(part in str(refused.value) for part in named)


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(HeaderLimitError) as refused:
        check_header(["y" * 1_000_000], LIMITS)
    assert len(str(refused.value)) < 500


def test_files_and_requests_catch_it_as_their_own_kind_of_error() -> None:
    assert issubclass(HeaderLimitError, UnreadableFileError)
    assert issubclass(HeaderLimitError, DataError)


def test_wide_exports_of_real_plants_are_taken(spec: MachineSpec) -> None:
    wide = [f"{i:04} {'sensor of the left line ' * 10}"[:256] for i in range(2000)]
    assert len(match_columns([*CONTRACT, *wide], spec).extras) == 2000


def test_a_match_enforces_the_limits(spec: MachineSpec) -> None:
    with pytest.raises(HeaderLimitError):
        match_columns(["x"] * 4097, spec)
    with pytest.raises(HeaderLimitError):
        match_columns(CONTRACT, spec, HeaderLimits(columns=6))


def test_a_listing_of_names_is_bounded() -> None:
    assert shown(["a", "b"]) == "a, b"
    assert shown(f"c{i}" for i in range(5000)).endswith("c19 and 4,980 more")
    assert len(shown(["x" * 10_000] * 5000)) < 2000


@pytest.mark.parametrize(
    "names",
    [
        [f"column {i}" for i in range(4000)],
        ["the same"] * 4000,
        [""] * 4000,
        ["torque_nm"] * 4000,
        [f"torque_nm [bar{i}]" for i in range(4000)],
    ],
    ids=["distinct", "equal", "empty", "known", "misfits"],
)
def test_time_is_linear_in_the_number_of_columns(names: list[str], spec: MachineSpec) -> None:
    def make(size: int) -> list[str]:
        return [*CONTRACT, *names[:size]]

    assert growth(make, lambda header: match_columns(header, spec, UNLIMITED), 500) < LINEAR


def test_the_search_for_the_nearest_name_is_bounded(spec: MachineSpec) -> None:
    hostile = ["muqreotn_" * 2 + str(i) for i in range(32_000)]
    assert growth(lambda n: hostile[:n], lambda h: nearest_header("torque_nm", spec, h), 4000) < 16
