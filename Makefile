# `make demo` shows what the extension does; `make test` runs every test that needs no real WebUI.
# Both make the environments they need from the pinned files in requirements/.

PYTHON ?= python3
PORT ?= 7861
ARGS ?=
COVER ?=
VENV := .venv

# The models of the tests are tiny: a second thread costs them more than it gives.
export OMP_NUM_THREADS ?= 1
# What is imported is compiled once, then: most files of the environments never are.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo serve serve-forge quick test test-unit test-page test-host test-classic test-forge \
  test-forge-short test-webui test-torch contract coverage fuzz soak mutate bench train effect docs journey lint format clean
.DELETE_ON_ERROR:

demo: $(VENV)/page-3.41/.ready
	$(VENV)/page-3.41/bin/python -m tests.demo $(ARGS)

serve: $(VENV)/page-3.41/.ready
	$(VENV)/page-3.41/bin/python -m tests.miniature --port $(PORT) --data-dir build/serve \
	  --extension . $(ARGS)

# The same with Gradio 4.40, as Forge.
serve-forge: $(VENV)/page-4.40/.ready
	$(VENV)/page-4.40/bin/python -m tests.miniature --port $(PORT) --data-dir build/serve-forge \
	  --extension . $(ARGS)

# As many at a time as there are processors, two to four, each with a WebUI of its own; of a real one
# that is given there is one. They take whole files, the long ones first (tests/conftest.py).
WORKERS := $(shell $(PYTHON) -c 'import os; print(max(2, min(4, os.cpu_count() or 2)))')
JOBS ?= $(if $(INSTANTSTYLE_WEBUI)$(INSTANTSTYLE_WEBUI_URL),0,$(WORKERS))
PARALLEL = -n $(JOBS) --dist loadfile --no-loadscope-reorder

# With `make -j 2` two of these at a time: the longest first, and last the one of many short tests.
test: test-page test-host test-forge-short test-classic test-unit

# For the time between two changes: lint, the unit tests of what changed, and three
# scenarios in the miniature: a picture by the API, one by page values, and one by a plot.
QUICK := \
  tests/host/test_extension.py::test_hires_fix_and_batches_compute_keys_and_values_once \
  tests/host/test_extension.py::test_infotext_in_a_request_restores_the_unit_and_its_kept_pictures \
  tests/host/test_plots.py::test_two_axes_and_the_second_unit
quick: lint $(VENV)/page-3.41/.ready
	$(VENV)/engine/bin/python -m pytest -q -n $(WORKERS) $$($(VENV)/engine/bin/python -m tests.quick_choice)
	$(VENV)/page-3.41/bin/python -m pytest -q $(QUICK) $(ARGS)

# A WebUI in a process of its own: nothing to count lines in.
test-page: $(VENV)/page-3.41/.ready
	$(VENV)/page-3.41/bin/python -m pytest tests/browser tests/webui -q $(PARALLEL) $(ARGS)

test-host: $(VENV)/page-3.41/.ready
	$(VENV)/page-3.41/bin/python -m pytest tests/host -q $(PARALLEL) $(COVER) $(ARGS)

test-unit: $(VENV)/engine/.ready
	$(VENV)/engine/bin/python -m pytest tests/unit tests/fuzz -q -n $(WORKERS) $(COVER) $(ARGS)

# The unit tests with the torch of a WebUI: 2.1.2 (A1111) or 2.3.1 (Forge). They need Python 3.10 or
# 3.11: make test-torch TORCH=2.1.2 PYTHON=python3.10. What this torch cannot run is skipped, and says why
# (tests/unit/left_out.py). For Linux, PyPI has builds for CUDA alone, of 5 GB with all they need;
# with PyTorch's own index for CPUs in PIP_EXTRA_INDEX_URL, pip takes the small one.
TORCH ?= 2.1.2
test-torch: $(VENV)/torch-$(TORCH)/.ready
	$(VENV)/torch-$(TORCH)/bin/python -m pytest tests/unit tests/fuzz -q -n $(WORKERS) $(ARGS)

test-classic: $(VENV)/page-3.41/.ready
	MINIATURE=classic $(VENV)/page-3.41/bin/python -m pytest tests/host/ldm_patched_mode -q \
	  $(COVER) $(ARGS)

# The same once more where Gradio 4.40 makes the miniature a Forge; of it `make test` runs what only
# that mode shows, every way to make a picture (with the quicker of the two families), and the page.
test-forge: $(VENV)/page-4.40/.ready
	$(VENV)/page-4.40/bin/python -m pytest tests/browser tests/webui tests/host -q $(PARALLEL) $(ARGS)

test-forge-short: $(VENV)/page-4.40/.ready
	$(VENV)/page-4.40/bin/python -m pytest tests/browser/test_page.py tests/browser/test_accessibility.py \
	  tests/webui/test_generation.py \
	  tests/host/forge_mode tests/host/test_two_users.py -q $(PARALLEL) -k "not (test_generation and tiny_sdxl)" $(ARGS)

# The API and page scenarios against a real WebUI, with a report to look at in build/webui-report:
# make test-webui WEBUI=<its folder>, or WEBUI=miniature. See tests/README.md for what else to set.
REPORT := build/webui-report
export INSTANTSTYLE_WEBUI ?= $(filter-out miniature,$(WEBUI))
test-webui: $(VENV)/page-3.41/.ready
	@test -n "$(WEBUI)$$INSTANTSTYLE_WEBUI$$INSTANTSTYLE_WEBUI_URL" || \
	  { echo 'say which: make test-webui WEBUI=<folder of a WebUI>, or WEBUI=miniature'; exit 2; }
	$(VENV)/page-3.41/bin/python -m pytest -p tests.webui.report --webui-report $(REPORT) \
	  tests/webui tests/browser -q $(ARGS)

# The tests, and how much of our code they ran, by room. What a WebUI in a process of its own runs
# (tests/webui, tests/browser) is not counted.
LINES := build/lines
coverage: COVER = -p tests.counted_lines --counted-lines $(LINES)/$@
coverage: test
	$(VENV)/engine/bin/python -m tests.coverage_by_room $(LINES)

# Whether the tests notice a broken line: fifty of them, one at a time. Takes a quarter of an hour.
mutate: $(VENV)/engine/.ready $(VENV)/page-3.41/.ready
	$(VENV)/engine/bin/python -m tests.mutations $(ARGS)

# Whether a WebUI still is what the extension expects: make contract WEBUI="folder [folder ...]"
contract: $(VENV)/engine/.ready
	@test -n "$(WEBUI)" || { echo 'say which: make contract WEBUI=<folder of a WebUI>'; exit 2; }
	$(VENV)/engine/bin/python -m tests.contract $(WEBUI) $(ARGS)

# What the style costs, beside its peers; leaves build/bench/bench.md and bench.json.
bench: $(VENV)/engine/.ready
	$(VENV)/engine/bin/python -m tests.bench $(ARGS)

# Whatever reads what a stranger wrote, with FUZZ_EXAMPLES of each of some hundred properties: over
# 100,000 in all; how much of the readers that reaches; and any request to the routes.
# `make test` runs a short slice of both.
FUZZ_EXAMPLES ?= 1100
fuzz: $(VENV)/engine/.ready $(VENV)/page-3.41/.ready
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(VENV)/engine/bin/python -m pytest tests/fuzz -q -n $(WORKERS) \
	  --cov --cov-branch --cov-config=tests/fuzz/coverage.ini $(ARGS)
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(VENV)/page-3.41/bin/python -m pytest \
	  tests/host/test_any_request.py -q

# The parts of the documentation that are made from the code; a test sees that they are current.
docs: $(VENV)/engine/.ready
	$(VENV)/engine/bin/python -m tests.field_table

# Which files a request enters, how often it changes room, walks the UNet and scans the folders.
journey: $(VENV)/page-3.41/.ready
	$(VENV)/page-3.41/bin/python -m tests.journey $(ARGS)

# Trains the small models of tests/trained, or goes on with it: checkpoints, logs and, at the end,
# models in build/trained. Takes hours; make train ARGS="--minutes 30" stops then.
train: $(VENV)/engine/.ready
	$(VENV)/engine/bin/python -m tests.trained --out build/trained $(ARGS)

# What the method does to pictures, as numbers, with the trained models of tests/trained/weights (or
# ARGS="--weights build/trained/weights"): docs/effect.md. Takes an hour and a half on two cores, and
# goes on where it was stopped.
effect: $(VENV)/engine/.ready
	$(VENV)/engine/bin/python -m tests.effect $(ARGS)

# Three hundred generations of every kind in one process: memory, hooks, the same picture again;
# a thousand requests to the routes: memory, file handles, none that takes five seconds; and two
# users at the same time, among strangers' files, in A1111's mode and in Forge's: nobody's picture
# changes.
soak: $(VENV)/page-3.41/.ready $(VENV)/page-4.40/.ready
	$(VENV)/page-3.41/bin/python -m tests.soak $(ARGS)
	$(VENV)/page-3.41/bin/python -m tests.soak.requests
	$(VENV)/page-3.41/bin/python -m tests.soak.together
	$(VENV)/page-4.40/bin/python -m tests.soak.together

lint: $(VENV)/lint/.ready $(VENV)/engine/.ready
	$(VENV)/lint/bin/ruff check .
	$(VENV)/lint/bin/ruff format --check .
	$(VENV)/lint/bin/mypy --python-executable $(VENV)/engine/bin/python

format: $(VENV)/lint/.ready
	$(VENV)/lint/bin/ruff check --fix .
	$(VENV)/lint/bin/ruff format .

# An environment is made anew when its pins change; a half-made one is never taken for ready.
INSTALL = -m pip install --quiet --disable-pip-version-check --no-compile
$(VENV)/%/.ready: requirements/%.txt
	$(PYTHON) -m venv --clear $(VENV)/$*
	$(VENV)/$*/bin/python $(INSTALL) -r $<
	if [ -e requirements/$*.no-deps.txt ]; then \
	  $(VENV)/$*/bin/python $(INSTALL) --no-deps -r requirements/$*.no-deps.txt; fi
	touch $@

clean:
	rm -rf $(VENV) build demo
