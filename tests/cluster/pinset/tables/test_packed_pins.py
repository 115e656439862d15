"""A page of rows goes through a file and comes out as it was."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.pinset.tables.packed_pins import PackedPins


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=9)), min_size=1))
def test_rows_are_parted_as_they_were_joined(rows: list[tuple[bytes, bytes]]) -> None:
    cids, values = zip(*rows, strict=True)
    lengths = [",".join(str(len(cell)) for cell in cells) for cells in (cids, values)]
    page = PackedPins(b"".join(cids), lengths[0], b"".join(values), lengths[1], cids[-1])
    assert PackedPins.unpack(page.pack()) == page
    assert page.rows() == rows
