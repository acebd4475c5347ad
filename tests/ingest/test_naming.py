from hypothesis import given
from hypothesis import strategies as st

from presagio.ingest.naming import output_names

SHA = "ab12" * 16
_NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def test_the_own_name_comes_first_then_names_with_the_digest() -> None:
    names = output_names("line 1/readings.csv", SHA)
    assert [next(names) for _ in range(3)] == [
        "line 1/readings.csv", "line 1/readings.ab12ab12ab12.csv",
        "line 1/readings.ab12ab12ab12-2.csv",
    ]  # fmt: skip


def test_every_kind_of_file_comes_out_as_csv() -> None:
    for name in ("a.csv.gz", "a.csv.zst", "a.parquet", "a.CSV"):
        assert next(output_names(name, SHA)) == "a.csv"


def test_a_name_that_had_to_be_changed_has_the_digest() -> None:
    assert next(output_names("../../etc/x.csv", SHA)) == "_/_/etc/x.ab12ab12ab12.csv"
    assert next(output_names("a\nb.csv", SHA)) == "a_b.ab12ab12ab12.csv"
    assert next(output_names("a//b.csv", SHA)) == "a/_/b.ab12ab12ab12.csv"


@given(_NAME, st.integers(1, 40), st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_any_key_has_a_name_that_stores_take(part: str, times: int, suffix: str) -> None:
    name = "/".join([part] * times) + suffix
    for _, output in zip(range(3), output_names(name, SHA), strict=False):
        key = f"quarantine/{output}.reason.json"
        assert len(key.encode()) <= 1024
        assert output.endswith(".csv")
        parts = key.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert all(len(p.encode()) <= 255 for p in parts)
        assert not any(ord(c) < 32 for c in key)


@given(_NAME)
def test_the_same_key_has_the_same_names(name: str) -> None:
    assert next(output_names(name + ".csv", SHA)) == next(output_names(name + ".csv", SHA))
