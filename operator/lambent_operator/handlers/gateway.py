import kopf

from lambent_kube.resources import PODS
from lambent_operator.handlers.seen import identity
from lambent_operator.intake import Intake


def register(registry: kopf.OperatorRegistry, intake: Intake) -> None:
    @kopf.on.event(PODS.group, PODS.version, PODS.plural, registry=registry)
    async def gateway_seen(event: kopf.RawEvent, **_: object) -> None:
        if event["type"] == "DELETED":
            intake.remove_gateway(*identity(event)[1:])
        else:
            intake.put_gateway(dict(event["object"]))
