"""A store that answers by random rules, for the core alone: no socket, no thread, no clock.

The rules of one store are drawn once (what it does to ETags, ranges, conditions, checksums) and hold for all
of its answers; misfortunes (cut bodies, errors, objects replaced, credentials that die) strike at random.
"""

import base64
import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping

from roboto_dagster.fs.core.checksums import new_digest
from roboto_dagster.fs.core.download import RangeRequest
from roboto_dagster.fs.core.response import Head

ENDLESS_BYTES = 1 << 14
"""How long an endless body is before the simulation calls its reader broken."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one store always does.

    Attributes:
        etags: `version` (one for each content), `absent`, `empty`, `weak`, `unquoted`, `changing` (another with
            each answer) or `range` (another for each range).
        ranges: `good`, `ignored` (200 and everything), `refused`, `unsized` (`*` for the size), `as_200`,
            `silent` (no Content-Range) or `capital` (`Bytes`).
        conditions: What becomes of If-Match: `obeyed`, `ignored`, or the status that refuses any.
        checksums: `none`, `full`, `composite` (of parts, beside an `-N` ETag), or `repeated` (the complete object's,
            on ranges too).
        lengths: `sent` or `chunked`.
        replaces: How often an object is replaced before an answer, of 1.
        misfortune: How often an answer goes wrong, of 1.
        expiry: How often credentials die, of 1.
    """

    etags: str
    ranges: str
    conditions: str
    checksums: str
    lengths: str
    replaces: float
    misfortune: float
    expiry: float

    @classmethod
    def draw(cls, dice: random.Random) -> "Rules":
        """Draws the rules of a store; good ones more often, so that others show by themselves."""
        return cls(
            etags=dice.choice(
                ["version"] * 5 + ["absent", "empty", "weak", "unquoted", "changing", "range"]
            ),
            ranges=dice.choice(
                ["good"] * 6 + ["ignored", "refused", "unsized", "as_200", "silent", "capital"]
            ),
            conditions=dice.choice(["obeyed"] * 4 + ["ignored", "ignored", "400", "412", "501"]),
            checksums=dice.choice(["none", "full", "full", "composite", "repeated"]),
            lengths=dice.choice(["sent"] * 4 + ["chunked"]),
            replaces=dice.choice([0.0, 0.0, 0.05, 0.3]),
            misfortune=dice.choice([0.0, 0.0, 0.05, 0.3, 0.8]),
            expiry=dice.choice([0.0, 0.0, 0.1]),
        )

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong by chance: then every file has to arrive."""
        return not (self.replaces or self.misfortune or self.expiry)

    @property
    def identifies(self) -> bool:
        """Whether something distinguishes an empty object from an empty answer."""
        return self.etags != "absent" or self.checksums in ("full", "repeated")


class Answer:
    """One answer: its head, and its body in chunks; None in place of a chunk is a broken connection."""

    def __init__(self, head: Head, body: Iterator[bytes | None]) -> None:
        self.head = head
        self.body = body


class ModelStore:
    """The store.

    Args:
        rules: What it always does.
        dice: What else happens.

    Attributes:
        versions: Every content of every object, the last one current.
        requests: How often each object was requested.
        sent: Which bytes of each object were sent, in the order of the answers.
        generation: Which credentials are good.
    """

    def __init__(self, rules: Rules, dice: random.Random) -> None:
        self.rules = rules
        self.dice = dice
        self.versions: dict[str, list[bytes]] = {}
        self.requests: dict[str, int] = {}
        self.sent: dict[str, list[tuple[int, int]]] = {}
        self.generation = 1
        self._answers = 0

    def put(self, key: str, size_bytes: int) -> None:
        """Stores a content that no other version has."""
        self.versions.setdefault(key, []).append(self.dice.randbytes(size_bytes))

    def answer(self, request: RangeRequest) -> Answer:
        """Answers a request."""
        key = request.download.key
        self.requests[key] = self.requests.get(key, 0) + 1
        self._answers += 1
        if self.dice.random() < self.rules.replaces:
            size = len(self.versions[key][-1])
            self.put(key, self.dice.choice([size, size, size, max(size - 1, 0), size + 1]))
        if self.dice.random() < self.rules.expiry:
            self.generation += 1
        if request.credentials is None or request.credentials.token != str(self.generation):
            return _error(400, "ExpiredToken")
        if self.dice.random() < self.rules.misfortune / 2:
            return self._misfortune()
        return self._object(request, self.versions[key][-1], len(self.versions[key]))

    def _misfortune(self) -> Answer:
        errors: list[Callable[[], Answer]] = [
            lambda: _error(500, "InternalError"),
            lambda: _error(503, "SlowDown"),
            lambda: _error(403, "AccessDenied"),
            lambda: _error(404, "NoSuchKey"),
            lambda: _error(412, "PreconditionFailed"),
            lambda: Answer(Head(502, {"content-type": "text/html"}), iter([b"<html>"])),
            lambda: Answer(Head(200, {"content-type": "text/html"}), iter([b"<html>"])),
            lambda: Answer(Head(0, {}), iter([None])),
        ]
        return self.dice.choice(errors)()

    def _object(  # noqa: PLR0911 - a return for each rule
        self, request: RangeRequest, data: bytes, version: int
    ) -> Answer:
        rules = self.rules
        if request.is_initial:
            return self._complete(request, data, version)
        if rules.conditions.isdigit():
            return _error(int(rules.conditions), "NotImplemented")
        expected = self._etag(version, 0).get("etag", "").strip('"')
        is_checked = rules.conditions == "obeyed" and rules.etags == "version"
        if is_checked and request.download.facts.etag != expected:
            return _error(412, "PreconditionFailed")
        if rules.ranges == "refused":
            return _error(self.dice.choice([400, 416, 501]), "InvalidRange")
        if rules.ranges == "ignored":
            return self._complete(request, data, version)
        if request.position >= len(data):
            return _error(416, "InvalidRange")
        return self._range(request, data, version)

    def _complete(self, request: RangeRequest, data: bytes, version: int) -> Answer:
        headers = {**self._etag(version, 0), **self._checksum(data)}
        return self._deliver(request, 200, headers, data, 0)

    def _range(self, request: RangeRequest, data: bytes, version: int) -> Answer:
        start, stop = request.position, min(request.stop, len(data))
        if self.dice.random() < self.rules.misfortune / 4:  # other bytes, honestly named
            start = max(start - 1, 0)
        ranges = self.rules.ranges
        unit = "Bytes" if ranges == "capital" else "bytes"
        size = "*" if ranges == "unsized" else str(len(data))
        headers = dict(self._etag(version, start))
        if ranges != "silent":
            headers["content-range"] = f"{unit} {start}-{stop - 1}/{size}"
        if self.rules.checksums == "repeated":
            headers |= self._checksum(data)
        status = 200 if ranges == "as_200" else 206
        return self._deliver(request, status, headers, data[start:stop], start)

    def _etag(self, version: int, start: int) -> Mapping[str, str]:
        suffix = "-3" if self.rules.checksums == "composite" else ""
        name = f"etag{version}{suffix}"
        texts = {
            "version": f'"{name}"',
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
            "x-amz-checksum-crc64nvme": checksum_of(data),
            "x-amz-checksum-type": "FULL_OBJECT",
        }

    def _deliver(
        self, request: RangeRequest, status: int, headers: dict[str, str], body: bytes, start: int
    ) -> Answer:
        if self.rules.lengths == "sent":
            headers["content-length"] = str(len(body))
        else:
            headers["transfer-encoding"] = "chunked"
        self.sent.setdefault(request.download.key, []).append((start, start + len(body)))
        return Answer(Head(status, headers), self._chunks(body))

    def _chunks(self, body: bytes) -> Iterator[bytes | None]:
        """Yields a body in chunks; None is the end of a connection that broke."""
        fate = self.dice.random()
        cut = self.dice.randrange(len(body) + 1) if fate < self.rules.misfortune / 4 else None
        endless = self.rules.misfortune / 4 < fate < self.rules.misfortune / 3
        position = 0
        while position < len(body):
            chunk = body[position : position + self.dice.choice([3, 32, 64, 1024])]
            if cut is not None and position + len(chunk) > cut:
                if cut > position:
                    yield body[position:cut]
                # Only a length can hide that a body is short; chunks have an end mark.
                if self.rules.lengths == "chunked" or self.dice.random() < 0.5:
                    yield None
                return
            position += len(chunk)
            yield chunk
        while endless and position < ENDLESS_BYTES:
            position += 512
            yield bytes(512)
        if endless:
            yield None


def checksum_of(data: bytes) -> str:
    """Returns the CRC64NVME of some bytes, as stores report it."""
    digest = new_digest("crc64nvme")
    digest.update(data)
    return digest.text()


def _error(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>simulated</Message></Error>".encode()
    return Answer(Head(status, {"content-type": "application/xml"}), iter([body]))
