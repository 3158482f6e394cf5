"""
Layer versions in the document store: found by name and number, added, taken away.
"""

from __future__ import annotations

from lambent_core import layers
from lambent_core.documents import DocumentConflict, DocumentStore
from lambent_core.errors import ResourceConflict
from lambent_core.layer_names import LayerReference, document_name
from lambent_core.layers import LayerVersion


class LayerVersions:
    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    def find(self, reference: LayerReference) -> LayerVersion | None:
        """Whatever its state."""
        found = self._documents.get(LayerVersion, document_name(reference.name, reference.version))
        return found if found is not None and found.spec.layer_name == reference.name else None

    def all(self) -> list[LayerVersion]:
        """Those that functions can use: by name of the layer, the latest version first."""
        there = [version for version in self._documents.list(LayerVersion) if version.status.state == "Active"]
        return sorted(there, key=lambda version: (version.spec.layer_name, -version.spec.version))

    def documents_of(self, layer: str) -> list[LayerVersion]:
        """Whatever their state."""
        return [version for version in self._documents.list(LayerVersion) if version.spec.layer_name == layer]

    async def add(self, version: LayerVersion) -> LayerVersion:
        """Raises DocumentConflict if there is, or was, one of that number, ResourceConflict if another layer's is in its place."""
        name, layer = version.metadata.name, version.spec.layer_name
        left = self._documents.get(LayerVersion, name)
        if left is not None and left.spec.layer_name != layer:
            raise ResourceConflict(
                f"LayerVersion {name} exists and is of the layer {left.spec.layer_name}, not {layer}: delete it."
            )
        added = await self._documents.put(version, "")
        for earlier in self.documents_of(layer):
            if earlier.status.state == "Deleted" and earlier.spec.version < version.spec.version:
                await self._remove(earlier)  # it was kept for its number alone
        return added

    async def delete(self, reference: LayerReference) -> None:
        """Nothing happens if there is none."""
        while (version := self.find(reference)) is not None and version.status.state != "Deleted":
            of_layer = self.documents_of(version.spec.layer_name)
            try:
                if layers.next_number(of_layer) > version.spec.version + 1:
                    await self._remove(version)
                else:
                    await self._documents.put(layers.deleted(version), version.metadata.resource_version)
            except DocumentConflict:
                continue

    async def _remove(self, version: LayerVersion) -> None:
        latest: LayerVersion | None = version
        while latest is not None:
            try:
                await self._documents.delete(latest, latest.metadata.resource_version)
                return
            except DocumentConflict:
                latest = self._documents.get(LayerVersion, latest.metadata.name, latest.metadata.namespace)
