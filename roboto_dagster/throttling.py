"""When a server throttles everybody, and not one busy dataset alone.

```
 one dataset is throttled, however often ──────────────────────────────► its own matter: no other waits for it
 two or more, and a tenth of all answers of the last two seconds ──────► general: everybody slows down
```

Of both the platform's API and the store: datasets have buckets, prefixes and limits of their own, and a fleet of them
shares one organization.
"""

from collections.abc import Hashable

HALVE_AGAIN_AFTER_SECONDS = 1.0
"""How long nobody slows down again: a burst of refusals counts once."""

_SHARE = 0.1
_SOURCES = 2


class _Second:
    """What was answered in one second."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers = 0
        self.throttled = 0
        self.sources: set[Hashable] = set()


class ThrottledShare:
    """Which part of the latest answers asked to slow down, and from how many sources. Its user has to lock it."""

    def __init__(self) -> None:
        self._now = self._before = _Second(0)

    def answered(self, now: float) -> None:
        """Note an answer that does not ask to slow down.

        Args:
            now: A clock, in seconds.
        """
        self._second(now).answers += 1

    def throttled(self, source: Hashable, now: float) -> bool:
        """Note one that does; return whether everybody should.

        Args:
            source: Who was throttled.
            now: The same clock.
        """
        second = self._second(now)
        second.answers += 1
        second.throttled += 1
        second.sources.add(source)
        answers = second.answers + self._before.answers
        throttled = second.throttled + self._before.throttled
        is_shared = len(second.sources | self._before.sources) >= _SOURCES
        return is_shared and throttled >= _SHARE * answers

    def answers_a_second(self) -> float:
        """Return how many answers came in the fuller one of the last two seconds."""
        return float(max(self._now.answers, self._before.answers))

    def _second(self, now: float) -> _Second:
        number = int(now)
        if number != self._now.number:
            is_next = number == self._now.number + 1
            self._before = self._now if is_next else _Second(number - 1)
            self._now = _Second(number)
        return self._now
