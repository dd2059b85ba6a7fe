# Each target is one line; scripts/environment makes .venv and names what is missing on this machine.
PYTHON ?= python3

.PHONY: help run test attack requirements check fix review clean

help: ## show these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: ## serve in development mode on 127.0.0.1:8080, with an embedded database
	@scripts/environment $(PYTHON) && CDS_DEVELOPMENT=1 exec .venv/bin/cds-service serve

test: ## format check, lint, types, content check and all tests
	@scripts/environment $(PYTHON) test && scripts/test

attack: ## 10,000 generated requests made from the contract; 50 rounds of killed writers on each database
	@scripts/environment $(PYTHON) test && scripts/attack

requirements: ## run all tests and write the pages of the requirements of CDS Hooks and FHIR
	@scripts/environment $(PYTHON) test && .venv/bin/pytest tests --write-requirements

check: ## check the content and clients.toml only
	@scripts/environment $(PYTHON) && .venv/bin/cds-service check

fix: ## repair format and simple lint
	@scripts/environment $(PYTHON) test && { .venv/bin/ruff check --fix -q . ; .venv/bin/ruff format . ; }

review: ## write the page that a clinician signs
	@scripts/environment $(PYTHON) && .venv/bin/cds-service review

clean: ## remove the environment and the embedded database
	rm -rf .venv cds-service.sqlite*
