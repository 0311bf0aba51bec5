"""Asset checks on what was delivered: there, right, in step with the platform, and recent."""

import datetime as dt
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import dagster as dg
from pydantic import Field

from roboto_dagster.asset_config import DatasetAssetConfig
from roboto_dagster.delivered import DeliveredFile, delivered_files, materialized_keys
from roboto_dagster.errors import ManifestError
from roboto_dagster.partitions import (
    RANGE_START_TAG,
    Partitioning,
    partitioning_of_asset,
)
from roboto_dagster.platform.files import list_files
from roboto_dagster.sync.report import duration_text
from roboto_dagster.validation import Settings, checked

if TYPE_CHECKING:  # the SDK costs about a second at import
    from roboto import RobotoClient

Violation = tuple[str, str, str]
"""A partition, a path in it or nothing, and what is wrong."""

NAMED_OFFENDERS = 20
"""So many of them are in a check's metadata."""


class CheckSettings(Settings):
    """What `build_roboto_dataset_checks` was given; the only place that checks it."""

    blocking: bool
    checksums: Literal["sample", "all", "none"]
    sample_files: Annotated[int, Field(ge=1)]
    compare_listing: bool
    max_age: Annotated[dt.timedelta, Field(gt=dt.timedelta(0))] | None
    roboto_resource_key: Annotated[str, Field(min_length=1)]


class _Findings(NamedTuple):
    """What a check has looked at, and what is wrong with it."""

    looked_at: int
    offences: Sequence[Violation]


_Look = Callable[[dg.AssetCheckExecutionContext, Sequence[str]], _Findings]


def build_roboto_dataset_checks(
    asset: dg.AssetsDefinition,
    *,
    blocking: bool = False,
    checksums: Literal["sample", "all", "none"] = "sample",
    sample_files: int = 100,
    compare_listing: bool = True,
    max_age: dt.timedelta | None = None,
    roboto_resource_key: str = "roboto",
) -> Sequence[dg.AssetChecksDefinition]:
    """Builds checks of the files that an asset has delivered.

    | check | fails if |
    |---|---|
    | `files_on_disk` | a file of the manifest is missing, of another size, or was never whole |
    | `checksums` | bytes are not those that the store held, by the checksum in the manifest |
    | `in_step_with_platform` | the platform lists files that the manifest does not have, or others |
    | `recently_synced` | a partition was last synced longer ago than `max_age` |

    In a run of the asset its partitions are looked at, in a run of the checks alone all that were
    ever materialized here.

    Args:
        asset: From `build_roboto_dataset_asset` or a component.
        blocking: Whether what depends on the asset waits for the checks, and a run fails with them.
        checksums: Read back a random sample of the files, all, or none (then there is no such check).
        sample_files: Size of the sample. Default 100.
        compare_listing: Whether to ask the platform; False leaves `in_step_with_platform` out.
        max_age: How old a sync may be; None leaves `recently_synced` out.
        roboto_resource_key: The resource that is the platform.

    Raises:
        ConfigurationError: The asset is none of this package.
    """
    partitioning = partitioning_of_asset(asset)
    checked(
        CheckSettings,
        blocking=blocking,
        checksums=checksums,
        sample_files=sample_files,
        compare_listing=compare_listing,
        max_age=max_age,
        roboto_resource_key=roboto_resource_key,
    )
    config = partitioning.config
    built = [_build(asset, "files_on_disk", _files_on_disk(config, asset.key), blocking, set())]
    if checksums != "none":
        size = sample_files if checksums == "sample" else None
        built.append(
            _build(asset, "checksums", _checksums(config, asset.key, size), blocking, set())
        )
    if compare_listing:
        look = _in_step(partitioning, asset.key, roboto_resource_key)
        built.append(_build(asset, "in_step_with_platform", look, blocking, {roboto_resource_key}))
    if max_age is not None:
        look = _recently_synced(config, asset.key, max_age)
        built.append(_build(asset, "recently_synced", look, blocking, set()))
    return built


_DESCRIPTIONS = {
    "files_on_disk": "Every file of the manifest is on disk, whole and of the right size.",
    "checksums": "Bytes on disk are those that the store held.",
    "in_step_with_platform": "The manifest has just what the platform lists.",
    "recently_synced": "Every partition was synced recently enough.",
}


def _build(
    asset: dg.AssetsDefinition,
    name: str,
    look: _Look,
    blocking: bool,  # noqa: FBT001 -- passed through
    resource_keys: set[str],
) -> dg.AssetChecksDefinition:
    config = DatasetAssetConfig.of(asset)

    @dg.asset_check(
        asset=asset,
        name=name,
        description=_DESCRIPTIONS[name],
        blocking=blocking,
        required_resource_keys=resource_keys,
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        keys = _keys_of_run(context, config, asset.key)
        return _result(keys, look(context, keys))

    return check


def _keys_of_run(
    context: dg.AssetCheckExecutionContext, config: DatasetAssetConfig, asset_key: dg.AssetKey
) -> Sequence[str]:
    """Returns the partitions of the run, or all that were ever materialized here."""
    if config.dataset_id is not None:
        return [config.dataset_id]
    if context.run.tags.keys() & {"dagster/partition", RANGE_START_TAG}:
        return [str(key) for key in context.op_execution_context.partition_keys]
    return materialized_keys(config, asset_key)


def _result(keys: Sequence[str], found: _Findings) -> dg.AssetCheckResult:
    offences = found.offences if keys else [("", "", "no partition was ever materialized here")]
    columns = [dg.TableColumn(name) for name in ("partition", "relative_path", "problem")]
    records = [
        dg.TableRecord({"partition": key, "relative_path": path, "problem": problem})
        for key, path, problem in offences[:NAMED_OFFENDERS]
    ]
    value = dg.MetadataValue
    return dg.AssetCheckResult(
        passed=not offences,
        description=_describe(keys, found.looked_at, offences),
        metadata={
            "roboto/partitions_checked": value.int(len(keys)),
            "roboto/files_checked": value.int(found.looked_at),
            "roboto/files_failed": value.int(len(offences)),
            "roboto/offenders": value.table(records, schema=dg.TableSchema(columns=columns)),
        },
    )


def _describe(keys: Sequence[str], looked_at: int, offences: Sequence[Violation]) -> str:
    if not offences:
        return f"{looked_at} files of {len(keys)} partitions are right."
    named = "; ".join(" ".join(filter(None, offence)) for offence in offences[:3])
    more = f"; and {len(offences) - 3} more" if len(offences) > 3 else ""
    return f"{named}{more}. Materialize the partitions again."


def _files_of(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, keys: Iterable[str]
) -> Iterator[DeliveredFile | Violation]:
    """Yields the rows of every manifest; one that cannot be read is an offence instead."""
    for key in keys:
        try:
            yield from delivered_files(config, asset_key, key)
        except ManifestError as error:  # noqa: PERF203 -- one manifest must not hide the others
            yield (key, "", str(error))


def _offence(file: DeliveredFile, problem: str) -> Violation:
    return (file.partition_key, file.relative_path, problem)


# --- files_on_disk ---


def _files_on_disk(config: DatasetAssetConfig, asset_key: dg.AssetKey) -> _Look:
    def look(_: dg.AssetCheckExecutionContext, keys: Sequence[str]) -> _Findings:
        looked_at, offences = 0, list[Violation]()
        for file in _files_of(config, asset_key, keys):
            looked_at += isinstance(file, DeliveredFile)
            problem = file if isinstance(file, tuple) else _problem_on_disk(file)
            if problem is not None:
                offences.append(problem)
        return _Findings(looked_at, offences)

    return look


def _problem_on_disk(file: DeliveredFile) -> Violation | None:
    if file.error_code is not None:
        return _offence(file, f"not whole since the last sync: {file.error_code}")
    try:
        size_bytes = file.path.stat().st_size
    except OSError as error:
        return _offence(file, f"cannot be read: {error.strerror}")
    if size_bytes != file.size_bytes:
        return _offence(file, f"{size_bytes} bytes, where {file.size_bytes} were delivered")
    return None


# --- checksums ---


def _checksums(config: DatasetAssetConfig, asset_key: dg.AssetKey, sample: int | None) -> _Look:
    def look(context: dg.AssetCheckExecutionContext, keys: Sequence[str]) -> _Findings:
        # One sample a run, and the same again if the run's step is repeated.
        chance = random.Random(context.run.run_id)  # noqa: S311 -- a sample, not a secret
        with_checksum = (
            file
            for file in _files_of(config, asset_key, keys)
            if isinstance(file, DeliveredFile) and file.checksum and not file.error_code
        )
        chosen = list(with_checksum) if sample is None else _sample(with_checksum, sample, chance)
        problems = [problem for file in chosen if (problem := _problem_of_bytes(file)) is not None]
        return _Findings(len(chosen), problems)

    return look


def _sample(
    files: Iterable[DeliveredFile], size: int, chance: random.Random
) -> list[DeliveredFile]:
    """Draws some of them, each with the same chance, without holding all (algorithm R)."""
    drawn: list[DeliveredFile] = []
    for number, file in enumerate(files):
        if number < size:
            drawn.append(file)
        elif (place := chance.randrange(number + 1)) < size:
            drawn[place] = file
    return drawn


def _problem_of_bytes(file: DeliveredFile) -> Violation | None:
    # Imported here since it brings awscrt, which a code location need not load.
    from roboto_dagster.fs.core.checksums import ChecksumMismatchError, StoredChecksum, verify_file

    algorithm, _, value = (file.checksum or "").partition(":")
    stored = StoredChecksum(algorithm=algorithm, value=value)  # type: ignore[arg-type]  # as written
    try:
        fd = os.open(file.path, os.O_RDONLY)
        try:
            verify_file(fd, stored)
        finally:
            os.close(fd)
    except ChecksumMismatchError as error:
        return _offence(file, str(error))
    except OSError as error:
        return _offence(file, f"cannot be read: {error.strerror}")
    return None


# --- in_step_with_platform ---


def _in_step(partitioning: Partitioning, asset_key: dg.AssetKey, resource_key: str) -> _Look:
    def look(context: dg.AssetCheckExecutionContext, keys: Sequence[str]) -> _Findings:
        roboto = getattr(context.resources, resource_key)
        client = roboto.get_client()
        looked_at, offences = 0, list[Violation]()
        for key in keys:
            listed, wrong = _compare(partitioning, asset_key, key, client, roboto.org_id)
            looked_at += listed
            offences += wrong
        return _Findings(looked_at, offences)

    return look


def _compare(
    partitioning: Partitioning,
    asset_key: dg.AssetKey,
    key: str,
    client: "RobotoClient",
    org_id: str | None,
) -> tuple[int, list[Violation]]:
    known: dict[tuple[str, str], tuple[str, int]] = {}
    for file in _files_of(partitioning.config, asset_key, [key]):
        if isinstance(file, tuple):
            return 0, [file]
        known[file.dataset_id, file.relative_path] = (file.file_id, file.version)
    looked_at, offences = 0, list[Violation]()
    partition_key = key if partitioning.whole is not None else None
    for scope in partitioning.scopes(partition_key, client, org_id):
        for remote in list_files(client, scope):
            looked_at += 1
            mine = known.pop((scope.dataset_id, remote.relative_path), None)
            if mine is None and remote.code is None:
                offences.append(
                    (key, remote.relative_path, "the platform has it, the manifest not")
                )
            elif mine is not None and mine != (remote.file_id, remote.version):
                problem = f"version {remote.version} on the platform, {mine[1]} here"
                offences.append((key, remote.relative_path, problem))
    offences += [(key, path, "the platform does not list it any more") for _, path in known]
    return looked_at, offences


# --- recently_synced ---


def _recently_synced(
    config: DatasetAssetConfig, asset_key: dg.AssetKey, max_age: dt.timedelta
) -> _Look:
    def look(_: dg.AssetCheckExecutionContext, keys: Sequence[str]) -> _Findings:
        offences: list[Violation] = []
        for key in keys:
            try:
                synced_at = config.manifest(asset_key, key).stat().st_mtime
            except OSError:
                offences.append((key, "", "was never synced here"))
                continue
            age = dt.timedelta(seconds=time.time() - synced_at)
            if age > max_age:
                offences.append(
                    (
                        key,
                        "",
                        f"was last synced {duration_text(age.total_seconds())} ago, {max_age} is allowed",
                    )
                )
        return _Findings(0, offences)

    return look
