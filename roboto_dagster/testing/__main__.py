"""`python -m roboto_dagster.testing [FOLDER]`: serves a folder as the platform until Ctrl-C."""

import argparse
import shlex
import sys
import threading
from collections.abc import Sequence

from roboto_dagster.testing.local_roboto import LocalRoboto


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve what the arguments name, and return the exit status."""
    options = _parser().parse_args(arguments)
    local = LocalRoboto(
        options.folder,
        api_key=options.api_key,
        page_size=options.page_size,
        api_port=options.port,
        s3_port=options.s3_port,
    )
    try:
        with local:
            _introduce(local)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (ImportError, OSError) as error:
        sys.stderr.write(f"LocalRoboto cannot start: {error}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m roboto_dagster.testing", description="The Roboto platform on this machine."
    )
    parser.add_argument(
        "folder", nargs="?", help="a folder whose sub-folders are served as datasets"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="the API's port (default: any free one)"
    )
    parser.add_argument(
        "--s3-port", type=int, default=0, help="the S3 server's port (default: any free one)"
    )
    parser.add_argument("--api-key", help="the API key to accept (default: a new one)")
    parser.add_argument(
        "--page-size", type=int, default=100, help="records per page of the API (default: 100)"
    )
    return parser


def _introduce(local: LocalRoboto) -> None:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in local.environment().items()]
    lines += [f"# {one}  {name}  ({files} files)" for one, name, files in local.summary()]
    sys.stdout.write("\n".join([*lines, "# Serving until Ctrl-C.", ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
