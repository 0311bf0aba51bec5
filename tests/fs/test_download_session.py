"""The contract of `DownloadSession`, row by row (architecture.md, section 4)."""

import asyncio
import concurrent.futures
import gc
import logging
import pathlib
import pickle
import sys
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import roboto.storage.download_session
import roboto.storage.file_service
import roboto.storage.object_store
from roboto import Association

from roboto_dagster import (
    CredentialProvider,
    DownloadableFile,
    DownloadError,
    DownloadSession,
    FutureLike,
    ObjectStore,
    PlatformError,
    StoreRegistry,
)
from roboto_dagster.testing import LocalRoboto, faults

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

pytestmark = pytest.mark.slow

DATASET = Association.dataset("ds_123")
SECRET = "wJalrXUtnFEMI-not-a-real-key"


class Done:
    """A future that has ended well."""

    def result(self) -> None:
        """Return at once."""

    def done(self) -> bool:
        """Report that it has ended."""
        return True


class Broken:
    """A future that has ended badly."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def result(self) -> None:
        """Raise what went wrong."""
        raise self._error

    def done(self) -> bool:
        """Report that it has ended."""
        return True


class Running:
    """A future that ends when it is cancelled."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def result(self) -> None:
        """Never be waited for in these tests."""
        raise AssertionError

    def done(self) -> bool:
        """Report that it runs."""
        return False

    def cancel(self) -> bool:
        """Note that it shall stop."""
        self.is_cancelled = True
        return True


def files(count: int) -> list[DownloadableFile]:
    """Return files that exist nowhere."""
    return [
        DownloadableFile(
            bucket_name="bucket",
            source_uri=f"s3://bucket/{number}",
            destination_path=pathlib.Path(f"{number}.mcap"),
        )
        for number in range(count)
    ]


@pytest.fixture
def session() -> DownloadSession:
    """A session of three files, without a platform."""
    return DownloadSession(items=files(3), association=DATASET)


# --- iterating and waiting ---


def test_iterating_yields_the_files(session: DownloadSession) -> None:
    """Every file comes once, in the order given."""
    assert list(session) == files(3)


def test_iterating_waits_once_all_have_been_yielded(session: DownloadSession) -> None:
    """The loop ends with the wait, so its failures are raised by the loop."""
    seen = []
    with pytest.raises(ExceptionGroup):  # noqa: PT012 -- the block is what is tested
        for file in session:
            seen.append(file)
            session.register_download(file, Broken(ValueError("no")))
    assert seen == files(3)


def test_a_lazy_iterable_is_consumed_as_the_session_is() -> None:
    """A batch of a million files need not exist before the first is fetched."""
    made: list[int] = []

    def lazily() -> Iterator[DownloadableFile]:
        for number, file in enumerate(files(3)):
            made.append(number)
            yield file

    next(iter(DownloadSession(items=lazily(), association=DATASET)))
    assert made == [0]


def test_an_empty_session_ends_at_once() -> None:
    """No files are no error, and ask nobody for anything."""
    with DownloadSession(items=[], association=DATASET) as session:
        assert list(session) == []


def test_await_downloads_returns_none(session: DownloadSession) -> None:
    """When all went well there is nothing to return."""
    session.register_download(files(1)[0], Done())
    assert session.await_downloads() is None  # type: ignore[func-returns-value]


def test_await_downloads_raises_every_failure_in_one_group(session: DownloadSession) -> None:
    """No failure hides another one, and those that went well are not in it."""
    futures: list[FutureLike[None]] = [Broken(ValueError("a")), Done(), Broken(OSError("b"))]
    for file, future in zip(files(3), futures, strict=True):
        session.register_download(file, future)
    with pytest.raises(ExceptionGroup) as caught:
        session.await_downloads()
    failed = [error.file for error in caught.value.exceptions if isinstance(error, DownloadError)]
    assert failed == [files(3)[0], files(3)[2]]


def test_a_group_names_how_many_and_of_what(session: DownloadSession) -> None:
    """The group's own text is of use where members are not shown."""
    session.register_download(files(1)[0], Broken(ValueError("a")))
    with pytest.raises(ExceptionGroup, match="1 file of ds_123 could not be downloaded"):
        session.await_downloads()


def test_all_are_waited_for_although_the_first_failed(session: DownloadSession) -> None:
    """Nothing of a later file is skipped because an earlier one failed."""
    waited: list[int] = []

    class Noted(Done):
        def result(self) -> None:
            waited.append(1)

    first, *others = files(3)
    session.register_download(first, Broken(ValueError("a")))
    for file in others:
        session.register_download(file, Noted())
    with pytest.raises(ExceptionGroup):
        session.await_downloads()
    assert waited == [1, 1]


def test_failures_are_raised_once(session: DownloadSession) -> None:
    """A second wait is about what was registered since."""
    session.register_download(files(1)[0], Broken(ValueError("a")))
    with pytest.raises(ExceptionGroup):
        session.await_downloads()
    session.register_download(files(2)[1], Done())
    session.await_downloads()


def test_any_future_will_do(session: DownloadSession, tmp_path: pathlib.Path) -> None:
    """A future of an ordinary thread pool can be registered as it is."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for file in session:
            target = tmp_path / file["destination_path"]
            session.register_download(file, pool.submit(target.touch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mcap", "1.mcap", "2.mcap"]


# --- failures ---


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ValueError("strange"), "UNEXPECTED", id="any"),
        pytest.param(PermissionError(13, "Permission denied"), "LOCAL_IO", id="disk"),
        pytest.param(ConnectionResetError(104, "reset"), "CONNECTION", id="network"),
        pytest.param(concurrent.futures.CancelledError(), "CANCELLED", id="cancelled"),
        pytest.param(PlatformError("no credentials"), "CREDENTIALS_INVALID", id="credentials"),
        pytest.param(KeyError(), "UNEXPECTED", id="without-text"),
    ],
)
def test_a_foreign_failure_is_wrapped_and_names_its_file(
    session: DownloadSession, error: Exception, code: str
) -> None:
    """Whatever a store's future raises becomes an error of ours; a foreign original is its cause."""
    session.register_download(files(1)[0], Broken(error))
    with pytest.raises(ExceptionGroup) as caught:
        session.await_downloads()
    (failure,) = caught.value.exceptions
    assert isinstance(failure, DownloadError)
    cause = None if isinstance(error, PlatformError) else error  # ours is quoted in full
    assert (failure.file, failure.code, failure.__cause__) == (files(1)[0], code, cause)


def test_our_own_failure_stays_as_it_is(session: DownloadSession) -> None:
    """What already is one of ours is not wrapped again."""
    failure = DownloadError(files(1)[0], "NOT_FOUND", "gone")
    session.register_download(files(1)[0], Broken(failure))
    with pytest.raises(ExceptionGroup) as caught:
        session.await_downloads()
    assert caught.value.exceptions == (failure,)


def test_the_group_pickles(session: DownloadSession) -> None:
    """A failed batch crosses processes with everything that is known of it."""
    session.register_download(files(1)[0], Broken(OSError(28, "No space left on device")))
    with pytest.raises(ExceptionGroup) as caught:
        session.await_downloads()
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 -- our own bytes
    assert str(copy.exceptions[0]) == str(caught.value.exceptions[0])
    assert copy.exceptions[0].code == "NO_SPACE"


def test_a_signed_url_in_a_foreign_error_is_not_shown(
    session: DownloadSession, caplog: pytest.LogCaptureFixture
) -> None:
    """What signs a URL is blotted out of texts that others wrote."""
    url = f"https://b.s3.amazonaws.com/k?X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}"
    session.register_download(files(1)[0], Broken(ValueError(f"cannot get {url}")))
    with pytest.raises(ExceptionGroup) as caught:
        session.await_downloads()
    assert SECRET not in f"{caught.value.exceptions[0]} {caplog.text}"


def test_failures_are_logged_by_the_modules_logger(
    session: DownloadSession, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for each failure, where a user of the SDK looks for it."""
    session.register_download(files(1)[0], Broken(ValueError("strange")))
    with pytest.raises(ExceptionGroup):
        session.await_downloads()
    (record,) = caplog.records
    assert (record.name, record.levelno) == (
        "roboto_dagster.fs.download_session",
        logging.ERROR,
    )
    assert "s3://bucket/0" in record.getMessage()


def test_an_outage_does_not_flood_the_log(
    session: DownloadSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Of many failures the first are logged, and all are in the group."""
    for file in files(300):
        session.register_download(file, Broken(ValueError("strange")))
    with pytest.raises(ExceptionGroup, match="300 files of") as caught:
        session.await_downloads()
    assert len(caught.value.exceptions) == 300
    assert len(caplog.records) == 6


def test_a_listener_gets_every_failure_and_the_group_a_hundred() -> None:
    """Memory does not grow with the failures that the caller has got already."""
    failed: list[str] = []
    session = DownloadSession(
        items=[], association=DATASET, on_settled=lambda file, *_: failed.append(file["source_uri"])
    )
    for file in files(300):
        session.register_download(file, Broken(ValueError("strange")))
    with pytest.raises(ExceptionGroup, match="300 files of") as caught:
        session.await_downloads()
    assert (len(failed), len(caught.value.exceptions)) == (300, 100)


def test_a_cancelled_task_of_asyncio_is_that_files_failure(session: DownloadSession) -> None:
    """Its error is no `Exception`, and yet it is the outcome of one file."""
    session.register_download(files(2)[0], Broken(asyncio.CancelledError()))
    session.register_download(files(2)[1], Done())
    with pytest.raises(ExceptionGroup) as caught:
        session.await_downloads()
    (failure,) = caught.value.exceptions
    assert isinstance(failure, DownloadError)
    assert failure.code == "CANCELLED"


def test_every_end_is_reported_once() -> None:
    """The listener gets each file: its future, and its failure or None."""
    settled: list[tuple[str, bool]] = []
    session = DownloadSession(
        items=[],
        association=DATASET,
        on_settled=lambda file, _, failure: settled.append((file["source_uri"], failure is None)),
    )
    session.register_download(files(2)[0], Done())
    session.register_download(files(2)[1], Broken(ValueError("a")))
    with pytest.raises(ExceptionGroup):
        session.await_downloads()
    assert settled == [("s3://bucket/0", True), ("s3://bucket/1", False)]


def test_memory_does_not_grow_with_the_files_that_succeeded(session: DownloadSession) -> None:
    """Of ten thousand ended transfers few are still remembered."""
    alive: weakref.WeakSet[Done] = weakref.WeakSet()
    for file in files(10_000):
        future = Done()
        alive.add(future)
        session.register_download(file, future)
    gc.collect()
    assert len(alive) <= 1_000


# --- leaving, interrupts ---


def test_memory_does_not_grow_with_the_files_that_failed() -> None:
    """Failures that nobody keeps go at once: of a million, the collector would find too few in time."""
    failures: list[weakref.ref[DownloadError]] = []

    def on_settled(_: DownloadableFile, __: Any, failure: DownloadError | None) -> None:
        assert failure is not None
        failures.append(weakref.ref(failure))

    session = DownloadSession([], DATASET, on_settled=on_settled)
    gc.disable()
    try:
        for file in files(300):
            session.register_download(file, Broken(DownloadError(file, "NOT_FOUND", "it is gone")))
        with pytest.raises(ExceptionGroup):
            session.await_downloads()
        assert sum(failure() is not None for failure in failures) <= 101
    finally:
        gc.enable()


def test_leaving_waits() -> None:
    """A `with` ends when every download has, and raises what failed."""
    with (
        pytest.raises(ExceptionGroup),
        DownloadSession(items=files(1), association=DATASET) as session,
    ):
        session.register_download(files(1)[0], Broken(ValueError("a")))


def test_a_body_that_raises_cancels_what_runs_and_wins() -> None:
    """The body's own error is what the caller sees; nothing goes on behind it."""
    running = Running()
    with (  # noqa: PT012 -- the block is what is tested
        pytest.raises(ZeroDivisionError),
        DownloadSession(items=files(2), association=DATASET) as session,
    ):
        session.register_download(files(2)[0], Broken(ValueError("hidden")))
        session.register_download(files(2)[1], running)
        raise ZeroDivisionError
    assert running.is_cancelled


def test_a_body_that_raises_can_have_futures_without_cancel() -> None:
    """A future need only have `result` and `done`."""
    with (  # noqa: PT012 -- the block is what is tested
        pytest.raises(ZeroDivisionError),
        DownloadSession(items=files(1), association=DATASET) as session,
    ):
        session.register_download(files(1)[0], Done())
        raise ZeroDivisionError


def test_a_future_that_cannot_be_cancelled_does_not_save_the_others() -> None:
    """What a foreign `cancel` raises is no reason to leave the next one running."""

    class Stubborn(Running):
        def cancel(self) -> bool:
            raise RuntimeError("no")

    running = Running()
    with (  # noqa: PT012 -- the block is what is tested
        pytest.raises(ZeroDivisionError),
        DownloadSession(items=files(2), association=DATASET) as session,
    ):
        session.register_download(files(2)[0], Stubborn())
        session.register_download(files(2)[1], running)
        raise ZeroDivisionError
    assert running.is_cancelled


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_waiting_cancels(
    session: DownloadSession, interrupt: type[BaseException]
) -> None:
    """Ctrl-C, and Dagster's own interrupt, stop what runs and come through as they are."""
    running = Running()
    session.register_download(files(2)[0], Broken(interrupt()))
    session.register_download(files(2)[1], running)
    with pytest.raises(interrupt):
        session.await_downloads()
    assert running.is_cancelled


def test_what_had_ended_before_an_interrupt_is_still_reported() -> None:
    """A completed file is reported, although the batch was interrupted."""
    settled: list[str] = []
    session = DownloadSession(
        items=[],
        association=DATASET,
        on_settled=lambda file, _, failure: settled.append(f"{file['source_uri']} {failure}"),
    )
    session.register_download(files(3)[0], Broken(KeyboardInterrupt()))
    session.register_download(files(3)[1], Running())
    session.register_download(files(3)[2], Done())
    with pytest.raises(KeyboardInterrupt):
        session.await_downloads()
    assert settled == ["s3://bucket/2 None"]


# --- credentials ---


@pytest.fixture
def two_buckets(local: LocalRoboto) -> str:
    """A dataset whose files lie in two buckets."""
    dataset_id = local.add_dataset("two buckets")
    local.add_file(dataset_id, "a.mcap", b"a", bucket="first-bucket")
    local.add_file(dataset_id, "b.mcap", b"b", bucket="second-bucket")
    return dataset_id


def session_of(local: LocalRoboto, dataset_id: str, **options: Any) -> DownloadSession:
    """Return a session without files of a dataset."""
    return DownloadSession(
        items=[],
        association=Association.from_id(dataset_id),
        roboto_client=local.client(max_attempts=1),
        **options,
    )


def test_credentials_are_for_the_bucket_asked_for(local: LocalRoboto, two_buckets: str) -> None:
    """Each bucket has its own, in the shape that botocore and the SDK's store want."""
    session = session_of(local, two_buckets)
    first = session.make_credential_provider("first-bucket")()
    second = session.make_credential_provider("second-bucket")()
    assert first["access_key"] != second["access_key"]
    assert set(first) == {"access_key", "secret_key", "token", "region", "expiry_time"}


@pytest.mark.parametrize(
    "provider_of",
    [
        pytest.param(lambda session: session.make_credential_provider(), id="call"),
        pytest.param(lambda session: session.credential_provider, id="property"),
    ],
)
def test_without_a_bucket_the_first_is_taken(
    local: LocalRoboto, provider_of: Callable[[DownloadSession], CredentialProvider]
) -> None:
    """For a batch in one bucket nobody needs to name it."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.mcap", b"a")
    assert provider_of(session_of(local, dataset_id))()["access_key"]


def test_credentials_are_read_only_and_asked_for_each_time(
    local: LocalRoboto, two_buckets: str
) -> None:
    """A provider is a function that asks the platform whenever it is called."""
    provider = session_of(local, two_buckets).make_credential_provider("first-bucket")
    assert local.requests.count(service="api") == 0
    provider()
    provider()
    asked = local.requests.matching(route=f"/v1/datasets/id/{two_buckets}/credentials")
    assert [request.query for request in asked] == ["mode=ReadOnly", "mode=ReadOnly"]


def test_other_associations_have_a_route_of_their_own(local: LocalRoboto) -> None:
    """The files of a device are read with the device's credentials."""
    with pytest.raises(PlatformError, match="dv_1"):  # LocalRoboto has no devices
        session_of(local, "dv_1").make_credential_provider()()
    assert local.requests.count(route="/v1/files/association/id/dv_1/credentials") == 1


def test_credentials_are_asked_for_on_behalf_of_the_org(
    local: LocalRoboto, two_buckets: str
) -> None:
    """Where the files belong to another organization, its id goes with the request."""
    orgs: list[str | None] = []

    def note(request: Any) -> bool:
        orgs.append(request.headers.get("x-roboto-org-id"))
        return False

    local.faults.add(faults.status(500), when=note)
    session_of(local, two_buckets, caller_org_id="og_local").make_credential_provider()()
    assert orgs == ["og_local"]


def test_an_unknown_bucket_is_named(local: LocalRoboto, two_buckets: str) -> None:
    """The error names the bucket, the dataset, what there is, and what to check."""
    provider = session_of(local, two_buckets).make_credential_provider("third-bucket")
    with pytest.raises(PlatformError) as caught:
        provider()
    assert str(caught.value) == (
        f"The platform offers no credentials for bucket 'third-bucket' of {two_buckets}, only for "
        "first-bucket, second-bucket. Check that the bucket is registered with the platform."
    )


def test_an_empty_answer_names_the_dataset(local: LocalRoboto, two_buckets: str) -> None:
    """No credentials at all are an error that names the dataset."""
    local.faults.add(faults.answer_json({"data": []}), route="*/credentials")
    with pytest.raises(PlatformError, match=f"no credentials for {two_buckets}"):
        session_of(local, two_buckets).make_credential_provider()()


COMPLETE = {
    "access_key_id": "AKIA",
    "secret_access_key": SECRET,
    "session_token": SECRET,
    "bucket": "first-bucket",
    "expiration": "2030-01-01T00:00:00Z",
    "region": "us-west-2",
    "required_prefix": "",
}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(faults.answer_json({}), id="no-data"),
        pytest.param(faults.answer_json({"data": {}}), id="an-object"),
        pytest.param(faults.answer_json({"data": [{}]}), id="an-empty-record"),
        pytest.param(
            faults.answer_json({"data": [{**COMPLETE, "session_token": None}]}), id="no-token"
        ),
        pytest.param(
            faults.answer_json({"data": [{**COMPLETE, "expiration": SECRET}]}), id="bad-time"
        ),
        pytest.param(
            faults.answer_json({"data": [{**COMPLETE, "bucket": "x"}]}), id="wrong-bucket"
        ),
        pytest.param(faults.answer(f"<html>{SECRET}</html>"), id="html"),
        pytest.param(faults.answer(b"\xff\xfe"), id="binary"),
        pytest.param(faults.status(500), id="server-error"),
        pytest.param(faults.refuse(), id="reset"),
    ],
)
def test_a_bad_answer_is_one_error_without_a_secret(
    local: LocalRoboto, two_buckets: str, answer: faults.Fault
) -> None:
    """Whatever the platform answers, it is a `PlatformError` that names the dataset, no value."""
    local.faults.add(answer, route="*/credentials")
    with pytest.raises(PlatformError) as caught:
        session_of(local, two_buckets).make_credential_provider("first-bucket")()
    assert two_buckets in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_without_a_client_the_environments_is_taken(
    local: LocalRoboto, two_buckets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the SDK, no client means the one that the environment describes."""
    monkeypatch.setenv("ROBOTO_API_KEY", local.api_key)
    monkeypatch.setenv("ROBOTO_SERVICE_ENDPOINT", local.api_url)
    session = DownloadSession([], Association.dataset(two_buckets))
    assert session.make_credential_provider("first-bucket")()["region"]


# --- the documented use, and swaps with the SDK ---


@pytest.fixture
def flight(
    local: LocalRoboto,
    environment: None,  # noqa: ARG001 -- it sets variables
    tmp_path: pathlib.Path,
) -> list[DownloadableFile]:
    """Three files of one dataset, not yet fetched."""
    dataset_id = local.add_dataset("flight")
    for number in range(3):
        local.add_file(dataset_id, f"{number}.mcap", b"x" * number)
    return [
        DownloadableFile(
            bucket_name="roboto-managed",
            source_uri=local.record(dataset_id, f"{number}.mcap")["uri"],
            destination_path=tmp_path / dataset_id / f"{number}.mcap",
        )
        for number in range(3)
    ]


def dataset_of(flight: list[DownloadableFile]) -> Association:
    """Return whose files they are."""
    return Association.dataset(flight[0]["destination_path"].parent.name)


def sizes(flight: list[DownloadableFile]) -> list[int]:
    """Return the sizes on disk."""
    return [file["destination_path"].stat().st_size for file in flight]


REGISTRIES = [
    pytest.param(StoreRegistry, id="our-registry"),
    pytest.param(roboto.storage.object_store.StoreRegistry, id="sdk-registry"),
]


@pytest.mark.parametrize("registry", REGISTRIES)
def test_documented_use(
    local: LocalRoboto, flight: list[DownloadableFile], registry: type[StoreRegistry]
) -> None:
    """The example of the documentation, with our registry and with the SDK's."""
    client, uri, bucket = local.client(), flight[0]["source_uri"], flight[0]["bucket_name"]
    session = DownloadSession(items=flight, association=dataset_of(flight), roboto_client=client)
    store = registry.get_store_for_uri(uri, session.make_credential_provider(bucket))
    with store:
        for file in session:
            session.register_download(file, store.get(file["source_uri"], file["destination_path"]))
    assert sizes(flight) == [0, 1, 2]


@pytest.mark.parametrize("registry", REGISTRIES)
def test_documented_use_with_the_property(
    local: LocalRoboto, flight: list[DownloadableFile], registry: type[StoreRegistry]
) -> None:
    """The same with `session.credential_provider` in place of the call."""
    session = DownloadSession(flight, dataset_of(flight), local.client())
    store = registry.get_store_for_uri(flight[0]["source_uri"], session.credential_provider)
    with store:
        for file in session:
            session.register_download(file, store.get(file["source_uri"], file["destination_path"]))
    assert sizes(flight) == [0, 1, 2]


@pytest.mark.parametrize("registry", REGISTRIES)
def test_one_missing_file_does_not_cost_the_others(
    local: LocalRoboto, flight: list[DownloadableFile], registry: type[StoreRegistry]
) -> None:
    """Either registry: the group names the one that is gone, and all others are there."""
    gone, *others = flight
    local.remove_object(dataset_of(flight).association_id, "0.mcap")
    session = DownloadSession(flight, dataset_of(flight), local.client())
    store = registry.get_store_for_uri(flight[0]["source_uri"], session.credential_provider)
    with pytest.raises(ExceptionGroup) as caught, store:  # noqa: PT012 -- the block is what is tested
        for file in session:
            session.register_download(file, store.get(file["source_uri"], file["destination_path"]))
    (failure,) = caught.value.exceptions
    assert isinstance(failure, DownloadError)
    assert (failure.file, failure.code, sizes(others)) == (gone, "NOT_FOUND", [1, 2])


@pytest.fixture
def file_service(
    local: LocalRoboto,
    environment: None,  # noqa: ARG001 -- it sets variables
    monkeypatch: pytest.MonkeyPatch,
) -> roboto.storage.file_service.FileService:
    """The SDK's own service, with our session in place of its, and our registry."""
    monkeypatch.setattr(roboto.storage.file_service, "DownloadSession", DownloadSession)
    registry: Any = StoreRegistry
    return roboto.storage.file_service.FileService(local.client(), object_store_registry=registry)


def test_session_inside_the_sdks_file_service(
    file_service: roboto.storage.file_service.FileService, flight: list[DownloadableFile]
) -> None:
    """The SDK downloads through our session and our store, and reports progress."""
    counted: list[int] = []
    service: Any = file_service
    service.download(flight, dataset_of(flight), on_progress=counted.append)
    assert (sizes(flight), sum(counted)) == ([0, 1, 2], 3)


def test_file_service_raises_what_our_session_raises(
    local: LocalRoboto,
    file_service: roboto.storage.file_service.FileService,
    flight: list[DownloadableFile],
) -> None:
    """A failure inside the SDK's service still names its file, which the SDK's own does not."""
    local.remove_object(dataset_of(flight).association_id, "2.mcap")
    service: Any = file_service
    with pytest.raises(ExceptionGroup) as caught:
        service.download(flight, dataset_of(flight))
    (failure,) = caught.value.exceptions
    assert isinstance(failure, DownloadError)
    assert (failure.file, sizes(flight[:2])) == (flight[2], [0, 1])


def test_file_service_uploads_through_our_registry(
    local: LocalRoboto,
    file_service: roboto.storage.file_service.FileService,
    tmp_path: pathlib.Path,
) -> None:
    """The SDK uploads through our store, and the platform has the file afterwards."""
    dataset_id = local.add_dataset("uploads")
    source = tmp_path / "new.mcap"
    source.write_bytes(b"new bytes")
    counted: list[int] = []
    uploaded = file_service.upload(
        [source], Association.dataset(dataset_id), on_progress=counted.append
    )
    assert list(uploaded) == [source]
    assert (local.record(dataset_id, "new.mcap")["size"], sum(counted)) == (9, 9)


def test_the_sdks_session_takes_our_store(
    local: LocalRoboto, flight: list[DownloadableFile]
) -> None:
    """The other way round: the SDK's session with a store of ours."""
    sdk: Any = roboto.storage.download_session.DownloadSession
    session = sdk(items=flight, association=dataset_of(flight), roboto_client=local.client())
    store = StoreRegistry.get_store_for_uri(
        flight[0]["source_uri"], session.make_credential_provider("roboto-managed")
    )
    with store:
        for file in session:
            session.register_download(file, store.get(file["source_uri"], file["destination_path"]))
    assert sizes(flight) == [0, 1, 2]


def test_types_are_those_of_the_sdk() -> None:
    """Either side's files and credentials have the same keys of the same types."""
    sdk = roboto.storage.download_session.DownloadableFile
    assert typing.get_type_hints(DownloadableFile) == typing.get_type_hints(sdk)


def test_a_store_of_the_sdk_is_one_of_ours() -> None:
    """The SDK's S3 store has what our protocol asks for, at run time too."""
    from roboto.storage.object_store.s3 import S3Store

    assert issubclass(S3Store, ObjectStore)


def test_failures_that_were_reported_are_let_go() -> None:
    """A million failing files cost the memory of a few: the tracebacks of those that are kept hold no others."""
    session = DownloadSession(
        [], Association.dataset("ds_1"), on_settled=lambda _file, _future, _failure: None
    )
    alive: weakref.WeakSet[concurrent.futures.Future[None]] = weakref.WeakSet()
    (file,) = files(1)
    for _ in range(5_000):
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        future.set_exception(DownloadError(file, "ACCESS_DENIED", "the key was revoked"))
        alive.add(future)
        session.register_download(file, future)
    gc.collect()
    assert len(alive) < 1_500
