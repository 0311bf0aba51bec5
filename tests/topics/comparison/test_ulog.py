"""Topics of ULog, row by row, beside pyulog."""

import pathlib

from pyulog import ULog

from benchmarks.topics.logs import ulog
from tests.topics.comparison.peers import flat, ulog_rows
from tests.topics.comparison.reading import Row, decode, differences


def test_every_row_of_a_log(tmp_path: pathlib.Path) -> None:
    """Arrays, texts and flags are folded by the formats; instances are topics of their own."""
    path = ulog.write_ulog(tmp_path / "a.ulg", 3000, block=700)
    ours = decode(path)
    assert ours.faults == []
    log = ULog(str(path))
    for data in log.data_list:
        several = sum(each.name == data.name for each in log.data_list) > 1
        topic = f"{data.name}/{data.multi_id}" if several and data.multi_id else data.name
        theirs = ulog_rows(data, 0)
        found = [Row(*row[:3], flat(row.fields)) for row in ours.rows(topic)]
        texts = [name for name in theirs[0].fields if name.startswith("name[")]
        for row in theirs:  # eight columns of characters are one text, up to its first zero
            if texts:
                text = bytes(row.fields.pop(name) for name in texts)  # type: ignore[attr-defined]  # a dictionary
                row.fields["name"] = text.partition(b"\0")[0].decode()  # type: ignore[index]  # likewise
        assert differences(found, theirs) == []
