"""A store that answers by random rules, for the core alone: no socket, no thread, no clock.

Its rules hold for all of its answers; misfortunes (cut bodies, errors, objects replaced, credentials that die)
strike at random. It reads nothing but what a driver would send: the headers of the request, and its credentials.
"""

import base64
import collections
import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping

from roboto_dagster.fs.core.checksums import new_digest
from roboto_dagster.fs.core.download import RangeRequest
from roboto_dagster.fs.core.range_headers import range_headers
from roboto_dagster.fs.core.response import Head
from tests.simulation.rules import Rules

ENDLESS_BYTES = 1 << 14
"""How long an endless body is before the simulation calls its reader broken."""

RETRY_AFTER_SECONDS = 20
"""What a store that throttles may ask for: more than any pause of the retry policy."""

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Answer:
    """One answer: its head, and its body in chunks; in place of a chunk, the code of how a connection broke."""

    def __init__(self, head: Head, body: Iterator[bytes | str]) -> None:
        self.head = head
        self.body = body


class History:
    """What has happened to one object.

    Attributes:
        versions: Every content, the last one current.
        events: How often each kind of answer was given: a status, `cut`, `endless`, `broken`, `shifted`, `flipped`, `page`,
            `other version`.
        requests: How often it was requested.
        etags: What was sent that names a version, as If-Match has to repeat it.
        expected_size: What its record states.
    """

    def __init__(self) -> None:
        self.versions: list[bytes] = []
        self.events: collections.Counter[str] = collections.Counter()
        self.requests = 0
        self.etags: set[str] = set()
        self.expected_size: int | None = None

    @property
    def distrust(self) -> int:
        """How much was answered after which a file may be started again from its beginning."""
        kinds = ("412", "shifted", "flipped", "page")
        return len(self.versions) + sum(self.events[kind] for kind in kinds)


class ModelStore:
    """The store.

    Args:
        rules: What it always does.
        dice: What else happens.

    Attributes:
        objects: What has happened to each object.
        generation: Which credentials are good.
        rejections: How often credentials were rejected.
    """

    def __init__(self, rules: Rules, dice: random.Random) -> None:
        self.rules = rules
        self.dice = dice
        self.objects: dict[str, History] = collections.defaultdict(History)
        self.generation = 1
        self.rejections = 0
        self._answers = 0

    def put(self, key: str, size_bytes: int) -> None:
        """Stores a content that no other version has."""
        self.objects[key].versions.append(self.dice.randbytes(size_bytes))

    def count(self, *kinds: str) -> int:
        """Counts the answers of some kinds, of all objects."""
        return sum(each.events[kind] for each in self.objects.values() for kind in kinds)

    def answer(self, request: RangeRequest) -> Answer:
        """Answers a request."""
        history = self.objects[request.download.key]
        history.requests += 1
        self._answers += 1
        if self.dice.random() < self.rules.replaces:
            size = len(history.versions[-1])
            sizes = [size, size, size, max(size - 1, 0), size + 1]
            self.put(request.download.key, self.dice.choice(sizes))
        if self.dice.random() < self.rules.expiry:
            self.generation += 1
        self.generation += request.download.key == self.rules.denied
        token = request.credentials and request.credentials.token
        if token != str(self.generation):
            self.rejections += 1
            return self._rejection()
        if self.dice.random() < self.rules.misfortune / 2:
            return self._misfortune(history)
        return self._object(request, history)

    def _rejection(self) -> Answer:
        code = "ExpiredToken" if self.rules.expired_as == "400" else "AccessDenied"
        return _error(History(), int(self.rules.expired_as), code)

    def _misfortune(self, history: History) -> Answer:
        slow = {"retry-after": str(RETRY_AFTER_SECONDS)}
        errors: list[Callable[[], Answer]] = [
            lambda: _error(history, 500, "InternalError"),
            lambda: _error(history, 503, "SlowDown"),
            lambda: _error(history, 503, "SlowDown", slow),
            lambda: _error(history, 403, "AccessDenied"),
            lambda: _error(history, 404, "NoSuchKey"),
            lambda: _error(history, 412, "PreconditionFailed"),
            lambda: _page(history, 502),
            lambda: _page(history, 200),
            lambda: _nothing(history),
            lambda: _broken(history),
        ]
        return self.dice.choice(errors)()

    def _object(self, request: RangeRequest, history: History) -> Answer:
        headers = range_headers(request)
        if headers is None:
            return self._complete(history)
        assert headers.if_match in history.etags, "a range of a version that nothing names"
        rules = self.rules
        if rules.conditions.isdigit():
            return _error(history, int(rules.conditions), "NotImplemented")
        current = self.etag(history).get("etag")
        if (
            rules.conditions == "obeyed"
            and f'"{(current or "").strip(chr(34))}"' != headers.if_match
        ):
            return _error(History(), 412, "PreconditionFailed")  # for the version that is counted
        if rules.ranges == "refused":
            return _error(history, self.dice.choice([400, 416, 501]), "InvalidRange")
        if rules.ranges == "ignored":
            return self._complete(history)
        matched = _RANGE.fullmatch(headers.range)
        assert matched is not None, f"{headers.range} is no range"
        return self._range(history, int(matched[1]), int(matched[2]) + 1)

    def _complete(self, history: History) -> Answer:
        data = history.versions[-1]
        headers = {**self.etag(history), **self._checksum(data)}
        may_be_long = history.expected_size is None
        return self._deliver(history, 200, headers, data, may_be_long=may_be_long)

    def _range(self, history: History, start: int, stop: int) -> Answer:
        data = history.versions[-1]
        if start >= len(data):
            return _error(history, 416, "InvalidRange")
        stop = min(stop, len(data))
        if start and self.dice.random() < self.rules.misfortune / 4:  # other bytes, honestly named
            start, stop = start - 1, stop - self.dice.choice([0, 1])
            history.events["shifted"] += 1
        ranges = self.rules.ranges
        unit = "Bytes" if ranges == "capital" else "bytes"
        size = "*" if ranges == "unsized" else str(len(data))
        headers = dict(self.etag(history, start))
        if ranges != "silent":
            headers["content-range"] = f"{unit} {start}-{stop - 1}/{size}"
        if self.rules.checksums == "repeated":
            headers |= self._checksum(data)
        status = 200 if ranges == "as_200" else 206
        return self._deliver(history, status, headers, data[start:stop], may_be_long=False)

    def etag(self, history: History, start: int = 0) -> Mapping[str, str]:
        """Returns the header that an answer carries now, if any.

        Args:
            history: The object's.
            start: The first byte of the answer. Default 0.
        """
        version = len(history.versions)
        suffix = "-3" if self.rules.checksums == "composite" else ""
        name = f"etag{version}{suffix}"
        texts = {
            "version": f'"{name}"',
            "md5": f'"{_md5(history.versions[-1])}{suffix}"',
            "hex": f'"{_md5(name.encode())}{suffix}"',
            "empty": '""',
            "weak": f'W/"{name}"',
            "unquoted": name,
            "changing": f'"{self._answers}"',
            "range": f'"{name}-{start}"',
        }
        text = texts.get(self.rules.etags)
        return {} if text is None else {"etag": text}

    def _checksum(self, data: bytes) -> Mapping[str, str]:
        if self.rules.checksums == "none":
            return {}
        if self.rules.checksums == "composite":
            wrong = base64.b64encode(b"12345678").decode()
            return {"x-amz-checksum-crc64nvme": f"{wrong}-3", "x-amz-checksum-type": "COMPOSITE"}
        return {
            "x-amz-checksum-crc64nvme": checksum_of("crc64nvme", data),
            "x-amz-checksum-type": "FULL_OBJECT",
        }

    def _deliver(
        self,
        history: History,
        status: int,
        headers: dict[str, str],
        body: bytes,
        *,
        may_be_long: bool,
    ) -> Answer:
        etag = headers.get("etag", "").strip('"')
        if etag and not etag.startswith("W/"):
            history.etags.add(f'"{etag}"')
        if self.rules.lengths == "sent":
            headers["content-length"] = str(len(body))
        else:
            headers["transfer-encoding"] = "chunked"
        if body and self.rules.shows_flips and self.dice.random() < self.rules.flips:
            history.events["flipped"] += 1
            place = self.dice.randrange(len(body))
            body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        return Answer(Head(status, headers), self._chunks(history, body, may_be_long=may_be_long))

    def _chunks(self, history: History, body: bytes, *, may_be_long: bool) -> Iterator[bytes | str]:
        """Yields a body in chunks, or what breaks its connection."""
        fate = self.dice.random()
        cut = self.dice.randrange(len(body) + 1) if fate < self.rules.misfortune / 4 else None
        # Where a length was sent, HTTP itself ends the body there.
        is_long = self.rules.misfortune / 4 < fate < self.rules.misfortune / 3
        endless = is_long and self.rules.lengths == "chunked"
        position = 0
        while position < len(body):
            chunk = body[position : position + self.dice.choice([3, 32, 64, 1024])]
            if cut is not None and position + len(chunk) > cut:
                if cut > position:
                    yield body[position:cut]
                history.events["cut"] += 1
                # Only a length can hide that a body is short; chunks have an end mark.
                if self.rules.lengths == "chunked" or self.dice.random() < 0.6:
                    yield self.dice.choice(["CONNECTION", "STALLED"])
                return
            position += len(chunk)
            yield chunk
        history.events["endless"] += endless
        while endless and position < ENDLESS_BYTES:
            position += 512
            yield bytes(512)
        if endless:
            assert may_be_long, "a body without an end is read on"
            yield "CONNECTION"


def checksum_of(algorithm: str, data: bytes) -> str:
    """Returns a checksum of some bytes, as stores report it.

    Args:
        algorithm: `crc64nvme` or `md5`.
        data: The bytes.
    """
    if algorithm == "md5":
        return _md5(data)
    digest = new_digest("crc64nvme")
    digest.update(data)
    return digest.text()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _error(
    history: History, status: int, code: str, headers: Mapping[str, str] | None = None
) -> Answer:
    history.events[str(status)] += 1
    body = f"<Error><Code>{code}</Code><Message>simulated</Message></Error>".encode()
    return Answer(
        Head(status, {"content-type": "application/xml", **(headers or {})}), iter([body])
    )


def _page(history: History, status: int) -> Answer:
    history.events["page" if status == 200 else str(status)] += 1
    return Answer(Head(status, {"content-type": "text/html"}), iter([b"<html>"]))


def _nothing(history: History) -> Answer:
    history.events["page"] += 1
    return Answer(Head(200, {"content-length": "0"}), iter([]))


def _broken(history: History) -> Answer:
    history.events["broken"] += 1
    return Answer(Head(0, {}), iter(["CONNECTION"]))
