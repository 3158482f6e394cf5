"""The Kubernetes cluster that tests, benchmarks and newcomers use on a plain machine; see docs/development-cluster.md."""
