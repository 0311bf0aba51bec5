"""What `dg scaffold defs roboto_dagster.RobotoDatasetComponent NAME` writes: a file that loads as it is."""

import json
import pathlib

import dagster as dg
from pydantic import BaseModel, Field

from roboto_dagster.naming import plain_name


class ScaffoldParams(BaseModel):
    """The options of `dg scaffold defs`."""

    name: str | None = Field(default=None, description="Name of the asset. Default: the folder's.")
    destination: str | None = Field(
        default=None,
        description="Folder for the files; two components should not share one. Default: data/ and the asset's name.",
    )
    dataset_id: str | None = Field(
        default=None,
        description="The one dataset to deliver. Default: every dataset, by a sensor.",
    )


_SCAFFOLD = """\
type: {type_name}

attributes:
  name: {name}
  # Where the files go, taken from the folder in which Dagster runs.
  destination: {destination}
{subject}
  # Which files: patterns as in .gitignore. All of them if left out.
  include_patterns: ["*"]

  # The API key comes from this environment variable when a run needs it.
  roboto:
    api_key_env: ROBOTO_API_KEY

  checks:
    checksums: sample

  op:
    pool: roboto

  # Logs as tables, one a log and topic: uncomment, and install roboto-dagster[topics].
  # topics:
  #   - name: {topics_name}
  #     destination: {topics_destination}
  #     topics: ["/imu*", "!/camera/**"]

  translation:
    group_name: roboto

requirements:
  env:
    - ROBOTO_API_KEY
"""
_ALL_DATASETS = """\

  # One partition for each dataset; the sensor adds them and requests their runs.
  partitions:
    datasets: dynamic
  sensor:
    quiet_seconds: 60
"""
_ONE_DATASET = """\
  dataset_id: {dataset_id}

  schedule:
    cron_schedule: "0 * * * *"
"""


class RobotoDatasetScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a starting point that loads as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """Return its options."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write `defs.yaml`, with comments, or Dagster's own skeleton of a Python component."""
        if request.scaffold_format != "yaml":
            dg.scaffold_component(request)
            return
        text = _defs_yaml(request)
        path = request.target_path if request.append else request.target_path / "defs.yaml"
        with path.open("a" if request.append else "w", encoding="utf-8") as file:
            file.write(f"---\n{text}" if request.append else text)


def _defs_yaml(request: dg.ScaffoldRequest[ScaffoldParams]) -> str:
    params = request.params
    name = params.name or _asset_name(request.target_path)
    one = _ONE_DATASET.format(dataset_id=json.dumps(params.dataset_id))
    return _SCAFFOLD.format(
        type_name=request.type_name,
        name=json.dumps(name),
        # A folder of its own: two assets that deliver to one place would each look for the other's files.
        destination=json.dumps(params.destination or f"data/{name}"),
        topics_name=json.dumps(f"{name}_topics"),
        topics_destination=json.dumps(f"{params.destination or f'data/{name}'}_topics"),
        subject=one if params.dataset_id else _ALL_DATASETS,
    )


def _asset_name(path: pathlib.Path) -> str:
    """Return a name for the asset of a folder, whatever its letters."""
    folder = path.parent.name if path.suffix else path.name
    return plain_name(folder, default="roboto_datasets")
