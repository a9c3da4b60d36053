# Everything sets itself up: on a fresh machine with Python 3.11 or later, `make demo` is all there is to type.

.DEFAULT_GOAL := help
.PHONY: help demo test lint format soak bench clean environment environment-test debian

python := .venv/bin/python

help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: environment  ## show the station at work; ARGS="--duration 60" ends it by itself
	@$(python) -m groundstation demo $(ARGS)

test: environment-test debian  ## run every test; ARGS="-k passes" chooses some, APT=no installs no Debian package
	@$(python) -m pytest $(ARGS)

lint: environment-test  ## check style, format and types
	@failed=0; \
	$(python) -m ruff check . || failed=1; \
	$(python) -m ruff format --check . || failed=1; \
	$(python) -m mypy || failed=1; \
	exit $$failed

format: environment-test  ## put every file into the one format
	@$(python) -m ruff format .
	@$(python) -m ruff check --fix-only .

soak: environment-test debian  ## run the long proofs, hours of them
	@$(python) -m pytest -m soak $(ARGS)

bench: environment-test debian  ## measure speed, each figure beside its floor
	@for bench in $(basename $(notdir $(wildcard tests/bench/[a-z]*.py))); do \
		echo "$$bench:"; $(python) -m tests.bench.$$bench $(ARGS) || exit 1; \
	done

clean:  ## remove the environment and everything that was built
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find groundstation tests -name __pycache__ -prune -exec rm -rf {} +

environment:
	@sh -euc "$$prepare" prepare "" "groundstation"

environment-test:
	@sh -euc "$$prepare" prepare "[test]" "groundstation and the tools of its tests"

debian: environment-test
	@missing=$$($(python) -m tests.parts.debian); [ -z "$$missing" ] || sh tests/parts/install_debian.sh $$missing

# prepare EXTRA WORDS: make .venv hold this checkout with EXTRA, once for each change of pyproject.toml. Several makes may
# come here at once, so that one works and the others wait.
define prepare
exec 9<Makefile
if command -v flock >/dev/null; then
    flock --nonblock 9 || { echo "waiting for another make that prepares .venv" && flock 9; }
fi

usable() { .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
state="$$(cksum <pyproject.toml) $$(pwd)"
if usable && grep -qsxF "$$state" ".venv/holds$$1" '.venv/holds[test]'; then exit 0; fi

# A name on PATH proves little: pyenv has names for versions that it would not run, Debian a Python without venv.
find_python() {
    without_venv=
    for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
        without_venv=$${without_venv:-$$python}
    done
    if [ -z "$$without_venv" ]; then
        echo "no Python 3.11 or later found: install one, or name it as in: make PYTHON=/usr/bin/python3.12" >&2
        exit 1
    fi
    python=$$without_venv
    package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $$package"
        { apt-get update && apt-get install --yes "$$package"; } >/dev/null 2>&1 </dev/null || true
    fi
    "$$python" -c 'import ensurepip, venv' 2>/dev/null && return
    echo "$$python lacks the modules ensurepip and venv: apt-get install $$package" >&2
    exit 1
}
if ! usable; then
    find_python
    rm -rf .venv
    "$$python" -m venv .venv
fi

printf 'installing %s into .venv, a minute or two at first ' "$$2"
while kill -0 $$$$ 2>/dev/null; do printf . && sleep 2; done 9<&- &
dots=$$!
trap 'kill $$dots 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
if ! .venv/bin/python -m pip install --disable-pip-version-check --no-input --editable ".$$1" \
    >.venv/install.log 2>&1 </dev/null; then
    echo ' failed:'
    cat .venv/install.log
    exit 1
fi
echo ' done'
echo "$$state" >".venv/holds$$1"
endef
export prepare
