"""Holds every request of one life against what has come already: nothing verified is asked for again.

```
                 asked ──► may it be? ──► received … ──► completed: verified as far as a range can be
 left by an earlier life ─┘                                  └──► what the next life must not ask for
```

A file may be started again only after an answer that puts its version, or the store's ranges, in doubt.
"""

import collections
from collections.abc import Iterable, Mapping

from roboto_dagster.fs.core.download import UNKNOWN, RangeRequest
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.files import OUTAGE_CODES
from roboto_dagster.fs.core.recovery import MAX_REPLAYS
from tests.simulation.store import ModelStore

# After these the store is taken for one that cannot serve ranges. A 412 for a version that is still there is one.
_AGAINST_RANGES = ("page", "shifted", "412")


def bits(start: int, stop: int) -> int:
    """Returns a set of bytes, as a number with a bit for each.

    Args:
        start: The first byte.
        stop: The byte after the last.
    """
    return (1 << stop) - (1 << start)


class _File:
    """What one life knows of one file."""

    def __init__(self) -> None:
        self.generation: int | None = None
        self.starts = 0
        self.distrust = 0
        self.first_distrust = 0
        self.received = 0
        self.completed = 0
        self.tries: collections.Counter[int] = collections.Counter()
        self.failures: collections.Counter[int] = collections.Counter()
        self.not_before: dict[int, float] = {}
        self.has_ended = False


class Ledger:
    """What one life asks for, and gets.

    Args:
        store: What answers.
        left: The bytes of each file that an earlier life verified, in the version that is current now.
        attempts: How often the policy lets a range be tried.
    """

    def __init__(self, store: ModelStore, left: Mapping[str, int], attempts: int) -> None:
        self._store = store
        self._left = dict(left)
        self._attempts = attempts
        self._rejected: set[str | None] = set()
        self._files: dict[str, _File] = collections.defaultdict(_File)
        self._versions = {key: len(each.versions) for key, each in store.objects.items()}
        self._distrust_of_ranges = store.count(*_AGAINST_RANGES)

    def asked(self, request: RangeRequest, under_way: Iterable[RangeRequest], now: float) -> None:
        """Judges a request that is being sent.

        Args:
            request: The request.
            under_way: All others.
            now: The time.
        """
        key = request.download.key
        file = self._files[key]
        assert not file.has_ended, "a file is asked for after its end"
        if request.generation != file.generation:
            self._started(key, file, request)
        wanted = bits(request.position, self._stop(key, request))
        assert request.is_initial or wanted, "nothing is asked for"
        assert request.is_initial or not wanted & file.received, "what has come is asked for again"
        if not request.is_initial and not self._is_doubted(key):
            assert not wanted & self._left.get(key, 0), "what a killed run left is asked for again"
        for other in under_way:
            if other.download is request.download and not other.is_stale:
                asked = bits(other.position, max(self._stop(key, other), other.position))
                assert not wanted & asked, "what is under way is asked for again"
        token = request.credentials and request.credentials.token
        assert token not in self._rejected, "rejected credentials are used again"
        assert file.failures[request.start] < self._attempts, "a range is tried too often"
        assert now >= file.not_before.pop(request.start, 0.0), "the store asked to wait"
        file.tries[request.start] += 1
        most = self._attempts + MAX_REPLAYS
        assert file.tries[request.start] <= most, "one range is asked for without end"

    def _started(self, key: str, file: _File, request: RangeRequest) -> None:
        """Judges the start of a file, from its beginning."""
        assert request.is_initial, "a file starts in its middle"
        distrust = self._store.objects[key].distrust
        if file.generation is not None and not self._is_doubted(key):
            assert distrust > file.distrust, "a file is started again for nothing"
        if file.generation is None:
            file.first_distrust = distrust
        else:
            self._left.pop(key, None)
        file.generation, file.distrust = request.generation, distrust
        file.starts += 1
        assert file.starts <= self._attempts * 4, "a file is started without end"
        file.received = file.completed = 0
        file.tries.clear()
        file.failures.clear()
        file.not_before.clear()

    def _is_doubted(self, key: str) -> bool:
        """Returns whether the store's rules, or its answers, make ranges unsafe, or void what was left."""
        store, file = self._store, self._files[key]
        history = store.objects[key]
        # After two, it comes in one stream, which no other request can continue.
        is_one_stream = file.starts > 1 and history.distrust > file.first_distrust + 1
        return (
            not store.rules.serves_ranges
            or len(history.versions) != self._versions[key]
            or is_one_stream
            or bool(history.events["flipped"])  # logged as it came, and seen only at the end
            or store.count(*_AGAINST_RANGES) > self._distrust_of_ranges
        )

    def _stop(self, key: str, request: RangeRequest) -> int:
        longest = max(map(len, self._store.objects[key].versions))
        return longest if request.stop == UNKNOWN else request.stop

    def received(self, request: RangeRequest, start: int) -> None:
        """Counts in what was written of a request.

        Args:
            request: The request.
            start: Where its bytes start; they end at its position.
        """
        if not request.is_stale and start < request.position:
            self._files[request.download.key].received |= bits(start, request.position)

    def completed(self, request: RangeRequest) -> None:
        """Counts in a request all of whose bytes have come."""
        if not request.is_stale:
            self._files[request.download.key].completed |= bits(request.start, request.position)

    def failed(self, request: RangeRequest, failure: Failure, now: float) -> None:
        """Notes whether, when, and with what a request may be sent again.

        Args:
            request: The request.
            failure: Why it failed.
            now: The time.
        """
        is_learnt = failure.remedy == "credentials" and request.replays < MAX_REPLAYS
        if is_learnt and request.credentials is not None:
            self._rejected.add(request.credentials.token)
        if request.is_stale:
            return
        file = self._files[request.download.key]
        file.failures[request.start] += failure.code in OUTAGE_CODES
        if failure.retry_after_seconds:
            file.not_before[request.start] = now + failure.retry_after_seconds

    def forget_left(self) -> None:
        """Takes what was left by an earlier life for lost."""
        self._left.clear()

    def ended(self, key: str) -> None:
        """Notes that a file has its outcome: nothing is sent for it any more."""
        self._files[key].has_ended = True

    def verified(self, key: str) -> int | None:
        """Returns the bytes of a file that came in complete ranges, or were left by an earlier life.

        Args:
            key: The file.

        Returns:
            None where the next life may fetch them again, or where this one did not get so far.
        """
        file = self._files[key]
        if file.starts != 1 or self._is_doubted(key):
            return None
        return file.completed
