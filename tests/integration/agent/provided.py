#!/usr/bin/env python3
"""A custom runtime for tests: speaks the Runtime API over a bare socket and does what the event says, step by step."""

import json
import os
import socket
import sys

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
BASE = "/2018-06-01/runtime"


class Connection:
    def __init__(self):
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.data = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def reply(self):
        while b"\r\n\r\n" not in self.data:
            more = self.socket.recv(65536)
            if not more:
                return 0, {}, b""
            self.data += more
        head, _, rest = self.data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:]]
        headers = {name.lower(): value for name, value in pairs}
        length = int(headers.get("content-length", 0))
        while len(rest) < length:
            rest += self.socket.recv(65536)
        self.data = rest[length:]
        return int(lines[0].split()[1]), headers, rest[:length]

    def call(self, method, path, body=b"", **headers):
        names = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{names}\r\n".encode() + body)
        return self.reply()


def main():
    connection = Connection()
    if os.environ.get("INIT_ERROR"):
        connection.call(
            "POST",
            f"{BASE}/init/error",
            b'{"errorMessage":"no","errorType":"Mine"}',
            Lambda_Runtime_Function_Error_Type="Mine",
        )
        sys.exit(1)
    seen = []
    if os.environ.get("EARLY"):
        seen.append(connection.call("POST", f"{BASE}/invocation/none/response", b"1"))
        seen.append(connection.call("GET", "/2018-06-01/ping"))
        seen.append(connection.call("GET", "/2018-06-01/nothing"))
        seen.append(connection.call("GET", f"{BASE}/restore/next"))
        seen.append(connection.call("POST", f"{BASE}/invocation/next"))
    while True:
        status, headers, body = connection.call("GET", f"{BASE}/invocation/next")
        assert status == 200, (status, body)
        request = headers["lambda-runtime-aws-request-id"]
        event = json.loads(body)
        url = f"{BASE}/invocation/{request}"
        scope = {
            "c": connection,
            "url": url,
            "request": request,
            "headers": headers,
            "seen": seen,
            "BASE": BASE,
            "Connection": Connection,
        }
        exec(event["run"], scope)
        if "answer" in scope:
            connection.call("POST", f"{url}/response", json.dumps(scope["answer"]).encode())


main()
