.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STUBS := client/nextlabel/v1
FUZZ_SECONDS ?= 600

GROUPS := --group test --group lint --group proto --group bench --group oracles --group lock
FAULTS := https://api.osv.dev

.PHONY: soak help demo test image-test chart-tools chart-readme chart-scan lint audit format proto docs drift release lock bench scaling clean fuzz

help: ## List what there is to make.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,otel]' $(GROUPS)
	@touch $@

.venv-peers/.installed: pyproject.toml constraints-peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-peers.txt --group peers
	@touch $@

demo: .venv/.installed ## Run the main job on real data; leaves pictures in demo-output/.
	$(BIN)/nextlabel demo

test: .venv/.installed ## Run the tests.
	$(BIN)/pytest -n auto --dist worksteal

image-test: .venv/.installed ## Build the image and test it; needs root, podman, buildah and mmdebstrap.
	$(BIN)/python -m tests.image.build
	NEXTLABEL_IMAGE_TEST=1 $(BIN)/pytest tests/image

fuzz: .venv/.installed ## Fuzz each target for FUZZ_SECONDS (600); what it learns stays in .fuzz.
	for target in codec select stream; do \
	  $(BIN)/python -m tests.fuzz $$target .fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.fuzz/$$target- || exit 1; \
	done

lint: .venv/.installed ## Check style, types, layers and the contract.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf breaking --against protos/released.binpb

audit: .venv/.installed ## Look for known faults in what we depend on.
	@if $(BIN)/python -c 'import requests; requests.get("$(FAULTS)", timeout=10)' 2>/dev/null; \
	then $(BIN)/pip-audit --vulnerability-service osv --disable-pip --no-deps -r constraints.txt; \
	else echo "skipped: audit of the dependencies, because $(FAULTS) is out of reach"; fi

format: .venv/.installed ## Put code into its canonical form.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format --write

proto: .venv/.installed ## Generate the stubs from protos/.
	rm -f $(STUBS)/*_pb2*
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=client --pyi_out=client protos/nextlabel/v1/*.proto
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos --grpc_python_out=client --mypy_grpc_out=client protos/nextlabel/v1/service.proto

chart-scan: chart-tools ## Scan the chart with checkov, which gets an environment of its own.
	test -x .tools/checkov/bin/checkov || { $(PYTHON) -m venv .tools/checkov && .tools/checkov/bin/pip install --quiet checkov==3.3.30; }
	ln -sf helm-4.3.1 .tools/helm
	PATH="$(CURDIR)/.tools:$$PATH" .tools/checkov/bin/checkov --config-file helm/checkov.yaml --directory helm/nextlabel

docs: .venv/.installed ## Generate the pages that are made from declarations.
	$(BIN)/python docs/generate.py
	$(BIN)/python helm/generate.py

chart-tools: .venv/.installed ## Fetch helm 3 and 4 and what else the tests of the chart run.
	$(BIN)/python -m tests.chart.tools

chart-readme: chart-tools ## Generate the tables of the chart's README from its values.
	.tools/node_modules/.bin/readme-generator -v helm/nextlabel/values.yaml -r helm/nextlabel/README.md

drift: proto docs ## Fail when something committed is not what would be generated.
	git diff --exit-code -- $(STUBS) docs helm

release: .venv/.installed ## Make the contract as it stands the one that must not break.
	$(BIN)/buf build -o protos/released.binpb

lock: .venv/.installed ## Choose the versions that development uses, into constraints*.txt.
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-annotate --no-header --all-extras $(GROUPS) -o constraints.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-annotate --no-header --group peers -o constraints-peers.txt

soak: .venv/.installed ## Load a server for minutes, into docs/soak.md.
	$(BIN)/python -m tests.load

bench: .venv/.installed .venv-peers/.installed ## Measure, as ratios within one run.
	$(BIN)/python -m benchmarks

scaling: .venv/.installed ## Measure time and memory up to a million rows.
	$(BIN)/python -m benchmarks.scaling

clean: ## Remove what make made.
	rm -rf .venv .venv-peers demo-output dist
