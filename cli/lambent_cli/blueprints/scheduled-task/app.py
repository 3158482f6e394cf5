"""Runs on a schedule. The event says when it was due, which may be a moment before it runs."""

from datetime import datetime, timedelta


def handler(event, context):
    due = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    begin = due - timedelta(days=1)
    print(f"report from {begin.isoformat()} to {due.isoformat()}")
    if context.get_remaining_time_in_millis() < 1000:
        raise TimeoutError("less than a second left: raise the function's timeout")
    return {"from": begin.isoformat(), "to": due.isoformat()}
