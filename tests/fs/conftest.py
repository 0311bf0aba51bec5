"""S3 servers for the tests of stores, and the engines to test them with."""

from collections.abc import Iterator

import pytest

from roboto_dagster.testing import LocalRoboto
from tests.fs import s3_servers


@pytest.fixture(scope="session")
def rclone_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a running rclone."""
    with s3_servers.run_rclone(tmp_path_factory.mktemp("rclone")) as url:
        yield url


@pytest.fixture(scope="session")
def seaweedfs_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a running SeaweedFS."""
    with s3_servers.run_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as url:
        yield url


@pytest.fixture(scope="session")
def pys3local_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a running pys3local."""
    with s3_servers.run_pys3local(tmp_path_factory.mktemp("pys3local")) as url:
        yield url


@pytest.fixture(
    params=[
        pytest.param(name, marks=s3_servers.marks_of(name))
        for name in (s3_servers.Moto.name, *(each.name for each in s3_servers.FOREIGN))
    ]
)
def server(request: pytest.FixtureRequest) -> s3_servers.S3Server:
    """Each of the servers in turn."""
    if request.param == "moto":
        local: LocalRoboto = request.getfixturevalue("local")
        return s3_servers.Moto(local)
    url = request.getfixturevalue(f"{request.param}_url")
    return next(each(url) for each in s3_servers.FOREIGN if each.name == request.param)
