"""What is gathered before it is written."""

from roboto_dagster.fs.curl.write_buffer import BUFFER_BYTES, WriteBuffer


class Recorder:
    """A request that keeps what it should write."""

    def __init__(self, *, wants_more: bool = True) -> None:
        self.written: list[bytes] = []
        self.wants_more = wants_more

    def write_body(self, data: memoryview) -> bool:
        """Keep it."""
        self.written.append(bytes(data))
        return self.wants_more


def test_pieces_are_written_as_one() -> None:
    """Several chunks become one write."""
    buffer, request = WriteBuffer(), Recorder()
    buffer.lend(request, 100)
    assert all(buffer.add(request, each) for each in (b"ab", b"cd", b"e"))
    assert request.written == []
    assert buffer.flush()
    assert request.written == [b"abcde"]


def test_bytes_of_another_request_are_refused() -> None:
    """The buffer belongs to one request at a time."""
    buffer, one, another = WriteBuffer(), Recorder(), Recorder()
    buffer.lend(one, 100)
    assert buffer.add(one, b"one")
    assert not buffer.add(another, b"another")
    buffer.flush()
    assert (one.written, another.written) == ([b"one"], [])


def test_bytes_that_end_the_piece_are_left_to_the_request() -> None:
    """The end of a range is written at once, for nobody would flush it."""
    buffer, request = WriteBuffer(), Recorder()
    buffer.lend(request, 4)
    assert buffer.add(request, b"abc")
    assert not buffer.add(request, b"d")


def test_no_more_is_taken_than_it_holds() -> None:
    """Memory is bounded by the buffer's size."""
    buffer, request = WriteBuffer(), Recorder()
    buffer.lend(request, 2 * BUFFER_BYTES)
    assert buffer.add(request, bytes(BUFFER_BYTES - 1))
    assert not buffer.add(request, b"x")


def test_a_flush_returns_whether_the_request_takes_more() -> None:
    """A request that is cut, or whose disk is full, is heard."""
    buffer, request = WriteBuffer(), Recorder(wants_more=False)
    buffer.lend(request, 100)
    buffer.add(request, b"abc")
    assert not buffer.flush()


def test_flushed_bytes_are_not_written_again() -> None:
    """After a flush the buffer belongs to nobody."""
    buffer, request = WriteBuffer(), Recorder()
    buffer.lend(request, 100)
    buffer.add(request, b"abc")
    buffer.flush()
    assert buffer.flush()
    assert not buffer.add(request, b"late")
    assert request.written == [b"abc"]
