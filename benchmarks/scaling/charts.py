"""Draws the pictures of `SCALING.md`."""

import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.chart import save_figure
from benchmarks.scaling.bounds import over_one_worker
from benchmarks.scaling.cases import OURS, SDK
from benchmarks.scaling.records import Record, Records

_WIDTH_INCHES = 11
_ROW_INCHES = 3.4
_MIB = 2**20

_Value = Callable[[Record], float]


def draw_charts(folder: pathlib.Path, records: Records) -> list[tuple[str, pathlib.Path]]:
    """Draw what there is data for.

    Args:
        folder: Where to.
        records: All that was ever measured there.

    Returns:
        Title and file of each picture.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    datasets = list(records.of_part("datasets"))
    drawings = [
        (
            f"Many datasets of {'one file' if files_each == 1 else f'{files_each} files'}",
            f"datasets-{files_each}",
            _datasets,
            [record for record in datasets if record.case.files_each == files_each],
        )
        for files_each in sorted({record.case.files_each for record in datasets})
    ]
    drawings += [
        ("Many files in one dataset", "files", _files, list(records.of_part("files"))),
        ("Shards over worker processes", "shards", _shards, list(records.of_part("shards"))),
    ]
    return [
        (title, save_figure(draw(found), folder / f"scaling-{name}.png"))
        for title, name, draw, found in drawings
        if found
    ]


def _datasets(records: Sequence[Record]) -> Any:
    """Draw time and CPU of a dataset by the number of datasets, and what a run takes in all."""
    figure, axes = _axes(2, 3)
    ours = [record for record in records if record.case.who == OURS]
    for axis, title, value, shown in (
        (axes[0], "ms a dataset", lambda each: _each(each, each.seconds) * 1000, records),
        (axes[1], "CPU ms a dataset", lambda each: _each(each, each.cpu_seconds) * 1000, records),
        (axes[2], "peak memory, MiB", lambda each: each.rss_bytes / _MIB, ours),
        (axes[3], "API requests a dataset", lambda each: _each(each, each.api.requests), records),
        (axes[4], "connections to API and store", _connections, ours),
        (axes[5], "disk, MiB", lambda each: each.disk_bytes / _MIB, ours),
    ):
        _lines(axis, shown, _who, value)
        _style(axis, title, "datasets", log_y=title in {"ms a dataset", "disk, MiB"})
    return _with_legend(figure, axes[0])


def _each(record: Record, value: float) -> float:
    return value / record.case.datasets


def _who(record: Record) -> str:
    case = record.case
    who = SDK if case.who == SDK else f"{case.side_by_side} side by side"
    return f"{who}, API {case.delay_ms} ms"


def _connections(record: Record) -> float:
    return record.api.connections + record.store.connections


def _files(records: Sequence[Record]) -> Any:
    figure, axes = _axes(2, 3)

    def name(record: Record) -> str:
        return "" if record.case.who == OURS else record.case.who

    ours = [record for record in records if record.case.who == OURS]
    for axis, title, value, shown in (
        (axes[0], "seconds", lambda record: record.seconds, records),
        (axes[1], "CPU seconds", lambda record: record.cpu_seconds, records),
        (axes[2], "peak memory, MiB", lambda record: record.rss_bytes / _MIB, records),
        (axes[3], "API requests", lambda record: record.api.requests, records),
        (axes[4], "store requests", lambda record: record.store.requests, ours),
        (axes[5], "disk, MiB", lambda record: record.disk_bytes / _MIB, ours),
    ):
        _lines(axis, shown, name, value, lambda record: record.case.files_each)
        _style(axis, title, "files", log_y=title != "peak memory, MiB")
    axes[4].set_yscale("symlog")  # none where nothing has changed
    return _with_legend(figure, axes[0])


def _shards(records: Sequence[Record]) -> Any:
    figure, axes = _axes(1, 3)

    def name(record: Record) -> str:
        store = f"store every {record.case.pace_ms} ms" if record.case.pace_ms else "store at once"
        return f"{record.case.shape.describe()}, {store}"

    for axis, title, value in (
        (axes[0], "seconds", lambda record: record.seconds),
        (axes[1], "times as fast as one worker", lambda each: over_one_worker(each, records) or 0),
        (axes[2], "CPU seconds, all processes", lambda record: record.cpu_seconds),
    ):
        _lines(axis, records, name, value, lambda record: record.case.side_by_side)
        _style(axis, title, "workers")
        axis.set_xscale("linear")
        axis.set_xticks(sorted({record.case.side_by_side for record in records}))
    return _with_legend(figure, axes[0])


def _axes(rows: int, columns: int) -> tuple[Any, list[Any]]:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(_WIDTH_INCHES, rows * _ROW_INCHES),
        squeeze=False,
        layout="constrained",
    )
    return figure, list(axes.flat)


def _lines(
    axis: Any,
    records: Iterable[Record],
    name: Callable[[Record], str],
    value: _Value,
    size: Callable[[Record], int] = lambda record: record.case.datasets,
) -> None:
    """Draw a line for each name and state: names in the same colours on all axes, what is unchanged dashed."""
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for record in records:
        lines.setdefault((name(record), record.case.state), []).append(
            (size(record), value(record))
        )
    names = sorted({label for label, _ in lines})  # the SDK's are the last, and not on all axes
    for (label, state), points in lines.items():
        axis.plot(
            *zip(*sorted(points), strict=True),
            marker="o",
            markersize=3,
            color=f"C{names.index(label)}",
            linestyle="-" if state == "cold" else "--",
            label=", ".join(filter(None, (label, state))),
        )


def _with_legend(figure: Any, axis: Any) -> Any:
    """Add one legend for all axes, which have the same lines."""
    lines, labels = axis.get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": 4}
    figure.legend(lines, labels, fontsize=7, handlelength=4, **place)
    return figure


def _style(axis: Any, title: str, size: str, *, log_y: bool = False) -> None:
    axis.set_xscale("log")
    if log_y:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_xlabel(size, fontsize=8)
    axis.set_title(title, fontsize=9)
    axis.grid(visible=True, alpha=0.3)
