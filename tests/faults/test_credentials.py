"""C1 to C9: credentials that end, are wrong, or are not there."""

import time

import pytest

from roboto_dagster import (
    AwsCredentialsResource,
    CredentialProvider,
    Credentials,
    DownloadSession,
    RobotoCredentialsResource,
)
from roboto_dagster.testing import faults
from roboto_dagster.testing.server.messages import Request
from tests.faults.lab import BIG, SMALL, Lab
from tests.faults.matrix import covers

ROUTE = "/v1/datasets/id/*/credentials"


def credential_requests(lab: Lab) -> int:
    """Counts how often credentials were asked for."""
    return lab.local.requests.count(service="api", route=ROUTE)


@covers("C1")
def test_expired_credentials_cost_one_refresh(lab: Lab) -> None:
    """All credentials end in the middle of a run: one refresh, and no file fails."""
    paths = lab.add_small(30)
    lab.add("big.bin", BIG)
    lab.fault(faults.call(lab.local.expire_credentials), "*", after=8, times=1)
    run = lab.run()
    assert run.success
    assert {run.row(path)["attempts"] for path in paths} == {1}
    assert sum(one.service == "api" and "credentials" in one.route for one in run.requests) == 2
    lab.converge(run)


@covers("C1")
@pytest.mark.parametrize("error", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
def test_each_way_to_refuse_a_token_is_understood(lab: Lab, error: str) -> None:
    """Refused once, under any of its names, the token is renewed and the request repeated."""
    lab.add("file.bin", SMALL)
    lab.fault(faults.status(403, error), "file.bin", times=1)
    run = lab.survive()
    assert run.row("file.bin")["attempts"] == 1


@covers("C2")
def test_credentials_over_before_they_arrive_are_tried(lab: Lab) -> None:
    """A clock that is an hour off makes good credentials look over: the store decides."""
    lab.add("file.bin", SMALL)
    expired = {"expiration": "2020-01-01T00:00:00+00:00"}
    lab.fault(faults.call(lambda: None), service="api", route=ROUTE)
    handed_out = credentials_of(lab)
    lab.local.faults.add(
        faults.answer_json({"data": [{**handed_out, **expired}]}), service="api", route=ROUTE
    )
    lab.survive()


@covers("C2")
def test_a_skewed_clock_is_allowed_for(lab: Lab) -> None:
    """`RequestTimeTooSkewed` is no failure of a file."""
    paths = lab.add_small(3)
    lab.fault(faults.status(403, "RequestTimeTooSkewed"), "*", times=1)
    run = lab.survive()
    assert {run.row(path)["attempts"] for path in paths} == {1}


def credentials_of(lab: Lab) -> dict[str, object]:
    """Asks the platform for credentials, as the SDK does."""
    path = f"v1/datasets/id/{lab.dataset_id}/credentials"
    client = lab.local.client(max_attempts=1)
    found: list[dict[str, object]] = client.get(path, query={"mode": "ReadOnly"}).to_dict(
        json_path=["data"]
    )
    return found[0]


NONSENSE = [
    pytest.param({"data": []}, id="none"),
    pytest.param({"data": [{}]}, id="empty"),
    pytest.param({"data": {}}, id="object"),
    pytest.param({}, id="no-data"),
    pytest.param({"data": [{"access_key_id": "AKIAVERYSECRET", "bucket": "b"}]}, id="no-secret"),
    pytest.param(["AKIAVERYSECRET"], id="list"),
]


@covers("C3")
@pytest.mark.parametrize("payload", NONSENSE)
def test_credentials_that_make_no_sense_are_named_by_their_shape(lab: Lab, payload: object) -> None:
    """One code for every file, and no value in the message."""
    paths = lab.add_small(3)
    lab.fault(faults.answer_json(payload), service="api", route=ROUTE)
    run = lab.survive(dict.fromkeys(paths, "CREDENTIALS_INVALID"))
    assert "AKIAVERYSECRET" not in run.description
    assert not run.asked("")


@covers("C3")
def test_credentials_that_are_a_page_are_named(lab: Lab) -> None:
    """A portal's HTML in place of credentials is recognized."""
    paths = lab.add_small(2)
    lab.fault(faults.answer("<html>Sign in</html>"), service="api", route=ROUTE)
    lab.survive(dict.fromkeys(paths, "CREDENTIALS_INVALID"))


@covers("C3")
def test_credentials_for_another_bucket_are_named(lab: Lab) -> None:
    """The message lists the buckets that there are credentials for."""
    paths = lab.add_small(2)
    other = {**credentials_of(lab), "bucket": "elsewhere"}
    lab.fault(faults.answer_json({"data": [other]}), service="api", route=ROUTE)
    run = lab.survive(dict.fromkeys(paths, "CREDENTIALS_INVALID"))
    assert "elsewhere" in run.description


@covers("C4")
@pytest.mark.parametrize("status", [500, 429, 503])
def test_a_failing_platform_does_not_stop_a_run(lab: Lab, status: int) -> None:
    """Credentials that live are used while the platform cannot give others."""
    lab.add_small(10)
    lab.fault(faults.status(status), service="api", route=ROUTE, after=1)
    lab.survive()


@covers("C4", "C7")
def test_a_platform_that_never_gives_credentials_is_named(lab: Lab) -> None:
    """No credentials at all: every file is named once, after a bounded number of requests."""
    paths = lab.add_small(20)
    lab.fault(faults.status(500), service="api", route=ROUTE)
    run = lab.run()
    assert run.codes == dict.fromkeys(paths, "CREDENTIALS_INVALID")
    assert credential_requests(lab) <= 10
    time.sleep(0)
    lab.converge(run)


@covers("C5")
def test_short_lives_are_renewed_ahead_of_time(lab: Lab) -> None:
    """Credentials that live two seconds are renewed about once in their life, by one at a time."""
    paths = lab.add_small(16)
    lab.fault(faults.trickle(bytes_per_second=2_000), "*")
    before = lab.local.credentials_ttl_seconds
    lab.local.credentials_ttl_seconds = 2.0
    try:
        started = time.monotonic()
        run = lab.run(store={"max_connections": 2, "stall_timeout_seconds": 5.0})
        seconds = time.monotonic() - started
    finally:
        lab.local.credentials_ttl_seconds = before
    assert run.success
    assert {run.row(path)["attempts"] for path in paths} == {1}
    assert sum("credentials" in one.route for one in run.requests) <= seconds / 0.6 + 2
    lab.converge(run)


@covers("C6")
def test_a_forbidden_object_causes_no_refresh(lab: Lab) -> None:
    """AccessDenied is about the object: asked once, and credentials are left alone."""
    lab.add("secret.bin", SMALL)
    lab.add_small(5)
    lab.fault(faults.status(403, "AccessDenied"), "secret.bin")
    run = lab.survive({"secret.bin": "ACCESS_DENIED"})
    assert len(run.asked("secret.bin")) == 1
    assert sum("credentials" in one.route for one in run.requests) == 1


@covers("C7")
@pytest.mark.parametrize("error", ["InvalidAccessKeyId", "ExpiredToken", "SignatureDoesNotMatch"])
def test_revoked_keys_end_soon(lab: Lab, error: str) -> None:
    """A store that refuses every credential is believed after a few."""
    paths = lab.add_small(30)
    lab.fault(faults.status(403, error), "*")
    run = lab.run()
    assert set(run.codes) == set(paths)
    assert set(run.codes.values()) <= {"CREDENTIALS_INVALID", "CREDENTIALS_EXPIRED"}
    assert sum("credentials" in one.route for one in run.requests) <= 12
    lab.converge(run)


@covers("C9")
def test_wrong_keys_of_a_team_are_named_as_such(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that the store does not know are called invalid, in its own words, and tried once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x" * 40)
    paths = lab.add_small(20)
    run = lab.run(store={"credentials": AwsCredentialsResource(region="us-west-2")})
    assert run.codes == dict.fromkeys(paths, "CREDENTIALS_INVALID")
    assert "InvalidAccessKeyId" in run.description
    assert "AwsCredentialsResource (the usual search of boto3)" in run.description
    assert "ROBOTO_API_KEY" not in run.description
    assert "A re-run will fail again" in run.description
    assert sum(one.service == "s3" for one in run.requests) <= len(paths)


@covers("C9")
def test_a_missing_identity_is_named(lab: Lab) -> None:
    """The message of `AwsCredentialsResource` reaches the user as it is."""
    lab.add_small(3)
    run = lab.run(store={"credentials": AwsCredentialsResource(profile="nope")})
    assert set(run.codes.values()) == {"CREDENTIALS_INVALID"}
    assert "The config profile (nope) could not be found" in run.description
    assert "ROBOTO_API_KEY" not in run.description


@covers("C4")
def test_an_outage_pauses_instead_of_failing_files(lab: Lab) -> None:
    """Credentials that come at the third call are waited for by all files, none of which fails."""
    lab.add_small(30)
    lab.fault(faults.status(503), service="api", route=ROUTE, times=2)
    run = lab.survive()
    assert sum("credentials" in one.route for one in run.requests) == 3


class SessionsWithoutExpiry(RobotoCredentialsResource):
    """Hands out sessions of which nobody knows when they end, as some identity services do."""

    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Return the platform's credentials without their expiry."""
        provider = super().provider_for(session, bucket_name)
        return lambda: Credentials(**{**provider(), "expiry_time": None})


@covers("C8")
def test_a_session_that_ended_unnoticed_is_renewed_once(lab: Lab) -> None:
    """Some stores answer a plain `AccessDenied` to an expired session: one refresh, and no file fails."""
    lab.add_small(10)
    keys: list[str] = []

    def is_of_the_first_session(request: Request) -> bool:
        key = request.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        keys.append(key)
        return key == keys[0]

    lab.fault(faults.status(403, "AccessDenied"), "*", when=is_of_the_first_session)
    run = lab.run(store={"credentials": SessionsWithoutExpiry()})
    assert run.success
    assert sum("credentials" in one.route for one in run.requests) == 2


@covers("C8")
def test_a_forbidden_object_of_a_session_without_expiry_costs_one_refresh(lab: Lab) -> None:
    """The denial stays after the refresh: it is about the object, which is named."""
    lab.add("secret.bin", SMALL)
    lab.add_small(5)
    lab.fault(faults.status(403, "AccessDenied"), "secret.bin")
    run = lab.run(store={"credentials": SessionsWithoutExpiry()})
    assert run.codes == {"secret.bin": "ACCESS_DENIED"}
    assert len(run.asked("secret.bin")) == 2
    assert sum("credentials" in one.route for one in run.requests) == 2
