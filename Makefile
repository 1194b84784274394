# What there is to run; `make help` lists it.

PEFT := .build-static/release/peft
SOURCES := Package.swift Sources Tests Benchmarks/Sources

.DEFAULT_GOAL := help
# Launchers with whose processes the tests train; no build needs them.
LAUNCHERS := openmpi-bin mpich

.PHONY: help setup build test check format bench fuzz fixtures demo compare

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## install the Debian packages that are missing
	@scripts/setup.sh

# The runtime is linked in, so that the file runs without Swift and starts in half the time; its objects have a folder of
# their own, because the tests' are compiled otherwise: the libraries behind the tests come as shared ones only.
build: setup ## the optimised binary, .build-static/release/peft
	swift build -c release --static-swift-stdlib --product peft --scratch-path .build-static -Xlinker -s
	@echo "built $(PEFT)"

test: ## all tests, on the optimised binary
	@scripts/setup.sh $(LAUNCHERS)
	@echo "compiling anew in .build: $(PEFT) is built with Swift's runtime in it, and the tests' libraries are shared ones"
	swift build -c release --build-tests
	swift test -c release --skip-build

check: ## what must hold before a change lands: layout, declared imports, tests
	@scripts/setup.sh $(LAUNCHERS)
	swift format lint --strict --recursive $(SOURCES)
	swift build -c release --build-tests --explicit-target-dependency-import-check error
	swift test -c release --skip-build

format: ## lay the sources out
	swift format format --in-place --recursive $(SOURCES)

bench: build ## measure speed and memory; REF=DIR the reference too, ONLY=lora,start a part, SHAPE=smollm2-135m another model, PAGE=1 into docs/speed.md
	swift build -c release --static-swift-stdlib --product peft-bench --scratch-path .build-static
	REF=$(REF) ONLY=$(ONLY) TEXT=$(TEXT) SHAPE=$(SHAPE) LARGE=$(LARGE) PAGE=$(PAGE) \
		Benchmarks/run.sh .build-static/release/peft-bench $(PEFT)

fuzz: setup ## 10,000 broken safetensors files and adapters under the address sanitizer
	ASAN_OPTIONS=detect_leaks=0 FUZZ_CASES=10000 swift test -c release --sanitize=address --scratch-path .build-asan \
		--filter Fuzz

fixtures: ## make Tests/Fixtures again; REF=DIR is the reference environment (scripts/fixtures/README.md)
	scripts/fixtures/all.sh $(REF)

demo: build ## fine-tune the embedded model on the embedded data, and show what came of it
	scripts/demo.sh $(PEFT)

# Rates are chosen by the validation loss among three or four for each method, smaller ones for a new layer over few classes; a run
# that is finished isn't made again.
COMPARE = $(PEFT) compare --variants configs/compare/methods.yaml --data embedded/e2e/dev.jsonl \
	--set training.num_train_epochs=1 --resume --markdown

compare: build ## every method on generation and on classification: two tables, and pages with curves
	$(COMPARE) --config configs/demo.yaml --learning-rates x0.3,x1,x3 \
		--output runs/compare/generation --html runs/compare/generation.html
	$(COMPARE) --config configs/which-food.yaml --learning-rates x0.03,x0.1,x0.3,x1 \
		--output runs/compare/which-food --html runs/compare/which-food.html
