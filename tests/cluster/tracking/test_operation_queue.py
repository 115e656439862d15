"""The queue of operations and the back-off: plain values, told the time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.memory_cluster import cid

from cluster.tracking.operation import Lane, Operation
from cluster.tracking.operation_queue import OperationQueue


def looked_at(queue: OperationQueue) -> None:
    """All that is new was looked at, and takes workers of its own."""
    for operation in [*queue.take_new_pins(0.0), *queue.take_new_unpins(0.0)]:
        queue.put_back(operation, 0.0)


def take_pin(queue: OperationQueue, now: float = 0.0) -> Operation | None:
    looked_at(queue)
    return queue.take_pin(now)


def take_unpin(queue: OperationQueue, now: float = 0.0) -> Operation | None:
    looked_at(queue)
    return queue.take_unpin(now)


def taken(queue: OperationQueue, count: int) -> list[Lane]:
    return [operation.lane for _ in range(count) if (operation := take_pin(queue))]


def test_fresh_pins_go_before_others_in_order_of_arrival() -> None:
    queue = OperationQueue(size=10, workers=1)
    for number, lane in enumerate([Lane.NORMAL, Lane.FRESH, Lane.NORMAL, Lane.FRESH]):
        queue.put(cid(number), lane, 0.0)
    order = []
    while operation := take_pin(queue, 0.0):
        order.append(operation.cid)
        queue.finish(operation, 0.0)
    assert order == [cid(1), cid(3), cid(0), cid(2)]


def test_retries_take_one_worker_at_once_and_at_most_half_of_them() -> None:
    queue = OperationQueue(size=100, workers=4)
    for number in range(10):
        queue.put(cid(number), Lane.RETRY, 0.0)
    queue.put(cid(90), Lane.FRESH, 0.0)
    assert taken(queue, 4) == [Lane.RETRY, Lane.FRESH, Lane.RETRY]


def test_a_full_lane_refuses() -> None:
    queue = OperationQueue(size=1, workers=1)
    assert queue.put(cid(1), Lane.NORMAL, 0.0)
    assert not queue.put(cid(2), Lane.NORMAL, 0.0)
    assert queue.put(cid(2), Lane.UNPIN, 0.0)
    assert queue.room(Lane.FRESH) == 1


def test_a_waiting_operation_is_replaced_by_one_of_the_other_kind() -> None:
    queue = OperationQueue(size=10, workers=1)
    queue.put(cid(1), Lane.FRESH, 0.0)
    queue.put(cid(1), Lane.UNPIN, 1.0)
    assert take_pin(queue, 1.0) is None
    operation = take_unpin(queue, 1.0)
    assert operation is not None
    assert len(queue) == 1


def test_a_running_operation_is_cancelled_by_one_of_the_other_kind_which_follows() -> None:
    queue = OperationQueue(size=10, workers=1)
    queue.put(cid(1), Lane.FRESH, 0.0)
    operation = take_pin(queue, 0.0)
    assert operation is not None
    cancelled = []
    operation.cancel = lambda: cancelled.append(True)
    queue.put(cid(1), Lane.UNPIN, 1.0)
    assert cancelled == [True]
    assert take_unpin(queue, 1.0) is None  # not before the first one has ended
    queue.finish(operation, 2.0)
    assert take_unpin(queue, 2.0) is not None


def test_a_running_operation_is_looked_at_again_after_one_of_the_same_kind() -> None:
    queue = OperationQueue(size=10, workers=1)
    queue.put(cid(1), Lane.FRESH, 0.0)
    operation = take_pin(queue, 0.0)
    assert operation is not None
    queue.put(cid(1), Lane.NORMAL, 1.0)
    queue.put_if_idle(cid(1), Lane.RETRY, 1.0)
    queue.finish(operation, 2.0)
    assert taken(queue, 2) == [Lane.NORMAL]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "idle", "new", "sort", "pin", "unpin", "here", "finish"]),
            st.integers(0, 5),
            st.sampled_from(Lane),
        )
    )
)
def test_a_cid_never_has_two_operations_and_no_lane_overflows(steps: list[tuple[str, int, Lane]]) -> None:
    queue = OperationQueue(size=3, workers=3)
    running: list[Operation] = []
    looking: list[Operation] = []
    for step, number, lane in steps:
        if step == "put":
            queue.put(cid(number), lane, 0.0)
        elif step == "idle":
            queue.put_if_idle(cid(number), lane, 0.0)
        elif step == "new":
            looking += [*queue.take_new_pins(0.0), *queue.take_new_unpins(0.0), *queue.take_here(0.0)]
        elif step == "sort" and looking:
            operation = looking.pop(0)
            if number % 2 or operation.lane is Lane.HERE:
                queue.finish(operation, 0.0)
            else:
                queue.put_back(operation, 0.0)
        elif step == "here":
            queue.expedite(cid(number), 0.0)
        elif step == "finish" and running:
            queue.finish(running.pop(0), 0.0)
        elif step in ("pin", "unpin"):
            one = queue.take_pin(0.0) if step == "pin" else queue.take_unpin(0.0)
            running += [one] if one else []
        cids = [operation.cid for operation in queue.operations()]
        assert len(set(cids)) == len(cids) == sum(map(queue.waiting, Lane)) + queue.running()
        assert all(queue.waiting(one) <= 3 for one in Lane if one is not Lane.HERE)
        assert queue.running() == len(running) + len(looking)


def test_what_is_new_is_taken_together_and_keeps_its_place_until_it_is_sorted() -> None:
    queue = OperationQueue(size=2, workers=1)
    for number, lane in enumerate([Lane.NORMAL, Lane.NORMAL, Lane.FRESH, Lane.RETRY]):
        queue.put(cid(number), lane, 0.0)
    assert queue.take_pin(0.0) is not None, "a retry takes a worker at once"
    first, second, third = queue.take_new_pins(1.0)
    assert [first.cid, second.cid, third.cid] == [cid(2), cid(0), cid(1)]
    assert queue.take_new_pins(1.0) == []
    assert queue.room(Lane.NORMAL) == 0
    queue.finish(second, 2.0)
    assert queue.room(Lane.NORMAL) == 1
    queue.put_back(third, 2.0)
    queue.put_back(first, 2.0)
    assert not first.running
    assert queue.room(Lane.NORMAL) == 1
    assert queue.take_new_pins(3.0) == []
    assert queue.take_pin(3.0) is first
    assert queue.take_pin(3.0) is third


def test_what_a_caller_waits_for_leaves_its_lane_and_needs_no_room() -> None:
    queue = OperationQueue(size=1, workers=1)
    queue.put(cid(1), Lane.NORMAL, 0.0)
    for number in (1, 2, 3):
        assert queue.expedite(cid(number), 1.0).is_priority
    assert take_pin(queue, 1.0) is None
    assert [operation.cid for operation in queue.take_here(1.0)] == [cid(1), cid(2), cid(3)]
    assert queue.room(Lane.NORMAL) == 1


def test_a_running_operation_is_the_one_that_a_caller_waits_for() -> None:
    queue = OperationQueue(size=1, workers=1)
    queue.put(cid(1), Lane.FRESH, 0.0)
    running = take_pin(queue, 0.0)
    assert running is not None
    assert queue.expedite(cid(1), 1.0) is running
    assert not queue.take_here(1.0)
    assert running.ended is not None
    assert not running.ended.is_set()
    queue.finish(running, 2.0)
    assert running.ended.is_set()


def test_an_operation_that_is_replaced_has_ended() -> None:
    queue = OperationQueue(size=1, workers=1)
    operation = queue.expedite(cid(1), 0.0)
    queue.put(cid(1), Lane.FRESH, 1.0)  # of the same kind: it stays
    assert queue.get(cid(1)) is operation
    queue.put(cid(1), Lane.UNPIN, 1.0)
    assert operation.ended is not None
    assert operation.ended.is_set()
    assert not queue.take_here(1.0)
