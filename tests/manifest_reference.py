"""Writes docs/manifest.md: the reference of the manifests, from their JSON schemas. With --print to stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "core"))

from lambent_core.function import Function, FunctionSpec  # noqa: E402
from lambent_core.layers import LayerVersion  # noqa: E402
from lambent_core.schema import limits_in_words, manifest_schema  # noqa: E402

INTRODUCTION = """\
# The Function manifest

A function as a document, for `lambent apply -f` and, on Kubernetes, for `kubectl apply -f`. `lambent deploy` reads its settings from
the file `function.yaml` of a function's folder. The members of `spec` are those of Lambda's API with a small first letter.

```yaml
apiVersion: lambent.dev/v1
kind: Function
metadata:
  name: hello
spec:
  runtime: python3.12
  handler: app.handler
  code:
    path: .             # this manifest's own folder
  timeout: 10
  environment:
    variables:
      GREETING: Hello
```

`lambent apply` checks all documents before it applies the first, tells every problem by document, field and value, and says for each
function `created`, `configured` or `unchanged`. What a manifest does not say has its default: also where the function had another value
before. Labels and annotations are the exception: those of the manifest are set, and all others stay, for other programs keep theirs
there. `kubectl label fn NAME KEY-` takes a label away. A `metadata.namespace` in which this installation has no functions is refused.
`lambent export NAME` writes the manifest of a function; `lambent delete -f` deletes what manifests name. kubectl's annotation
`kubectl.kubernetes.io/last-applied-configuration` is not exported, and not applied where a manifest has it.

## Code

One of four:

- `spec.code.path`: a folder or ZIP, relative to the manifest. A folder is packed with what its `requirements.txt` names; files that
  `.lambentignore` names (as in `.gitignore`) stay out. Only the `lambent` command reads paths.
- `spec.code.inline`: the source text of the handler's module, or a mapping of paths to texts:

  ```yaml
  code:
    inline: |
      def handler(event, context):
          return {"hello": event["name"]}
  ```

- `spec.code.sha256`: a package that was sent before, to `PUT /lambent/v1/packages/SHA256`. `lambent export` writes this form.
- `spec.code.imageUri`: a container image, with `spec.packageType: Image`, on Kubernetes: [container images](container-images.md).

## Members

Generated from the schema, which the platform also serves at `/lambent/v1/schemas/function`. This page: `make docs`.

| member | type | default | meaning and limits |
| --- | --- | --- | --- |
"""


LAYERS = """
# The LayerVersion manifest

A version of a layer: files that functions find below /opt. The same document is a custom resource on Kubernetes, and both doors lead to the
same place: what `PublishLayerVersion` publishes is there for `kubectl get lv`, and what was applied can be had from Lambda's API.

```yaml
apiVersion: lambent.dev/v1
kind: LayerVersion
metadata:
  name: shared.1       # the layer's name, a dot, and the version
spec:
  layerName: shared
  version: 1
  compatibleRuntimes: [python3.11, python3.12]
  code:
    inline:
      python/shared.py: |
        GREETING = "Hello"
```

A function then says `layers: [shared:1]`, or the ARN. `lambent apply` applies layer versions before the functions that come with them; on
Kubernetes a function that names one which isn't there yet becomes ready once it is.

A layer version never changes: other code is another version. Functions that use it keep its files when it is deleted, and by the `lambent`
command or Lambda's API its number is not used again. `spec.code.path` is a folder of what is to be below /opt (`python/`, `bin/`,
`lib/`, …), or a ZIP of it.

| member | type | default | meaning and limits |
| --- | --- | --- | --- |
"""


def page() -> str:
    return INTRODUCTION + _table(Function) + LAYERS + _table(LayerVersion)


def _table(model: type[Function] | type[LayerVersion]) -> str:
    schema = manifest_schema(model)
    return "\n".join(_rows(schema, schema["$defs"][model.__name__], "")) + "\n"


def _rows(schema: dict[str, Any], shape: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape["properties"].items():
        if member.get("readOnly") or f"{path}{name}" in ("spec.code.size", "spec.code.unzippedSize"):
            continue
        inner = _structure(schema, member)
        if inner is None:
            required = name in shape.get("required", [])
            yield f"| `{path}{name}` | {_type(member)} | {_default(path, name, member, required)} | {_meaning(member)} |"
        else:
            yield from _rows(schema, inner[0], f"{path}{name}{inner[1]}.")


def _structure(schema: dict[str, Any], member: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """The members below, and what stands between: `[]` for a list of structures."""
    for candidate in (member, *member.get("anyOf", [])):
        if "$ref" in candidate:
            return schema["$defs"][candidate["$ref"].rpartition("/")[2]], ""
        if "$ref" in candidate.get("items", {}):
            return schema["$defs"][candidate["items"]["$ref"].rpartition("/")[2]], "[]"
    return None


def _type(member: dict[str, Any]) -> str:
    if "anyOf" in member:
        return " or ".join(_type(one) for one in member["anyOf"] if one.get("type") != "null")
    if "enum" in member:
        return "one of the texts at the right"
    match member.get("type"):
        case "string":
            return "text"
        case "integer":
            return "whole number"
        case "boolean":
            return "`true` or `false`"
        case "array":
            return f"list of {_type(member['items'])}"
    return "texts by name"


def _default(path: str, name: str, member: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = member.get("default")
    if f"{path}{name}" == "spec.architectures":
        value = FunctionSpec().architectures
    if value in (None, "", [], {}):
        return ""
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _meaning(member: dict[str, Any]) -> str:
    words = [member["description"].replace("\n", " ")] if "description" in member else []
    if "enum" in member:
        words.append(", ".join(f"`{value}`" for value in member["enum"] if value is not None) + ".")
    words += limits_in_words(member)
    if "pattern" in member:
        words.append(f"Pattern `{member['pattern']}`.")
    for one in member.get("anyOf", []):
        if "enum" in one:
            words.append(", ".join(f"`{value}`" for value in one["enum"]) + ".")
    return " ".join(words)


def main() -> int:
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        (ROOT / "docs" / "manifest.md").write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
