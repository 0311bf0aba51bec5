"""botocore's HTTP session, with sockets that can be reached."""

from typing import Any

import botocore.awsrequest

from roboto_dagster.fs.boto.session import WatchedSession
from roboto_dagster.fs.core.endpoint import Endpoint
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.testing import LocalRoboto
from tests.fs.scripted_server import ScriptedServer, head


def session_for(url: str) -> WatchedSession:
    """Return a session for an endpoint."""
    endpoint = Endpoint(base_url=url, region="us-west-2", ca_bundle=None, proxy="")
    return WatchedSession(endpoint, S3Settings(), 4)


def get(session: WatchedSession, url: str, sockets: list[tuple[Any, bool]]) -> Any:
    """Send a GET, and read its answer."""
    request = botocore.awsrequest.AWSRequest("GET", url).prepare()
    return session.send_watched(request, lambda sock, is_new: sockets.append((sock, is_new)))


def test_the_socket_of_a_new_connection_is_handed_over() -> None:
    """Once, when it is connected."""
    sockets: list[tuple[Any, bool]] = []
    with ScriptedServer(lambda _: [head(200, {"Content-Length": "0"})]) as server:
        session = session_for(server.url)
        assert get(session, server.url, sockets).status_code == 200
        session.close()
    assert sockets[0][1] is True


def test_a_connection_is_used_again(local: LocalRoboto) -> None:
    """Its socket is handed over as an old one."""
    sockets: list[tuple[Any, bool]] = []
    session = session_for(local.s3_url)
    for _ in range(2):
        get(session, f"{local.s3_url}/none/such", sockets)
    session.close()
    assert (sockets[0][1], sockets[-1][1]) == (True, False)
    assert sockets[0][0] is sockets[-1][0]
