import kopf


def identity(event: kopf.RawEvent) -> tuple[str, str, str]:
    """Namespace, name and uid of what an event is about."""
    metadata = event["object"]["metadata"]
    return metadata["namespace"], metadata["name"], metadata["uid"]
