"""Which requests a fault strikes, and how faults are put around a request.

```
request ─► before (of each that strikes) ─► served ─► after (of each) ─► response
                 └► answers in its stead ─────────────┘
```
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from roboto_dagster.testing.request_log import matches
from roboto_dagster.testing.server.messages import Request, Response, Service

ReplaceObject = Callable[[str, str, bytes], None]
"""Puts new bytes under a bucket and a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. Made by the functions of `faults`, or by hand.

    Attributes:
        name: What it is called in the request log.
        before: Returns the request to serve instead, or the response to give without serving it.
        after: Returns the response to give instead.
        applies: Whether the fault makes sense for a request; if not, the request does not count for
            the rule.
        region: A region for which S3 accepts signatures while the fault is there, besides its own.
    """

    name: str
    before: Callable[[Request, ReplaceObject], Request | Response] = field(
        default=lambda request, _: request
    )
    after: Callable[[Request, Response], Response] = field(default=lambda _, response: response)
    applies: Callable[[Request], bool] = field(default=lambda _: True)
    region: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Rule:
    """A fault and the requests that it strikes; what `Faults.add` returns.

    Attributes:
        fault: What happens.
        seen: How many requests fitted so far.
        hits: How many of them were struck.
    """

    fault: Fault
    service: Service | None
    method: str | None
    key: str | None
    route: str | None
    when: Callable[[Request], bool]
    after: int
    times: int | None
    probability: float
    random: random.Random
    seen: int = 0
    hits: int = 0

    def strikes(self, request: Request) -> bool:
        """Return whether the fault strikes *request*, and count it."""
        if not self._fits(request):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        if self.probability < 1.0 and self.random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def _fits(self, request: Request) -> bool:
        return (
            self.service in (None, request.service)
            and self.method in (None, request.method)
            and (self.key is None or (bool(request.key) and matches(request.key, self.key)))
            and (self.route is None or matches(request.route, self.route))
            and self.fault.applies(request)
            and self.when(request)
        )


class Faults:
    """The rules of one `LocalRoboto`, which any thread may add and remove at any time."""

    def __init__(self, replace_object: ReplaceObject) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.RLock()  # a condition may itself ask or change the rules
        self._replace_object = replace_object

    def add(
        self,
        fault: Fault,
        *,
        service: Service | None = None,
        method: str | None = None,
        key: str | None = None,
        route: str | None = None,
        when: Callable[[Request], bool] = lambda _: True,
        after: int = 0,
        times: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """Let *fault* strike the requests that fit everything that is given.

        Args:
            fault: What happens.
            service: Only requests to `"api"` or `"s3"`.
            method: Only requests with this HTTP method.
            key: Only requests for this S3 key, or keys that fit this pattern (`*` also matches
                `/`).
            route: Only requests for this path, or paths that fit this pattern, of the API or of S3
                (`/bucket/key`).
            when: Only requests for which this returns true.
            after: Let so many fitting requests pass first.
            times: Strike so many times, then no more. Default: for ever.
            probability: Strike only this share of the fitting requests, drawn with *seed*.
            seed: What the draws start from, so that a run can be repeated.

        Returns:
            The rule, which counts its hits and can be given to `remove`.
        """
        rule = Rule(
            fault=fault,
            service=service,
            method=method,
            key=key,
            route=route,
            when=when,
            after=after,
            times=times,
            probability=probability,
            random=random.Random(seed),  # noqa: S311 - dice for tests, not a secret
        )
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take *rule* away; it is no error if it is gone."""
        with self._lock:
            self._rules = [kept for kept in self._rules if kept is not rule]

    def regions(self) -> set[str]:
        """Return the regions that the faults lead clients to."""
        with self._lock:
            return {rule.fault.region for rule in self._rules if rule.fault.region is not None}

    def clear(self) -> None:
        """Take all rules away."""
        with self._lock:
            self._rules.clear()

    def around(
        self, request: Request, handle: Callable[[Request], Response]
    ) -> tuple[Response, tuple[str, ...]]:
        """Answer a request with the faults that strike it.

        Args:
            request: The request.
            handle: Serves it where no fault answers in its stead.

        Returns:
            The response, and the names of the faults that struck.
        """
        with self._lock:
            struck = [rule.fault for rule in self._rules if rule.strikes(request)]
        response = self._serve(request, struck, handle)
        for fault in struck:
            response = fault.after(request, response)
        return response, tuple(fault.name for fault in struck)

    def _serve(
        self, request: Request, struck: Sequence[Fault], handle: Callable[[Request], Response]
    ) -> Response:
        for fault in struck:
            outcome = fault.before(request, self._replace_object)
            if isinstance(outcome, Response):
                return outcome
            request = outcome
        return handle(request)
