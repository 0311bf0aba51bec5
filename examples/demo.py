"""`make demo`: robot logs arrive as Dagster assets; one fault heals, one is reported, nothing is fetched twice.

All is real but the platform, which is `LocalRoboto`: the Dagster runs, HTTP, S3, the logs, the manifests.
"""

import logging
import os
import shutil
import sys
import time
import warnings

os.environ.pop("ROBOTO_API_KEY", None)  # it breaks things on purpose: never on your account
warnings.simplefilter("ignore")

import dagster as dg  # noqa: E402
from quickstart import DESTINATION, PLATFORM, log_formats, resources, robot_logs  # noqa: E402

from roboto_dagster import manifest_path, read_manifest  # noqa: E402
from roboto_dagster.testing import faults  # noqa: E402

IN_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, DIM, GREEN, RED, RESET = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if IN_COLOUR else ("",) * 5
)


def main() -> None:
    """Runs the demo; it ends with an error if anything went otherwise than it says."""
    started = time.monotonic()
    for dataset_id in PLATFORM.dataset_ids():  # a demo begins with an empty disk
        shutil.rmtree(DESTINATION / dataset_id, ignore_errors=True)
    say_title("The Roboto platform, on this machine")
    for dataset_id, _, files in PLATFORM.summary():
        print(f"  {dataset_id:<20}{files} real robot logs")
    shaky, missing = choose_victims()

    say_title("1. Materialize every dataset, while two things go wrong")
    PLATFORM.faults.add(faults.status(503, "SlowDown"), service="s3", key=f"*{shaky[1]}", times=1)
    PLATFORM.remove_object(*missing)
    print(f"  {shaky[1]}: the store will answer 503 SlowDown, once")
    print(f"  {missing[1]}: the platform lists it, but its object is gone\n")
    results = materialize_all()
    expect([key for key, result in results.items() if not result.success] == [missing[0]])
    say_failure(results[missing[0]])

    say_title("2. Somebody uploads the lost log again: one file is fetched, and no other")
    PLATFORM.replace_file(*missing, b"\x89MCAP0\r\n (a log that was found again)")
    expect(all(result.success for result in materialize_all().values()))
    expect(PLATFORM.requests.count(service="s3") == 1)

    say_title("3. Run it once more: nothing has changed, so the store is not asked at all")
    expect(all(result.success for result in materialize_all().values()))
    expect(PLATFORM.requests.count(service="s3") == 0)

    say_what_next(time.monotonic() - started)


def choose_victims() -> tuple[tuple[str, str], tuple[str, str]]:
    """Picks a log whose request will fail once, and one whose object will be gone."""
    datasets = {dataset_id: files for dataset_id, _, files in PLATFORM.summary()}
    largest = max(datasets, key=lambda each: datasets[each])
    other = next((each for each in datasets if each != largest and datasets[each] > 1), largest)
    return (largest, log_names(largest)[0]), (other, log_names(other)[-1])


def log_names(dataset_id: str) -> list[str]:
    """Lists a dataset with the official SDK."""
    from roboto import Dataset

    dataset = Dataset.from_id(dataset_id, roboto_client=PLATFORM.client())
    return sorted(file.relative_path for file in dataset.list_files())


def materialize_all() -> dict[str, dg.ExecuteInProcessResult]:
    """Runs one Dagster run a dataset, as a backfill would, and prints what came of each."""
    PLATFORM.requests.clear()
    results = {}
    with dg.DagsterInstance.get() as instance:
        for dataset_id in PLATFORM.dataset_ids():
            results[dataset_id] = job.execute_in_process(
                partition_key=dataset_id,
                instance=instance,
                raise_on_error=False,
                run_config={"loggers": {"short": {}}},
            )
    verdicts = [
        f"{GREEN}SUCCESS{RESET}" if each.success else f"{RED}FAILURE{RESET}"
        for each in results.values()
    ]
    print(f"\n  {len(results)} Dagster runs: {', '.join(verdicts)}")
    print(f"  {PLATFORM.requests.count(service='s3')} requests to the store")
    return results


@dg.logger
def short(_: dg.InitLoggerContext) -> logging.Logger:
    """Prints what the asset says, and leaves out Dagster's own events."""

    def format_record(record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", {})
        record.line = meta.get("orig_message", "").splitlines()[0]
        return meta.get("dagster_event") is None

    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(format_record)
    handler.setFormatter(logging.Formatter(f"  {DIM}%(levelname)-8s{RESET}%(line)s"))
    logger = logging.Logger("demo", logging.INFO)  # noqa: LOG001 - not one of the program's tree
    logger.addHandler(handler)
    return logger


def say_title(title: str) -> None:
    """Prints a heading."""
    print(f"\n{BOLD}{title}{RESET}")


def say_failure(result: dg.ExecuteInProcessResult) -> None:
    """Prints a failure as the run's log shows it: a sentence, then a table."""
    (event,) = result.get_step_failure_events()
    failure = event.step_failure_data.user_failure_data
    assert failure is not None  # noqa: S101 - for the type checker
    print(f"\n  What the failed run tells {DIM}(nothing of it will be retried in vain){RESET}:")
    for line in (failure.description or "").splitlines():
        print(f"    {RED}{line}{RESET}")
    table = failure.metadata["roboto/failures"]
    assert isinstance(table, dg.TableMetadataValue)  # noqa: S101 - for the type checker
    print(f"    {DIM}metadata roboto/failures:{RESET}")
    for record in table.records:
        print(
            f"      {record.data['relative_path']}  {record.data['error_code']}  attempts {record.data['attempts']}"
        )


def say_what_next(seconds: float) -> None:
    """Prints where things lie and what to try."""
    say_title(f"All as promised, in {seconds:.0f} s. Where things are")
    for dataset_id in PLATFORM.dataset_ids():
        path = manifest_path(DESTINATION, "robot_logs", dataset_id)
        rows = (
            read_manifest(path)
            .select(["status", "verified", "size_bytes", "relative_path"])
            .to_pylist()
        )
        print(f"  {DESTINATION / dataset_id}/\n    {DIM}manifest {path}{RESET}")
        for row in rows:
            print(
                f"    {row['status']:<10}{row['verified']:<11}{row['size_bytes']:>10,}  {row['relative_path']}"
            )
    print(
        f"""
{BOLD}What to try next{RESET}
  make ui                                   the same asset in Dagster's UI, on http://localhost:3000
  ROBOTO_DEMO_LOGS=~/my-logs make demo      with logs of your own
  ROBOTO_API_KEY=… ROBOTO_DATASET_IDS=ds_… make ui        with your own account
  examples/quickstart.py                    the code location that ran: read it, change it
"""
    )


def expect(as_promised: bool) -> None:  # noqa: FBT001
    """Ends the demo with an error if it did not show what it says."""
    if not as_promised:
        sys.exit(f"{RED}That is not what the demo promises: please report it.{RESET}")


job = dg.Definitions(
    assets=[robot_logs, log_formats],
    resources=resources,
    loggers={"short": short},
    jobs=[dg.define_asset_job("demo", selection="*")],
).resolve_job_def("demo")


if __name__ == "__main__":
    main()
