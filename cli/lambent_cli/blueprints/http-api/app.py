"""A small HTTP API behind a function URL. Events and responses are those of API Gateway, payload format 2.0."""

import base64
import json

BOOKS = {"1": {"id": "1", "title": "The Left Hand of Darkness"}, "2": {"id": "2", "title": "Ubik"}}


def handler(event, context):
    method = event["requestContext"]["http"]["method"]
    parts = [part for part in event.get("rawPath", "/").split("/") if part]
    print(f"{method} /{'/'.join(parts)}")
    match method, parts:
        case "GET", []:
            return answer(200, {"books": "/books"})
        case "GET", ["books"]:
            return answer(200, list(BOOKS.values()))
        case "GET", ["books", number] if number in BOOKS:
            return answer(200, BOOKS[number])
        case "POST", ["books"]:
            return create(event)
        case _:
            return answer(404, {"message": "not found"})


def create(event):
    try:
        book = json.loads(body(event))
        title = book["title"]
    except (ValueError, KeyError, TypeError):
        return answer(400, {"message": 'the body must be JSON such as {"title": "Ubik"}'})
    return answer(201, {"id": str(len(BOOKS) + 1), "title": title})


def body(event):
    text = event.get("body") or ""
    return base64.b64decode(text).decode() if event.get("isBase64Encoded") else text


def answer(status, content):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(content)}
