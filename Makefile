# Each target is one line; scripts/environment makes .venv and names what is missing on this machine.
PYTHON ?= python3

.PHONY: help run test attack benchmark lock sbom requirements screenshots check fix review clean

help: ## show these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: ## serve in development mode on 127.0.0.1:8080, with an embedded database
	@scripts/environment $(PYTHON) && CDS_DEVELOPMENT=1 exec .venv/bin/cds-service serve

test: ## format check, lint, types, content check, bandit, our own rules and all tests
	@scripts/environment $(PYTHON) test && scripts/test

attack: ## every attack in full, 10,000 generated requests and 50 rounds of killed writers on each database among them
	@scripts/environment $(PYTHON) test && scripts/attack

benchmark: ## measure the goals of speed, each beside what it is compared with
	@scripts/environment $(PYTHON) test && .venv/bin/python -m benchmarks.jwt

lock: ## write the locks in requirements/ after a change of pyproject.toml; UPGRADE=1 takes the newest of everything
	@scripts/tools $(PYTHON) && scripts/lock $(if $(UPGRADE),--upgrade)

sbom: ## write dist/sbom.cdx.json: what the service is made of, as locked
	@scripts/tools $(PYTHON) && scripts/sbom

requirements: ## run all tests and write the pages of the requirements of CDS Hooks and FHIR
	@scripts/environment $(PYTHON) test && .venv/bin/pytest tests --write-requirements

screenshots: ## write pictures of the main pages to docs/pictures/
	@scripts/environment $(PYTHON) test && .venv/bin/python -m tests.browser.pictures docs/pictures

check: ## check the content and clients.toml only
	@scripts/environment $(PYTHON) && .venv/bin/cds-service check

fix: ## repair format and simple lint
	@scripts/environment $(PYTHON) test && { .venv/bin/ruff check --fix -q . ; .venv/bin/ruff format . ; }

review: ## write the page that a clinician signs
	@scripts/environment $(PYTHON) && .venv/bin/cds-service review

clean: ## remove the environments and the embedded database
	rm -rf .venv .venv-tools cds-service.sqlite*
