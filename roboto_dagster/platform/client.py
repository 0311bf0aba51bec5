"""Makes clients of the Roboto API: where key and endpoint come from, and which of them can work.

The order of the sources is the SDK's, except that what is given as an argument wins over the
environment:

```
api key    argument > (profile or config_file given: the profile's) > ROBOTO_API_KEY > the default profile's
endpoint   argument > ROBOTO_SERVICE_ENDPOINT (with a key of an argument or a variable) > the profile's > default
```
"""

from typing import TYPE_CHECKING

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.platform.errors import shape_of
from roboto_dagster.platform.rate import RequestRate
from roboto_dagster.platform.waits import Waits
from roboto_dagster.redaction import redact_library_logs, register_secret
from roboto_dagster.setting_checks import check_count, check_http_url, check_rate, check_seconds

if TYPE_CHECKING:  # the SDK takes about a second to import
    from roboto import RobotoClient
    from roboto.config import RobotoConfig
    from roboto.env import RobotoEnv

DEFAULT_MAX_ATTEMPTS = 4
DEFAULT_TIMEOUT_SECONDS = 30.0


def make_client(
    *,
    api_key: str | None = None,
    endpoint: str | None = None,
    profile: str | None = None,
    config_file: str | None = None,
    max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    max_requests_per_second: float | None = None,
) -> "RobotoClient":
    """Make a client of the SDK with bounded retries, times and answers, which follows no redirect.

    Args:
        api_key: Access token. Default: that of the profile if one is given, else `ROBOTO_API_KEY`, else the
            default profile's.
        endpoint: URL of the API. Default: see the module.
        profile: Profile of the SDK's configuration file. Default: `ROBOTO_PROFILE`, else the file's.
        config_file: Path of that file. Default: `ROBOTO_CONFIG_FILE`, else `~/.roboto/config.json`.
        max_attempts: How often one request is tried in all. Default 4.
        timeout_seconds: How long a request may wait for the next bytes; an attempt takes at most twice as
            long in all. Default 30.
        max_requests_per_second: How many requests this client starts in a second, evenly spaced over all threads. Default
            None: any number.

    Returns:
        A client that several threads may use.

    Raises:
        ConfigurationError: There is no key, the key or the endpoint cannot work, or the configuration file
            cannot be read.
    """
    from roboto_dagster.platform.transport import BoundedRobotoClient

    redact_library_logs()
    check_count("max_attempts", max_attempts)
    check_seconds("timeout_seconds", timeout_seconds)
    check_rate("max_requests_per_second", max_requests_per_second, optional=True)
    config, source = _configuration(api_key, endpoint, profile, config_file)
    key = _checked_key(config.api_key)
    url = check_http_url(
        f"The Roboto endpoint (set by {source})", config.endpoint, may_have_path=False
    )
    register_secret(key)
    waits = Waits()
    rate = RequestRate(max_requests_per_second, sleep=waits.sleep)
    return BoundedRobotoClient(
        url, source, key, timeout_seconds, max_attempts, rate=rate, waits=waits
    )


def _configuration(
    api_key: str | None, endpoint: str | None, profile: str | None, config_file: str | None
) -> "tuple[RobotoConfig, str]":
    """Return the SDK's configuration, and what set its endpoint."""
    from roboto.config import RobotoConfig
    from roboto.env import RobotoEnv

    try:
        environment = RobotoEnv()  # not RobotoEnv.default(), which keeps what it saw first
        if profile or config_file:  # an argument wins over a token of the environment
            environment.api_key = None
        environment.api_key = api_key or environment.api_key
        environment.config_file = config_file or environment.config_file
        config = RobotoConfig.from_env(profile, environment)
    except FileNotFoundError as error:
        raise ConfigurationError(_missing_key(config_file, profile, error)) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The configuration of the Roboto SDK cannot be used: {_cause(error)} Correct it, or set ROBOTO_API_KEY."
        ) from None
    source = _endpoint_source(config, environment, profile)
    if endpoint:
        config.endpoint, source = endpoint, "RobotoResource.endpoint"
    return config, source


def _missing_key(config_file: str | None, profile: str | None, error: OSError) -> str:
    wanted = "set ROBOTO_API_KEY, or give RobotoResource an api_key or a profile."
    if config_file or profile:
        return f"There is no Roboto API key: {_cause(error)} Correct config_file or profile, or {wanted}"
    return f"There is no Roboto API key: {wanted} ({_cause(error)})"


def _cause(error: Exception) -> str:
    """Describe what is wrong with the configuration, without its content."""
    if callable(getattr(error, "errors", None)):
        return f"{shape_of(error)}."
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8."
    text = str(error).splitlines()[0]
    return text.partition(". ")[0].rstrip(".") + "."


def _endpoint_source(config: "RobotoConfig", environment: "RobotoEnv", profile: str | None) -> str:
    from roboto.config import ROBOTO_API_ENDPOINT

    if environment.api_key and environment.roboto_service_endpoint:
        return "ROBOTO_SERVICE_ENDPOINT"
    if config.endpoint == ROBOTO_API_ENDPOINT:
        return "default"
    name = profile or environment.profile
    file = environment.config_file or "~/.roboto/config.json"
    return f"profile {name!r} in {file}" if name else f"the default profile in {file}"


def _checked_key(api_key: str) -> str:
    """Refuse what cannot be a key, before an error of HTTP quotes it."""
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ConfigurationError(
            "The Roboto API key holds a space, a line break or another character that no key has: check where it is set."
        )
    if api_key.startswith("robo_pat"):
        raise ConfigurationError(
            "The Roboto API key has a format that is no longer accepted. Create a new one in the settings of app.roboto.ai."
        )
    return api_key
