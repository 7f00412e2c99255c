# make demo | test | bench | lint | format. Each sets up .venv first where it is missing or out of date.
# make torch adds PyTorch (gigabytes, where it comes with CUDA): without it, tests against PyTorch are skipped.
# make pydensecrf adds pydensecrf2 (needs a C++ compiler and Python's headers): the same for tests against it.
# Needs Python >= 3.11. PYTHON=... chooses the Python.

# make model PHOTOS=... REGIONS=... VAL_PHOTOS=... VAL_REGIONS=... REAL=... trains the packaged model again (docs/models.md).
.PHONY: demo torch pydensecrf test bench lint types format model
.DEFAULT_GOAL := test

export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

CHECK_PYTHON := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
STAMP := .venv/installed

$(STAMP): pyproject.toml constraints.txt
	@python=; for candidate in $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); do \
	  if "$$candidate" -c '$(CHECK_PYTHON)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	test -n "$$python" || { echo "error: no Python >= 3.11 with venv among: \
	$(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); install one (Debian: python3-venv) or set PYTHON" >&2; exit 2; }; \
	echo "Setting up .venv with $$("$$python" --version) (some minutes the first time)"; \
	"$$python" -m venv .venv && \
	.venv/bin/pip install --quiet --constraint constraints.txt --editable '.[all,demo,test]'
	@touch $@

demo: $(STAMP)
	.venv/bin/python train.py --config=configs/demo.py --workdir=runs/demo
	.venv/bin/python evaluate.py --workdir=runs/demo
	.venv/bin/python -m tools.real_demo --output=runs/real-demo

torch: $(STAMP)
	.venv/bin/pip install --quiet --constraint constraints.txt --editable '.[torch]'

pydensecrf: $(STAMP)
	.venv/bin/pip install --quiet --constraint constraints.txt --editable '.[pydensecrf]'

test: lint # types, which take one core, beside the tests
	@$(MAKE) --no-print-directory types & types=$$!; .venv/bin/pytest --numprocesses=2 --quiet -rs; tests=$$?; \
	wait $$types && exit $$tests

lint: $(STAMP)
	.venv/bin/ruff check --quiet
	.venv/bin/ruff format --check --quiet
	@said=$$(.venv/bin/lint-imports --no-cache --no-logo 2>&1) || { echo "$$said"; exit 1; }

types: $(STAMP)
	.venv/bin/mypy --no-error-summary

format: $(STAMP)
	.venv/bin/ruff check --fix --quiet
	.venv/bin/ruff format --quiet

model: $(STAMP)
	.venv/bin/python -m tools.model --photos $(PHOTOS) --regions $(REGIONS) --val-photos $(VAL_PHOTOS) \
	  --val-regions $(VAL_REGIONS) --real $(REAL) --workdir=runs/model $(FLAGS)

bench: $(STAMP)
	.venv/bin/python -m benchmarks
