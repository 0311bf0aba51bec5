"""Robot logs for trying things out, where there are no real ones at hand: real MCAP files of robots that drive in circles."""

import json
import math
import pathlib

_ROBOTS = {"rover": 3, "arm": 2, "drone": 1}
_POSES_PER_SECOND = 10
_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("x", "y", "heading")},
}


def write_sample_logs(folder: pathlib.Path) -> pathlib.Path:
    """Writes six MCAP files of three robots into a folder, the same ones every time.

    Args:
        folder: Where to; a log that is there already is left as it is.

    Returns:
        The folder. Each of its sub-folders makes a dataset (see `LocalRoboto.add_folder`).

    Raises:
        ImportError: The package mcap is not installed; it comes with the extra `local`.
    """
    for radius, (robot, logs) in enumerate(_ROBOTS.items(), start=1):
        for number in range(1, logs + 1):
            path = folder / f"{robot}-runs" / f"{robot}_{number}.mcap"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_mcap(path, duration_seconds=60 * number, radius=float(radius))
    return folder


def _write_mcap(path: pathlib.Path, *, duration_seconds: int, radius: float) -> None:
    from mcap.writer import Writer

    temporary = path.with_suffix(".part")
    with temporary.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        schema_id = writer.register_schema("Pose", "jsonschema", json.dumps(_SCHEMA).encode())
        channel_id = writer.register_channel("/pose", "json", schema_id)
        for tick in range(duration_seconds * _POSES_PER_SECOND):
            angle = tick / 50
            pose = {"x": radius * math.cos(angle), "y": radius * math.sin(angle), "heading": angle}
            time_ns = tick * 1_000_000_000 // _POSES_PER_SECOND
            writer.add_message(channel_id, time_ns, json.dumps(pose).encode(), time_ns)
        writer.finish()  # type: ignore[no-untyped-call]  # mcap does not declare that it returns nothing
    temporary.replace(path)
