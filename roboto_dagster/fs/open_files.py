"""How many connections this process can have, by the files that it may open."""

# What this process has open besides, and what each connection needs: a socket, a file, its folder.
_OTHER_OPEN_FILES = 40
_OPEN_FILES_PER_CONNECTION = 3


def affordable_connections(wanted: int) -> int:
    """Bound connections, with room for the files that they fill and for the rest of the process.

    Args:
        wanted: How many would be used.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return wanted
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return wanted
    room = (open_files - _OTHER_OPEN_FILES) // _OPEN_FILES_PER_CONNECTION
    return max(min(wanted, room), 1)
