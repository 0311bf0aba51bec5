"""Credentials are fetched once, ahead of their end, and after a refusal; never in a storm."""

import datetime as dt
import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster.errors import PlatformError
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import Credentials, CredentialsError, check_credentials

START = 1_800_000_000.0


class World:
    """A provider, a clock and a thread of background work that the test drives."""

    def __init__(self, life_seconds: float | None = 300.0) -> None:
        self.now = START
        self.life_seconds = life_seconds
        self.calls = 0
        self.failure: Exception | None = None
        self.always_same = False
        self.background: list[Callable[[], None]] = []
        self.broker = CredentialCache(self.provide, self.clock, self.background.append)

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    def provide(self) -> Credentials:
        """Return numbered credentials, or fail."""
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return credentials(
            access_key="AKIA" if self.always_same else f"AKIA{self.calls}",
            expiry_time=None if self.life_seconds is None else iso(self.now + self.life_seconds),
        )

    def work(self) -> None:
        """Do what is to be done in the background."""
        while self.background:
            self.background.pop(0)()

    def read(self) -> str:
        """Read the keys as a loop does: at once, and again when what was begun is done."""
        keys = self.broker.get_nowait()
        if keys is None:
            self.work()
            keys = self.broker.get_nowait()
        assert keys is not None
        return keys.access_key


def iso(moment: float) -> str:
    """Write a time as providers do."""
    return dt.datetime.fromtimestamp(moment, dt.timezone.utc).isoformat()


def credentials(**fields: Any) -> Credentials:
    """Return good credentials but for some fields."""
    good = {
        "access_key": "AKIA",
        "secret_key": "hidden-secret",
        "token": "hidden-token",
        "region": "us-west-2",
        "expiry_time": None,
    }
    return Credentials(**{**good, **fields})  # type: ignore[typeddict-item]


def test_any_number_of_reads_costs_one_call() -> None:
    """Keys are kept for as long as they are good."""
    world = World()
    assert {world.read() for _ in range(100)} == {"AKIA1"}
    assert world.calls == 1


def test_reading_never_waits() -> None:
    """While the first keys are fetched, there are none, and nothing else is asked."""
    world = World()
    assert world.broker.get_nowait() is None
    assert world.broker.get_nowait() is None
    assert len(world.background) == 1


def test_short_lived_keys_cost_one_call_per_third_of_their_life() -> None:
    """Keys of five minutes are renewed every two hundred seconds, not at every request."""
    world = World(life_seconds=300)
    for _ in range(3600):
        world.read()
        world.work()
        world.now += 1
    assert world.calls == 3600 // 200


def test_old_keys_serve_while_new_ones_are_fetched() -> None:
    """A refresh ahead of the end stops nobody."""
    world = World()
    world.read()
    world.now += 201
    assert world.read() == "AKIA1"
    world.work()
    assert world.read() == "AKIA2"


def test_keys_without_an_end_are_never_renewed() -> None:
    """No expiry, no refresh."""
    world = World(life_seconds=None)
    world.read()
    world.now += 1e9
    assert world.read() == "AKIA1"


def test_a_failing_provider_does_not_matter_while_the_keys_live() -> None:
    """A platform that is down for a while costs nothing but a call now and then."""
    world = World(life_seconds=300)
    world.read()
    world.failure = PlatformError("down", transient=True)
    for _ in range(299):
        world.now += 1
        assert world.read() == "AKIA1"
        world.work()
    assert world.calls < 15
    world.failure = None
    world.now += 60
    assert world.read().startswith("AKIA")


def test_a_failing_provider_fails_the_files_once_there_are_no_keys() -> None:
    """The provider's own failure is told, to everybody, without asking again each time."""
    world = World()
    world.failure = PlatformError("down", transient=True)
    assert world.broker.get_nowait() is None
    world.work()
    for _ in range(10):
        with pytest.raises(PlatformError, match="down"):
            world.broker.get_nowait()
    assert world.calls == 1


def test_a_provider_that_recovers_is_asked_again_later() -> None:
    """A failure is not for ever."""
    world = World()
    world.failure = PlatformError("down", transient=True)
    world.broker.get_nowait()
    world.work()
    world.failure = None
    world.now += 5
    assert world.read() == "AKIA2"


def test_refused_keys_are_renewed_once() -> None:
    """Any number of requests that were refused with the same keys makes one call."""
    world = World()
    world.read()
    for _ in range(50):
        world.broker.mark_rejected(0)
    world.work()
    assert world.read() == "AKIA2"
    assert world.calls == 2


def test_a_late_refusal_of_older_keys_is_no_news() -> None:
    """A request that was signed before a refresh says nothing about the new keys."""
    world = World()
    world.read()
    world.broker.mark_rejected(0)
    world.work()
    world.read()
    world.broker.mark_rejected(0)
    assert not world.background
    assert world.read() == "AKIA2"


def test_a_provider_with_no_other_keys_is_not_asked_in_a_storm() -> None:
    """The same keys again, after they were refused, are a failure that says so."""
    world = World()
    world.always_same = True
    world.read()
    world.broker.mark_rejected(0)
    world.work()
    world.broker.refresh_if_due()
    with pytest.raises(CredentialsError, match="has no others") as caught:
        world.broker.get_nowait()
    assert caught.value.code == "CREDENTIALS_EXPIRED"
    assert world.calls == 2


def test_keys_that_are_refused_for_good_fail_fast() -> None:
    """When every fresh key is refused, the calls end and the failure says so."""
    world = World()
    for generation in range(3):
        world.read()
        world.broker.mark_rejected(generation)
        world.work()
    with pytest.raises(CredentialsError, match="3 fresh credentials in a row"):
        world.read()
    assert world.calls == 3


def test_keys_that_were_accepted_before_are_renewed_without_end() -> None:
    """Keys that work for a while and are then revoked are renewed each time."""
    world = World()
    for generation in range(10):
        world.read()
        world.broker.mark_accepted(generation)
        world.broker.mark_rejected(generation)
        world.work()
    assert world.read() == "AKIA11"


def test_keys_that_are_over_on_arrival_make_no_storm(caplog: pytest.LogCaptureFixture) -> None:
    """With a wrong clock the store decides; the provider is asked once a minute, with a warning."""
    world = World(life_seconds=-3600)
    with caplog.at_level(logging.WARNING):
        for _ in range(600):
            world.read()
            world.work()
            world.now += 1
    assert world.calls == 10
    assert "clock" in caplog.text


def test_blocking_readers_share_one_call() -> None:
    """Threads that wait for the first keys wait for the same call."""
    asked, go_on = [], threading.Event()

    def provide() -> Credentials:
        asked.append(1)
        go_on.wait(30)
        return credentials()

    broker = CredentialCache(provide)
    threads = [threading.Thread(target=broker.current) for _ in range(8)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


def test_listeners_hear_of_every_fetch() -> None:
    """Who waits for keys is woken by good news and bad."""
    world, heard = World(), []
    world.broker.subscribe(lambda: heard.append(world.calls))
    world.read()
    world.failure = PlatformError("down")
    world.now += 201
    world.broker.get_nowait()
    world.work()
    assert heard == [1, 2]


def test_what_a_provider_raises_is_named_but_not_quoted() -> None:
    """A foreign error might quote what it could not read."""
    world = World()
    world.failure = ValueError("cannot read hidden-secret")
    world.broker.get_nowait()
    world.work()
    with pytest.raises(CredentialsError, match="ValueError") as caught:
        world.broker.get_nowait()
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is world.failure


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "NoneType"),
        ([], "list"),
        ("<html>", "str"),
        ({}, "access_key is missing"),
        (credentials(access_key=""), "access_key is empty"),
        (credentials(secret_key=None), "secret_key is missing"),
        (credentials(token=None), "token is missing"),
        (credentials(token=7), "token is int"),
        (credentials(token="a\r\nHost: evil"), "token is not one line"),
        (credentials(region=None), "region is missing"),
        (credentials(expiry_time="soon"), "expiry_time"),
        (credentials(expiry_time="2030-01-01T00:00:00"), "zone"),
    ],
)
def test_credentials_of_a_wrong_shape_are_named(answer: Any, problem: str) -> None:
    """The message names the field that is wrong, and no value."""
    with pytest.raises(CredentialsError, match=problem) as caught:
        check_credentials(answer, now=START)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("expiry_time", ["2030-01-01T00:00:00Z", "2030-01-01T01:00:00+01:00"])
def test_any_time_with_a_zone_is_read(expiry_time: str) -> None:
    """The forms in which providers write times mean the same."""
    keys = check_credentials(credentials(expiry_time=expiry_time), now=START)
    assert keys.expires_at == dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc).timestamp()


def test_keys_show_no_secret() -> None:
    """Neither text nor debugger shows what must stay hidden."""
    keys = check_credentials(credentials(), now=START)
    assert "hidden" not in repr(keys)
    assert "AKIA" not in repr(keys)


def test_the_error_survives_pickling() -> None:
    """Errors cross processes."""
    error = pickle.loads(pickle.dumps(CredentialsError("why", True, "CREDENTIALS_EXPIRED")))  # noqa: S301
    assert (error.message, error.transient, error.code) == ("why", True, "CREDENTIALS_EXPIRED")
