"""`make demo`: robot logs arrive as Dagster assets; one fault is retried, one is reported, nothing arrives twice.

All is real but the platform, which is `LocalRoboto`, and the logs, which are samples unless
ROBOTO_DEMO_LOGS names a folder: the Dagster runs, HTTP, S3 and the manifests.
"""

import os
import shutil
import sys
import time
import uuid
import warnings
from types import TracebackType


def end_quietly(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Say goodbye instead of showing a traceback when the reader presses Ctrl-C."""
    if kind is KeyboardInterrupt or kind.__name__ == "DagsterExecutionInterruptedError":
        sys.stderr.write("\nInterrupted. `make demo` starts again.\n")
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = end_quietly
os.environ.pop("ROBOTO_API_KEY", None)  # it breaks things on purpose: never on your account
warnings.simplefilter("ignore")

import dagster as dg  # noqa: E402 -- after the lines above

try:
    import quickstart
except (ValueError, OSError) as unusable:
    sys.exit(f"make demo: {unusable}")

from roboto_dagster import manifest_path, read_manifest  # noqa: E402 -- likewise
from roboto_dagster.testing import faults  # noqa: E402 -- likewise

DESTINATION, PLATFORM = quickstart.DESTINATION, quickstart.PLATFORM
KIND = "robot logs" if os.environ.get("ROBOTO_DEMO_LOGS") else "sample robot logs"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # `show` prints instead
IN_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, DIM, GREEN, RED, RESET = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if IN_COLOUR else ("",) * 5
)


def main() -> None:
    """Run the demo; it ends with an error if anything went otherwise than it promises."""
    started = time.monotonic()
    for dataset_id in PLATFORM.dataset_ids():  # a demo starts with an empty disk
        shutil.rmtree(DESTINATION / dataset_id, ignore_errors=True)
    show_title("The Roboto platform, on this machine")
    for dataset_id, _, files in PLATFORM.summary():
        print(f"  {dataset_id:<20}{files} {KIND if files != 1 else KIND.removesuffix('s')}")
    shaky, missing = choose_victims()

    show_title("1. Materialize every dataset, while two things go wrong")
    key = PLATFORM.record(*shaky)["uri"].split("/", 3)[3]
    PLATFORM.faults.add(faults.status(503, "SlowDown"), service="s3", key=key, times=1)
    PLATFORM.remove_object(*missing)
    print(f"  {shaky[1]}: the store will answer 503 SlowDown, once")
    print(f"  {missing[1]}: the platform lists it, but its object is gone\n")
    results = materialize_all()
    expect([key for key, result in results.items() if not result.success] == [missing[0]])
    show_failure(results[missing[0]])

    show_title("2. Somebody uploads the lost log again: one file is downloaded, and no other")
    PLATFORM.replace_file(*missing, b"\x89MCAP0\r\n (a log that was found again)")
    expect(all(result.success for result in materialize_all().values()))
    expect(PLATFORM.requests.count(service="s3") == 1)

    show_title("3. Run it once more: nothing has changed, so the store is not asked at all")
    expect(all(result.success for result in materialize_all().values()))
    expect(PLATFORM.requests.count(service="s3") == 0)

    show_what_next(time.monotonic() - started)


def choose_victims() -> tuple[tuple[str, str], tuple[str, str]]:
    """Pick a log whose request will fail once, and one whose object will be gone."""
    datasets = {dataset_id: files for dataset_id, _, files in PLATFORM.summary()}
    largest = max(datasets, key=lambda each: datasets[each])
    other = next((each for each in datasets if each != largest and datasets[each] > 1), largest)
    return (largest, log_names(largest)[0]), (other, log_names(other)[-1])


def log_names(dataset_id: str) -> list[str]:
    """List a dataset with the official SDK."""
    from roboto import Dataset

    dataset = Dataset.from_id(dataset_id, roboto_client=PLATFORM.client())
    return sorted(file.relative_path for file in dataset.list_files())


def materialize_all() -> dict[str, dg.ExecuteInProcessResult]:
    """Execute one Dagster run for each dataset, as a backfill would, and print the outcomes."""
    PLATFORM.requests.clear()
    job = quickstart.defs.resolve_job_def("robot_logs_and_formats")
    results = {}
    with dg.DagsterInstance.get() as instance:
        for dataset_id in PLATFORM.dataset_ids():
            run_id = str(uuid.uuid4())
            instance.add_event_listener(run_id, show)
            results[dataset_id] = job.execute_in_process(
                partition_key=dataset_id,
                instance=instance,
                raise_on_error=False,
                run_config=QUIET,
                run_id=run_id,
            )
    verdicts = [
        f"{GREEN}SUCCESS{RESET}" if each.success else f"{RED}FAILURE{RESET}"
        for each in results.values()
    ]
    requests = PLATFORM.requests.count(service="s3")
    print(f"\n  {len(results)} Dagster run{'s' * (len(results) != 1)}: {', '.join(verdicts)}")
    print(f"  {requests} request{'s' * (requests != 1)} to the store")
    return results


def show(entry: dg.EventLogEntry) -> None:
    """Print the first line of what the asset logs, and leave out Dagster's own events."""
    level = {20: "INFO", 30: "WARNING", 40: "ERROR"}.get(int(entry.level))
    if level and entry.step_key == "robot_logs" and entry.dagster_event is None:
        print(f"  {DIM}{level:<8}{RESET}{entry.user_message.splitlines()[0]}", flush=True)


def show_title(title: str) -> None:
    """Print a heading."""
    print(f"\n{BOLD}{title}{RESET}", flush=True)


def show_failure(result: dg.ExecuteInProcessResult) -> None:
    """Print a failure as the run's log shows it: a sentence, then a table."""
    failure = next(
        event.step_failure_data.user_failure_data for event in result.get_step_failure_events()
    )
    assert failure is not None  # noqa: S101 -- for the type checker
    print(f"\n  What the failed run reports {DIM}(a retry would not help){RESET}:")
    for line in (failure.description or "").splitlines():
        print(f"    {RED}{line}{RESET}")
    table = failure.metadata["roboto/failures"]
    assert isinstance(table, dg.TableMetadataValue)  # noqa: S101 -- for the type checker
    print(f"    {DIM}metadata roboto/failures:{RESET}")
    for record in table.records:
        print(f"      {', '.join(f'{name}: {value}' for name, value in record.data.items())}")


def show_what_next(seconds: float) -> None:
    """Print where things lie and what to try."""
    show_title(f"All as promised, in {seconds:.0f} s. Where things are")
    for dataset_id in PLATFORM.dataset_ids():
        path = manifest_path(DESTINATION, "robot_logs", dataset_id)
        rows = (
            read_manifest(path)
            .select(["status", "verified", "size_bytes", "relative_path"])
            .to_pylist()
        )
        print(f"  {DESTINATION / dataset_id}/\n    {DIM}manifest {path}{RESET}")
        for row in sorted(rows, key=lambda row: str(row["relative_path"])):
            print(
                f"    {row['status']:<10}{row['verified']:<11}{row['size_bytes']:>10,}  {row['relative_path']}"
            )
    print(
        f"""
{BOLD}What to try next{RESET}
  make ui                                   the same assets in Dagster's UI, on http://localhost:3000
  ROBOTO_DEMO_LOGS=~/my-logs make demo      with logs of your own (.bag, .mcap, .ulg)
  ROBOTO_API_KEY=… ROBOTO_DATASET_IDS=ds_… make ui        with your own account
  examples/quickstart.py                    the code location that ran: read it, change it
"""
    )


def expect(as_promised: bool) -> None:  # noqa: FBT001 -- reads well
    """End the demo with an error if it did not show what it promises."""
    if not as_promised:
        sys.exit(f"{RED}That is not what the demo promises: please report it.{RESET}")


if __name__ == "__main__":
    main()
