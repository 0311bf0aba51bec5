"""Draws the pictures of `SCALING.md`."""

import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.chart import save_figure
from benchmarks.scaling.cases import OURS, SDK
from benchmarks.scaling.records import Record, Records

_WIDTH_INCHES = 11


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
    parts: dict[str, tuple[str, Callable[[Sequence[Record]], Any]]] = {
        "datasets": ("Time of a dataset, and memory, by their number", _datasets),
        "files": ("Time and memory by the number of files in one dataset", _files),
        "shards": ("Time and CPU by the number of workers", _shards),
    }
    pictures = []
    for part, (title, draw) in parts.items():
        found = list(records.of_part(part))
        if found:
            pictures.append((title, save_figure(draw(found), folder / f"scaling-{part}.png")))
    return pictures


def _datasets(records: Sequence[Record]) -> Any:
    figure, axes = _axes(3)
    most_files = min(record.case.files_each for record in records)
    records = [record for record in records if record.case.files_each == most_files]
    for axis, state in zip(axes, ("cold", "unchanged"), strict=False):
        chosen = [record for record in records if record.case.state == state]
        _lines(axis, chosen, _who, lambda record: record.seconds / record.case.datasets * 1000)
        _style(axis, f"{state}: ms a dataset of {most_files} file", "datasets", log_y=True)
    ours = [record for record in records if record.case.who == OURS]
    _lines(axes[2], ours, _who, lambda record: record.rss_bytes / 2**20)
    _style(axes[2], "peak memory, MiB", "datasets")
    axes[2].set_ylim(bottom=0)
    axes[0].legend(fontsize=6)
    return figure


def _who(record: Record) -> str:
    case = record.case
    delay = f"API {case.delay_ms} ms"
    return f"{SDK}, {delay}" if case.who == SDK else f"{case.side_by_side} side by side, {delay}"


def _files(records: Sequence[Record]) -> Any:
    figure, axes = _axes(2)

    def name(record: Record) -> str:
        return record.case.state if record.case.who == OURS else record.case.who

    for axis, title, value in (
        (axes[0], "seconds", lambda record: record.seconds),
        (axes[1], "peak memory, MiB", lambda record: record.rss_bytes / 2**20),
    ):
        _lines(axis, records, name, value, lambda record: record.case.files_each)
        _style(axis, title, "files", log_y=title == "seconds")
    axes[1].set_ylim(bottom=0)
    axes[0].legend(fontsize=7)
    return figure


def _shards(records: Sequence[Record]) -> Any:
    figure, axes = _axes(2)
    for axis, title, value in (
        (axes[0], "seconds", lambda record: record.seconds),
        (axes[1], "CPU seconds, all processes", lambda record: record.cpu_seconds),
    ):
        _lines(
            axis,
            records,
            lambda record: record.case.shape.describe(),
            value,
            lambda record: record.case.side_by_side,
        )
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("workers", fontsize=8)
        axis.set_ylim(bottom=0)
        axis.grid(visible=True, alpha=0.3)
    axes[0].legend(fontsize=7)
    return figure


def _axes(count: int) -> tuple[Any, Any]:
    from matplotlib import pyplot as plt

    return plt.subplots(1, count, figsize=(_WIDTH_INCHES, 3.6))  # type: ignore[no-any-return] # untyped library


def _lines(
    axis: Any,
    records: Iterable[Record],
    name: Callable[[Record], str],
    value: Callable[[Record], float],
    size: Callable[[Record], int] = lambda record: record.case.datasets,
) -> None:
    lines: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        lines.setdefault(name(record), []).append((size(record), value(record)))
    for label, points in lines.items():
        axis.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=label)


def _style(axis: Any, title: str, size: str, *, log_y: bool = False) -> None:
    axis.set_xscale("log")
    if log_y:
        axis.set_yscale("log")
    axis.set_xlabel(size, fontsize=8)
    axis.set_title(title, fontsize=9)
    axis.grid(visible=True, alpha=0.3)
