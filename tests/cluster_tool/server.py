"""Runs in a pod: answers every request with what it sees from there."""

import json
import os
import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FIRST = Path("/data/first")
LIMITS = (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory.max"))

if not FIRST.exists():
    FIRST.write_text(os.environ["POD_NAME"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        seen = {
            "pod": os.environ["POD_NAME"],
            "first": FIRST.read_text(),
            "api": socket.gethostbyname("kubernetes.default"),
            "own": socket.gethostbyname("server.cluster-tool.svc.cluster.local"),
            "uid": os.getuid(),
            "memory": int(next(file for file in LIMITS if file.exists()).read_text()),
        }
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


print("serving", time.time(), flush=True)
HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
