"""Requests that libcurl would sign wrongly."""

import pathlib
from typing import Any

import pytest

from roboto_dagster.fs.credentials import Credentials
from roboto_dagster.fs.curl.store import CurlStore
from tests.fs.scripted_server import ScriptedServer, StoredObject

KEYS = ["test:tester", "YWRtaW4=", "user@corp.local", "a+b", "t$user", "dot.dash-under_tilde~"]


def provider_of(*access_keys: str) -> Any:
    """Hand out one access key after the other, the last one for ever."""
    left = list(access_keys)

    def provide() -> Credentials:
        access_key = left.pop(0) if len(left) > 1 else left[0]
        return Credentials(
            access_key=access_key,
            secret_key="secret",
            token="token",
            region="us-east-1",
            expiry_time=None,
        )

    return provide


@pytest.mark.parametrize("access_key", KEYS)
def test_an_access_key_is_signed_as_it_is(access_key: str, tmp_path: pathlib.Path) -> None:
    """Not percent-encoded, for stores whose keys have reserved characters (Ceph, Swift)."""
    with (
        ScriptedServer(StoredObject(data=b"data").answer) as server,
        CurlStore.create(provider_of(access_key), endpoint_url=server.url) as store,
    ):
        store.get("s3://bucket/a key", tmp_path / "file", size_bytes=4).result(30)
    (asked,) = server.asked
    assert f"Credential={access_key}/" in asked.headers["authorization"]
    assert asked.headers["x-amz-security-token"] == "token"
    assert "Signature=" in asked.headers["authorization"]


def test_ranges_are_signed_so_too(tmp_path: pathlib.Path) -> None:
    """What is asked for beside a plain GET is part of the signature."""
    data = bytes(300_000)
    stored = StoredObject(data=data, pause_seconds=0.02)
    with (
        ScriptedServer(stored.answer) as server,
        CurlStore.create(
            provider_of("a=b"), endpoint_url=server.url, part_size_bytes=64 * 1024
        ) as store,
    ):
        store.get("s3://bucket/key", tmp_path / "file", size_bytes=len(data)).result(30)
    ranged = [each for each in server.asked if each.byte_range]
    assert ranged
    assert all("if-match;range" in each.headers["authorization"] for each in ranged)


def test_credentials_of_one_kind_follow_those_of_another(tmp_path: pathlib.Path) -> None:
    """A handle that libcurl signed for is used again without it, and the reverse."""

    def answer(asked: Any) -> Any:
        expired = asked.number in (0, 1)
        body = b"<Error><Code>ExpiredToken</Code></Error>"
        head = b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        return [head, body] if expired else StoredObject(data=b"data").answer(asked)

    with (
        ScriptedServer(answer) as server,
        CurlStore.create(provider_of("plain", "a=b", "again"), endpoint_url=server.url) as store,
    ):
        store.get("s3://bucket/key", tmp_path / "file", size_bytes=4).result(30)
    names = [each.headers["authorization"].split("Credential=")[1] for each in server.asked]
    assert [name.split("/")[0] for name in names] == ["plain", "a=b", "again"]
