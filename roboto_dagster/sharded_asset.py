"""A dataset asset whose partitions are transferred by many workers: a graph of three ops, for any executor.

```
          ┌─► shard 1 ─┐
 plan ────┼─► shard 2 ─┼──► merge ──► one materialization
   │      └─► shard n ─┘      ▲
   └──────────────────────────┘  reads the plan and every shard's manifest in the destination, by name
```

The ops hand on no values, so workers need no shared IO manager: a shard knows its mapping key, and all else is in the
destination (`roboto_dagster.sync.shards`). That the merge relies on no collected list matters where a run is
re-executed from its failure: Dagster then leaves out the shards that had not started, and runs the merge.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import dagster as dg

from roboto_dagster.errors import ConfigurationError
from roboto_dagster.naming import derived_name
from roboto_dagster.resource_params import with_resources
from roboto_dagster.step.shard_ops import ShardOps
from roboto_dagster.step.unchanged import OnUnchanged
from roboto_dagster.sync.shards.division import ShardOptions

DEFAULT_RETRY_POLICY = dg.RetryPolicy(
    max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL
)
"""How a step is repeated whose process was killed, or whose files failed transiently."""

_NOTHING = dg.In(dg.Nothing)


class StepSettings(NamedTuple):
    """What an asset was given for its op, and a sharded one has for the ops of its graph.

    Attributes:
        retry_policy: Of each step. Default: `DEFAULT_RETRY_POLICY`.
        op_tags: Of each op.
        pool: Of the shards alone.
        hooks: Of each op.
        io_manager_key: By which other assets load it.
    """

    retry_policy: dg.RetryPolicy | None
    op_tags: Mapping[str, Any] | None
    pool: str | None
    hooks: AbstractSet[dg.HookDefinition] | None
    io_manager_key: str | None


def sharded_asset(
    plain: dg.AssetsDefinition,
    ops: ShardOps,
    *,
    resources: Mapping[str, tuple[str, type[Any]]],
    settings: StepSettings,
) -> dg.AssetsDefinition:
    """Build the graph-backed twin of an asset.

    Args:
        plain: The asset, whose key, partitions, dependencies and other attributes it has.
        ops: What the ops do.
        resources: As for `with_resources`.
        settings: What the asset was given for its op.
    """
    spec = plain.get_asset_spec(plain.key)
    inputs = {derived_name(dep.asset_key, ""): dep for dep in spec.deps}
    of_ops = {
        "retry_policy": settings.retry_policy or DEFAULT_RETRY_POLICY,
        "tags": settings.op_tags,
    }
    maker = _OpMaker(spec.key, of_ops, resources)
    mappings = {name: dep.partition_mapping for name, dep in inputs.items()}
    return dg.AssetsDefinition.from_graph(
        _graph(maker, ops, list(inputs), settings),
        keys_by_input_name={name: dep.asset_key for name, dep in inputs.items()},
        keys_by_output_name={"result": spec.key},
        partitions_def=plain.partitions_def,
        partition_mappings={name: each for name, each in mappings.items() if each is not None},
        backfill_policy=dg.BackfillPolicy.multi_run(1) if plain.partitions_def else None,
        hook_defs=settings.hooks,
    ).map_asset_specs(
        lambda each: each.replace_attributes(
            description=spec.description,
            metadata=spec.metadata,
            group_name=spec.group_name,
            code_version=spec.code_version,
            owners=spec.owners,
            tags=spec.tags,
            automation_condition=spec.automation_condition,
            freshness_policy=spec.freshness_policy,
        )
    )


def check_shards(
    shards: Any, *, backfill_policy: Any, check_specs: Any, on_unchanged: OnUnchanged
) -> None:
    """Check what cannot be combined with shards.

    Args:
        shards: Of the asset.
        backfill_policy: Of the asset.
        check_specs: Of the asset.
        on_unchanged: Of the asset.

    Raises:
        ConfigurationError: A setting would have no effect, or cannot work.
    """
    if not isinstance(shards, ShardOptions):
        raise ConfigurationError(
            f"shards must be ShardOptions such as ShardOptions(max_shards=8), not {shards!r}."
        )
    if backfill_policy is not None and backfill_policy.max_partitions_per_run != 1:
        raise ConfigurationError(
            "shards need runs of one partition each: leave backfill_policy out, or set BackfillPolicy.multi_run(1)."
        )
    if check_specs:
        raise ConfigurationError(
            "check_specs cannot be combined with shards: a graph of steps has none. Report such checks on another asset."
        )
    if on_unchanged != "materialize":
        raise ConfigurationError(
            'on_unchanged="observe" cannot be combined with shards: leave it out, or leave shards out.'
        )


class _OpMaker:
    """Makes the ops of one asset."""

    def __init__(
        self,
        asset_key: dg.AssetKey,
        settings: Mapping[str, Any],
        resources: Mapping[str, tuple[str, type[Any]]],
    ) -> None:
        self.asset_key = asset_key
        self._settings = settings
        self._resources = resources

    def make(self, suffix: str, body: Callable[..., Any], **definition: Any) -> Any:
        """Make an op.

        Args:
            suffix: Of its name.
            body: Called with the context and the resources.
            definition: Of its inputs and outputs, and what else is its own.
        """
        return dg.op(
            name=derived_name(self.asset_key, suffix),
            description=str(inspect.getdoc(body)).partition("\n")[0],
            **{**self._settings, **definition},
        )(with_resources(body, dg.AssetExecutionContext, self._resources))


def _graph(
    maker: _OpMaker, ops: ShardOps, inputs: Sequence[str], settings: StepSettings
) -> dg.GraphDefinition:
    """Join the ops; `inputs` are the assets that this one depends on."""
    plan = maker.make(
        "_plan",
        ops.plan,
        ins=dict.fromkeys(inputs, _NOTHING),
        out={"shards": dg.DynamicOut(dg.Nothing), "planned": dg.Out(dg.Nothing)},
    )
    shard = maker.make(
        "_shard",
        ops.transfer,
        ins={"shard": _NOTHING},
        out=dg.Out(dg.Nothing),
        pool=settings.pool,
    )
    out = dg.Out(dg.Nothing, io_manager_key=settings.io_manager_key)
    merge = maker.make("_merge", ops.merge, ins={"planned": _NOTHING, "shards": _NOTHING}, out=out)

    def compose(**given: Any) -> Any:
        numbers, planned = plan(**given)
        return merge(planned=planned, shards=numbers.map(shard).collect())

    compose.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have it
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in inputs]
    )
    name = derived_name(maker.asset_key, "_shards")
    return dg.graph(name=name, ins={each: dg.GraphIn() for each in inputs})(compose)
