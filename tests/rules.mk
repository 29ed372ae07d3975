# rules.mk: builds and runs the tests and benchmarks. Included by the Makefile, whose first comment
# lists the targets.

.PHONY: check check-run tests-build asan memcheck races check-faults fuzz fuzz-build fuzz-run \
        fuzz-afl check-browser check-peers check-oracle coverage bench bench-peers bench-tokenizer \
        bench-shards mutants

# Every tests/**/test_*.c is a program that uses Check, every tests/**/test_*.sh a script that runs
# handgrad. The macro that ends a C test says for which number types it is built (tests/test.h):
# SUITE, SUITE_FLOAT_DOUBLE or SUITE_ALL_TYPES.
TEST_C  := $(wildcard tests/*/test_*.c tests/*/*/test_*.c)
ends_in  = $(patsubst tests/%.c,%,$(shell grep -lw '$1' $(TEST_C)))
TRIPLE  := $(call ends_in,SUITE_ALL_TYPES)
PAIRED  := $(call ends_in,SUITE_FLOAT_DOUBLE) $(TRIPLE)
# Tests that are also built with bf16 products.
MIXED   := model/gemm/test_gemm model/test_gpt model/test_causal_probe
TESTS   := $(filter-out $(PAIRED),$(patsubst tests/%.c,%,$(TEST_C))) $(PAIRED:%=f32/%) \
           $(PAIRED:%=f64/%) $(TRIPLE:%=c128/%) $(MIXED:%=bf16/%)
# test_allocation replaces malloc, which the sanitizers forbid, and clang's OpenMP allocates in
# every parallel region. With sanitizers, products are tested for float and double only: the other
# types share their code.
ifneq ($(findstring sanitize,$(EXTRA_CFLAGS)),)
TESTS   := $(filter-out c128/% bf16/model/gemm/%,$(TESTS))
endif
ifneq ($(findstring sanitize,$(EXTRA_CFLAGS))$(filter-out 0,$(IS_CLANG)),)
TESTS   := $(filter-out model/test_allocation,$(TESTS))
endif
TESTS   := $(TESTS:%=$(BUILD)/tests/%)

link = @$(CC) $2 $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $1 $(LDLIBS)
$(TESTS): %: %.o $(LIBRARY)
	$(call link,$(shell pkg-config --libs check))
$(BUILD)/tests/train/lens/test_lens: LDLIBS += -lcairo # reads a PNG
TOOLS := $(addprefix $(BUILD)/tests/,bench/tokenizer bench/shards faults/damage fuzz/seed)
$(TOOLS): %: %.o $(LIBRARY)
	$(call link)
-include $(TESTS:=.d) $(TOOLS:=.d)

tests-build: $(TESTS)
export TINY_SHAKESPEARE
check-run: $(BINARY) $(TESTS)
	@HANDGRAD=$(abspath $(BINARY)) WRAPPER="$(WRAPPER)" tests/run $(BUILD) $(ONLY)

# --- sanitizers, valgrind, faults ---

SUBMAKE := $(MAKE) --no-print-directory
# For builds with run-time checks. gcc's plain -O1 leaves vector registers dirty when it calls libm,
# which costs Intel's processors a hundred times the call.
LIGHTLY := -O1 $(if $(filter 0,$(IS_CLANG)),-fexpensive-optimizations)
SANITIZE := -fsanitize=address,undefined
asan:
	@SANITIZED=1 LSAN_OPTIONS=print_suppressions=0:suppressions=$(CURDIR)/tests/leaks.txt \
	    $(SUBMAKE) check-run BUILD=build-asan OPT='$(LIGHTLY)' EXTRA_LDFLAGS='$(SANITIZE)' \
	    EXTRA_CFLAGS='$(SANITIZE) -fno-sanitize-recover=undefined -DDEBUG -DFEWER_CASES'
# Valgrind does not know AVX-512, and emulates fused multiply-add a hundred times slower than a
# multiplication, in OpenBLAS and libm too. oneDNN's compiled code reads beyond its buffers, and
# valgrind cannot work in the sandboxed process that reads files.
MEMCHECK := BUILD=build-memcheck ONEDNN=0 OPT='$(LIGHTLY)' ARCH=x86-64-v3 \
            EXTRA_CFLAGS='-DMEMCHECK -DFEWER_CASES -DSANDBOX_OPEN -DNO_JIT -mno-fma'
NO_FMA   := OPENBLAS_CORETYPE=Sandybridge GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA
VALGRIND := valgrind -q --error-exitcode=9 --trace-children=yes \
            --trace-children-skip=*/cc,*/gcc,*/clang --soname-synonyms=somalloc=nouserintercepts
memcheck:
	@$(NO_FMA) OMP_NUM_THREADS=1 CK_TIMEOUT_MULTIPLIER=20 \
	    $(SUBMAKE) check-run $(MEMCHECK) WRAPPER='$(VALGRIND)'
# ThreadSanitizer on trainer, writer and loader; valgrind on a short run, and on attention, whose
# vectors may contain uninitialised lanes.
THREADED := train/checkpoint/test_writer train/test_trainer train/test_not_finite data/test_loader
races:
	@$(SUBMAKE) all $(THREADED:%=build-tsan/tests/%) BUILD=build-tsan OPT='$(LIGHTLY)' \
	    EXTRA_CFLAGS='-fsanitize=thread -Wno-error=tsan' EXTRA_LDFLAGS=-fsanitize=thread
	@$(SUBMAKE) all build-memcheck/tests/f32/model/test_attention $(MEMCHECK)
	@$(NO_FMA) tests/faults/races build-tsan build-memcheck
$(BUILD)/tests/faults/shim.so: tests/faults/shim.c
	@mkdir -p $(@D)
	@$(CC) -O1 -Wall -Wextra -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl
check-faults: $(BINARY) $(BUILD)/tests/faults/damage $(BUILD)/tests/faults/shim.so
	@HANDGRAD=$(abspath $(BINARY)) tests/faults/run $(abspath $(BUILD)/tests/faults) $(ONLY)

# --- fuzzing: one target per reader, tests/fuzz/fuzz_NAME.c ---

RUNS      ?= 20000
FUZZERS   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# Comparisons are not traced, which would cost a third of the speed; dictionaries list the values.
LIBFUZZER := -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp $(SANITIZE) \
             -fno-sanitize-recover=undefined
FUZZ      := FUZZING=1 OPT=-O2 TYPES='f32 bf16' EXTRA_LDFLAGS='$(SANITIZE)'
ifdef FUZZING # model/ has no readers, and its vector code takes minutes to compile for a fuzzer.
$(BUILD)/f32/model/%.o $(BUILD)/bf16/model/%.o: override CC := clang
$(BUILD)/f32/model/%.o $(BUILD)/bf16/model/%.o: \
    CFLAGS := $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS))
endif
FUZZ_BINARIES := $(FUZZERS:%=$(BUILD)/tests/fuzz/%)
$(FUZZ_BINARIES): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBRARY)
	$(call link,,-fsanitize=fuzzer)
.SECONDARY: $(FUZZERS:%=$(BUILD)/tests/fuzz/fuzz_%.o)
fuzz-build: $(FUZZ_BINARIES)
fuzz-run: fuzz-build $(BUILD)/tests/fuzz/seed
	@tests/fuzz/run libfuzzer $(BUILD) $(RUNS) $(or $(ONLY),$(FUZZERS))
fuzz: $(BINARY)
	@$(SUBMAKE) fuzz-run CC=clang BUILD=build-fuzz $(FUZZ) EXTRA_CFLAGS='$(LIBFUZZER)'
fuzz-afl: $(BINARY)
	@$(call install_for,afl-fuzz,afl++)
	@$(SUBMAKE) build-fuzz/tests/fuzz/seed CC=clang BUILD=build-fuzz $(FUZZ) \
	    EXTRA_CFLAGS='$(LIBFUZZER)'
	@$(SUBMAKE) fuzz-build CC=afl-clang-fast BUILD=build-afl $(FUZZ) \
	    EXTRA_CFLAGS='$(SANITIZE) -fno-sanitize-recover=undefined'
	@tests/fuzz/run afl build-afl $(RUNS) $(or $(ONLY),$(FUZZERS))

# --- small faults in the sources, which the tests must notice (ONLY="trainer": in some files) ---

mutants:
	+@tests/mutants/run $(abspath build-mutants) $(ONLY)

# --- other programs: browser, npm packages, PyTorch. They are large, so `make deps` omits them. ---

BROWSER := $(BUILD)/browser
check-browser: $(BINARY)
	@$(call install_for,chromium,chromium) && $(call install_for,h5dump,hdf5-tools)
	@$(call install_for,node,nodejs) && $(call install_for,npm,npm)
	@mkdir -p $(BROWSER) && cp tests/browser/package.json $(BROWSER)
	@npm install --prefix $(BROWSER) --no-audit --no-fund --silent
	@node tests/browser/test.mjs $(abspath $(BINARY)) $$(command -v chromium) \
	    $(abspath $(BROWSER)) $(SHOTS)

PEERS_DIR := $(abspath $(BUILD)/peers)
check-peers: $(BINARY)
	@$(call install_for,npm,nodejs npm)
	@mkdir -p $(PEERS_DIR) && cd $(PEERS_DIR) && \
	    { [ -d node_modules/tokenizers -a -d node_modules/tfrecord ] || npm install --silent \
	    --no-save --prefix . tiktoken gpt-3-encoder tokenizers tfrecord protobufjs; }
	@./$(BINARY) tokenize README.md docs/*.md configs -o $(PEERS_DIR)/own --tokenizer bpe:1024 --force
	cd $(PEERS_DIR) && node $(CURDIR)/tests/peers/peers.js $(abspath $(BINARY)) files own
	cd $(PEERS_DIR) && node $(CURDIR)/tests/peers/events.js $(abspath $(BINARY)) events

# Debian's Python, for which its packages are installed.
PYTHON := /usr/bin/python3
check-oracle:
	@mkdir -p $(BUILD) && $(call install_for,h5diff,hdf5-tools)
	@$(PYTHON) -c 'import torch, h5py' 2>/dev/null || \
	    $(call install_for,,python3-torch python3-h5py)
	$(PYTHON) tests/oracle/gpt2_tiny.py $(BUILD)/gpt2-tiny.h5
	h5diff --relative=1e-9 $(BUILD)/gpt2-tiny.h5 tests/oracle/gpt2-tiny.h5

# A source that is compiled for several number types counts once.
coverage:
	@$(call install_for,gcovr,gcovr)
	@$(SUBMAKE) check-run BUILD=build-coverage OPT='$(LIGHTLY)' EXTRA_CFLAGS=--coverage \
	    EXTRA_LDFLAGS=--coverage || true
	@gcovr --root . --object-directory build-coverage --csv --gcov-ignore-parse-errors \
	    base model optim data train 2>/dev/null | awk -f tests/coverage.awk | sort

# --- benchmarks ---

bench: $(BINARY)
	./$(BINARY) bench $(WORKLOADS)
bench-peers: $(BINARY) # prints what to install
	HANDGRAD=./$(BINARY) tests/bench/peers $(PEERS)
bench-tokenizer: check-peers $(BUILD)/tests/bench/tokenizer
	cd $(PEERS_DIR) && $(CURDIR)/tests/peers/bench.sh $(abspath $(BINARY)) \
	    $(abspath $(BUILD)/tests/bench/tokenizer) files
bench-shards: $(BINARY) $(BUILD)/tests/bench/shards
	@tests/bench/shards.sh $(abspath $(BINARY)) $(abspath $(BUILD)/tests/bench/shards) \
	    $(SHARD_TOKENS)
