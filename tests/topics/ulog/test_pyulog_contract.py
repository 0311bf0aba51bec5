"""The private names of pyulog that are in use: a release without one of them has to be looked at."""

import inspect

import pytest
from pyulog.core import ULog

METHODS = {
    "_read_file_header": "self",
    "_read_file_definitions": "self",
    "_read_file_data": "self message_name_filter_list read_until",
}
MESSAGES = {
    "_MessageHeader": "self",
    "_MessageInfo": "self data header is_info_multiple",
    "_MessageParameterDefault": "self data header",
    "_MessageFlagBits": "self data header",
    "_MessageAddLogged": "self data header message_formats",
    "MessageLogging": "self data header",
    "MessageLoggingTagged": "self data header",
    "MessageDropout": "self data header timestamp",
}
ATTRIBUTES = {
    *("_file_corrupt", "_start_timestamp", "_last_timestamp", "_subscriptions"),
    *("_filtered_message_ids", "_logged_messages", "_logged_messages_tagged", "_appended_offsets"),
}


def parameters(function: object) -> str:
    """Return the names of a function's parameters."""
    assert callable(function)
    return " ".join(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", METHODS)
def test_methods_that_are_bound_to_our_log(name: str) -> None:
    """Each takes what it is given, and needs no cell of a class."""
    method = getattr(ULog, name)
    assert parameters(method) == METHODS[name]
    assert method.__closure__ is None


@pytest.mark.parametrize("name", MESSAGES)
def test_classes_of_messages(name: str) -> None:
    """Each is made of the bytes of a message, and found through the instance."""
    assert parameters(getattr(ULog, name).__init__) == MESSAGES[name]
    source = inspect.getsource(ULog)
    assert f"self.{name}(" in source


def test_a_row_is_appended_to_the_buffer_of_its_subscription() -> None:
    """The buffer is taken away in between, and sizes are compared with what a subscription has."""
    initialize = ULog._MessageData.initialize  # noqa: SLF001 - the contract
    assert parameters(initialize) == "self data header subscriptions ulog_object"
    source = inspect.getsource(initialize)
    assert "subscription.buffer += data[2:]" in source
    assert "subscription.max_data_size" in source


def test_attributes() -> None:
    """An instance without a file has all that is read or set."""
    assert set(vars(ULog(None))) >= ATTRIBUTES


def test_subscriptions_are_taken_out_while_they_are_true() -> None:
    """Ours are always false, so that they outlive a pause."""
    assert "while self._subscriptions:" in inspect.getsource(ULog._read_file_data)  # noqa: SLF001 - the contract
