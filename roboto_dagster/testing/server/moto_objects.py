"""Moto's buckets and objects, changed so that bytes are read in pieces and senders are known already."""

from collections.abc import Callable
from typing import Any

from moto.s3.models import FakeBucket, FakeKey
from moto.s3.responses import S3Response
from typing_extensions import Self

from roboto_dagster.testing.server.auth import REGION
from roboto_dagster.testing.server.checksums import (
    Fingerprint,
)
from roboto_dagster.testing.server.content import BodyContent


class MotoBucket(FakeBucket):
    """A bucket of moto, whose base class asks for a method that only CloudFormation calls."""

    def is_created(self) -> bool:
        """Report that it exists."""
        return True


class StoredKey(FakeKey):
    """An object of moto whose bytes are a `BodyContent`: not copied, and readable in pieces."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make one that moto does not keep: it keeps all objects of a process, to close their files."""
        return object.__new__(cls)

    def __init__(
        self, name: str, content: BodyContent, facts: Fingerprint, *, bucket: str, account_id: str
    ) -> None:
        self.content = content
        super().__init__(
            name=name,
            value=b"",
            account_id=account_id,
            region_name=REGION,
            etag=facts.etag,
            version_id="null",
            bucket_name=bucket,
            checksum_value=facts.value,
            checksum_type=facts.type,
            checksum_parts=facts.parts,
        )
        self.checksum_algorithm = facts.algorithm
        self._value_buffer.close()  # moto's own place for the bytes, which stays empty

    @property
    def value(self) -> bytes:
        """All its bytes."""
        return self.content.read(0, len(self.content))

    @value.setter
    def value(self, new_value: bytes) -> None:  # noqa: ARG002 - the bytes are the content's
        self.contentsize = len(self.content)

    def dispose(self, garbage: bool = False) -> None:  # noqa: FBT001, FBT002 - moto's signature
        """Keep the bytes readable for whoever is in the middle of them."""


class SpooledContent:
    """The bytes of an object that a client uploaded through moto."""

    def __init__(self, key: FakeKey) -> None:
        self._key = key

    def __len__(self) -> int:
        return self._key.size

    def read(self, start: int, stop: int) -> bytes:
        """Return some of the bytes.

        Args:
            start: The first byte.
            stop: The byte after the last one.
        """
        buffer = self._key._value_buffer  # noqa: SLF001 - `value` would read all of it
        with self._key.lock:
            buffer.seek(start)
            return buffer.read(stop - start)


class MotoResponder(S3Response):
    """moto's S3 for one request of one account, whose sender has already been identified."""

    def __init__(self, account_id: str, authorize: Callable[[str, str], None]) -> None:
        super().__init__()
        self._account_id = account_id
        self._authorize = authorize

    def get_current_account(self) -> str:
        """Return the account of the store."""
        return self._account_id

    def _authenticate_and_authorize_action(
        self,
        iam_request_cls: type,  # noqa: ARG002 - moto's way to check signatures; ours came first
        resource: str = "*",
    ) -> None:
        self._authorize(self._get_action(), resource)
