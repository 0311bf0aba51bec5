"""What the scaffolder writes, without the command line of `dg`."""

import pathlib
from typing import Any

import dagster as dg
import pytest
import yaml

from roboto_dagster.component import RobotoDatasetComponent
from roboto_dagster.component.scaffolder import RobotoDatasetScaffolder, ScaffoldParams


def scaffold(folder: pathlib.Path, **params: Any) -> dict[str, Any]:
    """Scaffold a component into a folder, and return the attributes that were written."""
    folder.mkdir()
    request = dg.ScaffoldRequest(
        type_name="roboto_dagster.RobotoDatasetComponent",
        target_path=folder,
        scaffold_format="yaml",
        project_root=folder.parent,
        params=ScaffoldParams(**params),
    )
    RobotoDatasetScaffolder().scaffold(request)
    written: dict[str, Any] = yaml.safe_load((folder / "defs.yaml").read_text("utf-8"))
    return dict(written["attributes"])


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["flight_logs", "flüge", "1st", "日本", "raw-data", "class"])
@pytest.mark.parametrize("dataset_id", [None, "ds_abc"])
def test_what_is_written_loads(tmp_path: pathlib.Path, name: str, dataset_id: str | None) -> None:
    """Whatever letters the folder's name has."""
    attributes = scaffold(tmp_path / name, dataset_id=dataset_id)
    component = RobotoDatasetComponent.from_attributes_dict(attributes=attributes)
    definitions = dg.component_defs(component=component)
    dg.Definitions.validate_loadable(definitions)


def test_each_component_gets_a_folder_of_its_own(tmp_path: pathlib.Path) -> None:
    """Two components would look for each other's files in a shared one."""
    folders = {scaffold(tmp_path / name)["destination"] for name in ("arm", "leg")}
    assert folders == {"data/arm", "data/leg"}


def test_options_are_written(tmp_path: pathlib.Path) -> None:
    """Name, folder and dataset may be chosen."""
    attributes = scaffold(tmp_path / "x", name="logs", destination="/mnt/logs", dataset_id="ds_1")
    chosen = {key: attributes[key] for key in ("name", "destination", "dataset_id")}
    assert chosen == {"name": "logs", "destination": "/mnt/logs", "dataset_id": "ds_1"}
