# Every target works on a fresh machine with git, make and Python >= 3.11 (with venv): it installs what it needs in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: judge test arrays gpu support lint types docs wheel-test mutants right exact-campaign bench layers scoreboard experiment check clean

# Examples of a page build on each other. Files by size, as xdist would have them, leaves few slow ones to the end.
WORKERS := -n auto --dist loadfile --no-loadscope-reorder

SOME := not array_api_strict
GPU := tests/hsproj/test_cuda.py tests/hsproj/test_generic_accuracy.py tests/hsproj/test_generic_box.py \
	tests/hsproj/test_generic_calls.py tests/hsproj/test_generic_conformance.py
ARRAYS := tests/hsproj/test_cuda.py tests/hsproj/test_generic_accuracy.py tests/hsproj/test_generic_box.py \
	tests/hsproj/test_generic_calls.py tests/hsproj/test_generic_conformance.py \
	tests/hsproj/test_generic_transforms.py tests/integrations/test_torch.py tests/integrations/test_jax.py \
	tests/verify/test_libraries.py tests/test_experiment.py hsproj/integrations/torch.py hsproj/integrations/jax.py

judge: $(VENV)/.judge ## judge hsproj (must pass) and the public package simplexers, and print both reports
	$(BIN)/hsproj-verify check hsproj:soft_binary_argmax --vjp hsproj:vjp --jvp hsproj:jvp --loss hsproj:hypersimplex_loss \
		--loss-and-grad hsproj:hypersimplex_loss_and_grad --fenchel-young-loss hsproj:fenchel_young_loss \
		--fenchel-young-loss-and-grad hsproj:fenchel_young_loss_and_grad --cross-entropy-loss hsproj:cross_entropy_loss \
		--cross-entropy-loss-and-grad hsproj:cross_entropy_loss_and_grad --zero-one-loss hsproj:zero_one_loss \
		--top-k-zero-one-loss hsproj:top_k_zero_one_loss --with own-temperature --with vjp-batch --with big-endian --tolerance 0.5 \
		--report hsproj-report.json --report hsproj-report.html
	$(BIN)/hsproj-verify check hsproj_verify.peers.simplexers:target --report simplexers-report.json \
		--report simplexers-report.html; test $$? -le 1

test: $(VENV)/.test ## run the tests
	$(BIN)/python -m pytest $(WORKERS)

arrays: $(VENV)/.arrays ## run the tests that need torch and JAX (installs them: hundreds of megabytes)
	$(BIN)/python -m pytest $(WORKERS) $(ARRAYS) -k "$(SOME)"

gpu: $(VENV)/.gpu-test ## tests and timings on a CUDA device, docs/gpu-benchmarks.md (installs CuPy); says why where there is none
	$(BIN)/python -m pytest -rs $(GPU) -k "cupy or cuda"
	$(BIN)/python tests/support/gpu_bench.py

support: $(VENV)/.arrays ## docs/support.md: every function on every library and dtype that there is
	$(BIN)/python tests/support/support_table.py

lint: $(VENV)/.dev ## style, formatting, and that the judge does not import what it judges
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## strict types
	$(BIN)/mypy

docs: $(VENV)/.dev ## figures, then the site, warnings fatal; its examples run in `make test`
	mkdir -p docs/_generated
	$(BIN)/python docs/examples/digits.py --figure docs/_generated/digits.png
	$(BIN)/python docs/examples/pipelines.py --figure docs/_generated/pipelines.png
	$(BIN)/python docs/examples/portfolio.py --figure docs/_generated/portfolio.png
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# What tests of the tree can't see: files that the wheel lacks, entry points, imports from the tree.
WHEEL_TESTS := tests/test_imports.py tests/verify/test_reports.py tests/verify/test_vectors.py tests/verify/test_pytest_plugin.py

wheel-test: $(VENV)/.dev ## build the wheel and sdist, install the wheel alone in a clean environment, run tests against it
	rm -rf dist build/wheel-venv
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install -q "$$(ls dist/*.whl)[test]"
	HSPROJ_TEST_INSTALLED=1 build/wheel-venv/bin/python -P -m pytest $(WORKERS) $(WHEEL_TESTS) -k "not recompiles"

mutants: $(VENV)/.test ## docs/mutants.md: every check on every wrong implementation (some minutes)
	$(BIN)/python tests/verify/mutant_matrix.py

right: $(VENV)/.test ## 50 seeds on each right implementation: no false alarm (about an hour on 2 cores)
	$(BIN)/python tests/verify/right_campaign.py

exact-campaign: $(VENV)/.test ## 10^6 problems against rationals: 0 misrounded entries, 0 wrong masks (some ten minutes on 2 idle cores)
	$(BIN)/python tests/support/exact_campaign.py --problems 1000000

bench: $(VENV)/.test ## docs/benchmarks.{md,svg}, one thread, on a machine that does nothing else (some ten minutes); BENCH adds targets or options
	mkdir -p docs/_generated
	$(BIN)/hsproj-verify bench tests/support/bench_targets.py:hsproj tests/support/bench_targets.py:inexact $(BENCH) \
		--table docs/benchmarks.md --json docs/_generated/benchmarks.json --figure docs/benchmarks.svg

layers: $(VENV)/.peers-heavy ## docs/layers.md: layers of PyTorch and JAX against softmax and public functions (some idle minutes)
	$(BIN)/python -W ignore tests/support/layer_bench.py

SCOREBOARD := peers --limit 600 --json docs/_generated/scoreboard.json

# qpth declares numpy < 2, so it is judged in an environment of its own, and what came of it is kept.
scoreboard: $(VENV)/.peers-heavy $(VENV)-qpth/.peer-qpth ## docs/scoreboard.md: every public implementation there is, judged (ten idle minutes, and gigabytes to install)
	mkdir -p docs/_generated
	rm -f docs/_generated/scoreboard.json
	$(VENV)-qpth/bin/hsproj-verify $(SCOREBOARD) --only qpth
	$(BIN)/hsproj-verify $(SCOREBOARD) --resume --write docs/scoreboard.md

experiment: $(VENV)/.experiment ## docs/experiments/results: networks and trees trained on these losses and others (goes on where it was interrupted)
	$(BIN)/python docs/experiments/experiment.py

check: lint types test docs wheel-test ## everything

$(VENV)/.judge $(VENV)/.test $(VENV)/.arrays $(VENV)/.gpu-test $(VENV)/.dev $(VENV)/.peers-heavy $(VENV)/.experiment $(VENV)-qpth/.peer-qpth: pyproject.toml
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q -e ".[$(patsubst .%,%,$(@F))]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-qpth build dist docs/_build docs/_generated
