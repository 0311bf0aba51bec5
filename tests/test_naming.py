"""Names that are derived from an asset's key."""

import dagster as dg
import pytest

from roboto_dagster.naming import derived_name, plain_name

ODD_KEYS = [
    ["3d_scans"],
    ["raw-data", "logs"],
    ["flüge"],
    ["日本"],
    ["class"],
    ["a b"],
    ["a__b"],
    ["a_", "b"],
    ["a", "_b"],
    ["a", "b"],
    ["", "b"],
    ["a.b"],
    ["a-b"],
    ["_"],
    ["\ud800"],
]


def test_usual_keys_keep_their_plain_names() -> None:
    """Parts are joined by two underscores; nothing else is added."""
    assert derived_name(dg.AssetKey(["raw", "flight_logs"]), "_sensor") == "raw__flight_logs_sensor"
    assert derived_name(["logs"]) == "logs"


@pytest.mark.parametrize("parts", ODD_KEYS, ids=repr)
@pytest.mark.parametrize("suffix", ["", "_sensor", "__roboto"])
def test_every_key_has_a_name_that_dagster_accepts(parts: list[str], suffix: str) -> None:
    """Whatever Dagster accepts as a key becomes the name of an op and of a resource."""
    name = derived_name(parts, suffix)

    @dg.op(name=name, required_resource_keys={name})
    def built() -> None: ...

    @dg.job(resource_defs={name: dg.ResourceDefinition.none_resource()})
    def job() -> None:
        built()

    assert name.endswith(suffix)


def test_no_two_keys_share_a_name() -> None:
    """Keys that only differ in what is replaced or joined keep different names."""
    names = [derived_name(parts, "_sensor") for parts in ODD_KEYS]
    assert len(set(names)) == len(names)


def test_names_do_not_change_between_processes() -> None:
    """A sensor keeps its cursor only as long as it keeps its name."""
    assert derived_name(["raw-data", "logs"], "_sensor") == "raw_data__logs_6dcec6b2_sensor"


@pytest.mark.parametrize(
    ("text", "name"),
    [("flüge", "fluge"), ("1st", "_1st"), ("a b-c", "a_b_c"), ("class", "class_"), ("…", "roboto")],
)
def test_any_text_becomes_a_plain_name(text: str, name: str) -> None:
    """The name of a folder becomes the name of an asset."""
    assert plain_name(text) == name
