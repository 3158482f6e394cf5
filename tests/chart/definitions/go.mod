// Only downloaded: the custom resource definitions in these modules.
module lambent.dev/tests/chart/definitions

go 1.25.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.4.1
)
