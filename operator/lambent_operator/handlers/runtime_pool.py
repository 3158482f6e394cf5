import kopf

from lambent_kube.resources import RUNTIME_POOLS
from lambent_operator.handlers.seen import identity
from lambent_operator.intake import Intake


def register(registry: kopf.OperatorRegistry, intake: Intake) -> None:
    @kopf.on.event(RUNTIME_POOLS.group, RUNTIME_POOLS.version, RUNTIME_POOLS.plural, registry=registry)
    async def runtime_pool_seen(event: kopf.RawEvent, **_: object) -> None:
        if event["type"] == "DELETED":
            intake.remove(RUNTIME_POOLS, *identity(event))
        else:
            intake.put(RUNTIME_POOLS, dict(event["object"]))
