"""The quickstart in Dagster's UI, in a real browser: `dagster dev`, a platform with one broken dataset, Chromium.

`make images` keeps the pictures that the tests take in docs/images.
"""

import os
import pathlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from roboto_dagster.testing import LocalRoboto, faults
from tests.dagster_dev import DagsterDev
from tests.waiting import GUARD_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPOSITORY = pathlib.Path(__file__).parents[2]
COMPLETE, BROKEN = ["ds_rover_runs", "ds_arm_runs"], "ds_drone_runs"
LOST, SQUATTERS = "flight_3.mcap", ("notes.txt", "Notes.txt")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Nothing but the server of the test is looked up or asked.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here: it needs a browser, and one worker, which shares the UI among them."""
    for item in items:
        if item.path.is_relative_to(pathlib.Path(__file__).parent):
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.programs)
            item.add_marker(pytest.mark.xdist_group("ui"))


@pytest.fixture(scope="session")
def robots() -> Iterator[LocalRoboto]:
    """Three datasets of logs: of the last, one log is lost and two claim one place on disk."""
    dice = random.Random(2026)  # noqa: S311 -- no secret
    with LocalRoboto() as local:
        for dataset_id, name, count in zip(
            [*COMPLETE, BROKEN], ["run", "pick", "flight"], [14, 6, 8], strict=True
        ):
            local.add_dataset(dataset_id.removeprefix("ds_"), dataset_id=dataset_id)
            for number in range(1, count + 1):
                log = dice.randbytes(dice.randrange(200_000, 6_000_000))
                local.add_file(dataset_id, f"{name}_{number}.mcap", log)
        for name in SQUATTERS:
            local.add_file(BROKEN, name, b"Wind from the west.")
        local.remove_object(BROKEN, LOST)
        slow_down = faults.status(503, "SlowDown")
        local.faults.add(slow_down, service="s3", key="*run_5.mcap", times=1)
        local.faults.add(faults.trickle(bytes_per_second=1_500_000), service="s3", key="*.mcap")
        yield local


@pytest.fixture(scope="session")
def home() -> Iterator[pathlib.Path]:
    """A folder with a short name, since its path is in the pictures."""
    with tempfile.TemporaryDirectory(prefix="robots-", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def dagster(robots: LocalRoboto, home: pathlib.Path) -> Iterator[DagsterDev]:
    """The quickstart under `dagster dev`, as a user with an account runs it."""
    environment = {
        **robots.environment(),
        "ROBOTO_DATASET_IDS": ",".join([*COMPLETE, BROKEN]),
        "ROBOTO_DEMO_FOLDER": str(home / "demo"),
        "PYTHONPATH": str(REPOSITORY),
    }
    arguments = ["-w", str(REPOSITORY / "workspace.yaml")]
    with DagsterDev(arguments, home / "dagster", environment) as dev:
        yield dev


@pytest.fixture(scope="session")
def runs(dagster: DagsterDev) -> dict[str, tuple[str, str]]:
    """Id and status of one run for each dataset, by dataset; all of them run at once."""
    ids = {
        dataset_id: dagster.launch("robot_logs", "log_formats", partition_key=dataset_id)
        for dataset_id in COMPLETE
    }
    ids[BROKEN] = dagster.launch("robot_logs", partition_key=BROKEN)
    return {dataset_id: (run_id, dagster.wait_for(run_id)) for dataset_id, run_id in ids.items()}


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("there is no Chromium: on Debian, apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()


class Ui:
    """The UI in a browser."""

    def __init__(self, page: "Page", dagster: DagsterDev, images: pathlib.Path | None) -> None:
        self.page = page
        self._url = dagster.url
        self._images = images

    def open(self, path: str, until: str) -> str:
        """Open a page, wait until it shows a text, and return all of its text."""
        self.page.goto(f"{self._url}/{path}")
        self.page.get_by_text(until).first.wait_for()
        return self.text()

    def text(self) -> str:
        """Return what the page shows."""
        return self.page.locator("body").inner_text()

    def row(self, key: str) -> str:
        """Return what a table of metadata shows for one key."""
        return self.page.locator(
            "tr", has=self.page.get_by_text(key, exact=True)
        ).first.inner_text()

    @staticmethod
    def words(text: str) -> set[str]:
        """Return the words of a text, and the endings of names of files as words too."""
        words = text.split()
        return {*words, *(pathlib.PurePath(word).suffix for word in words)}

    def picture_width(self, name: str) -> int:
        """Return how wide a picture is; 0 if the browser cannot draw it."""
        picture = self.page.get_by_alt_text(name).first
        picture.wait_for()
        return int(picture.evaluate("image => image.naturalWidth"))

    def take_picture(self, name: str, width: int, height: int) -> None:
        """Keep a picture, where pictures are asked for."""
        if self._images is None:
            return
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_timeout(500)  # what slides in has come to rest
        self._images.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._images / f"{name}.png")


@pytest.fixture
def ui(browser: "Browser", dagster: DagsterDev, runs: object) -> Iterator[Ui]:
    """The UI after the backfill, in a window of its own."""
    assert runs
    images = os.environ.get("UI_IMAGES")
    page = browser.new_page(viewport={"width": 1440, "height": 900}, timezone_id="UTC")
    page.set_default_timeout(GUARD_SECONDS * 1000)
    yield Ui(page, dagster, pathlib.Path(images) if images else None)
    page.close()
