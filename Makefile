# Each target is one line; scripts/environment makes .venv and names what is missing on this machine.
PYTHON ?= python3

.PHONY: help run test attack mutants benchmark docs lock sbom release requirements screenshots check fix review safety proof clean

help: ## show these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: ## serve in development mode on 127.0.0.1:8080, with an embedded database
	@scripts/environment $(PYTHON) && CDS_DEVELOPMENT=1 exec .venv/bin/cds-service serve

test: ## format check, lint, types, content check, bandit, our own rules and all tests
	@scripts/environment $(PYTHON) test && scripts/test

attack: ## every attack in full, 10,000 generated requests and 50 rounds of killed writers on each database among them
	@scripts/environment $(PYTHON) test && scripts/attack

mutants: ## small faults in the pure core, each of which a test must notice; writes docs/safety/mutants.md
	@scripts/environment $(PYTHON) test && scripts/mutants

benchmark: ## measure the goals of speed, each beside what it is compared with; takes some 20 minutes
	@scripts/environment $(PYTHON) test && scripts/benchmark

docs: ## build the documentation into site/: static pages that load nothing from elsewhere
	@scripts/tools $(PYTHON) && scripts/docs

lock: ## write the locks in requirements/ after a change of pyproject.toml; UPGRADE=1 takes the newest of everything
	@scripts/tools $(PYTHON) && scripts/lock $(if $(UPGRADE),--upgrade)

sbom: ## write dist/sbom.cdx.json: what the service is made of, as locked
	@scripts/tools $(PYTHON) && scripts/sbom

release: ## build the wheel, its SBOM and the FHIR package into dist/, and try the wheel in an empty environment
	@scripts/environment $(PYTHON) test && scripts/release $(PYTHON)

requirements: ## run all tests and write the pages of the requirements of CDS Hooks and FHIR
	@scripts/environment $(PYTHON) test && .venv/bin/pytest tests --write-requirements

screenshots: ## write pictures of the main pages to docs/pictures/
	@scripts/environment $(PYTHON) test && .venv/bin/python -m tests.browser.pictures docs/pictures

check: ## all that "make test" does before the tests: format, lint, types, content, bandit and our own rules
	@scripts/environment $(PYTHON) test && scripts/check

fix: ## repair format and simple lint
	@scripts/environment $(PYTHON) test && { .venv/bin/ruff check --fix -q . ; .venv/bin/ruff format . ; }

review: ## write the page that a clinician signs
	@scripts/environment $(PYTHON) && .venv/bin/cds-service review

safety: ## write the pages of the safety file that are made from data: docs/safety/hazards.md, traceability.md, proof.md
	@scripts/environment $(PYTHON) test && .venv/bin/python -m tests.safety_file && .venv/bin/cds-service prove >docs/safety/proof.md

proof: ## prove the rules, and set a second opinion beside a million answer sets and 5,000 calls; takes a quarter of an hour
	@scripts/environment $(PYTHON) test && scripts/proof

clean: ## remove the environments and the embedded database
	rm -rf .venv .venv-tools .venv-others site cds-service.sqlite*
