"""A thin client of the Kubernetes API: requests, lists and watches, as dictionaries. It knows nothing of Lambent."""
