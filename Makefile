# All that a newcomer needs: `make run` and `make test`, `make cluster` for Kubernetes. All install what they lack.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
AGENT := runtime-images/agent/build/lambent-agent
AGENT_SOURCES := $(shell find runtime-images/agent -name '*.go' -o -name go.mod -o -name go.sum)

.PHONY: help run test check bench docs cluster cluster-down images push clean

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

run: $(VENV)/installed  ## Lambda on this machine, at http://127.0.0.1:9000
	@lambent up

test: $(VENV)/installed  ## Every suite
	@python -m tests.run

check: $(VENV)/installed  ## The everyday part: lint, types, layers, unit and property tests
	@python -m tests.run --everyday

bench: $(VENV)/installed  ## Ratios against baselines that run beside it
	@python -m benchmarks

cluster: $(VENV)/installed  ## A Kubernetes cluster with Lambent on it, at http://127.0.0.1:9010 (docs/development-cluster.md)
	@python -m tools.cluster up
	@python -m tools.cluster images
	@python -m tools.cluster install

cluster-down: $(VENV)/installed  ## Takes it down, without a trace
	@python -m tools.cluster down

images: $(VENV)/installed  ## Builds every image, and gives it to the cluster if there is one
	@python -m tools.cluster images

push: $(VENV)/installed  ## Pushes them to a registry: make push REGISTRY=registry.example.com/team TAG=0.1.0 (docs/install.md)
	@python -m tools.cluster push '$(REGISTRY)' '$(TAG)' $(if $(filter true,$(PLAIN_HTTP)),--plain-http)

docs: $(VENV)/installed  ## Writes the generated pages of docs/ anew
	@python tests/generate_docs.py

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py tools/install.sh $(AGENT_SOURCES)
	@PYTHON=$(PYTHON) tools/install.sh $(VENV)
	@touch $@

clean:  ## Removes what was installed and built
	rm -rf $(VENV) runtime-images/agent/build build dist
