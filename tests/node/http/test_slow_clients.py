"""What waits to be sent, told from what waited before."""

from hypothesis import given
from hypothesis import strategies as st

from node.http.slow_clients import Waiting, waiting

SIZES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3))


def test_time_counts_from_when_nothing_went_any_more() -> None:
    seen = waiting({"a": 5, "b": 7, "c": 0}, {}, 1.0)
    seen = waiting({"a": 5, "b": 6}, seen, 2.0)
    assert seen == {"a": Waiting(5, 1.0), "b": Waiting(6, 2.0)}
    assert waiting({"b": 6}, seen, 3.0) == {"b": Waiting(6, 2.0)}


@given(st.lists(SIZES, max_size=20))
def test_only_what_is_there_is_remembered_and_only_unchanged_sizes_age(looks: list[dict[str, int]]) -> None:
    seen: dict[str, Waiting] = {}
    for now, sizes in enumerate(looks):
        before, seen = seen, waiting(sizes, seen, float(now))
        assert set(seen) == {key for key, size in sizes.items() if size}
        for key, what in seen.items():
            assert what.since == now or before[key] == what
