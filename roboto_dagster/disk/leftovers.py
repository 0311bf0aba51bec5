"""What can be resumed below a destination, by folder and target: looked for once, however many files are fetched."""

from typing import NamedTuple


class Leftover(NamedTuple):
    """A big file that an attempt or a run left with the log of its parts.

    Attributes:
        folder: Relative to the destination.
        name: Of the file; its log's follows from it.
        is_certain: Whether nobody can have it open; otherwise its writer is only presumed dead.
    """

    folder: str
    name: str
    is_certain: bool

    @property
    def path(self) -> str:
        """Its path relative to the destination."""
        return join(self.folder, self.name)


def join(folder: str, name: str) -> str:
    """Return the path of a file, relative to the destination.

    Args:
        folder: Relative to the destination; empty for the destination itself.
        name: The file's name.
    """
    return f"{folder}/{name}" if folder else name


class Leftovers:
    """An index; each leftover is given to one file only. Any thread may use it."""

    def __init__(self) -> None:
        self._by_target: dict[tuple[str, str], list[Leftover]] = {}

    def add(self, target: str, leftover: Leftover) -> None:
        """Add one.

        Args:
            target: Hash of the final name, see `owner.target_of`.
            leftover: What is there for it.
        """
        found = self._by_target.setdefault((leftover.folder, target), [])
        if leftover not in found:
            found.append(leftover)

    def add_all(self, others: "Leftovers") -> None:
        """Add those of another index; what was taken from it meanwhile stays taken.

        Args:
            others: The other one.
        """
        for (_, target), leftovers in list(others._by_target.items()):  # noqa: SLF001 - of the same class
            for each in list(leftovers):
                self.add(target, each)

    def take(self, folder: str, target: str) -> list[Leftover]:
        """Remove and return what is there for a file, the most certain first.

        Args:
            folder: Relative to the destination.
            target: Hash of the final name.
        """
        found = self._by_target.pop((folder, target), [])
        return sorted(found, key=lambda leftover: not leftover.is_certain)
