"""Opening the store of a session's files."""

from typing import Any, cast

import pytest

from roboto_dagster.fs.download_session import DownloadSession
from roboto_dagster.fs.opening import open_store

ACCESS_POINT = "arn:aws:s3:us-west-2:123456789012:accesspoint/logs"


@pytest.mark.parametrize("bucket", ["logs", ACCESS_POINT])
@pytest.mark.parametrize("engine", ["curl", "boto3"])
def test_credentials_are_asked_for_the_bucket(bucket: str, engine: str) -> None:
    """The name of an access point has a slash of its own, and is not cut there."""
    asked: list[str] = []

    def provider_for(_: DownloadSession, name: str) -> Any:
        asked.append(name)
        return dict

    session = cast("DownloadSession", None)
    open_store(
        session, f"s3://{bucket}/a/b", provider_for=provider_for, s3_options={"engine": engine}
    )
    assert asked == [bucket]
