from greetings import greet  # the layer's


def handler(event, context):
    return {"greeting": greet(event.get("name", "World"), event.get("language", "en"))}
