# Needs make and Python 3.11 or later with its venv module; everything else is fetched into .build and .venv.
# Paths are relative on purpose: the folder's own name may contain spaces.
MEMBERS := aiops_core aiops_plugins/servicedesk aiops_plugins/jira aiops_plugins/vault_transit aiops_agents host admin demo
STAMP := .venv/.installed

# 3.12 and 3.11 first: the embedded Redis comes as a wheel for these. Each is run, because a version manager's shim may point nowhere.
USABLE := import sys, ensurepip, ssl, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3.14 python3 python; do \
	"$$p" -c '$(USABLE)' >/dev/null 2>&1 && echo "$$p" && break; done)

.PHONY: help demo test venv lock sbom
help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile

demo: $(STAMP) ## Run the demo; pass options as ARGS='--once --json'
	@.venv/bin/aiops demo $(ARGS)

# Checks are processes that share nothing but the machine. One that was named says at once what it does.
test: $(STAMP) ## Run every default check, two at a time; pass options as ARGS='-e unit'
	@.venv/bin/tox $(if $(ARGS),run $(ARGS),run-parallel --parallel 2)

venv: $(STAMP) ## Build .venv with the aiops command and the developer tools
	@echo "Ready: .venv/bin/aiops, .venv/bin/tox"

lock: .build/uv/.installed ## Resolve both locks; newer versions with ARGS=--upgrade
	.build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' --all-extras --group dev \
		--no-emit-package aiops-core --no-emit-package aiops-servicedesk --no-emit-package aiops-jira \
		--no-emit-package aiops-vault-transit \
		--no-emit-package aiops-agents --no-emit-package aiops-host --no-emit-package aiops-admin --no-emit-package aiops-demo \
		$(ARGS) --output-file requirements.lock $(MEMBERS:%=%/pyproject.toml)
	echo 'uv>=0.9' | .build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' $(ARGS) --output-file requirements-uv.lock -
	printf 'pip-audit>=2.10\ncyclonedx-bom>=7\n' | .build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --custom-compile-command 'make lock' $(ARGS) --output-file requirements-supply.lock -

sbom: $(STAMP) ## Write sbom.json, a CycloneDX bill of materials of .venv
	@.venv/bin/tox run -q -e sbom

.build/uv/.installed: requirements-uv.lock
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: no usable Python found. Install Python 3.11 or later with its venv module" >&2; \
		echo "      (Debian, Ubuntu: apt-get install python3-venv; macOS: brew install python@3.12), or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; fi
	@echo "Preparing the installer with $$($(PYTHON) --version)"
	@"$(PYTHON)" -m venv --clear .build/uv
	@.build/uv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-uv.lock
	@touch $@

# uv does not read pip's configuration: where pip is told to use a mirror, uv is told the same.
$(STAMP): .build/uv/.installed requirements.lock $(MEMBERS:%=%/pyproject.toml)
	@echo "Installing what requirements.lock pins into .venv"
	@.venv/bin/python -c '$(USABLE)' 2>/dev/null || .build/uv/bin/python -m venv --clear --without-pip .venv
	@index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$(.build/uv/bin/python -m pip config get global.index-url 2>/dev/null)}}; \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	export VIRTUAL_ENV=.venv; \
	.build/uv/bin/uv pip sync --quiet --require-hashes requirements.lock && \
	.build/uv/bin/uv pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@touch $@
