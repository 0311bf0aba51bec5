"""Credentials are fetched once, ahead of their end, and after a rejection; never in a storm."""

import datetime as dt
import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from roboto_dagster.errors import ConfigurationError, PlatformError
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import (
    Credentials,
    CredentialsError,
    DescribedProvider,
    check_credentials,
)
from roboto_dagster.fs.retry import RetryConfig

START = 1_800_000_000.0


class World:
    """A provider, a clock and a thread of background work that the test drives."""

    def __init__(self, life_seconds: float | None = 300.0) -> None:
        self.now = START
        self.life_seconds = life_seconds
        self.calls = 0
        self.failure: Exception | None = None
        self.always_same = False
        self.token = "hidden-token"
        self.on_pause: Callable[[], bool] = lambda: False
        self.background: list[Callable[[], None]] = []
        self.pauses: list[float] = []
        self.cache = CredentialCache(
            self.provide,
            self.clock,
            self.background.append,
            retry=RetryConfig(max_attempts=3, wait_initial_seconds=0, wait_max_seconds=0),
            pause=self.pause,
        )

    def pause(self, seconds: float) -> bool:
        """Let the time of a pause pass."""
        self.pauses.append(seconds)
        self.now += seconds
        return self.on_pause()

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def provide(self) -> Credentials:
        """Return numbered credentials, or fail."""
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return credentials(
            access_key="AKIA" if self.always_same else f"AKIA{self.calls}",
            token=self.token,
            expiry_time=None if self.life_seconds is None else iso(self.now + self.life_seconds),
        )

    def work(self) -> None:
        """Do what is to be done in the background."""
        while self.background:
            self.background.pop(0)()

    def read(self) -> str:
        """Read the keys as a loop does: at once, and again when what was started is done."""
        keys = self.cache.get_nowait()
        if keys is None:
            self.work()
            keys = self.cache.get_nowait()
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
    assert world.cache.get_nowait() is None
    assert world.cache.get_nowait() is None
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


def test_an_outage_pauses_everybody() -> None:
    """While the provider fails transiently nobody fails, and one call at a time goes on asking."""
    world = World()
    world.failure = PlatformError("down", transient=True)
    assert world.cache.get_nowait() is None

    def recover() -> bool:
        assert world.cache.get_nowait() is None
        world.failure = None
        return False

    world.on_pause = recover
    world.work()
    assert (world.read(), world.calls, len(world.pauses)) == ("AKIA2", 2, 1)


def test_an_outage_that_lasts_fails_everybody_once() -> None:
    """After as many attempts as the policy has, its failure is everybody's, and counts as so many attempts."""
    world = World()
    world.failure = PlatformError("down", transient=True)
    assert world.cache.get_nowait() is None
    world.work()
    for _ in range(10):
        with pytest.raises(CredentialsError, match="down") as caught:
            world.cache.get_nowait()
        assert (caught.value.transient, caught.value.attempts) == (True, 3)
    assert world.calls == 3


def test_a_final_failure_of_the_provider_is_not_repeated() -> None:
    """Where asking again cannot help, nobody waits."""
    world = World()
    world.failure = PlatformError("forbidden")
    world.cache.get_nowait()
    world.work()
    with pytest.raises(PlatformError, match="forbidden"):
        world.cache.get_nowait()
    assert (world.calls, world.pauses) == (1, [])


def test_a_provider_that_recovers_is_asked_again_later() -> None:
    """A failure is not for ever."""
    world = World()
    world.failure = PlatformError("down", transient=True)
    world.cache.get_nowait()
    world.work()
    world.failure = None
    world.now += 5
    assert world.read() == "AKIA4"


def test_closing_ends_a_pause() -> None:
    """A store that is left does not leave a thread that waits for the platform."""
    asked = threading.Event()

    def provide() -> Credentials:
        asked.set()
        raise PlatformError("down", transient=True)

    threads: list[threading.Thread] = []

    def in_background(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work))
        threads[0].start()

    cache = CredentialCache(
        provide,
        in_background=in_background,
        retry=RetryConfig(wait_initial_seconds=1000, wait_max_seconds=1000),
    )
    cache.get_nowait()
    assert asked.wait(60)
    cache.close()
    threads[0].join(60)
    assert not threads[0].is_alive()
    with pytest.raises(PlatformError, match="down"):
        cache.current()


def test_waiting_for_credentials_can_be_cancelled() -> None:
    """Whoever blocks on a provider that hangs is let go."""
    cache = CredentialCache(credentials, in_background=lambda _: None)
    with pytest.raises(CredentialsError, match="cancelled"):
        cache.current(is_cancelled=lambda: True)


def test_errors_of_ours_pass_through() -> None:
    """A message that names the wrong setting reaches the user as it is."""
    world = World()
    world.failure = ConfigurationError("There is no AWS profile 'nope'.")
    world.cache.get_nowait()
    world.work()
    with pytest.raises(CredentialsError, match=r"^There is no AWS profile 'nope'.$"):
        world.cache.get_nowait()


def test_refused_keys_are_renewed_once() -> None:
    """Any number of requests that were rejected with the same keys makes one call."""
    world = World()
    world.read()
    for _ in range(50):
        world.cache.mark_rejected(0)
    world.work()
    assert world.read() == "AKIA2"
    assert world.calls == 2


def test_a_late_refusal_of_older_keys_is_no_news() -> None:
    """A request that was signed before a refresh is no evidence about the new keys."""
    world = World()
    world.read()
    world.cache.mark_rejected(0)
    world.work()
    world.read()
    world.cache.mark_rejected(0)
    assert not world.background
    assert world.read() == "AKIA2"


def test_a_provider_with_no_other_keys_is_not_asked_in_a_storm() -> None:
    """The same keys again, after they were rejected, are a failure that names this."""
    world = World()
    world.always_same = True
    world.read()
    world.cache.mark_rejected(0)
    world.work()
    world.cache.refresh_if_due()
    with pytest.raises(CredentialsError, match="has no others") as caught:
        world.cache.get_nowait()
    assert caught.value.code == "CREDENTIALS_EXPIRED"
    assert world.calls == 2


def test_wrong_keys_keep_the_stores_answer() -> None:
    """Keys that the store does not know are not called expired, and are not tried again."""
    world = World(life_seconds=None)
    world.always_same = True
    world.read()
    world.cache.mark_rejected(0, "CREDENTIALS_INVALID", "HTTP 403 InvalidAccessKeyId: no such key")
    world.work()
    with pytest.raises(CredentialsError, match="InvalidAccessKeyId: no such key") as caught:
        world.cache.get_nowait()
    assert (caught.value.code, caught.value.transient) == ("CREDENTIALS_INVALID", False)


def test_a_denial_renews_credentials_of_unknown_expiry_once() -> None:
    """Some stores answer a plain 403 to an expired session: one refresh shows which it is."""
    world = World(life_seconds=None)
    world.read()
    assert world.cache.suspect(0)
    assert world.cache.suspect(0)
    assert world.cache.get_nowait() is None
    world.work()
    assert world.read() == "AKIA2"
    assert world.cache.suspect(0)
    assert not world.cache.suspect(1)
    assert world.calls == 2


def test_a_denial_of_credentials_without_successor_is_about_the_object() -> None:
    """The same credentials again: they go on serving, and are not suspected a second time."""
    world = World(life_seconds=None)
    world.always_same = True
    world.read()
    assert world.cache.suspect(0)
    world.work()
    assert world.read() == "AKIA"
    assert not world.cache.suspect(0)
    assert world.calls == 2


def test_a_denial_during_an_outage_is_about_the_object() -> None:
    """A provider that fails does not take away what serves everybody else."""
    world = World(life_seconds=None)
    world.read()
    world.failure = PlatformError("down", transient=True)
    assert world.cache.suspect(0)
    world.work()
    assert world.read() == "AKIA1"
    assert (world.calls, world.pauses) == (2, [])


@pytest.mark.parametrize(
    ("life_seconds", "age_seconds", "token", "expected"),
    [
        pytest.param(3600.0, 1, "hidden-token", False, id="fresh"),
        pytest.param(3600.0, 120, "hidden-token", True, id="older"),
        pytest.param(None, 1, "", False, id="permanent"),
        pytest.param(None, 9e9, "", False, id="permanent-old"),
    ],
)
def test_only_what_may_have_expired_is_suspected(
    life_seconds: float | None, age_seconds: float, token: str, *, expected: bool
) -> None:
    """Keys without a session do not expire, and what was fetched just now has not."""
    world = World(life_seconds=life_seconds)
    world.token = token
    world.read()
    world.now += age_seconds
    assert world.cache.suspect(0) is expected


def test_advice_is_the_providers() -> None:
    """A provider that describes itself is named where its credentials are rejected."""
    cache = CredentialCache(DescribedProvider(credentials, "Check profile 'x'."))
    assert cache.advice_for("CREDENTIALS_INVALID") == "Check profile 'x'."
    assert cache.advice_for("THROTTLED") is None
    assert CredentialCache(credentials).advice_for("CREDENTIALS_INVALID") is None


def test_keys_that_are_refused_for_good_fail_fast() -> None:
    """When every fresh key is rejected, the calls end and the failure names this."""
    world = World()
    for generation in range(3):
        world.read()
        world.cache.mark_rejected(generation)
        world.work()
    with pytest.raises(CredentialsError, match="3 fresh credentials in a row"):
        world.read()
    assert world.calls == 3


def test_keys_that_were_accepted_before_are_renewed_without_end() -> None:
    """Keys that work for a while and are then revoked are renewed each time."""
    world = World()
    for generation in range(10):
        world.read()
        world.cache.mark_accepted(generation)
        world.cache.mark_rejected(generation)
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
        go_on.wait(60)
        return credentials()

    cache = CredentialCache(provide)
    threads = [threading.Thread(target=cache.current) for _ in range(8)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


def test_listeners_hear_of_every_fetch() -> None:
    """Who waits for keys is woken by good news and bad."""
    world, heard = World(), []
    world.cache.subscribe(lambda: heard.append(world.calls))
    world.read()
    world.failure = PlatformError("down")
    world.now += 201
    world.cache.get_nowait()
    world.work()
    assert heard == [1, 2]


def test_what_a_provider_raises_is_named_but_not_quoted() -> None:
    """A foreign error might quote what it could not read."""
    world = World()
    world.failure = ValueError("cannot read what is hidden")
    world.cache.get_nowait()
    world.work()
    with pytest.raises(CredentialsError, match="ValueError") as caught:
        world.cache.get_nowait()
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
