"""From end to end: datasets of the platform to files, manifests and events, run after run."""

import logging
import pathlib
from typing import TYPE_CHECKING, ClassVar

import pyarrow.dataset
import pytest

from roboto_dagster import (
    CredentialProvider,
    Credentials,
    DownloadSession,
    ObjectStoreResource,
    RobotoCredentialsResource,
)
from roboto_dagster.testing import LocalRoboto, faults

if TYPE_CHECKING:
    from tests.conftest import Materializer


@pytest.fixture
def flights(local: LocalRoboto) -> list[str]:
    """Three datasets: one in two buckets, one with a link into another, one plain."""
    one, two, three = (local.add_dataset(f"flight {number}") for number in (1, 2, 3))
    local.add_file(one, "logs/a.mcap", b"a" * 1000)
    local.add_file(one, "camera/front 1.jpg", b"jpg", bucket="camera-bucket")
    local.add_file(one, "empty.txt", b"")
    target = local.add_file(two, "b#1?.mcap", b"b" * 500)
    local.add_link(three, "linked/b.mcap", target)
    local.add_file(three, "c.mcap", b"c" * 10)
    return [one, two, three]


def manifests(materialize: "Materializer") -> pyarrow.dataset.Dataset:
    """Return all manifests of the asset as one dataset, as a downstream asset would."""
    return pyarrow.dataset.dataset(materialize.destination / ".roboto" / "logs")


def test_the_days_of_a_dataset(
    materialize: "Materializer", local: LocalRoboto, flights: list[str]
) -> None:
    """Day one retries a fault and misses a file; day two fetches only that; day three nothing."""
    asset = materialize.range_asset(flights)
    whole_range = (flights[0], flights[2])
    local.remove_object(flights[0], "logs/a.mcap")
    local.faults.add(faults.status(503, "SlowDown"), key="*/c.mcap", times=1)

    first = materialize(asset, partition_range=whole_range)
    assert not first.success
    assert [key for key, _ in materialize.materializations(first)] == flights[1:]
    table = manifests(materialize).to_table(columns=["relative_path", "status", "path"])
    by_path = {row["relative_path"]: row for row in table.to_pylist()}
    assert by_path["logs/a.mcap"]["status"] == "failed"
    assert pathlib.Path(by_path["linked/b.mcap"]["path"]).read_bytes() == b"b" * 500

    local.replace_file(flights[0], "logs/a.mcap", b"A" * 1000)
    local.requests.clear()
    second = materialize(asset, partition_range=whole_range)
    assert second.success
    assert [each.key[-6:] for each in local.requests.matching(service="s3")] == ["a.mcap"]

    local.requests.clear()
    third = materialize(asset, partition_range=whole_range)
    assert (third.success, local.requests.count(service="s3")) == (True, 0)
    assert len(materialize.materializations(third)) == 3
    assert set(manifests(materialize).to_table()["status"].to_pylist()) == {"unchanged"}


def test_nothing_is_left_beside_the_files(
    materialize: "Materializer", local: LocalRoboto, flights: list[str]
) -> None:
    """After a run with failures there is no temporary file anywhere."""
    local.faults.add(faults.truncate(after_bytes=3), service="s3", method="GET")
    materialize(materialize.range_asset(flights), partition_range=(flights[0], flights[2]))
    left = [path.name for path in materialize.destination.rglob("*") if path.is_file()]
    assert [name for name in left if name.endswith(".part")] == []


def test_what_arrived_is_what_was_stored(materialize: "Materializer", flights: list[str]) -> None:
    """Every byte of every file, whatever bucket, name or link it comes by."""
    materialize(materialize.range_asset(flights), partition_range=(flights[0], flights[2]))
    found = {
        path.relative_to(materialize.destination).as_posix(): path.read_bytes()
        for path in materialize.destination.rglob("*")
        if path.is_file() and ".roboto" not in path.parts
    }
    assert found == {
        f"{flights[0]}/logs/a.mcap": b"a" * 1000,
        f"{flights[0]}/camera/front 1.jpg": b"jpg",
        f"{flights[0]}/empty.txt": b"",
        f"{flights[1]}/b#1?.mcap": b"b" * 500,
        f"{flights[2]}/linked/b.mcap": b"b" * 500,
        f"{flights[2]}/c.mcap": b"c" * 10,
    }


class NotedCredentialsResource(RobotoCredentialsResource):
    """The platform's credentials, of which each that was handed out is noted."""

    handed_out: ClassVar[list[Credentials]] = []

    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Return the platform's provider, listened to."""
        provider = super().provider_for(session, bucket_name)

        def provide() -> Credentials:
            credentials = provider()
            self.handed_out.append(credentials)
            return credentials

        return provide


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(None, id="all-well"),
        pytest.param(faults.status(403, "SignatureDoesNotMatch"), id="refused"),
        pytest.param(faults.status(400, "ExpiredToken"), id="expired"),
        pytest.param(faults.status(500), id="server-error"),
        pytest.param(faults.refuse(), id="reset"),
        pytest.param(faults.answer("<html>proxy</html>", status=407), id="proxy"),
        pytest.param(faults.flip_bit(at=0), id="wrong-bytes"),
    ],
)
def test_no_secret_is_shown_anywhere(
    materialize: "Materializer",
    local: LocalRoboto,
    flights: list[str],
    caplog: pytest.LogCaptureFixture,
    fault: faults.Fault | None,
) -> None:
    """API key, secret key and session token are in no event, log record, text or manifest."""
    NotedCredentialsResource.handed_out.clear()
    if fault is not None:
        local.faults.add(fault, service="s3")
    store = ObjectStoreResource(
        engine="boto3", endpoint_url=local.s3_url, credentials=NotedCredentialsResource()
    )
    with caplog.at_level(logging.INFO):
        asset = materialize.range_asset(flights)
        result = materialize(asset, partition_range=(flights[0], flights[2]), object_store=store)
    written = b"".join(
        path.read_bytes() for path in (materialize.destination / ".roboto").rglob("*.parquet")
    )
    rows = manifests(materialize).to_table().to_pylist()
    output = f"{caplog.text} {materialize.log(result)} {result.all_events} {rows} {written!r}"
    secrets = {
        local.api_key,
        *(each["secret_key"] for each in NotedCredentialsResource.handed_out),
        *(each["token"] for each in NotedCredentialsResource.handed_out),
    }
    assert len(secrets) >= 3
    assert [secret for secret in secrets if secret in output] == []
