"""What `helm uninstall` runs last: what the operator made goes, and functions lose the finalizer that only it would take away."""

import contextlib
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST = os.environ["KUBERNETES_SERVICE_HOST"]
SERVER = f"https://{f'[{HOST}]' if ':' in HOST else HOST}:{os.environ['KUBERNETES_SERVICE_PORT']}"
FUNCTIONS = f"/apis/lambent.dev/v1/namespaces/{os.environ['FUNCTIONS_NAMESPACE']}/functions"
PODS = f"/api/v1/namespaces/{os.environ['FUNCTIONS_NAMESPACE']}/pods"
PLATFORM_PODS = f"/api/v1/namespaces/{os.environ['SYSTEM_NAMESPACE']}/pods"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{os.environ['SYSTEM_NAMESPACE']}/leases/lambent-operator"
ENVIRONMENTS = "app.kubernetes.io/managed-by=lambent-operator,app.kubernetes.io/component=environment"
FINALIZER = "lambent.dev/drain"
GRACE_SECONDS = 10
SECONDS_MAX = 150
TLS = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")


def call(method, path, body=None, **query):
    request = urllib.request.Request(f"{SERVER}{path}?{urllib.parse.urlencode(query)}", method=method)
    request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text().strip()}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/merge-patch+json")
    with urllib.request.urlopen(request, timeout=30, context=TLS) as response:
        return json.load(response)


def items(path, selector=""):
    return call("GET", path, labelSelector=selector)["items"]


@contextlib.contextmanager
def gone_already():
    """What is to go may never have been, and whose definition is deleted has no functions."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


def let_functions_go():
    for function in items(FUNCTIONS):
        metadata = function["metadata"]
        if FINALIZER in metadata.get("finalizers", []):
            others = [name for name in metadata["finalizers"] if name != FINALIZER]
            # With the version that was read: whoever else changes the list meanwhile is not overwritten.
            patch = {"metadata": {"finalizers": others, "resourceVersion": metadata["resourceVersion"]}}
            with gone_already():
                call("PATCH", f"{FUNCTIONS}/{metadata['name']}", patch)
            print(f"function {metadata['name']} is free to be deleted")


def clear():
    ends = time.monotonic() + SECONDS_MAX
    # As long as an operator lives it may make what is deleted here.
    while (platform := items(PLATFORM_PODS, os.environ["PLATFORM"])) or items(PODS, ENVIRONMENTS):
        if not platform:
            # Whom would a function still answer? The gateway is gone, so its longest time-out need not pass.
            call("DELETE", PODS, labelSelector=ENVIRONMENTS, gracePeriodSeconds=GRACE_SECONDS)
        if time.monotonic() > ends:
            sys.exit(f"pods are still there after {SECONDS_MAX} s")
        time.sleep(1)
    print("no pod is left")


clear()
with gone_already():
    call("DELETE", LEASE)
with gone_already():
    let_functions_go()
