"""Makes the requests of stores, and the sessions that send them."""

import threading
from collections.abc import Mapping

import botocore.awsrequest

from roboto_dagster.fs.boto.client import RequestSigner
from roboto_dagster.fs.boto.session import WatchedSession
from roboto_dagster.fs.core.download import RangeRequest
from roboto_dagster.fs.core.endpoint import Endpoint
from roboto_dagster.fs.core.error_answer import failure_of_answer
from roboto_dagster.fs.core.failure import Failure
from roboto_dagster.fs.core.range_headers import range_headers
from roboto_dagster.fs.core.response import Head
from roboto_dagster.fs.core.settings import S3Settings
from roboto_dagster.fs.core.store_state import StoreState
from roboto_dagster.fs.credentials import LiveCredentials


class Sender:
    """Signs requests, and keeps a session for each way to reach a bucket.

    Args:
        settings: See `S3Settings`.
        connections: How many requests are sent at once, at most.
    """

    def __init__(self, settings: S3Settings, connections: int) -> None:
        self._settings = settings
        self._connections = connections
        self._signer = RequestSigner(settings)
        self._sessions: dict[tuple[str | None, str], WatchedSession] = {}
        self._lock = threading.Lock()

    def prepare(
        self, state: StoreState, ranged: RangeRequest
    ) -> tuple[botocore.awsrequest.AWSPreparedRequest, WatchedSession]:
        """Makes the request for a range.

        Args:
            state: What is learnt about the store.
            ranged: What to request, with its credentials.

        Returns:
            The signed request, and the session to send it.

        Raises:
            BotoCoreError: botocore's, if there can be no such request.
            ConfigurationError: This machine's AWS configuration cannot be used.
        """
        download = ranged.download
        parameters = {"Bucket": download.bucket, "Key": download.key, "ChecksumMode": "ENABLED"}
        headers = range_headers(ranged)
        if headers is not None:
            parameters |= {"Range": headers.range, "IfMatch": headers.if_match}
        assert ranged.credentials is not None  # noqa: S101 - the coordinator gives none out without
        return self._prepare(state, "get_object", parameters, ranged.credentials)

    def head(
        self, state: StoreState, bucket: str, key: str, credentials: LiveCredentials
    ) -> Mapping[str, str] | Failure:
        """Asks for the headers of an object, once.

        Args:
            state: What is learnt about the store.
            bucket: Its bucket.
            key: Its key.
            credentials: What to sign with.

        Returns:
            The headers, names in lower case; or why there are none.

        Raises:
            BotoCoreError: botocore's, if there can be no such request, or no answer came.
            ConfigurationError: This machine's AWS configuration cannot be used.
        """
        parameters = {"Bucket": bucket, "Key": key, "ChecksumMode": "ENABLED"}
        request, session = self._prepare(state, "head_object", parameters, credentials)
        response = session.send(request)
        headers = {name.lower(): value.strip() for name, value in response.raw.headers.items()}
        head = Head(response.status_code, headers)
        return headers if head.status == 200 else failure_of_answer(head, b"")

    def _prepare(
        self,
        state: StoreState,
        operation: str,
        parameters: dict[str, str],
        credentials: LiveCredentials,
    ) -> tuple[botocore.awsrequest.AWSPreparedRequest, WatchedSession]:
        endpoint = state.endpoints.get(parameters["Bucket"], credentials.region)
        request = self._signer.sign(
            operation,
            parameters,
            credentials=credentials,
            region=endpoint.region,
            skew_seconds=state.skew_seconds,
        )
        return request, self._session(endpoint)

    def _session(self, endpoint: Endpoint) -> WatchedSession:
        key = (endpoint.ca_bundle, endpoint.proxy)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                session = WatchedSession(endpoint, self._settings, self._connections)
                self._sessions[key] = session
        return session

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            session.close()
