# `make help` lists what there is to do. CI calls these targets and nothing else.
.PHONY: help run test test-native test-versions unit build install native sanitize compose-test-native compose-test-fleet pod-test envoy clients bench bench-envoy bench-core fuzz deny coverage mutants soak compose-test docker lint clean
.DEFAULT_GOAL := help
SHELL := /bin/sh

WASM_TARGET := wasm32-wasip1
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
MODULE := dist/api_guard.wasm

# The page of `api-guard playground` is built where there is npm, and the command is built without it else.
NPM := $(shell command -v npm)
PAGE = $(if $(NPM),API_GUARD_PLAYGROUND="$(CURDIR)/dist/playground")

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @

# What cargo says while it builds: nothing, unless a person waits for it.
QUIET := --quiet

run: ## a guarded demo API on port 10000 (PORT, ADMIN_PORT, UPSTREAM_PORT; NATIVE=1: by the library; FLEET=3: three Envoys and a Redis)
	@echo "Building the $(if $(NATIVE),library,module) and the command, which takes some minutes the first time."
	@FLEET="$(FLEET)" scripts/ports.sh
	@$(MAKE) --no-print-directory $(if $(NATIVE),native,build) QUIET=
	@QUIET= NATIVE="$(NATIVE)" FLEET="$(FLEET)" scripts/run.sh

test: build $(if $(filter Linux,$(shell uname -s)),native) unpacked envoy $(if $(NPM),playground) ## every test: unit, property, configuration, command, end to end on a real Envoy, the page in a browser
	@$(PAGE) ENVOY_BIN="$$(scripts/envoy.sh)" cargo test --workspace
	@scripts/playground-test.sh

.PHONY: playground playground-test
playground: tools ## the page to try configurations in, at dist/playground (needs Node and npm)
	@scripts/playground.sh dist/playground

playground-test: playground ## the page in a real browser (needs Chromium)
	@scripts/playground-test.sh

# Without the variable that names another library, a test finds the one that panics beside itself.
# Of the whole workspace, so that what `make test` has built is not built again with fewer features.
test-native: native panicking envoy ## every end-to-end test on the native library, and the tests of its border to Envoy
	@cargo test --package api-guard-envoy-native --features panic-on-demand
	@ENVOY_BIN="$$(scripts/envoy.sh)" API_GUARD_KIND=native cargo test --workspace --test envoy
	@ENVOY_BIN="$$(scripts/envoy.sh)" API_GUARD_KIND=native cargo test --workspace --test cli run::

# In a folder of its own, so that no other build takes its place.
.PHONY: panicking
panicking: tools
	@cargo build --quiet --package api-guard-envoy-native --features panic-on-demand
	@mkdir -p $(TARGET_DIR)/panicking && install $(TARGET_DIR)/debug/libapi_guard_native.so $(TARGET_DIR)/panicking/

test-versions: build native ## one test of everything on each Envoy that the module and the library are made for
	@scripts/versions.sh

unit: ## the tests that need no Envoy
	@cargo test --workspace --lib

# Unrolled loops and generous inlining would be a fifth of the module. The remapping keeps local paths out of it. The standard
# library is built with the module, so that a panic is the trap in which it would end anyway: its texts and their formatting would
# be 30 KB. It is built for size like the other packages, and its own feature for that, by which it sorts with less code, is
# another 5 KB. Options that only nightly takes otherwise, on a pinned toolchain.
MODULE_FLAGS := -C llvm-args=-inlinedefault-threshold=60 -C llvm-args=-inlinehint-threshold=60 \
	-C llvm-args=-unroll-runtime=false -Z unstable-options -C panic=immediate-abort \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/= --remap-path-prefix=$(CURDIR)/=

# As the compiler leaves it. Packing takes half a minute, so it is done where something has changed.
BUILT := $(TARGET_DIR)/$(WASM_TARGET)/module/api_guard.wasm
build: tools optimizer ## the module to ship, at dist/api_guard.wasm
	@RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$(MODULE_FLAGS)" cargo build $(QUIET) \
		-Z build-std=std,panic_abort -Z build-std-features=optimize_for_size --profile module --no-default-features --target $(WASM_TARGET) --lib
	@mkdir -p dist
	@cargo build --quiet --package xtask
	@[ $(MODULE) -nt $(BUILT) ] && [ $(MODULE) -nt $(TARGET_DIR)/debug/xtask ] || $(TARGET_DIR)/debug/xtask pack $(BUILT) $(MODULE)

# Where it cannot be had, packing says so and goes on.
.PHONY: optimizer
optimizer:
	@command -v wasm-opt >/dev/null || { [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends binaryen; } >/dev/null 2>&1; } || true

LIBRARY := dist/libapi_guard.so
native: tools ## the native library to ship, at dist/libapi_guard.so, laid out by what usual requests run (GLIBC=2.31: for machines as old as that; ARCH=aarch64)
	@GLIBC="$(GLIBC)" ARCH="$(ARCH)" scripts/library.sh $(LIBRARY)
# cargo finds where to put it: CARGO_INSTALL_ROOT, or PREFIX, or its own folder.
install: build $(if $(NPM),playground) ## the command api-guard, with the module inside it (PREFIX=/usr/local: somewhere else; make native install: the library, too)
	@$(PAGE) API_GUARD_MODULE="$(CURDIR)/$(MODULE)" cargo install --quiet --locked --path . $(if $(PREFIX),--root "$(PREFIX)")

.PHONY: dist reproducible
dist: build playground ## everything of a release under dist/, with checksums and a bill of materials
	@$(PAGE) scripts/dist.sh

reproducible: tools ## two builds of the last commit in two folders have the same bytes (ARGS=build: the module alone; ARGS=module: one more build, compared with dist/)
	@scripts/reproducible.sh $(ARGS)

.PHONY: unpacked
unpacked: tools ## the module as cargo leaves it, which a test runs
	@cargo build --quiet --target $(WASM_TARGET) --lib

envoy: ## gets a real Envoy, if there is none
	@scripts/envoy.sh >/dev/null

clients: ## gets grpcio, websockets, aioquic and (as root) Node, npm, Chromium and redis-server, whose tests are skipped without them
	@scripts/clients.sh

bench: bench-envoy bench-core ## both benchmarks, about 30 minutes (ARGS=--quick: a few)
# Run together they would disturb each other's figures, and no argument but --quick means the same to both.
.NOTPARALLEL: bench
bench: CORE_ARGS = $(filter --quick,$(ARGS))

bench-envoy: build native envoy ## api-guard beside Envoy's own filters, about 25 minutes (ARGS=--quick: 4; BENCH_KIND=module or library: only that kind)
	@ENVOY_BIN="$$(scripts/envoy.sh)" python3 bench/envoy/bench.py $(ARGS)

# A target directory of its own: bench/core has its own Cargo.lock and profiles.
BENCH_CORE := CARGO_TARGET_DIR="$(abspath $(TARGET_DIR))/bench-core"
CORE_ARGS = $(ARGS)
bench-core: tools ## the core's steps one by one, natively, 2 minutes (ARGS='admit/': only those)
	@$(BENCH_CORE) cargo bench --quiet --manifest-path bench/core/Cargo.toml -- $(CORE_ARGS)

fuzz: tools ## each fuzz target for a minute (SECONDS=600: for longer)
	@scripts/fuzz.sh "$(or $(SECONDS),60)"

# Miri is no part of the pinned toolchain. The target is named so that build scripts are built without the sanitizer.
sanitize: tools ## the tests of the library's border to Envoy, with AddressSanitizer
	@RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" cargo test --package api-guard-envoy-native --features panic-on-demand \
		--target $$(rustc -vV | sed -n 's/^host: //p') --target-dir $(TARGET_DIR)/sanitized

deny: tools ## licences, sources and advisories of everything that is built in
	@scripts/deny.sh

coverage: tools ## lines that the tests without Envoy reach
	@scripts/coverage.sh

mutants: tools ## do the tests notice when the decision code is changed? Hours; ARGS='-F src/guard': a part
	@scripts/mutants.sh $(ARGS)

soak: soak-model soak-memory soak-load ## ten million decisions and streams, ten million callers, then mixed load (SECONDS=600)

.PHONY: soak-model soak-memory soak-load
soak-model: tools
	@API_GUARD_DECISIONS="$(DECISIONS)" API_GUARD_STREAMS="$(STREAMS)" cargo test --test model -- --ignored --nocapture

# KIND=native: the library.
soak-load soak-memory: export API_GUARD_KIND = $(or $(KIND),module)
soak-load: $(if $(filter native,$(KIND)),native,build) envoy
	@ENVOY_BIN="$$(scripts/envoy.sh)" API_GUARD_SOAK_SECONDS="$(SECONDS)" API_GUARD_PUSHES=200 \
		cargo test --test envoy -- --include-ignored --test-threads 1 --nocapture soak:: faults::pushes

soak-memory: $(if $(filter native,$(KIND)),native,build) envoy
	@ENVOY_BIN="$$(scripts/envoy.sh)" API_GUARD_SOAK="$(CALLERS)" \
		cargo test --test envoy -- --ignored --exact --nocapture limits_table::ten_million_callers_cost_at_most_64_mib

compose-test: build unpacked envoy ## starts the shipped docker-compose.yaml and tries it
	@ENVOY_BIN="$$(scripts/envoy.sh)" python3 tests/compose/run.py

compose-test-native: native envoy ## the same with the native library
	@ENVOY_BIN="$$(scripts/envoy.sh)" API_GUARD_KIND=native python3 tests/compose/run.py

pod-test: build envoy ## runs the container of `api-guard emit kubernetes` as its Deployment says (needs PyYAML)
	@cargo build --quiet --bin api-guard
	@ENVOY_BIN="$$(scripts/envoy.sh)" python3 tests/compose/pod.py

compose-test-fleet: build envoy ## the same with docker-compose.fleet.yaml: three Envoys, a store, one port
	@ENVOY_BIN="$$(scripts/envoy.sh)" API_GUARD_COMPOSE=fleet python3 tests/compose/run.py

docker: ## installs Debian's Docker engine and compose, for compose-test (as root)
	@apt-get -qq update
	@DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends docker.io docker-compose >/dev/null

lint: tools ## formatting, clippy natively and for the module, and the core's documentation
	@cargo fmt --all --check
	@cargo fmt --manifest-path fuzz/Cargo.toml --check
	@cargo fmt --manifest-path bench/core/Cargo.toml --check
	@cargo clippy --quiet --workspace --all-targets -- -D warnings
	@cargo clippy --quiet --target $(WASM_TARGET) --lib -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items --package api-guard-core
	@$(BENCH_CORE) cargo clippy --quiet --manifest-path bench/core/Cargo.toml --all-targets -- -D warnings

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "Rust is missing: install it with rustup (https://rustup.rs)" >&2; exit 1; }
	@command -v python3 >/dev/null || { echo "Python 3 is missing: install it with your package manager" >&2; exit 1; }
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(WASM_TARGET)" || rustup target add $(WASM_TARGET) >/dev/null 2>&1 || \
		{ echo "the Rust target $(WASM_TARGET) is missing: rustup target add $(WASM_TARGET)" >&2; exit 1; }
	@test -d "$$(rustc --print sysroot)/lib/rustlib/src/rust/library" || rustup component add rust-src >/dev/null 2>&1 || \
		{ echo "the standard library's source is missing: rustup component add rust-src" >&2; exit 1; }

clean: ## removes everything that was built
	@rm -rf $(TARGET_DIR) dist .venv
