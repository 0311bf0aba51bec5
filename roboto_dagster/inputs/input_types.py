"""The types that assets may annotate for an input, each with the function that loads it.

```
annotation ─► X | None          ─► optional: None where no partition is there
              dict[str, X]      ─► a value of X by partition key
              X                 ─► one value of all partitions, by the loader that is registered for X
```
"""

import collections.abc
import dataclasses
import importlib.util
import pathlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, overload

import dagster as dg

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.inputs.dataset_files import DatasetFiles
from roboto_dagster.inputs.frames import data_frame, lazy_frame, relation
from roboto_dagster.tables import checked_format
from roboto_dagster.text import count

if TYPE_CHECKING:  # pyarrow would cost every import of the package
    from roboto_dagster.inputs.frames import ArrowData

InputLoader = Callable[[Any, dg.InputContext], Any]
"""Makes the value of an input of the `DatasetFiles` of its partitions; of a topics asset of the `TopicTables`."""

LoaderT = TypeVar("LoaderT", bound=InputLoader)

_REGISTERED: dict[Any, InputLoader] = {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InputType:
    """What an input is to be loaded as.

    Attributes:
        loader: Makes one value.
        by_key: Whether there is one value a partition, in a `dict`.
        optional: Whether None stands for no partition at all.
    """

    loader: InputLoader
    by_key: bool = False
    optional: bool = False


@overload
def register_input_type(annotation: Any) -> Callable[[LoaderT], LoaderT]: ...
@overload
def register_input_type(annotation: Any, loader: LoaderT) -> LoaderT:  # noqa: D418 - two arguments, so both are named
    """As a function.

    Args:
        annotation: See below.
        loader: See below.
    """


def register_input_type(annotation: Any, loader: InputLoader | None = None) -> Any:
    """Have `RobotoFilesIOManager` load a type of your own, or another one in your own way.

    As a function, or as a decorator of the loader:

    ```python
    @register_input_type(Recording)
    def load_recording(files: DatasetFiles, context: dg.InputContext) -> Recording:
        return Recording(files.matching("*.mcap"))
    ```

    It is known in every process that imports the module in which it is registered, such as that of the
    asset. `Recording | None` and `dict[str, Recording]` are then known as well.

    Args:
        annotation: What assets annotate. The loader that was registered last wins, also over those of
            this package.
        loader: It is given the files of the partitions (of a topics asset `TopicTables`), and
            Dagster's context of the input, whose `definition_metadata` is that of the `AssetIn`.

    Returns:
        The loader; without one a decorator.

    Raises:
        ConfigurationError: The loader cannot be called, or the annotation is one of those that stand for
            several values.
    """
    if loader is None:
        return lambda decorated: register_input_type(annotation, decorated)
    if not callable(loader):
        raise ConfigurationError(f"The loader of {_name(annotation)} is no function: {loader!r}.")
    if _optional(annotation) != annotation or _value_type(annotation) is not None:
        raise ConfigurationError(
            f"{_name(annotation)} is a form of another type: register that type; its Optional and dict forms are then known."
        )
    _REGISTERED[_plain(annotation)] = loader
    return loader


def input_type(annotation: Any, built_in: Mapping[str, InputLoader] | None = None) -> InputType:
    """Return how an annotation is loaded.

    Args:
        annotation: Of the input.
        built_in: The loaders of this package, by name; the first is that of an input without an annotation. Default:
            those of dataset assets.

    Raises:
        ConfigurationError: There is no loader of it; the message has those that there are.
    """
    wanted = _optional(annotation)
    of_each = _value_type(wanted)
    built_in = built_in or _BUILT_IN
    loader = _loader(wanted if of_each is None else _optional(of_each), built_in)
    if loader is None:
        raise ConfigurationError(
            f"RobotoFilesIOManager cannot load {_name(annotation)}: annotate the input with {', '.join(_known(built_in))}, "
            "or a dict[str, …] of one of them, or register a loader of it with register_input_type()."
        )
    return InputType(loader=loader, by_key=of_each is not None, optional=wanted is not annotation)


def _loader(wanted: Any, built_in: Mapping[str, InputLoader]) -> InputLoader | None:
    if wanted is Any:
        return _REGISTERED.get(_default(built_in)) or next(iter(built_in.values()))
    try:
        own = _REGISTERED.get(_plain(wanted))
    except TypeError:  # not hashable: nobody has registered it
        return None
    return own or next((load for name, load in built_in.items() if _is(wanted, name)), None)


def _optional(annotation: Any) -> Any:
    """Return X of `X | None`, else the annotation itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        others = [each for each in get_args(annotation) if each is not type(None)]
        if len(others) == 1:
            return others[0]
    return annotation


def _value_type(annotation: Any) -> Any:
    """Return X of `dict[str, X]`, or None."""
    of = get_args(annotation)
    is_dict = get_origin(annotation) in (dict, collections.abc.Mapping)
    return of[1] if is_dict and len(of) == 2 and of[0] is str else None


def _plain(annotation: Any) -> Any:
    """Return one form of the ways to write a list of paths."""
    lists = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
    if get_origin(annotation) in lists and get_args(annotation) == (pathlib.Path,):
        return list[pathlib.Path]
    return annotation


def _is(wanted: Any, name: str) -> bool:
    """Compare by name: a package that nobody has imported yet need not be imported for that."""
    module, _, attribute = name.partition(":")
    if not module:
        return bool(_plain(wanted) == list[pathlib.Path])
    return wanted is getattr(sys.modules.get(module), attribute, module)


def _default(built_in: Mapping[str, InputLoader]) -> Any:
    """Return the type that stands for an input without an annotation; some may have registered it."""
    module, _, attribute = next(iter(built_in)).partition(":")
    return getattr(sys.modules.get(module), attribute, None)


def _known(built_in: Mapping[str, InputLoader]) -> list[str]:
    known = []
    for name in built_in:
        module, _, attribute = name.rpartition(":")
        package = module.partition(".")[0]
        is_installed = not package or importlib.util.find_spec(package) is not None
        shown = attribute if module.startswith("roboto_dagster") else f"{module}.{attribute}"
        known.append(shown.lstrip(".") + ("" if is_installed else f" (pip install {package})"))
    return known + [_name(each) for each in _REGISTERED]


def _name(annotation: Any) -> str:
    if not isinstance(annotation, type) or get_origin(annotation) is not None:
        return repr(annotation)
    module = annotation.__module__
    return (
        annotation.__qualname__ if module == "builtins" else f"{module}.{annotation.__qualname__}"
    )


def _only_path(files: DatasetFiles, context: dg.InputContext) -> pathlib.Path:
    if len(files) == 1:
        return files.paths[0]
    number = f"{count(len(files), 'file')} in {count(len(files.partition_keys), 'partition')}"
    raise ConfigurationError(
        f"{context.asset_key.to_user_string()} has {number}, "
        "and pathlib.Path stands for exactly one: annotate list[pathlib.Path], or narrow the asset's include_patterns."
    )


def _arrow(
    files: DatasetFiles, context: dg.InputContext, default: Literal["manifest", "data"]
) -> "ArrowData":
    content = (context.definition_metadata or {}).get("content") or default
    if content == "manifest":
        return files.table()
    if content == "data":
        return files.dataset(checked_format((context.definition_metadata or {}).get("format")))
    raise ConfigurationError(
        f"The content {content!r} cannot be loaded: AssetIn(metadata={{'content': …}}) is 'manifest' (a row a file) or 'data' "
        "(the rows in Parquet, CSV, Arrow and Feather files)."
    )


def _arrow_table(files: DatasetFiles, context: dg.InputContext) -> Any:
    import pyarrow.dataset as pad

    source = _arrow(files, context, "manifest")
    return source.to_table() if isinstance(source, pad.Dataset) else source


def _arrow_dataset(files: DatasetFiles, context: dg.InputContext) -> Any:
    import pyarrow.dataset as pad

    source = _arrow(files, context, "data")
    return source if isinstance(source, pad.Dataset) else pad.dataset(source)


# By name, since an import of pyarrow, polars or duckdb would cost every code location.
_BUILT_IN: dict[str, InputLoader] = {
    "roboto_dagster.inputs.dataset_files:DatasetFiles": lambda files, _: files,
    "pathlib:Path": _only_path,
    ":list[pathlib.Path]": lambda files, _: files.paths,
    "pyarrow:Table": _arrow_table,
    "pyarrow.dataset:Dataset": _arrow_dataset,
    "polars:DataFrame": lambda files, context: data_frame(_arrow(files, context, "manifest")),
    "polars:LazyFrame": lambda files, context: lazy_frame(_arrow(files, context, "data")),
    "duckdb:DuckDBPyRelation": lambda files, context: relation(_arrow(files, context, "data")),
}
