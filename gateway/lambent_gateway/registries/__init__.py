"""Registries of container images, as far as functions need them: what an image is, never its layers."""
