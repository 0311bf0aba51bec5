"""The resources: where their settings come from, which wins, and that none shows a secret."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from roboto import Association, RobotoClient
from roboto.http.request import HttpRequest

from roboto_dagster import (
    AwsCredentialsResource,
    ConfigurationError,
    CredentialProvider,
    CredentialProviderResource,
    Credentials,
    DownloadSession,
    ObjectStoreResource,
    RetryConfig,
    RobotoCredentialsResource,
    RobotoResource,
)
from roboto_dagster.fs.boto.store import BotoStore
from roboto_dagster.resource_checks import checked_resource
from roboto_dagster.testing import LocalRoboto, faults

SECRET = "a-key-that-nobody-may-see"
URI = "s3://bucket/key"


@pytest.fixture
def config_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A configuration file of the SDK with two profiles."""
    path = tmp_path / "config.json"
    profiles = {
        "default": {"api_key": "default-key", "endpoint": "https://default.example"},
        "team": {"api_key": "team-key", "endpoint": "https://team.example"},
    }
    path.write_text(
        json.dumps({"version": "v1", "default_profile": "default", "profiles": profiles})
    )
    return path


def endpoint_and_key(resource: RobotoResource) -> tuple[str, str]:
    """Return where a resource's client would go, and with which key."""
    client = resource.get_client()
    decorate = client.http_client.auth_decorator
    assert decorate is not None
    headers = decorate(HttpRequest(url="http://x", headers={})).headers or {}
    return client.endpoint, headers["Authorization"].removeprefix("Bearer ")


def session(local: LocalRoboto, dataset_id: str) -> DownloadSession:
    """Return a session of a dataset, without files."""
    return DownloadSession([], Association.dataset(dataset_id), local.client(max_attempts=1))


# --- RobotoResource ---


def test_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the SDK's own variables are read."""
    monkeypatch.setenv("ROBOTO_API_KEY", "key")
    monkeypatch.setenv("ROBOTO_SERVICE_ENDPOINT", "https://platform.example")
    assert endpoint_and_key(RobotoResource()) == ("https://platform.example", "key")


def test_the_environment_is_read_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set after the first client counts for the next."""
    resource = RobotoResource()
    monkeypatch.setenv("ROBOTO_API_KEY", "first")
    resource.get_client()
    monkeypatch.setenv("ROBOTO_API_KEY", "second")
    assert endpoint_and_key(resource)[1] == "second"


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written in the code is what counts."""
    monkeypatch.setenv("ROBOTO_API_KEY", "from-the-environment")
    monkeypatch.setenv("ROBOTO_SERVICE_ENDPOINT", "https://environment.example")
    resource = RobotoResource(api_key="given", endpoint="https://given.example")
    assert endpoint_and_key(resource) == ("https://given.example", "given")


def test_the_default_endpoint_is_the_platforms() -> None:
    """A key is all that is needed."""
    assert endpoint_and_key(RobotoResource(api_key="k")) == ("https://api.roboto.ai", "k")


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_trailing_slash_does_not_matter(slashes: str) -> None:
    """`//v1/…` is a path that the platform does not know."""
    resource = RobotoResource(api_key="k", endpoint=f"https://given.example{slashes}")
    assert endpoint_and_key(resource)[0] == "https://given.example"


def test_a_trailing_slash_of_the_environment_does_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does one that came from elsewhere."""
    monkeypatch.setenv("ROBOTO_API_KEY", "k")
    monkeypatch.setenv("ROBOTO_SERVICE_ENDPOINT", "https://environment.example/")
    assert endpoint_and_key(RobotoResource())[0] == "https://environment.example"


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        pytest.param(None, ("https://default.example", "default-key"), id="default"),
        pytest.param("team", ("https://team.example", "team-key"), id="named"),
    ],
)
def test_profiles_are_read(
    config_file: pathlib.Path, profile: str | None, expected: tuple[str, str]
) -> None:
    """The SDK's configuration file serves, by its default profile or a named one."""
    resource = RobotoResource(config_file=str(config_file), profile=profile)
    assert endpoint_and_key(resource) == expected


def test_a_given_profile_wins_over_the_environment(
    config_file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would ignore the profile where a key is set; we do what was asked for."""
    monkeypatch.setenv("ROBOTO_API_KEY", "from-the-environment")
    monkeypatch.setenv("ROBOTO_CONFIG_FILE", str(config_file))
    assert endpoint_and_key(RobotoResource(profile="team"))[1] == "team-key"


def test_a_given_endpoint_wins_over_the_profiles(config_file: pathlib.Path) -> None:
    """One setting may be replaced on its own."""
    resource = RobotoResource(config_file=str(config_file), endpoint="https://given.example")
    assert endpoint_and_key(resource) == ("https://given.example", "default-key")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"profile": "nobody"}, id="no-such-profile"),
        pytest.param({"api_key": ""}, id="empty-key"),
    ],
)
def test_a_missing_key_names_what_to_set(settings: dict[str, Any]) -> None:
    """No key anywhere is one error with the settings that would provide one."""
    with pytest.raises(
        ConfigurationError, match=r"no Roboto API key: .*set ROBOTO_API_KEY, or give"
    ):
        RobotoResource(**settings).get_client()


def test_a_broken_configuration_file_is_no_traceback(tmp_path: pathlib.Path) -> None:
    """The cause is named in one line, without its content."""
    path = tmp_path / "config.json"
    path.write_text(f'{{"version": "v1", "profiles": {{"default": {{"api_key": "{SECRET}",')
    with pytest.raises(ConfigurationError) as caught:
        RobotoResource(config_file=str(path)).get_client()
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("key", [f"{SECRET}\n", f"Bearer {SECRET}", f"{SECRET}é"], ids=ascii)
def test_a_key_that_cannot_be_one_is_rejected_without_showing_it(key: str) -> None:
    """A line break from a secret's file would otherwise fail as a bad header, in the platform."""
    with pytest.raises(ConfigurationError, match="a line break or another character") as caught:
        RobotoResource(api_key=key).get_client()
    assert SECRET not in repr(caught.value)


def test_a_key_of_the_old_format_is_refused() -> None:
    """The SDK's own error for it would not name the setting."""
    with pytest.raises(ConfigurationError, match="no longer accepted"):
        RobotoResource(api_key="robo_pat_1234").get_client()


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        pytest.param("platform.example", "must start with http:// or https://", id="no-scheme"),
        pytest.param("https://platform.example/v1/", "without the path /v1/", id="path"),
    ],
)
def test_an_endpoint_that_cannot_work_is_named_with_what_set_it(
    endpoint: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing scheme and a copied path are the usual slips, also in a variable."""
    monkeypatch.setenv("ROBOTO_API_KEY", "k")
    monkeypatch.setenv("ROBOTO_SERVICE_ENDPOINT", endpoint)
    with pytest.raises(ConfigurationError) as caught:
        RobotoResource().get_client()
    assert problem in str(caught.value)
    assert "set by ROBOTO_SERVICE_ENDPOINT" in str(caught.value)


def test_a_broken_profile_is_the_first_cause(config_file: pathlib.Path) -> None:
    """Where the file is there but cannot be used, that is what the message starts with."""
    config_file.write_text("[1, 2]")
    with pytest.raises(
        ConfigurationError, match=r"^The configuration of the Roboto SDK cannot be used: .*JSON"
    ):
        RobotoResource(config_file=str(config_file)).get_client()
    with pytest.raises(
        ConfigurationError, match=r"^The configuration of the Roboto SDK cannot be used"
    ):
        RobotoResource(config_file=str(config_file), profile="nobody").get_client()


def test_a_profile_that_is_not_there_is_named(config_file: pathlib.Path) -> None:
    """A slip in its name is not taken for a missing key."""
    with pytest.raises(
        ConfigurationError, match=r"cannot be used: User profile 'taem' was not found"
    ):
        RobotoResource(config_file=str(config_file), profile="taem").get_client()


def test_retries_of_the_sdk_are_bounded(local: LocalRoboto) -> None:
    """The SDK tries ten times by itself; ours as often as configured."""
    from roboto.exceptions import RobotoDomainException

    local.faults.add(faults.status(500), service="api")
    resource = RobotoResource(api_key=local.api_key, endpoint=local.api_url, max_attempts=2)
    with pytest.raises(RobotoDomainException):
        resource.get_client().get("v1/datasets/ds_1")
    assert local.requests.count() == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"max_attempts": 0},
        {"timeout_seconds": 0},
        {"timeout_seconds": float("nan")},
        {"max_attempts": "many"},
        {"max_attempts": "3"},
        {"max_attempts": True},
        {"max_attempts": 10**400},
        {"max_attempts": dg.EnvVar("ATTEMPTS")},
        {"timeout_seconds": "30"},
        {"timeout_seconds": False},
        {"timeout_seconds": 10**400},
        {"profile": ""},
        {"org_id": " "},
        {"config_file": 5},
        {"endpoint": "platform.example"},
        {"endpoint": "https://platform.example/v1"},
        {"endpoint": "https://user:a-key-that-nobody-may-see@platform.example"},
    ],
    ids=str,
)
def test_nonsense_is_rejected_where_it_is_written(settings: dict[str, Any]) -> None:
    """Bounds and types are checked where the resource is made."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))) as caught:
        RobotoResource(api_key=SECRET, **settings)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": "Curl"},
        {"engine": None},
        {"credentials": "aws"},
        {"max_connections": "5"},
        {"max_connections": True},
        {"max_connections": 1.5},
        {"stall_timeout_seconds": "15"},
        {"stall_timeout_seconds": True},
        {"stall_timeout_seconds": 10**400},
        {"endpoint_url": ""},
        {"endpoint_url": 5},
        {"durability": True},
        {"verify": "md5"},
    ],
    ids=str,
)
def test_a_store_that_cannot_work_is_rejected_where_it_is_written(settings: dict[str, Any]) -> None:
    """Nothing is converted, and every message is one line that names resource and field."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))) as caught:
        ObjectStoreResource(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"profile": ""}, {"role_arn": " "}, {"region": 5}], ids=str)
def test_an_aws_identity_that_cannot_work_is_rejected(settings: dict[str, Any]) -> None:
    """An empty text would silently mean the default."""
    with pytest.raises(ConfigurationError, match=f"AwsCredentialsResource: {next(iter(settings))}"):
        AwsCredentialsResource(**settings)


def in_a_run(resource: RobotoResource, look: Callable[[RobotoResource], None]) -> None:
    """Let an op look at a resource as it is in a run."""

    @dg.op
    def looking(roboto: RobotoResource) -> None:
        look(roboto)

    @dg.job(resource_defs={"roboto": resource})
    def looking_job() -> None:
        looking()

    looking_job.execute_in_process()


def test_env_vars_are_resolved_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """`EnvVar` keeps the secret out of the code location until it is used."""
    monkeypatch.setenv("MY_KEY", "from-my-variable")
    keys: list[str] = []
    in_a_run(
        RobotoResource(api_key=dg.EnvVar("MY_KEY")),
        lambda roboto: keys.append(endpoint_and_key(roboto)[1]),
    )
    assert keys == ["from-my-variable"]


def test_env_vars_are_resolved_outside_a_run(
    monkeypatch: pytest.MonkeyPatch, local: LocalRoboto
) -> None:
    """A notebook gets a client that works, not one whose key is the variable's name."""
    monkeypatch.setenv("MY_KEY", "from-my-variable")
    monkeypatch.setenv("MY_ATTEMPTS", "3")
    monkeypatch.setenv("MY_STORE", local.s3_url)
    resource = RobotoResource(
        api_key=dg.EnvVar("MY_KEY"), max_attempts=dg.EnvVar.int("MY_ATTEMPTS")
    )
    assert endpoint_and_key(resource)[1] == "from-my-variable"
    store = ObjectStoreResource(
        endpoint_url=dg.EnvVar("MY_STORE"), max_connections=dg.EnvVar.int("MY_ATTEMPTS")
    )
    assert store.open_store(session(local, "ds_1"), URI) is not None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param(None, "the variable MY_NUMBER, which is not set", id="not-set"),
        pytest.param("many", "the variable MY_NUMBER, which is not an integer", id="no-number"),
        pytest.param("0", "max_attempts must be an integer, at least 1, not 0", id="bound"),
    ],
)
def test_a_variable_that_cannot_work_is_named(
    value: str | None, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bounded field takes a variable, whose value is checked when it is known."""
    resource = RobotoResource(api_key="k", max_attempts=dg.EnvVar.int("MY_NUMBER"))
    if value is not None:
        monkeypatch.setenv("MY_NUMBER", value)
    with pytest.raises(ConfigurationError, match=problem):
        resource.get_client()


@pytest.mark.parametrize("value", ["3", "0"])
def test_a_number_from_a_variable_is_checked_in_a_run(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster makes the resource again with the value, and the same bounds count."""
    monkeypatch.setenv("MY_NUMBER", value)
    seen: list[int] = []
    resource = RobotoResource(
        api_key=dg.EnvVar("MY_NUMBER"), max_attempts=dg.EnvVar.int("MY_NUMBER")
    )
    if value == "3":
        in_a_run(resource, lambda roboto: seen.append(roboto.max_attempts))
        assert seen == [3]
    else:
        with pytest.raises(Exception, match=r"max_attempts|resource"):
            in_a_run(resource, lambda roboto: seen.append(roboto.max_attempts))
        assert seen == []


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        pytest.param(ObjectStoreResource, "max_connection", "max_connections", id="store"),
        pytest.param(RobotoResource, "apikey", "api_key", id="roboto"),
        pytest.param(AwsCredentialsResource, "rolearn", "role_arn", id="aws"),
    ],
)
def test_a_misspelt_field_is_refused(kind: Any, name: str, hint: str) -> None:
    """What would be ignored is rejected, with the field that was probably meant."""
    with pytest.raises(
        ConfigurationError, match=f"{kind.__name__} has no field '{name}': did you mean {hint}"
    ):
        kind(**{name: "x"})


def test_swapped_resources_are_recognized() -> None:
    """Dagster hands over whatever stands under a key."""
    roboto, store = RobotoResource(api_key="k"), ObjectStoreResource()
    assert checked_resource(roboto, "roboto", RobotoResource) is roboto
    assert checked_resource(store, "object_store", ObjectStoreResource) is store
    with pytest.raises(
        ConfigurationError, match=r"'roboto' is ObjectStoreResource, but .*swapped\?"
    ):
        checked_resource(store, "roboto", RobotoResource)
    with pytest.raises(ConfigurationError, match=r"'object_store' is str, but ObjectStoreResource"):
        checked_resource("s3", "object_store", ObjectStoreResource)


def test_no_repr_shows_the_key() -> None:
    """Neither of the resource nor of what holds it, nor in a run."""
    resource = RobotoResource(api_key=SECRET, endpoint="http://127.0.0.1:1")
    texts = [repr(resource), str(resource), repr(dg.Definitions(resources={"roboto": resource}))]
    in_a_run(resource, lambda roboto: texts.append(repr(roboto)))
    assert [text for text in texts if SECRET in text] == []


# --- ObjectStoreResource ---


class TeamCredentialsResource(CredentialProviderResource):
    """Credentials of a user's own kind."""

    secret_key: str

    def provider_for(self, session: DownloadSession, bucket_name: str) -> CredentialProvider:
        """Return the same for every bucket, which it names."""
        del session
        return lambda: Credentials(
            access_key=bucket_name,
            secret_key=self.secret_key,
            token="",
            region="",
            expiry_time=None,
        )


def test_the_platforms_credentials_are_the_default(local: LocalRoboto) -> None:
    """Without any setting the platform hands out what is needed."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a", b"a")
    resource = ObjectStoreResource()
    assert isinstance(resource.credentials, RobotoCredentialsResource)
    provider = resource.credentials.provider_for(session(local, dataset_id), "roboto-managed")
    assert provider()["token"]


def test_a_users_own_credentials_can_be_nested(
    local: LocalRoboto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resource of the team's own provides the credentials, configured as any resource is."""
    monkeypatch.setenv("TEAM_SECRET", SECRET)
    found: list[Credentials] = []
    nested = TeamCredentialsResource(secret_key=dg.EnvVar("TEAM_SECRET"))

    @dg.op
    def looking(object_store: ObjectStoreResource) -> None:
        provider = object_store.credentials.provider_for(session(local, "ds_1"), "bucket")
        found.append(provider())

    @dg.job(resource_defs={"object_store": ObjectStoreResource(credentials=nested)})
    def looking_job() -> None:
        looking()

    looking_job.execute_in_process()
    assert [(each["access_key"], each["secret_key"]) for each in found] == [("bucket", SECRET)]


def test_settings_reach_the_store(local: LocalRoboto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field goes to the store's options under its own name."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "roboto_dagster.fs.opening.StoreRegistry.get_store_for_uri",
        lambda uri, provider, **options: seen.update(options, uri=uri, provider=provider),
    )
    retry = RetryConfig(max_attempts=2)
    resource = ObjectStoreResource(
        engine="boto3",
        endpoint_url="http://s3.local",
        max_connections=3,
        stall_timeout_seconds=4.0,
        verify="size",
    )
    resource.open_store(session(local, "ds_1"), URI, retry, None)
    expected = {
        "uri": URI,
        "engine": "boto3",
        "endpoint_url": "http://s3.local",
        "max_connections": 3,
        "stall_timeout_seconds": 4.0,
        "verify": "size",
        "retry": retry,
    }
    assert expected.items() <= seen.items()


def test_a_store_can_be_opened_outside_a_run(local: LocalRoboto) -> None:
    """A notebook may use the resource as it is."""
    store = ObjectStoreResource(engine="boto3").open_store(session(local, "ds_1"), URI)
    assert isinstance(store, BotoStore)


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": "wget"},
        {"max_connections": 0},
        {"stall_timeout_seconds": 0},
        {"stall_timeout_seconds": float("inf")},
        {"verify": "never"},
        {"durability": "ful"},
        {"endpoint_url": "s3.local"},
        {"endpoint_url": "http://user:a-key-that-nobody-may-see@s3.local"},
    ],
    ids=str,
)
def test_bad_store_settings_are_refused(settings: dict[str, Any]) -> None:
    """A setting that cannot work is rejected where it is written."""
    with pytest.raises(ValueError, match=next(iter(settings))) as caught:
        ObjectStoreResource(**settings)
    assert SECRET not in str(caught.value)


def test_every_field_is_described() -> None:
    """What Dagster shows of a field describes its purpose."""
    kinds: tuple[type[dg.ConfigurableResource[Any]], ...] = (
        RobotoResource,
        ObjectStoreResource,
        AwsCredentialsResource,
    )
    bare = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name, field in kind.model_fields.items()
        if not field.description
    ]
    assert bare == [
        "ObjectStoreResource.credentials"
    ]  # Dagster drops the description of a nested field


# --- AwsCredentialsResource ---


def test_the_teams_own_identity_reads_their_bucket(
    local: LocalRoboto, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """With keys of their own, a team's bucket is read without asking the platform for any."""
    dataset_id = local.add_dataset()
    local.add_file(dataset_id, "a.mcap", b"bytes")
    keys = session(local, dataset_id).credential_provider()  # stand in for an IAM user's
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["secret_key"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["token"])
    local.requests.clear()
    resource = ObjectStoreResource(
        engine="boto3",
        endpoint_url=local.s3_url,
        credentials=AwsCredentialsResource(region=keys["region"]),
    )
    uri = local.record(dataset_id, "a.mcap")["uri"]
    with resource.open_store(session(local, dataset_id), uri) as store:
        store.get(uri, tmp_path / "a.mcap").result()
    assert (tmp_path / "a.mcap").read_bytes() == b"bytes"
    assert local.requests.count(service="api") == 0


def test_aws_settings_reach_boto3(local: LocalRoboto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profile, role and region are the provider's arguments."""
    seen: list[Any] = []
    monkeypatch.setattr(
        "roboto_dagster.fs.boto.aws_credentials.aws_credential_provider",
        lambda *args: seen.extend(args),
    )
    resource = AwsCredentialsResource(profile="p", role_arn="r", region="g")
    resource.provider_for(session(local, "ds_1"), "bucket")
    assert seen == ["p", "r", "g"]


def test_clients_are_the_sdks(local: LocalRoboto) -> None:
    """`get_client()` is the SDK's own client, for whatever else a user wants to ask."""
    resource = RobotoResource(api_key=local.api_key, endpoint=local.api_url)
    assert isinstance(resource.get_client(), RobotoClient)
