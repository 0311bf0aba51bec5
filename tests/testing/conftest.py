"""A platform on this machine for each test, and plain clients that show exactly what it answers."""

import http.client
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from roboto import File, RobotoClient

from roboto_dagster.testing import LocalRoboto


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Get = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _no_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own AWS and Roboto settings reaches a test."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ROBOTO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("ROBOTO_CONFIG_FILE", os.devnull)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRoboto]:
    """A running platform, to which the environment leads."""
    with LocalRoboto() as platform:
        for name, value in platform.environment().items():
            monkeypatch.setenv(name, value)
        yield platform


@pytest.fixture
def client(local: LocalRoboto) -> RobotoClient:
    """A client of the real SDK."""
    return local.client(max_attempts=1)


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """An empty dataset."""
    return local.add_dataset("flight")


@pytest.fixture
def credentials(client: RobotoClient) -> Callable[..., dict[str, Any]]:
    """Asks the API for the S3 credentials of a dataset, for one of its buckets."""

    def ask(dataset_id: str, bucket: str = "roboto-managed") -> dict[str, Any]:
        path = f"v1/datasets/id/{dataset_id}/credentials"
        found = client.get(path, query={"mode": "ReadOnly"}).to_dict(json_path=["data"])
        return next(one for one in found if one["bucket"] == bucket)

    return ask


@pytest.fixture
def s3(local: LocalRoboto, credentials: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """Makes a boto3 client with the credentials of a dataset, some of which may be replaced."""

    def make(dataset_id: str, bucket: str = "roboto-managed", **replaced: str) -> Any:
        handed_out = {**credentials(dataset_id, bucket), **replaced}
        return boto3.client(
            "s3",
            endpoint_url=local.s3_url,
            region_name=handed_out["region"],
            aws_access_key_id=handed_out["access_key_id"],
            aws_secret_access_key=handed_out["secret_access_key"],
            aws_session_token=handed_out["session_token"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    return make


@pytest.fixture
def get(client: RobotoClient) -> Get:
    """Reads a file through its signed URL with a bare HTTP client, which hides nothing."""

    def read(dataset_id: str, relative_path: str, **headers: str) -> Answer:
        file = File.from_path_and_dataset_id(relative_path, dataset_id, roboto_client=client)
        return _fetch(file.get_signed_url(), headers)

    return read


@pytest.fixture
def fetch() -> Get:
    """Asks for a URL with a bare HTTP client."""
    return lambda url, **headers: _fetch(url, headers)


def _fetch(url: str, headers: Mapping[str, str]) -> Answer:
    """Ask once for *url*, with underscores in the headers' names read as dashes."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"{parts.path}?{parts.query}", headers=sent)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, received, response.read())
    finally:
        connection.close()
