"""Definitions that come with a distribution of ROS, for logs that do not carry them."""

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.text import one_line

# ROS 2 has these two of its own; definitions made of others hold them already.
_BUILT_IN = {"builtin_interfaces/msg/Time", "builtin_interfaces/msg/Duration"}


def ros_distribution_definitions(distribution: str) -> dict[str, str]:
    """Return the definitions of all message types that come with a distribution of ROS 2.

    For bags that were recorded before Iron, which have none: give them as `ros_definitions`, beside those of your
    own packages.

    Args:
        distribution: Its name, such as `humble`.

    Returns:
        Complete definitions by the name of their type.

    Raises:
        ConfigurationError: There is no such distribution, or the extra `topics-ros` is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise ConfigurationError(
            "Definitions of ROS distributions are in rosbags: pip install 'roboto-dagster[topics-ros]'."
        ) from None
    known = {
        name.lower().removeprefix("ros2_"): store
        for name, store in Stores.__members__.items()
        if name.startswith("ROS2_")
    }
    if distribution.lower() not in known:
        raise ConfigurationError(
            f"There are no definitions of the ROS 2 distribution {one_line(distribution)!r}: give one of {', '.join(known)}."
        )
    store = get_typestore(known[distribution.lower()])
    return {
        name: store.generate_msgdef(name, ros_version=2)[0]
        for name in store.types
        if "/msg/" in name and name not in _BUILT_IN
    }
