# The front door. `make quickstart` and `make test` are all a newcomer needs; both set up what is missing first.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
NINJA = cmake --build $(BUILD) -j $(JOBS) --target

.PHONY: setup build quickstart test bench fire install gpu-bundle format
build:            ; @cmake/setup.sh build && $(MAKE) -s configured && $(NINJA) foil_program foil_plugins
setup:            ; @cmake/setup.sh all
quickstart: build ; @$(BUILD)/foil ablate experiments/quickstart.toml
test: setup configured ; @$(NINJA) all && ctest --test-dir $(BUILD) --output-on-failure -j 2 $(CTEST_ARGS) && tests/slowest.sh $(BUILD)
bench: setup configured ; @$(NINJA) benchmarks && tests/bench/run.sh $(BUILD)
fire: setup configured ; @$(NINJA) foil_program foil_plugins foil_readers && tests/fire/fire.py $(BUILD) $(FIRE_ARGS)
install: build    ; @$(NINJA) foil_sdk && cmake --install $(BUILD) --prefix $(PREFIX) > $(BUILD)/install.log && echo "foil is in $(PREFIX)"
gpu-bundle: setup configured ; @$(NINJA) all && tests/gpu/bundle.sh $(BUILD)
format:           ; @git ls-files '*.cpp' '*.h' '*.cu' | xargs clang-format-14 -i

.PHONY: configured
configured:       ; @cmake -S . -B $(BUILD) -G Ninja > $(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }; mv $(BUILD).log $(BUILD)/configure.log
