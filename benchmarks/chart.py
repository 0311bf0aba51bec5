"""Draws the pictures of the report: throughput by shape, growth with the number of files."""

import pathlib
from typing import Any

from benchmarks.results import Cell, Results

_WIDTH_INCHES = 11
_OURS, _PEER, _BARE = "#c2410c", "#475569", "#a8a29e"


def draw_charts(folder: pathlib.Path, results: Results) -> list[tuple[str, pathlib.Path]]:
    """Draws what there is data for.

    Returns:
        Title and file of each picture.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    pictures = []
    if any(not _is_growth(cell) for cell in results.cells):
        pictures.append(("Throughput by shape", _throughput(folder / "throughput.png", results)))
    if any(_is_growth(cell) for cell in results.cells):
        pictures.append(
            ("Growth with the number of files", _growth(folder / "growth.png", results))
        )
    return pictures


def _throughput(path: pathlib.Path, results: Results) -> pathlib.Path:
    from matplotlib import pyplot as plt

    cases = list(
        dict.fromkeys((cell.scheme, cell.shape) for cell in results.cells if not _is_growth(cell))
    )
    columns = len(cases) // 2 if len(cases) % 2 == 0 else len(cases)
    figure, axes = plt.subplots(
        len(cases) // columns,
        columns,
        figsize=(_WIDTH_INCHES, 3.2 * len(cases) / columns),
        squeeze=False,
    )
    for axis, (scheme, shape) in zip(axes.flat, sorted(cases, key=lambda one: one[0]), strict=True):
        cells = [cell for cell in results.cells if (cell.scheme, cell.shape) == (scheme, shape)]
        _bars(axis, [cell for cell in cells if cell.seconds])
        axis.set_title(f"{shape.name}, {scheme}: {shape.describe()}", fontsize=9)
    return save_figure(figure, path)


def _bars(axis: Any, cells: list[Cell]) -> None:
    by_files = bool(cells) and cells[0].shape.size_bytes < 2**20
    rates = [
        (cell.files_per_second if by_files else (cell.bytes_per_second or 0) / 1e6) or 0
        for cell in cells
    ]
    bars = axis.barh(
        [cell.contender for cell in cells], rates, color=[_color(cell.contender) for cell in cells]
    )
    axis.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=2)
    axis.margins(x=0.15)
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.set_xlabel("files/s" if by_files else "MB/s", fontsize=8)


def _growth(path: pathlib.Path, results: Results) -> pathlib.Path:
    from matplotlib import pyplot as plt

    figure, (time_axis, memory_axis) = plt.subplots(1, 2, figsize=(_WIDTH_INCHES, 3.6))
    cells = [cell for cell in results.cells if _is_growth(cell) and cell.seconds]
    for name in dict.fromkeys(cell.contender for cell in cells):
        mine = sorted(
            (cell for cell in cells if cell.contender == name), key=lambda cell: cell.shape.files
        )
        files = [cell.shape.files for cell in mine]
        style = {"marker": "o", "label": name, "linewidth": 2 if name.startswith("ours") else 1}
        time_axis.plot(files, [cell.seconds for cell in mine], **style)
        memory_axis.plot(files, [cell.rss_bytes / 2**20 for cell in mine], **style)
    for axis, title in ((time_axis, "seconds"), (memory_axis, "peak memory, MiB")):
        axis.set_xscale("log")
        axis.set_xlabel("files", fontsize=8)
        axis.set_title(title, fontsize=9)
        axis.grid(visible=True, alpha=0.3)
    time_axis.set_yscale("log")
    memory_axis.set_ylim(bottom=0)
    time_axis.legend(fontsize=7)
    return save_figure(figure, path)


def save_figure(figure: Any, path: pathlib.Path) -> pathlib.Path:
    """Write a picture to a file, and return the file.

    Args:
        figure: Of matplotlib; it is closed.
        path: The file.
    """
    from matplotlib import pyplot as plt

    if figure.get_layout_engine() is None:
        figure.tight_layout()
    # No metadata: the picture of the same figures is the same file.
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
    return path


def _color(contender: str) -> str:
    if contender.startswith(("ours", "asset")):
        return _OURS
    return _BARE if contender.startswith("bare") else _PEER


def _is_growth(cell: Cell) -> bool:
    return cell.shape.name.startswith("grow")
