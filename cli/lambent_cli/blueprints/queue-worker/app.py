"""Works off messages of an SQS queue. Messages that fail are named in the answer: they alone come again."""

import json


def handler(event, context):
    failed = []
    for message in event["Records"]:
        try:
            work(json.loads(message["body"]))
        except Exception as error:
            print(f"message {message['messageId']} failed: {error!r}")
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def work(order):
    """One message. It may come more than once: doing the same again must do no harm."""
    print(f"order {order['id']}: {order['quantity']} pieces")
