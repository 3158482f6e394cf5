import kopf

from lambent_kube.resources import FUNCTIONS
from lambent_operator.handlers.seen import identity
from lambent_operator.intake import Intake


def register(registry: kopf.OperatorRegistry, intake: Intake) -> None:
    @kopf.on.event(FUNCTIONS.group, FUNCTIONS.version, FUNCTIONS.plural, registry=registry)
    async def function_seen(event: kopf.RawEvent, **_: object) -> None:
        if event["type"] == "DELETED":
            intake.remove(FUNCTIONS, *identity(event))
        else:
            intake.put(FUNCTIONS, dict(event["object"]))
