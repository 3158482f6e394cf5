"""
The function: one model for the AWS API, the manifest, the custom resource and the store.

A function is a document in Kubernetes' shape (`apiVersion`, `kind`, `metadata`, `spec`, `status`). The members of `spec`
carry the names of Lambda's API with a small first letter, so that each door needs a change of case and nothing else.
"""

from __future__ import annotations

from typing import Literal

import msgspec

API_VERSION = "lambent.dev/v1"
LATEST = "$LATEST"
"""The qualifier of a function's moving state."""
DEFAULT_ROLE = "arn:aws:iam::000000000000:role/lambent"


class _Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    pass


class FoundImage(_Model, frozen=True, kw_only=True):
    """What the registry said of a container image, when the function was given it."""

    digest: str
    """`sha256:…`: what the name stood for. Pods run exactly this, wherever a tag points by then."""
    architecture: str = "x86_64"
    """Lambda's name of the architecture that it was looked up for."""
    entry_point: list[str] = []
    """The image's ENTRYPOINT."""
    command: list[str] = []
    """The image's CMD."""


NOT_TEXT = ""
"""In place of all files of inline code that can't be read: no file has this name. Its text says why."""


class Code(_Model, frozen=True):
    """
    The deployment package: exactly one of `inline`, `path`, `sha256` and `imageUri`.

    A stored function has `sha256` and sizes alone, or `imageUri` and `image`.
    """

    inline: str | dict[str, str] | None = None
    """Source text of the handler's module, or files: texts by path."""
    path: str | None = None
    """A folder or ZIP, relative to the manifest. Only the `lambent` command reads paths."""
    sha256: str | None = None
    """A package that the platform has: SHA-256 of the ZIP, hexadecimal."""
    size: int | None = None
    """Bytes of the ZIP."""
    unzipped_size: int | None = None
    """Bytes of all files in it."""
    image_uri: str | None = None
    """A container image, `REGISTRY/REPOSITORY:TAG` or `…@sha256:DIGEST`. With `packageType: Image` only, and on Kubernetes only."""
    image: FoundImage | None = None
    """What was found of the image. Written by the platform alone."""


class Environment(_Model, frozen=True):
    """What the function finds in its environment."""

    variables: dict[str, str] = {}
    """By name; together at most 4,096 bytes. Names have two characters at least; those that Lambda sets itself are refused."""


class ObjectReference(_Model, frozen=True, kw_only=True):
    """An object beside the function."""

    name: str
    """Of an object in the function's namespace."""
    optional: bool = False
    """Whether the function may run without it."""


class EnvFrom(_Model, frozen=True):
    """Exactly one of `secretRef` and `configMapRef`, as in a pod's spec."""

    secret_ref: ObjectReference | None = None
    """Each key of this Secret becomes a variable."""
    config_map_ref: ObjectReference | None = None
    """Each key of this ConfigMap becomes a variable."""
    prefix: str = ""
    """Put before each key."""


class PodSettings(_Model, frozen=True):
    """What Kubernetes must know before a pod starts. A function that sets any of it gets pods of its own, none from a pool."""

    service_account_name: str | None = None
    """ServiceAccount of the function's pods: its execution role on Kubernetes. Its API token is mounted, unless the account says not to."""
    runtime_class_name: str | None = None
    """RuntimeClass, for sandboxes such as gVisor or Kata."""
    node_selector: dict[str, str] = {}
    """Labels that a node must have."""
    env_from: list[EnvFrom] = []
    """Secrets and ConfigMaps whose keys become environment variables, over made-up AWS credentials and below `environment.variables`."""
    image_pull_secrets: list[str] = []
    """Names of Secrets with a registry's credentials, in the function's namespace, for nodes that pull the function's container image."""


class EphemeralStorage(_Model, frozen=True):
    """The function's own disk."""

    size: int = 512
    """Megabytes of /tmp."""


class TracingConfig(_Model, frozen=True):
    """Tracing of requests."""

    mode: Literal["PassThrough", "Active"] = "PassThrough"
    """Whether requests without a trace header are sampled."""


class LoggingConfig(_Model, frozen=True):
    """How the function logs."""

    log_format: Literal["Text", "JSON"] = "Text"
    """Of the platform's lines, and of the function's where its runtime's logging follows it."""
    application_log_level: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None = None
    """Least level of the function's own lines that is kept. With `logFormat: JSON` only."""
    system_log_level: Literal["DEBUG", "INFO", "WARN"] | None = None
    """Least level of the platform's lines that is kept. With `logFormat: JSON` only."""
    log_group: str | None = None
    """What the function is told its log group is. `/aws/lambda/NAME` where nothing is said."""


class DeadLetterConfig(_Model, frozen=True):
    """Where asynchronous events go that were given up."""

    target_arn: str | None = None
    """ARN of a queue or topic. Kept and shown; nothing is sent there yet."""


class SnapStart(_Model, frozen=True):
    """Snapshots of initialised environments."""

    apply_on: Literal["None", "PublishedVersions"] = "None"
    """Which versions are snapshotted. Kept and shown; no snapshots are taken yet."""


class VpcConfig(_Model, frozen=True):
    """Networks of AWS. Not implemented yet."""

    subnet_ids: list[str] = []
    """Subnets. None is taken yet."""
    security_group_ids: list[str] = []
    """Security groups. None is taken yet."""
    ipv6_allowed_for_dual_stack: bool = False
    """Whether IPv6 may be used in dual-stack subnets."""


class FileSystemConfig(_Model, frozen=True):
    """A file system of AWS. Not implemented yet."""

    arn: str
    """ARN of an access point."""
    local_mount_path: str
    """Where the function finds it: /mnt/NAME."""


class ImageConfig(_Model, frozen=True):
    """What replaces settings of a container image. With both `entryPoint` and `command` its registry is not asked for them."""

    entry_point: list[str] = []
    """In place of the image's ENTRYPOINT."""
    command: list[str] = []
    """In place of the image's CMD."""
    working_directory: str | None = None
    """In place of the image's WORKDIR."""


class Cors(_Model, frozen=True):
    """Which pages of other origins may call the function URL from a browser."""

    allow_credentials: bool | None = None
    """Whether cookies and other credentials may be sent. False where nothing is said."""
    allow_headers: list[str] | None = None
    """Headers that a request may have; `*` for any."""
    allow_methods: list[str] | None = None
    """HTTP methods that a request may have; `*` for any."""
    allow_origins: list[str] | None = None
    """Origins that may call; `*` for any."""
    expose_headers: list[str] | None = None
    """Headers of the response that the page may read; `*` for any."""
    max_age: int | None = None
    """Seconds for which a browser may keep the answer to a preflight request."""


class FunctionUrl(_Model, frozen=True):
    """An HTTP address of the function's own. Without it there is none."""

    auth_type: Literal["NONE", "AWS_IAM"] = "NONE"
    """Who may call it."""
    invoke_mode: Literal["BUFFERED", "RESPONSE_STREAM"] = "BUFFERED"
    """Whether the response is sent whole or as it is written."""
    cors: Cors | None = None
    """Calls from pages of other origins. Without it the function answers them itself."""


class EventInvokeConfig(_Model, frozen=True):
    """What happens with asynchronous events that fail."""

    maximum_retry_attempts: int = 2
    """How often an asynchronous event that failed is tried again."""
    maximum_event_age_in_seconds: int = 21_600
    """Seconds that an asynchronous event waits, retries included, before it is given up."""


class FunctionSpec(_Model, frozen=True):
    """What the user wants. What is not said has Lambda's default."""

    function_name: str | None = None
    """Lambda's name where it is no DNS label; else `metadata.name` is the name."""
    package_type: Literal["Zip", "Image"] = "Zip"
    """`Image`: the code is a container image, on Kubernetes only. Such a function has no runtime, handler or layers."""
    code: Code = Code()
    """The deployment package: exactly one of `inline`, `path`, `sha256` and `imageUri`."""
    runtime: str | None = None
    """Lambda's name of the runtime, e.g. `python3.12`."""
    handler: str | None = None
    """What is called: for Python `file.function`, e.g. `app.handler` for the function `handler` in `app.py`."""
    role: str = DEFAULT_ROLE
    """ARN of an execution role. Any is taken; nothing is read from it. Lambda's API wants one, so there is a default."""
    description: str = ""
    """Words for people."""
    timeout: int = 3
    """Seconds that an invocation may take."""
    memory_size: int = 128
    """Megabytes of memory; the share of a CPU follows it."""
    architectures: list[str] = msgspec.field(default_factory=lambda: ["x86_64"])
    """`x86_64` or `arm64`; `x86_64` where nothing is said."""
    environment: Environment | None = None
    """What the function finds in its environment."""
    ephemeral_storage: EphemeralStorage = EphemeralStorage()
    """The function's own disk."""
    layers: list[str] = []
    """Layer versions, by ARN or as `NAME:VERSION`. Their files are below /opt, those of later ones over those of earlier ones."""
    tracing_config: TracingConfig = TracingConfig()
    """Tracing of requests."""
    logging_config: LoggingConfig = LoggingConfig()
    """How the function logs."""
    snap_start: SnapStart = SnapStart()
    """Snapshots of initialised environments."""
    dead_letter_config: DeadLetterConfig | None = None
    """Where asynchronous events go that were given up."""
    kms_key_arn: str | None = None
    """ARN of a key. Kept and shown; nothing is encrypted with it."""
    vpc_config: VpcConfig | None = None
    """Networks of AWS. Not implemented yet."""
    file_system_configs: list[FileSystemConfig] = []
    """File systems of AWS. Not implemented yet, so none is taken."""
    image_config: ImageConfig | None = None
    """What replaces settings of a container image."""
    tags: dict[str, str] = {}
    """Lambda's tags: keys of 1 to 128 characters, values of at most 256."""
    reserved_concurrent_executions: int | None = None
    """Invocations at once that are kept for this function, and the most it gets. 0 stops it."""
    url: FunctionUrl | None = None
    """An HTTP address of the function's own. Without it there is none."""
    event_invoke_config: EventInvokeConfig = EventInvokeConfig()
    """What happens with asynchronous events that fail."""
    recursive_loop: Literal["Allow", "Terminate"] = "Terminate"
    """Whether a function may go on calling itself through queues and topics."""
    update_runtime_on: Literal["Auto", "FunctionUpdate"] = "Auto"
    """When the runtime is brought up to date."""
    replicas: int = 0
    """Execution environments that are kept ready while nobody calls; what `kubectl scale` sets."""
    idle_seconds: int | None = None
    """Seconds that free execution environments are kept; the platform's own where nothing is said. Lambda has no such setting."""
    environments_per_pod: int = 1
    """Execution environments that one pod may hold: with more than 1, running pods serve a burst while new ones come. They share /tmp; all
    but the first have a folder of their own in it for TMPDIR. Lambda has no such setting."""
    pod: PodSettings | None = None
    """For Kubernetes alone."""


class Condition(_Model, frozen=True, kw_only=True):
    """One of Kubernetes' conditions (its API conventions, "Typical status properties")."""

    type: str
    """`Ready`: it can be invoked. `CodeReady`: its package is there and sound. `EnvironmentsReady`: environments can be had.
    `RolledOut`: every environment runs the current code, and there are as many as `replicas` asks for.
    `Initialized`: its code starts; said only of a function whose code has failed to."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: str
    """One word for programs."""
    message: str = ""
    """What happened, and what to do."""
    last_transition_time: str
    """RFC 3339; when `status` last changed."""
    observed_generation: int = 0
    """The `metadata.generation` that this is about."""


class EnvironmentCounts(_Model, frozen=True):
    """Execution environments by what they do."""

    ready: int = 0
    """Initialised: free or busy."""
    busy: int = 0
    """Running an invocation."""
    starting: int = 0
    """Not initialised yet."""
    updated: int | None = None
    """Of the initialised ones, those that run the function's current code; absent where a gateway does not tell. Versions' don't count."""


class FunctionLayer(_Model, frozen=True, kw_only=True):
    """A layer version as a function uses it: by its package, whatever becomes of the layer version."""

    layer: str
    """`NAME:VERSION`."""
    sha256: str
    """Of the ZIP, hexadecimal."""
    size: int
    """Bytes of the ZIP."""
    unzipped_size: int
    """Bytes of all files in it."""


class FunctionStatus(_Model, frozen=True):
    """What became of it. Written by the platform alone."""

    state: Literal["Pending", "Active", "Inactive", "Failed", "Deleting"] = "Pending"
    """Lambda's State: whether it can be invoked."""
    state_reason: str | None = None
    """Why it is in this state, in words."""
    state_reason_code: str | None = None
    """Why it is in this state, for programs."""
    last_update_status: Literal["Successful", "Failed", "InProgress"] | None = None
    """How its last change ended."""
    last_update_status_reason: str | None = None
    """Why its last change ended so, in words."""
    last_update_status_reason_code: str | None = None
    """Why its last change ended so, for programs."""
    revision_id: str = ""
    """UUID, new with each change; what AWS calls RevisionId."""
    last_modified: str = ""
    """ISO 8601 with milliseconds and +0000, as AWS writes it."""
    code_revision: int = 0
    """Grows with each change of code or configuration that needs new execution environments."""
    last_version: int = 0
    """The highest number that a published version was ever given."""
    url_id: str | None = None
    """What its function URL has for a name."""
    url_created: str | None = None
    """When its function URL was made, ISO 8601."""
    url_last_modified: str | None = None
    """When its function URL was last changed, ISO 8601."""
    event_invoke_config_modified: float | None = None
    """Unix time of the last PutFunctionEventInvokeConfig; absent while the function has none of its own."""
    reserved_concurrent_executions: int | None = None
    """What is reserved for it in force: that of `spec`, but while that is under way or was refused."""
    observed_generation: int = 0
    """On Kubernetes, the `metadata.generation` that the platform has brought about; 0 elsewhere."""
    code: Code | None = None
    """On Kubernetes, what `spec.code` came to: inline code is packed, an image looked up, and the manifest stays as it is."""
    layers: list[FunctionLayer] = []
    """What `spec.layers` came to, in the same order."""
    settled_sha256: str | None = None
    """Of the settings and code that running environments were made of: another one means another code revision."""
    conditions: list[Condition] = []
    """`Ready`, `CodeReady`, `EnvironmentsReady`, `RolledOut`, and `Initialized` where that failed."""
    environments: EnvironmentCounts | None = None
    """Execution environments by what they do."""
    replicas: int = 0
    """Initialised execution environments, for `kubectl scale`."""
    selector: str | None = None
    """Labels of the function's pods, for `kubectl scale` and autoscalers."""
    url: str | None = None
    """Where the function URL is, if there is one."""


class Metadata(_Model, frozen=True):
    """What a document is called."""

    name: str
    """A DNS label. The function's name too, where `spec.functionName` says no other."""
    namespace: str = "default"
    """On Kubernetes the namespace; elsewhere `default`."""
    uid: str = ""
    """Of this one; another one of the same name has another."""
    creation_timestamp: str = ""
    """RFC 3339."""
    resource_version: str = ""
    """Written by the store; a `put` with an old one is a conflict."""
    generation: int = 0
    """On Kubernetes, grows with each change of `spec`; 0 elsewhere."""
    labels: dict[str, str] = {}
    """Yours to select by."""
    annotations: dict[str, str] = {}
    """Yours to note by."""


class Function(_Model, frozen=True, kw_only=True):
    """Code with a configuration, as Lambda has it: invoked through the API that the platform offers."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    """Which schema this is."""
    kind: Literal["Function"] = "Function"
    """What this is."""
    metadata: Metadata
    """What it is called."""
    spec: FunctionSpec
    """What the user wants."""
    status: FunctionStatus = FunctionStatus()
    """What became of it."""

    @property
    def name(self) -> str:
        """The name by which Lambda's API knows it."""
        return self.spec.function_name or self.metadata.name


def revision_of(uid: str, code_revision: int) -> str:
    """What a function's moving state is called between agents, gateways and operator: another one needs new environments."""
    return f"{uid}/{code_revision}"
