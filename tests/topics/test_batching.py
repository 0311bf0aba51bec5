"""When a table's messages are decoded: after 5,000, after 8 MiB, or when all tables hold 64 MiB."""

from roboto_dagster.topics.batching import MessageGroups


def test_a_table_is_due_by_its_rows_or_its_bytes() -> None:
    """Messages are handed over in their order, with their times and numbers, and are not kept."""
    groups = MessageGroups[str](max_rows=3, max_group_bytes=100_000)
    assert groups.add("a", b"1", 10, 9, 0) == ()
    assert groups.add("b", b"x", 11) == ()
    assert groups.add("a", b"2", 12, None, 1) == ()
    due = groups.add("a", b"3", 13, 12, 2)
    ((key, messages),) = due
    assert (key, messages.payloads, messages.log_times) == ("a", [b"1", b"2", b"3"], [10, 12, 13])
    assert (messages.publish_times, messages.sequences) == ([9, None, 12], [0, 1, 2])
    due = groups.add("b", bytes(100_000), 14)
    assert [(key, len(messages.payloads)) for key, messages in due] == [("b", 2)]
    assert list(groups.drain()) == []


def test_the_largest_table_is_due_when_all_are_large() -> None:
    """However many tables there are, memory is bounded."""
    groups = MessageGroups[int](max_group_bytes=1000, max_total_bytes=2500)
    due = [groups.add(key, bytes(300 + 10 * key), key) for key in range(5)]
    assert [[key for key, _ in each] for each in due] == [[], [], [], [], [4]]
    assert [key for key, _ in groups.drain()] == [0, 1, 2, 3]


def test_others_do_not_wait_beside_a_large_message() -> None:
    """Decoding it takes a multiple of it: as many tables are due before it as it needs room, the largest first."""
    groups = MessageGroups[str](max_group_bytes=10_000, max_total_bytes=20_000)
    for key, size in (("a", 3000), ("b", 9000), ("c", 5000)):
        assert groups.add(key, bytes(size), 1) == ()
    assert [key for key, _ in groups.add("b", bytes(11_000), 2)] == ["b", "b"]
    assert [key for key, _ in groups.add("d", bytes(30_000), 3)] == ["c", "a", "d"]


def test_small_messages_count_for_what_they_cost_in_memory() -> None:
    """A message of no bytes takes some hundred in Python."""
    groups = MessageGroups[int](max_total_bytes=100_000)
    added = 0
    while not groups.add(added, b"", 0):
        added += 1
    assert added < 1000


def test_a_table_that_failed_is_dropped() -> None:
    """Its messages are neither decoded nor counted."""
    groups = MessageGroups[str](max_group_bytes=1000, max_total_bytes=1500)
    groups.add("a", bytes(700), 1)
    groups.discard("a")
    groups.discard("never seen")
    assert groups.add("b", bytes(700), 2) == ()
    assert [key for key, _ in groups.drain()] == ["b"]


def test_a_table_that_fails_while_the_rest_is_decoded() -> None:
    """Dropping it then leaves the others as they are."""
    groups = MessageGroups[str]()
    for key in "abc":
        groups.add(key, b"", 1)
    rest = groups.drain()
    assert next(rest)[0] == "a"
    groups.discard("b")
    assert [key for key, _ in rest] == ["c"]
