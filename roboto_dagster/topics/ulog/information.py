"""What a ULog states about itself (`sys_name`, `ver_hw`, `ver_sw` …), as metadata of its tables."""

import json
import math
from collections.abc import Mapping

MAX_ENTRIES = 100
MAX_TEXT = 200
"""A text is cut after so many characters; the metadata of each table has all of them."""


def information_text(messages: Mapping[str, object]) -> str:
    """Return information messages as JSON, in the order of their names; empty if there are none.

    Args:
        messages: Values by name, as pyulog has them. Those that are neither a text nor a number are left out.
    """
    found = {
        name: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in sorted(messages.items())
        if len(name) <= MAX_TEXT and _is_plain(value)
    }
    kept = dict(list(found.items())[:MAX_ENTRIES])
    return json.dumps(kept, ensure_ascii=False) if kept else ""


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
