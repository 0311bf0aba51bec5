"""Lays out what is served: objects, S3 listings and the API's answers, as plain files.

```
<folder>/s3/<bucket>/<shape>/<path>      objects: links to one file a shape, so that 1.5 GiB take 256 MiB
<folder>/s3/.lists/<shape><token>.xml    pages of ListObjectsV2
<folder>/api/v1/datasets/<id>            a dataset's record
<folder>/api/files/<id>-<token>.json     pages of its files
<folder>/api/credentials/<id>.json       credentials to read them
```

Everything is rendered before the clock starts, so that the servers cost next to nothing. The
records are LocalRoboto's, with ids, paths and sizes put in.
"""

import base64
import dataclasses
import errno
import json
import os
import pathlib
import shutil
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from awscrt import checksums

from benchmarks.shapes import BUCKET, MIB, Shape
from roboto_dagster.testing import LocalRoboto

_OBJECTS_PER_LIST = 1000
_FILES_PER_PAGE = 1000
_CREDENTIALS_LIVE_SECONDS = 2 * 24 * 3600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The API's answers about one dataset with one file, to be filled in.

    Attributes:
        dataset: A dataset's record.
        file: A file's record.
        credentials: What reads it.
    """

    dataset: dict[str, Any]
    file: dict[str, Any]
    credentials: list[dict[str, Any]]


class Source:
    """The folder of what is served.

    Attributes:
        folder: See above.
        checksums: CRC64NVME of a shape's objects, in base64, by the shape's name.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.checksums: dict[str, str] = {}
        self._records = _ask_for_records()
        for part in ("s3/.lists", "api/v1/datasets", "api/files", "api/credentials"):
            (folder / part).mkdir(parents=True)

    @property
    def objects(self) -> pathlib.Path:
        """What is served as S3."""
        return self.folder / "s3"

    @property
    def api(self) -> pathlib.Path:
        """What is served as the API."""
        return self.folder / "api"

    def add_shape(self, shape: Shape) -> None:
        """Adds the objects of a shape, their listing, and a dataset that lists them."""
        prefix = self.objects / BUCKET / shape.name
        first: pathlib.Path | None = None
        for path in shape.paths():
            target = prefix / path
            if first is None:
                first = target
                self.checksums[shape.name] = _write_content(target, shape.size_bytes)
                continue
            if not target.parent.exists():
                target.parent.mkdir()
            first = _link(target, first)
        self._write_lists(shape)
        self.add_dataset(shape.dataset_id, shape, list(shape.paths()))

    def add_dataset(self, dataset_id: str, shape: Shape, paths: Sequence[str]) -> None:
        """Adds a dataset of some files of a shape."""
        _write_json(
            self.api / "v1/datasets" / dataset_id,
            {"data": {**self._records.dataset, "dataset_id": dataset_id}},
        )
        _write_json(
            self.api / "credentials" / f"{dataset_id}.json", {"data": self._records.credentials}
        )
        for token, page, next_token in _pages(paths, _FILES_PER_PAGE):
            items = [self._file(dataset_id, shape, path) for path in page]
            _write_json(
                self.api / "files" / f"{dataset_id}-{token}.json",
                {"data": {"items": items, "next_token": next_token or None}},
            )

    def _file(self, dataset_id: str, shape: Shape, path: str) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        return {
            **self._records.file,
            "association_id": dataset_id,
            "file_id": f"fl_{shape.name}{name.partition('.')[0]}",
            "relative_path": path,
            "name": name,
            "size": shape.size_bytes,
            "uri": f"s3://{BUCKET}/{shape.name}/{path}",
        }

    def _write_lists(self, shape: Shape) -> None:
        etag = _etag_of_nginx(self.objects / BUCKET / shape.name / next(shape.paths()))
        for token, page, next_token in _pages(list(shape.paths()), _OBJECTS_PER_LIST):
            contents = "".join(
                f"<Contents><Key>{shape.name}/{path}</Key><Size>{shape.size_bytes}</Size><ETag>{etag}</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
                for path in page
            )
            more = (
                f"<IsTruncated>true</IsTruncated><NextContinuationToken>{next_token}</NextContinuationToken>"
                if next_token
                else "<IsTruncated>false</IsTruncated>"
            )
            (self.objects / ".lists" / f"{shape.name}{token}.xml").write_text(
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<Name>{BUCKET}</Name><Prefix>{shape.name}/</Prefix><KeyCount>{len(page)}</KeyCount>"
                f"<MaxKeys>{_OBJECTS_PER_LIST}</MaxKeys>{more}{contents}</ListBucketResult>"
            )


def _ask_for_records() -> Records:
    with LocalRoboto(credentials_ttl_seconds=_CREDENTIALS_LIVE_SECONDS, bucket=BUCKET) as local:
        local.add_dataset(dataset_id="ds_bench")
        local.add_record("ds_bench", relative_path="a.bin", uri=f"s3://{BUCKET}/a.bin", size=1)

        def ask(method: str, path: str) -> Any:
            request = urllib.request.Request(  # noqa: S310 - our own server on loopback
                f"{local.api_url}{path}",
                method=method,
                data=b"{}" if method == "POST" else None,
                headers={"Authorization": f"Bearer {local.api_key}"},
            )
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
                return json.load(answer)["data"]

        return Records(
            dataset=ask("GET", "/v1/datasets/ds_bench"),
            file=ask("POST", "/v1/datasets/ds_bench/files/query")["items"][0],
            credentials=ask("GET", "/v1/datasets/id/ds_bench/credentials"),
        )


def _write_content(path: pathlib.Path, size_bytes: int) -> str:
    """Writes bytes that do not compress; returns their CRC64NVME in base64."""
    path.parent.mkdir(parents=True)
    checksum, left = 0, size_bytes
    block = os.urandom(min(size_bytes, MIB))
    with path.open("wb") as file:
        while left:
            chunk = block[:left]
            file.write(chunk)
            checksum = checksums.crc64nvme(chunk, checksum)
            left -= len(chunk)
    return base64.b64encode(checksum.to_bytes(8, "big")).decode()


def _link(target: pathlib.Path, first: pathlib.Path) -> pathlib.Path:
    """Makes a link to a file, or a copy where it has as many as the filesystem allows; returns what to link to next."""
    try:
        target.hardlink_to(first)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        shutil.copy2(first, target)  # with its time, of which nginx makes the ETag
        return target
    return first


def _pages(paths: Sequence[str], length: int) -> Iterator[tuple[str, Sequence[str], str]]:
    """Yields each page with its own token, empty for the first, and the next one's."""
    for start in range(0, max(len(paths), 1), length):
        following = start + length
        yield (
            f"p{start}" if start else "",
            paths[start:following],
            f"p{following}" if following < len(paths) else "",
        )


def _etag_of_nginx(path: pathlib.Path) -> str:
    # Clients that pin ranges to the listed version would else be refused.
    status = path.stat()
    return f'"{int(status.st_mtime):x}-{status.st_size:x}"'


def _write_json(path: pathlib.Path, content: object) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")))
