"""One Kubernetes object per function, as it is sent to the API server."""
