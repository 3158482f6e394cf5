"""
The operator: owns Kubernetes.

It makes, adopts and clears away the pods that gateways ask for, and tells users what became of their resources.
"""
