# `make run` and `make test` need only Python 3.11 or later and make.

PYTHON ?= python3
CORES ?= all
# The GPUs of this machine. Without any, jobs run on the CPU, and only the cores limit them.
GPUS ?= $(shell nvidia-smi -L 2>/dev/null | grep -c '^GPU')
LIMIT = $(if $(filter-out 0,$(GPUS)),--resources gpu=$(GPUS))
BIN = .venv/bin
# A study, such as config/studies/fashion.yaml; by default config/config.yaml. Its name reaches the shell as it is, with
# spaces, quotes and $. PRESET, such as cpu, is laid under it. Snakemake names neither file nor line if it cannot read
# one of them, so they are checked before.
NAMED = $(if $(PRESET),config/presets/$(PRESET).yaml) $(if $(value STUDY),'$(subst ','\'',$(value STUDY))')
CHOSEN = $(if $(strip $(NAMED)),--configfile $(NAMED))
CHECKED = $(if $(strip $(NAMED)),PYTHONPATH=workflow $(BIN)/python -m unlearnable.tools.check $(NAMED))

# Likewise the folder of images to protect.
OWNED = '$(subst ','\'',$(value FOLDER))'

.PHONY: run protect plan watch verify test lint bench chaos report clean

run: .venv/installed
	@$(CHECKED)
	$(BIN)/python -Pm snakemake all --cores $(CORES) $(LIMIT) $(CHOSEN)

# A release of a folder of images: make protect FOLDER="my photos".
protect: .venv/installed
	@PYTHONPATH=workflow $(BIN)/python -m unlearnable.cli.main protect $(OWNED) --cores $(CORES) $(LIMIT)

# What a study would take: jobs, passes, hours, disk space.
plan: .venv/installed
	@PYTHONPATH=workflow $(BIN)/python -m unlearnable.tools.plan $(CHOSEN) \
	  $(addprefix --jobs ,$(or $(filter-out 0,$(GPUS)),$(filter-out all,$(CORES))))

# The progress of the study that runs in this folder; for another terminal.
watch: .venv/installed
	@PYTHONPATH=workflow $(BIN)/python -m unlearnable.tools.watch

# Check every file in results/ against the checksums that its job recorded.
verify: .venv/installed
	@PYTHONPATH=workflow $(BIN)/python -m unlearnable.tools.verify

report: .venv/installed
	@$(CHECKED)
	$(BIN)/python -Pm snakemake --report results/report.zip $(CHOSEN)

bench: .venv/installed
	$(BIN)/python -m benchmarks.bench

# Kill a small study fifty times at random moments, in about a quarter of an hour. The tests do it with three kills.
chaos: .venv/installed
	$(BIN)/python -m tests.workflow.chaos

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed, not " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --no-index -e .
	touch $@

clean:
	rm -rf .venv
