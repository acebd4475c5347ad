"""Outcomes as files: whatever was taken, the intake takes."""

from hypothesis import given
from hypothesis import strategies as st

from presagio.ingest.checking import check_file
from presagio.lifecycle.outcomes import REQUEST_ID, SAID_ALARM, SAID_VERSION, outcomes_csv
from presagio.machine.spec import MachineSpec, load_spec


def _wide(spec: MachineSpec) -> MachineSpec:
    """Return a spec whose features take nearly every number, so that none tells how it is meant."""
    features = [f.model_copy(update={"range": (-1e9, 1e9)}) for f in spec.features]
    return spec.model_copy(update={"features": tuple(features)})


_NUMBERS = st.one_of(
    st.floats(-1e9, 1e9),
    st.integers(-999_999, 999_999).map(lambda thousandths: thousandths / 1000),
    st.sampled_from([1.551, 12.125, 0.551, -1.551, 1e-7, 5e-324, -0.0, 1e9]),
)


@given(st.lists(st.lists(_NUMBERS, min_size=5, max_size=5), min_size=1, max_size=5))
def test_numbers_are_written_in_one_way_only(rows: list[list[float]]) -> None:
    spec = _wide(load_spec())
    body = outcomes_csv(
        {
            **dict(zip(spec.feature_names, row, strict=True)),
            **dict.fromkeys(spec.indicator_names, False),
            spec.target.name: True, SAID_ALARM: False, SAID_VERSION: "7", REQUEST_ID: None,
        }
        for row in rows
    )  # fmt: skip
    checked = check_file(body, spec)
    assert checked.fault is None
    assert checked.rejected.is_empty()
    assert checked.accepted.select(spec.feature_names).rows() == [tuple(row) for row in rows]
