"""Keeps secrets out of text: of messages that quote URLs and answers, and of the libraries' debug logs.

Three mechanisms, each the only one of its kind:

- `mask_secrets` masks what has the shape of a secret: a password in a URL, a signature or token in its
  query, an authorization header, a secret in JSON, XML or a `repr`. Every foreign text passes through it
  where it becomes a message of ours.
- `safe_cause` decides whether a foreign error may be chained to ours, since tracebacks print it as it is.
- `redact_library_logs` puts a filter on the loggers of botocore, boto3, s3transfer, urllib3 and the Roboto
  SDK, which log complete requests and answers at DEBUG. The filter masks by shape, and by value whatever was
  given to `register_secret`.
"""

import collections
import importlib.util
import logging
import pathlib
import pkgutil
import re
import threading
import traceback
from collections.abc import Iterable, Iterator

MASK = "***"

# The part of a URL in front of its host: up to the last @ before the path, as clients read it.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
# Parameters of a URL that sign it or are a secret themselves.
_PARAMETER = re.compile(
    r"(?i)(?<=[?&])((?:x-amz|x-goog)-(?:signature|credential|security-token)|signature|awsaccesskeyid|sig|"
    r"(?:[a-z]+_)?token|password|secret|api_?key)=[^&\s'\")<>]+"
)
_HEADER = (
    r"(?:proxy-)?authorization|x-amz-security-token|x-amzn-[a-z-]*token|(?:set-)?cookie|"
    r"x-amz-(?:copy-source-)?server-side-encryption-customer-key"
)
_FIELD = (
    r"(?:aws_?)?secret_?access_?key|(?:aws_?)?(?:session|security)_?token|secret_?key|api_?key|"
    r"(?:access|refresh|id|bearer|web_?identity)_?token|client_?secret|saml_?assertion"
)
# `name: value` and `name=value`, to the end of the line or of the element.
_PLAIN = re.compile(
    rf"(?i)(?<![\w-])({_HEADER}|{_FIELD})(\s*[:=]\s*)(?!\s|[\"'b]*[\"'])[^\r\n,;&}}\])]+"
)
# `"name": "value"` and `'name': b'value'`, of JSON and of reprs; here a short name is clear enough.
_QUOTED = re.compile(
    rf"""(?i)(["'])({_HEADER}|{_FIELD}|token|password|secret)\1(\s*:\s*)"""
    r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*')"""
)
# `name='value'`, of reprs of objects.
_KEYWORD = re.compile(
    rf"""(?i)(?<![\w-])({_HEADER}|{_FIELD}|token|password|secret)(\s*[:=]\s*)"""
    r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*')"""
)
_ELEMENT = re.compile(r"(?i)<(SecretAccessKey|SessionToken|Token|AssertionBody)>[^<]*</\1>")
_BEARER = re.compile(r"(?i)\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{4,}")
_SIGNATURE = re.compile(r"(?i)\b(Signature=)[0-9a-f]{64}\b")

_LIBRARIES = ("botocore", "boto3", "s3transfer", "urllib3")
_MIN_SECRET_LENGTH = 8  # a shorter one would mask parts of ordinary words
_MAX_REGISTERED = 256  # the newest are kept: credentials live for an hour


def mask_secrets(text: object) -> str:
    """Return a text in which everything that has the shape of a secret is masked by `***`.

    Args:
        text: Anything; its `str` is taken.
    """
    masked = _USER_INFO.sub(f"{MASK}@", str(text))
    masked = _ELEMENT.sub(rf"<\1>{MASK}</\1>", masked)
    masked = _QUOTED.sub(rf"\1\2\1\3{MASK}", masked)
    masked = _KEYWORD.sub(rf"\1\2{MASK}", masked)
    masked = _PLAIN.sub(rf"\1\2{MASK}", masked)
    masked = _PARAMETER.sub(rf"\1={MASK}", masked)
    masked = _BEARER.sub(rf"\1 {MASK}", masked)
    return _SIGNATURE.sub(rf"\1{MASK}", masked)


class _Registry:
    """The values of secrets in use: a bounded set, the oldest leave first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: collections.OrderedDict[str, None] = collections.OrderedDict()

    def add(self, values: Iterable[str]) -> None:
        with self._lock:
            for value in values:
                if len(value) >= _MIN_SECRET_LENGTH:
                    self._values[value] = None
                    self._values.move_to_end(value)
            while len(self._values) > _MAX_REGISTERED:
                self._values.popitem(last=False)

    def mask(self, text: str) -> str:
        with self._lock:
            values = list(self._values)
        for value in values:
            if value in text:
                text = text.replace(value, MASK)
        return text


_registry = _Registry()


def register_secret(*values: str) -> None:
    """Have these values masked in the libraries' logs, whatever text they are in.

    Args:
        *values: Keys, tokens and passwords in use; very short ones are left out.
    """
    _registry.add(values)


def safe_cause(error: BaseException | None) -> BaseException | None:
    """Return an error if it can be chained to one of ours, or None if a traceback of it would show a secret.

    Args:
        error: The original error, or None.
    """
    each = error
    seen: list[BaseException] = []
    while each is not None and each not in seen:
        text = f"{each} {each!r}"
        if _registry.mask(mask_secrets(text)) != text:
            return None
        seen.append(each)
        each = each.__cause__ or each.__context__
    return error


class RedactingFilter(logging.Filter):
    """Masks secrets in the records of a logger, and lets every record through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the message and the traceback of a record.

        Args:
            record: Changed in place, since handlers of every kind read it later.
        """
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is reported by its handler
            return True
        masked = _registry.mask(mask_secrets(message))
        if masked != message:
            record.msg, record.args = masked, None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            masked = _registry.mask(mask_secrets(text))
            if masked != text:  # a formatter prints exc_text where there is one
                record.exc_info, record.exc_text = None, masked
        return True


_filter = RedactingFilter()


def redact_library_logs() -> None:
    """Put the filter on the loggers of the libraries that carry our secrets; calling it again is cheap.

    Filters of a logger do not see the records of its children, so every module's logger gets one.
    """
    if _filter in logging.getLogger(_LIBRARIES[0]).filters:
        return
    for name in _logger_names():
        logging.getLogger(name).addFilter(_filter)


def _logger_names() -> Iterator[str]:
    """Yield the names of loggers, which are those of modules; lists folders, imports nothing."""
    yield "roboto"
    for library in _LIBRARIES:
        yield library
        spec = importlib.util.find_spec(library)
        if spec is not None and spec.submodule_search_locations:
            yield from _modules(library, list(spec.submodule_search_locations))


def _modules(package: str, folders: list[str]) -> Iterator[str]:
    for module in pkgutil.iter_modules(folders):
        name = f"{package}.{module.name}"
        yield name
        if module.ispkg:
            yield from _modules(
                name, [str(pathlib.Path(folder, module.name)) for folder in folders]
            )
