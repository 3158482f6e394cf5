"""
Rolls dice: `GET /2d6` rolls two dice of six sides. Behind a function URL: see function.yaml.

Events and responses are those of API Gateway, payload format 2.0. A value that is no full response becomes one: status 200,
JSON.
"""

import random
import re

DICE_MAX = 100


def handler(event, context):
    notation = event.get("rawPath", "/").strip("/") or "1d6"
    wanted = re.fullmatch(r"(\d{1,3})d(\d{1,4})", notation)
    if wanted is None:
        return refuse(f"{notation} is no roll; try /2d6")
    count, sides = int(wanted[1]), int(wanted[2])
    if not 1 <= count <= DICE_MAX or sides < 1:
        return refuse(f"1 to {DICE_MAX} dice with at least one side, please")
    rolls = [random.randint(1, sides) for _ in range(count)]
    print(f"{notation}: {rolls}")
    return {"roll": notation, "dice": rolls, "total": sum(rolls)}


def refuse(message):
    return {"statusCode": 400, "headers": {"content-type": "text/plain"}, "body": message}
