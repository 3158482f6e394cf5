"""What `helm test` runs: the gateway is ready, and its API answers. Creates nothing."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

SECONDS_MAX = 60


def get(path):
    with urllib.request.urlopen(os.environ["LAMBENT_ENDPOINT"] + path, timeout=10) as response:
        return response.read()


def wait_until_ready():
    ends = time.monotonic() + SECONDS_MAX
    while True:
        try:
            return get("/readyz")
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.read().decode(errors='replace')}"
        except OSError as error:
            reason = str(error)
        if time.monotonic() > ends:
            sys.exit(f"the gateway is not ready after {SECONDS_MAX} s: {reason}")
        time.sleep(0.5)


wait_until_ready()
functions = json.loads(get("/2015-03-31/functions/"))["Functions"]
print(f"ready, {len(functions)} functions: {', '.join(f['FunctionName'] for f in functions)}")
