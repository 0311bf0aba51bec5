"""Where a bucket is: botocore's own answer, with every AWS setting."""

import pathlib
import subprocess
import sys

import pytest

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.fs.core.botocore_endpoint import ask_botocore
from roboto_dagster.fs.core.endpoints import Endpoints, resolve_endpoint

pytestmark = pytest.mark.slow

URL = "http://127.0.0.1:9000"


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Keeps the machine's own AWS configuration out."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("bucket", "region", "base_url"),
    [
        ("logs", "us-west-2", "https://logs.s3.us-west-2.amazonaws.com"),
        ("logs", "cn-north-1", "https://logs.s3.cn-north-1.amazonaws.com.cn"),
        ("my.logs", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/my.logs"),
    ],
)
def test_a_bucket_of_aws_is_asked_in_its_region(bucket: str, region: str, base_url: str) -> None:
    """Without an endpoint of one's own, the region's own host is asked."""
    endpoint = resolve_endpoint(bucket, region, None)
    assert (base_url, region) == (endpoint.base_url, endpoint.region)


@pytest.mark.parametrize("url", [URL, f"{URL}/", "https://minio.example.com/base"])
def test_the_short_way_is_botocores_answer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an endpoint of one's own, the answer without botocore is botocore's."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/ca.pem")
    assert resolve_endpoint("logs", "us-east-1", url) == ask_botocore("logs", "us-east-1", url)


@pytest.mark.skipif(sys.platform != "linux", reason="the short way is taken on Linux")
@pytest.mark.parametrize(
    "config",
    [
        None,
        "# mine\n[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 64\n",
    ],
)
def test_the_short_way_does_not_import_botocore(
    config: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Half a second and 40 MiB are saved where nothing but the endpoint is set that it hangs on."""
    if config is not None:
        (tmp_path / "mine").write_text(config)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "mine"))
    program = (
        "import sys; from roboto_dagster.fs.core.endpoints import resolve_endpoint;"
        "before = 'botocore' in sys.modules;"
        f"resolve_endpoint('logs', 'us-east-1', {URL!r});"
        "sys.exit(not before and 'botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "line", ["use_dualstack_endpoint = true", "a line that is none", "services = mine"]
)
def test_any_other_line_of_the_configuration_is_left_to_botocore(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """What is not known to be harmless is botocore's to understand, or to refuse."""
    (tmp_path / "mine").write_text(f"[default]\nregion = eu-west-1\n{line}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "mine"))
    asked: list[str] = []
    monkeypatch.setattr(
        "roboto_dagster.fs.core.botocore_endpoint.ask_botocore",
        lambda *arguments: asked.append(arguments[0]),
    )
    resolve_endpoint(f"logs-{len(line)}", "us-east-1", URL)
    assert asked == [f"logs-{len(line)}"]


def test_the_environments_endpoint_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """`AWS_ENDPOINT_URL_S3` is honoured, and seen when it changes."""
    assert "amazonaws" in resolve_endpoint("logs", "us-east-1", None).base_url
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", URL)
    assert resolve_endpoint("logs", "us-east-1", None).base_url == f"{URL}/logs"


def test_a_profiles_addressing_style_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """A configuration file is honoured, for an endpoint of one's own too."""
    config = tmp_path / "aws"
    config.write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    endpoint = resolve_endpoint("logs", "us-east-1", "https://minio.example.com")
    assert endpoint.base_url == "https://logs.minio.example.com"


def test_certificates_are_found_in_botocores_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """`AWS_CA_BUNDLE` comes first; plain http needs none."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    assert resolve_endpoint("logs", "us-east-1", None).ca_bundle == str(tmp_path / "ca.pem")
    assert resolve_endpoint("logs", "us-east-1", URL).ca_bundle is None


def test_a_proxy_is_used_and_its_password_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTPS_PROXY` counts unless `NO_PROXY` names the host."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden@proxy:3128")
    endpoint = resolve_endpoint("logs", "us-east-1", None)
    assert endpoint.proxy == "http://me:hidden@proxy:3128"
    assert "hidden" not in repr(endpoint)
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    assert not resolve_endpoint("logs", "us-east-1", None).proxy


def test_an_unknown_profile_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that botocore cannot use is reported with botocore's reason."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="nobody"):
        resolve_endpoint("logs", "us-east-1", None)


def test_a_region_is_learnt_once() -> None:
    """What the store reports replaces what was assumed; the same again is no news."""
    endpoints = Endpoints(URL)
    assert endpoints.get("logs", "us-east-1").region == "us-east-1"
    assert endpoints.learn_region("logs", "eu-north-1")
    assert endpoints.get("logs", "us-east-1").region == "eu-north-1"
    assert not endpoints.learn_region("logs", "eu-north-1")


def test_nothing_configured_means_the_default_region() -> None:
    """Credentials without a region, and a machine without one, sign for us-east-1."""
    assert resolve_endpoint("logs", "", URL).region == "us-east-1"


@pytest.mark.parametrize(
    ("bucket", "region", "auth", "service"),
    [
        ("plain", "us-west-2", "sigv4", "s3"),
        ("logs--usw2-az1--x-s3", "us-west-2", "sigv4-s3express", "s3express"),
        ("arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", "eu-west-1", "sigv4", "s3"),
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "us-west-2", "sigv4a", "s3"),
        (
            "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/olap",
            "us-west-2",
            "sigv4",
            "s3-object-lambda",
        ),
    ],
)
def test_the_way_of_signing_is_botocores(bucket: str, region: str, auth: str, service: str) -> None:
    """Only the plain way is libcurl's; a bucket in another region is signed for there."""
    endpoint = resolve_endpoint(bucket, "us-west-2", None)
    assert (endpoint.region, endpoint.auth, endpoint.service) == (region, auth, service)
    assert endpoint.is_plain_s3 is ((auth, service) == ("sigv4", "s3"))
