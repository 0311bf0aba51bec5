"""No secret leaves a run: not by its events, logs, reprs, errors, manifests, pickles or snapshots.

The secrets are those of a real run on `LocalRoboto`: the API token of the user, the secret key and session
token that the platform hands out for S3, and the password of a proxy. Every logger of the process is at DEBUG.
"""

import json
import logging
import pathlib
import pickle
import traceback
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest

from roboto_dagster import (
    ObjectStoreResource,
    RetryConfig,
    RobotoResource,
    build_roboto_dataset_asset,
)
from roboto_dagster.fs.credential_cache import CredentialCache
from roboto_dagster.fs.credentials import Credentials
from roboto_dagster.fs.object_store import StoreRegistry
from roboto_dagster.platform.scope import Scope
from roboto_dagster.sync.manifest import manifest_path
from roboto_dagster.sync.options import SyncSettings
from roboto_dagster.sync.run import sync
from roboto_dagster.testing import LocalRoboto, faults
from roboto_dagster.testing.faults import Fault

pytestmark = pytest.mark.slow

TOKEN = "token-that-nobody-may-see-4711"
SECRET_KEY = "SecretKeyThatNobodyMaySee0815"
SESSION_TOKEN = "SessionToken/That+NobodyMaySee1234=="
PROXY_PASSWORD = "pw-that-nobody-may-see-42"
SECRETS = (TOKEN, SECRET_KEY, SESSION_TOKEN, urllib.parse.quote_plus(SESSION_TOKEN), PROXY_PASSWORD)
CREDENTIALS = "/v1/datasets/id/*/credentials"


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRoboto]:
    """A platform whose every secret is known to the test."""
    from moto.sts.models import sts_backends as real

    class KnownSecrets:
        def __getitem__(self, account_id: str) -> Any:
            backends = real[account_id]
            return {name: Known(backends[name]) for name in ("aws",)}

        def pop(self, *args: Any) -> Any:
            return real.pop(*args)

    class Known:
        def __init__(self, backend: Any) -> None:
            self._backend = backend

        def assume_role(self, **arguments: Any) -> Any:
            role = self._backend.assume_role(**arguments)
            role.secret_access_key = SECRET_KEY
            role.session_token = SESSION_TOKEN
            return role

    monkeypatch.setattr("roboto_dagster.testing.server.auth.sts_backends", KnownSecrets())
    with LocalRoboto(api_key=TOKEN) as platform:
        yield platform


@pytest.fixture
def dataset_id(local: LocalRoboto) -> str:
    """A dataset of a few files."""
    dataset_id = local.add_dataset("secret")
    for number in range(3):
        local.add_file(dataset_id, f"{number}.bin", bytes(100 + number))
    return dataset_id


QUOTED = f"Authorization: Bearer {TOKEN}"
REDIRECT = faults.answer(
    b"",
    status=307,
    headers={"Location": f"http://user:{PROXY_PASSWORD}@127.0.0.1:9/?token={TOKEN}"},
)

SCENES: Mapping[str, tuple[tuple[Fault, dict[str, Any]], ...]] = {
    "good": (),
    "403": ((faults.status(403, "AccessDenied"), {"service": "s3"}),),
    "expired for ever": ((faults.status(400, "ExpiredToken"), {"service": "s3"}),),
    "signature": (
        (
            faults.status(403, "SignatureDoesNotMatch", extra="<StringToSign>AWS4</StringToSign>"),
            {"service": "s3"},
        ),
    ),
    "reset": ((faults.refuse(), {"service": "s3"}),),
    "bad credentials": (
        (
            faults.answer_json(
                {"data": [{"secret_access_key": SECRET_KEY, "session_token": SESSION_TOKEN}]}
            ),
            {"route": CREDENTIALS},
        ),
    ),
    "credentials that are a page": (
        (faults.answer(f"<html>{SECRET_KEY} {SESSION_TOKEN}</html>"), {"route": CREDENTIALS}),
    ),
    "no such user": ((faults.status(401), {"service": "api"}),),
    "redirected platform": ((REDIRECT, {"service": "api"}),),
    "redirected store": ((REDIRECT, {"service": "s3"}),),
    "error that quotes the request": (
        (
            faults.answer(
                f"<Error><Code>AccessDenied</Code><Message>x-amz-security-token:{SESSION_TOKEN}</Message></Error>",
                status=403,
            ),
            {"service": "s3"},
        ),
    ),
    "platform that quotes the request": (
        (
            faults.answer(
                json.dumps(
                    {"error": {"error_code": "RobotoInvalidRequestException", "message": QUOTED}}
                ),
                status=400,
                content_type="application/json",
            ),
            {"service": "api"},
        ),
    ),
    "broken listing": (
        (faults.answer_json({"data": {"items": 1}}), {"route": "/v1/datasets/*/files/query"}),
    ),
}


class Everything(logging.Handler):
    """Formats every record of the process as a log file would, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what would be written."""
        if record.name.split(".")[0] not in ("moto", "werkzeug"):  # the stand-in, not the package
            self.lines.append(self.format(record))


@pytest.fixture
def everything() -> Iterator[Everything]:
    """What the process logs, with every logger at DEBUG."""
    root, handler = logging.getLogger(), Everything()
    level, disabled = root.level, logging.root.manager.disable
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.disable(logging.NOTSET)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.disable(disabled)


@pytest.mark.parametrize("scene", SCENES)
def test_a_run_shows_no_secret(  # noqa: PLR0917 - fixtures
    local: LocalRoboto,
    engine: str,
    dataset_id: str,
    scene: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    everything: Everything,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever a run writes, good or failed, holds neither token nor key."""
    monkeypatch.setenv("MY_ROBOTO_KEY", TOKEN)
    for fault, rule in SCENES[scene]:
        local.faults.add(fault, **rule)
    shown, success = run(local, engine, dataset_id, tmp_path)
    assert success == (scene == "good")
    assert everything.lines
    if scene == "good" and engine == "boto3":
        assert any("***" in line for line in everything.lines if line.startswith("botocore"))
    assert_no_secret(shown + "\n".join(everything.lines) + "".join(capfd.readouterr()))
    for path in (tmp_path / "logs").rglob("*"):
        if path.is_file():
            assert_no_secret(path.read_bytes())


def test_a_proxys_password_is_not_shown(  # noqa: PLR0917 - fixtures
    local: LocalRoboto,
    engine: str,
    dataset_id: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    everything: Everything,
) -> None:
    """A proxy that cannot be reached is named without its password."""
    monkeypatch.setenv("MY_ROBOTO_KEY", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://user:{PROXY_PASSWORD}@127.0.0.1:9")
    for url in ("http://store.example.com:8080", "https://store.example.com"):
        shown, success = run(local, engine, dataset_id, tmp_path, endpoint_url=url)
        assert not success
        assert_no_secret(shown + "\n".join(everything.lines))


def run(
    local: LocalRoboto, engine: str, dataset_id: str, folder: pathlib.Path, **store: Any
) -> tuple[str, bool]:
    """Materialize the dataset; return everything that Dagster stored of it, and whether it succeeded."""
    resources = {
        "roboto": RobotoResource(
            api_key=dg.EnvVar("MY_ROBOTO_KEY"), endpoint=local.api_url, max_attempts=1
        ),
        "object_store": ObjectStoreResource(
            **{"engine": engine, "endpoint_url": local.s3_url, **store}
        ),
    }
    asset = build_roboto_dataset_asset(
        "logs",
        destination=folder / "logs",
        dataset_id=dataset_id,
        retry=RetryConfig(max_attempts=2, wait_initial_seconds=0, wait_max_seconds=0),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset], resources=resources, instance=instance, raise_on_error=False
        )
        entries = instance.all_logs(result.run_id)
        shown = "".join(f"{dg.serialize_value(entry)} {entry.user_message}" for entry in entries)
        return shown + repr(instance.get_run_by_id(result.run_id)), result.success


@pytest.mark.parametrize("scene", SCENES)
def test_an_error_shows_no_secret(
    local: LocalRoboto, engine: str, dataset_id: str, scene: str, tmp_path: pathlib.Path
) -> None:
    """Texts, reprs, tracebacks and pickles of the errors of a sync hold neither token nor key."""
    for fault, rule in SCENES[scene]:
        local.faults.add(fault, **rule)
    store = ObjectStoreResource(engine=engine, endpoint_url=local.s3_url)
    settings = SyncSettings(
        client=RobotoResource(api_key=TOKEN, endpoint=local.api_url, max_attempts=1).get_client(),
        open_store=store.open_store,
        destination=tmp_path / "logs",
        manifest=manifest_path(tmp_path / "logs", "logs", dataset_id),
        retry=RetryConfig(max_attempts=2, wait_initial_seconds=0, wait_max_seconds=0),
    )
    errors: list[BaseException] = []
    try:
        report = sync([Scope(dataset_id=dataset_id)], settings)
        errors.extend(report.failures)
        group = report.error()
        errors.extend([group] if group else [])
        assert_no_secret(repr(report))
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not show one
        errors.append(error)
    assert bool(errors) == (scene != "good")
    for each in errors:
        assert_no_secret("".join(traceback.format_exception(each)))
        assert_no_secret(repr(each) + str(each) + repr(each.__dict__))
        assert_no_secret(pickle.dumps(each))


def test_a_snapshot_holds_the_variables_name_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """What Dagster stores of a code location, and a pickled resource, name the variable."""
    monkeypatch.setenv("MY_ROBOTO_KEY", TOKEN)
    resource = RobotoResource(api_key=dg.EnvVar("MY_ROBOTO_KEY"))
    store = ObjectStoreResource()
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id="ds_1")
    definitions = dg.Definitions(
        assets=[asset], resources={"roboto": resource, "object_store": store}
    )
    snapshot = snapshot_of(definitions)
    assert "MY_ROBOTO_KEY" in snapshot
    assert_no_secret(snapshot)
    assert_no_secret(repr(definitions) + repr(resource) + repr(store))
    assert_no_secret(pickle.dumps(store))


def snapshot_of(definitions: dg.Definitions) -> str:
    """Returns what Dagster stores of a code location."""
    from dagster._core.remote_representation.external_data import RepositorySnap

    repository = definitions.get_repository_def()
    return dg.serialize_value(RepositorySnap.from_def(repository))


def test_keys_show_nothing_of_themselves(local: LocalRoboto, dataset_id: str, engine: str) -> None:
    """Objects that hold keys while a store is open do not show them."""
    found = local.client(max_attempts=1).get(
        f"v1/datasets/id/{dataset_id}/credentials", query={"mode": "ReadOnly"}
    )
    handed_out = found.to_dict(json_path=["data"])[0]
    assert SECRET_KEY in json.dumps(handed_out)
    provided = Credentials(
        access_key=handed_out["access_key_id"],
        secret_key=handed_out["secret_access_key"],
        token=handed_out["session_token"],
        region=handed_out["region"],
        expiry_time=None,
    )
    cache = CredentialCache(lambda: provided)
    store = StoreRegistry.get_store_for_uri(
        "s3://b/k",
        lambda: provided,
        engine=engine,
        endpoint_url=local.s3_url,
    )
    with store:
        assert_no_secret(repr(cache.current()) + repr(cache) + repr(store) + repr(vars(store)))


def test_a_plain_key_is_warned_about() -> None:
    """Dagster stores plain text in clear: whoever writes the key like that is warned, with EnvVar named."""
    with pytest.warns(UserWarning, match="EnvVar") as caught:
        dg.Definitions.validate_loadable(
            dg.Definitions(resources={"roboto": RobotoResource(api_key=TOKEN)})
        )
    assert len(caught) == 1
    assert_no_secret(str(caught[0].message))


def test_a_variable_is_not_warned_about(
    monkeypatch: pytest.MonkeyPatch, local: LocalRoboto, tmp_path: pathlib.Path
) -> None:
    """Neither `EnvVar`, nor its value in a run, nor `LocalRoboto`'s own key is warned about."""
    monkeypatch.setenv("MY_ROBOTO_KEY", TOKEN)
    dataset_id = local.add_dataset("one file")
    local.add_file(dataset_id, "a.bin", b"a")
    asset = build_roboto_dataset_asset("logs", destination=tmp_path, dataset_id=dataset_id)
    variable = RobotoResource(api_key=dg.EnvVar("MY_ROBOTO_KEY"), org_id="og_local")
    store = ObjectStoreResource(endpoint_url=local.s3_url)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        dg.materialize([asset], resources=local.resources())
        monkeypatch.setenv("ROBOTO_SERVICE_ENDPOINT", local.api_url)
        dg.materialize([asset], resources={"roboto": variable, "object_store": store})


def assert_no_secret(shown: str | bytes) -> None:
    """Assert that a text, or bytes, hold none of the secrets."""
    data = shown.encode("utf-8", "replace") if isinstance(shown, str) else shown
    for secret in SECRETS:
        at = data.find(secret.encode())
        assert at < 0, f"shown: {data[max(0, at - 200) : at + 60]!r}"
