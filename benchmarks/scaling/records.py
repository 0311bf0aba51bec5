"""What was measured: one line of JSON a case in `scaling.json`, so that each part can be measured alone."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable

from typing_extensions import Self

from benchmarks.scaling.cases import Case
from benchmarks.scaling.traffic import Traffic


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one case took.

    Attributes:
        case: The case.
        seconds: Wall time, without imports.
        cpu_seconds: User and system time of the process and its workers.
        rss_bytes: Peak resident memory of the largest process.
        api: Requests and connections to the API.
        store: Requests and connections to the store.
        disk_bytes: What the destination takes on disk afterwards.
        inodes: How many files and folders are in it.
        load_before: The machine's load before.
        first_byte_ms: How long the store waited before it answered.
        server_cpu_seconds: What the API and the store took of the machine's cores meanwhile.
        code: The version of the code that was measured.
    """

    case: Case
    seconds: float
    cpu_seconds: float
    rss_bytes: int
    api: Traffic
    store: Traffic
    disk_bytes: int
    inodes: int
    load_before: float
    first_byte_ms: float
    server_cpu_seconds: float = 0.0
    code: str = ""

    def to_json(self) -> str:
        """Write it in a line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read it from there."""
        fields = json.loads(line)
        case, api, store = (
            Case(**fields["case"]),
            Traffic(**fields["api"]),
            Traffic(**fields["store"]),
        )
        return cls(**{**fields, "case": case, "api": api, "store": store})

    def describe(self) -> str:
        """Describe what it took in a line."""
        return (
            f"{self.seconds:8.2f} s  {self.cpu_seconds:7.2f} CPU s  {self.rss_bytes / 2**20:4.0f} MiB  "
            f"API {self.api.requests:,} on {self.api.connections}  store {self.store.requests:,} on "
            f"{self.store.connections}  servers {self.server_cpu_seconds:.2f} CPU s"
        )


class Records:
    """The records of all runs so far, in a file; a case that is measured again replaces its record.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self._by_case = {record.case: record for record in map(Record.from_json, lines)}

    def add(self, record: Record) -> None:
        """Keep a record, also if the run is interrupted after it."""
        self._by_case[record.case] = record
        lines = sorted(each.to_json() for each in self._by_case.values())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join(lines) + "\n", "utf-8")

    def has(self, cases: Iterable[Case], code: str) -> bool:
        """Return whether all of some cases were measured with a version of the code.

        Args:
            cases: The cases.
            code: The version.
        """
        return all(case in self._by_case and self._by_case[case].code == code for case in cases)

    def of_part(self, part: str) -> Iterable[Record]:
        """Return those of a part, by size."""
        found = [record for record in self._by_case.values() if record.case.part == part]
        return sorted(found, key=lambda record: record.case.order)

    def __bool__(self) -> bool:
        return bool(self._by_case)
