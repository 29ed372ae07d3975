# make deps                 installs every package (Debian, Ubuntu; elsewhere it lists what is needed)
# make                      ./handgrad, for this machine (ARCH=x86-64-v3 for another, ARCH= for any)
# make demo                 from a real text to a trained model that writes, in about a minute of training
#                           (DEMO_TEXT=file… for a text of your own, without spaces in its name, DEMO_STEPS=50 for a short one)
# make check                every test; ends with "N passed, N failed"
# make bench-tokenizer      encoding and training speed, against npm's tiktoken
# make bench-shards         reading a shard of 1e9 tokens, against training (SHARD_TOKENS=100000000: of fewer)
# make check-peers          token ids against others' tokenizers (npm)
# make check-faults         kills, power loss, disk and memory errors, damaged files (LONG=1: all of them)
# make races                ThreadSanitizer on the threads of a run, valgrind on a short one
# make fuzz                 every reader under libFuzzer (RUNS=10000000: executions of each, ONLY="ids json": of these)
# make fuzz-afl             the same under AFL++ (which it installs)
# make bench                what this machine could do, and what training reaches on it (WORKLOADS="gpt2-124m:4x1024 …" for others)
# make bench-peers          against PyTorch where it is installed (PEERS="5 f32 char-0.8M" for runs, precision and workloads)
# make check-browser        the report, the live page and the lens in a real browser (installs chromium and playwright-core)
# make asan                 every test with the address and undefined-behaviour sanitizers
# make memcheck             the tests of one thread each under valgrind
# make format-check         .clang-format is applied
# make install PREFIX=…     the binary, the configurations, the manual page, completion for bash and zsh
# make CC=clang …           another compiler (its objects go to a folder of their own)

# as many jobs as processors, where make was not told how many
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
ifeq ($(origin CC),default)
CC      := gcc
endif
ARCH    ?= native
PREFIX  ?= /usr/local
BUILD   ?= build$(if $(filter gcc,$(CC)),,-$(notdir $(CC)))
OPT     ?= -O3

# one a line, so that two changes seldom meet
PACKAGES := build-essential \
            pkg-config \
            libopenblas-openmp-dev \
            libdnnl-dev \
            libhdf5-dev \
            zlib1g-dev \
            libinih-dev \
            libcjson-dev \
            libseccomp-dev \
            nettle-dev \
            libpcre2-dev \
            libmicrohttpd-dev \
            libjs-dygraphs \
            libcairo2-dev \
            libpango1.0-dev \
            check \
            mandoc \
            zsh \
            fortunes \
            fortunes-min \
            clang \
            clang-format \
            libomp-dev \
            valgrind \
            strace \
            faketime

comma   := ,
IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
# For builds that check themselves. gcc's -O1 alone leaves vector registers dirty when it calls libm, which costs Intel's processors
# a hundred times the call.
LIGHTLY := -O1 $(if $(filter 0,$(IS_CLANG)),-fexpensive-optimizations)
WARN    := -Wall -Wextra -Werror
# No -ffast-math: it removes NaN tests. errno and traps are not used; products and sums may fuse.
CFLAGS  := -std=gnu11 -I. $(OPT) -g $(if $(ARCH),-march=$(ARCH)) -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast \
           $(WARN) -MMD -MP -D_GNU_SOURCE $(EXTRA_CFLAGS)
ifeq ($(IS_CLANG),0)
CFLAGS_c128 := -fcx-limited-range
else
CFLAGS  += -fveclib=libmvec -Wno-pass-failed
endif
PKGS    := hdf5 \
           openblas \
           zlib \
           inih \
           libcjson \
           nettle \
           libpcre2-8 \
           libmicrohttpd
# Only their headers are needed: train/report/drawing.c loads the libraries when it draws.
LOADED  := pangocairo
# Optional: the process that parses files of others may then make no system call but those of malloc (data/hdf5/sandbox.c). SECCOMP= leaves it out.
SECCOMP := $(shell pkg-config --exists libseccomp 2>/dev/null && echo libseccomp)
# Debian's alternatives may point OpenBLAS at its pthreads build, which knows nothing of our threads: name the OpenMP one.
OPENBLAS := $(patsubst %/,%,$(dir $(firstword $(wildcard /usr/lib/*/openblas-openmp/libopenblas.so))))
LDLIBS  := $(if $(OPENBLAS),-L$(OPENBLAS) -Wl$(comma)-rpath$(comma)$(OPENBLAS)) $(shell pkg-config --libs $(PKGS) $(SECCOMP) 2>/dev/null) -lm -pthread
CFLAGS  += $(if $(SECCOMP),-DHAVE_SECCOMP) $(shell pkg-config --cflags $(PKGS) $(LOADED) $(SECCOMP) 2>/dev/null)
# oneDNN, where it is installed: bf16 products, and float ones on AVX-512. ONEDNN=0 leaves it out.
ONEDNN  ?= $(if $(wildcard /usr/include/oneapi/dnnl/dnnl.h /usr/include/dnnl.h /usr/local/include/oneapi/dnnl/dnnl.h),1,0)
ifneq ($(ONEDNN),0)
CFLAGS  += -DHAVE_ONEDNN
LDLIBS  += -ldnnl
endif
LDFLAGS := -fopenmp $(EXTRA_LDFLAGS)

# Sources are what the directories hold. One that includes model/real.h is compiled once for each number type that its directory
# needs, all others once.
SOURCES := $(filter-out train/cli/main.c train/cli/version.c model/plain/%,$(wildcard base/*.c model/*.c model/*/*.c optim/*.c data/*.c data/*/*.c train/*.c train/*/*.c))
TYPED   := $(shell grep -l '"model/real.h"' $(SOURCES))
TYPES   := f32 bf16 f64 c128
# bf16 differs in the products alone, so it has no planted mistakes of its own
objects_of = $(patsubst %.c,$(BUILD)/$1/%.o,$(filter $2,$(TYPED)))
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(TYPED),$(SOURCES))) \
           $(foreach t,$(TYPES),$(call objects_of,$t,$(if $(filter bf16,$t),$(filter-out model/check/mistakes%,$(filter model/%,$(TYPED))),model/%))) \
           $(foreach t,f32 f64,$(call objects_of,$t,optim/%)) $(foreach t,f32 bf16,$(call objects_of,$t,train/%))
OBJECTS += $(BUILD)/web/files.o
# The textbook versions in double, the same with planted mistakes in three types, and the tables that go with them.
GENERATE := model/check/generate.awk
PLAIN    := $(patsubst model/plain/%.c,%,$(wildcard model/plain/*.c))
OBJECTS  += $(PLAIN:%=$(BUILD)/f64/generated/plain_%.o) $(foreach t,f32 f64 c128,$(PLAIN:%=$(BUILD)/$t/generated/mistaken_%.o)) \
            $(BUILD)/generated/mistakes.o $(BUILD)/generated/templates.o
LIBRARY := $(BUILD)/libhandgrad.a
BINARY  := $(if $(filter build,$(BUILD)),handgrad,$(BUILD)/handgrad)

.PHONY: all print-op-header check-oracle coverage deps ready demo demo-run tests-build check check-run check-peers check-faults fuzz fuzz-build fuzz-run fuzz-afl bench bench-tokenizer bench-shards asan memcheck format format-check install clean bench-peers races words check-browser FORCE
all: $(BINARY) include/handgrad_op.h

$(BINARY): $(BUILD)/train/cli/main.o $(BUILD)/train/cli/version.o $(LIBRARY)
	@echo '  LD $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

define typed
$(BUILD)/$1/%.o: %.c $(BUILD)/flags
	@mkdir -p $$(@D)
	@echo '  CC [$1] $$<'
	@$$(CC) $$(CFLAGS) $$(CFLAGS_$1) -DREAL_$2 -c -o $$@ $$<
$(BUILD)/$1/generated/%.o: $(BUILD)/generated/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	@echo '  CC [$1] $$<'
	@$$(CC) $$(CFLAGS) $$(CFLAGS_$1) $(TEXTBOOK) -DREAL_$2 -c -o $$@ $$<
endef
# Vector constants that gcc keeps in registers across calls of libm cost Intel's processors a hundred times the call.
TEXTBOOK := -fno-tree-vectorize
$(eval $(call typed,f32,F32))
$(eval $(call typed,bf16,BF16))
$(eval $(call typed,f64,F64))
$(eval $(call typed,c128,C128))
# data/ and train/ see the float build
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC $<'
	@$(CC) $(CFLAGS) -DREAL_F32 -c -o $@ $<

generated = @mkdir -p $(@D) && LC_ALL=C awk -v mode=$1 -f $(GENERATE) $2 > $@.new && mv $@.new $@
$(BUILD)/generated/plain_%.c: model/plain/%.c $(GENERATE)
	$(call generated,plain,$<)
$(BUILD)/generated/mistaken_%.c: model/check/mistakes/%.txt model/plain/%.c $(GENERATE)
	$(call generated,mistaken,$(filter-out $(GENERATE),$^))
# in the order of ops.def
OPERATIONS := $(shell sed -n 's/^OP.[A-Z0-9_]*, [a-z0-9_]*, \([a-z0-9_]*\),$$/\1/p' model/check/ops.def | uniq) block
$(BUILD)/generated/mistakes.c: $(OPERATIONS:%=model/check/mistakes/%.txt) model/check/ops.def $(GENERATE)
	$(call generated,list,$(OPERATIONS:%=model/check/mistakes/%.txt))
$(BUILD)/generated/templates.c: model/block_parts.def $(PLAIN:%=model/plain/%.c) $(GENERATE)
	$(call generated,template,$(filter-out $(GENERATE),$^))
.SECONDARY: $(PLAIN:%=$(BUILD)/generated/plain_%.c) $(PLAIN:%=$(BUILD)/generated/mistaken_%.c)
$(BUILD)/%.o: $(BUILD)/%.c $(BUILD)/flags
	@echo '  CC $<'
	@$(CC) $(CFLAGS) -DREAL_F32 -c -o $@ $<
# The header for operations of your own. It is committed, so that it can be used without a build.
OP_HEADER := include/handgrad_op.h.in model/block_parts.def $(PLAIN:%=model/%.h)
include/handgrad_op.h: $(OP_HEADER) $(GENERATE)
	@$(MAKE) -s --no-print-directory print-op-header > $@.new && mv $@.new $@
print-op-header:
	@LC_ALL=C awk -v mode=header -f $(GENERATE) $(OP_HEADER)

# The files of the page, and the chart library that it uses, go into the binary as strings.
DYGRAPHS ?= /usr/share/javascript/dygraphs
$(BUILD)/web/files.o: web/files.S $(wildcard web/*) $(wildcard $(DYGRAPHS)/dygraph.min.*) $(BUILD)/flags
	@mkdir -p $(@D)
	@[ -e $(DYGRAPHS)/dygraph.min.js ] || { echo "$(DYGRAPHS)/dygraph.min.js is not there: install dygraphs (libjs-dygraphs; make deps)"; exit 1; }
	@echo '  AS $<'
	@$(CC) -Wa,-I$(DYGRAPHS) -c -o $@ $<

# Rebuilds everything when compiler or flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' > $@
FORCE:

# The commit that `handgrad --version` prints. version.o is recompiled only when it changes.
COMMIT := $(if $(wildcard .git),$(shell git describe --tags --always --dirty 2>/dev/null))
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@
$(BUILD)/train/cli/version.o: $(BUILD)/commit
$(BUILD)/train/cli/version.o: private CFLAGS += -DCOMMIT='"$(COMMIT)"' -DINIH_VERSION='"$(shell pkg-config --modversion inih)"'

-include $(OBJECTS:.o=.d) $(BUILD)/train/cli/main.d $(BUILD)/train/cli/version.d $(wildcard $(BUILD)/tests/*/*.d $(BUILD)/tests/*/*/*.d $(BUILD)/tests/*/*/*/*.d)

# --- tests: every tests/test_*.c is a program of its own, with Check; tests/test_*.sh a script that drives ./handgrad.
# How a program ends says what it is built for (tests/test.h): SUITE_FLOAT_DOUBLE, SUITE_ALL_TYPES, or SUITE. One that is not found
# here, or built for something else, does not compile. ---
TEST_C  := $(wildcard tests/*/test_*.c tests/*/*/test_*.c)
ends_in  = $(patsubst tests/%.c,%,$(shell grep -lw '$1' $(TEST_C)))
TRIPLE  := $(call ends_in,SUITE_ALL_TYPES)
PAIRED  := $(call ends_in,SUITE_FLOAT_DOUBLE) $(TRIPLE)
MIXED   := model/gemm/test_gemm model/test_gpt model/test_probe # where products in bf16 could go wrong
TESTS   := $(filter-out $(PAIRED),$(patsubst tests/%.c,%,$(TEST_C))) $(PAIRED:%=f32/%) $(PAIRED:%=f64/%) \
           $(TRIPLE:%=c128/%) $(MIXED:%=bf16/%)
# It counts with a malloc of its own, which sanitizers forbid; and clang's OpenMP allocates at every parallel region.
TESTS   := $(if $(findstring sanitize,$(EXTRA_CFLAGS))$(filter-out 0,$(IS_CLANG)),$(filter-out model/test_allocation,$(TESTS)),$(TESTS))
TESTS   := $(TESTS:%=$(BUILD)/tests/%)
define typed_test
$(BUILD)/tests/$1/%.o: tests/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	@echo '  CC [$1] $$<'
	@$$(CC) $$(CFLAGS) $$(CFLAGS_$1) -DREAL_$2 -DTYPED_BUILD=1 -c -o $$@ $$<
endef
$(eval $(call typed_test,f32,F32))
$(eval $(call typed_test,bf16,BF16))
$(eval $(call typed_test,f64,F64))
$(eval $(call typed_test,c128,C128))
$(TESTS): %: %.o $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LDLIBS)
$(BUILD)/tests/train/lens/test_lens: LDLIBS += -lcairo # to read a PNG
tests-build: $(TESTS)
check-run: $(BINARY) $(TESTS)
	@HANDGRAD=$(abspath $(BINARY)) WRAPPER="$(WRAPPER)" tests/run $(BUILD) $(ONLY)
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# Faults: kills, power loss, disk and memory errors, damaged files. LONG=1 for all of each, ONLY=name for some.
$(BUILD)/tests/faults/damage: $(BUILD)/tests/faults/damage.o $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/faults/shim.so: tests/faults/shim.c
	@mkdir -p $(@D)
	@$(CC) -O1 -Wall -Wextra -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl
check-faults: $(BINARY) $(BUILD)/tests/faults/damage $(BUILD)/tests/faults/shim.so
	@HANDGRAD=$(abspath $(BINARY)) tests/faults/run $(abspath $(BUILD)/tests/faults) $(ONLY)
# valgrind knows no AVX-512, works out a fused multiply-add in software, a hundred times as slow as a multiplication (in OpenBLAS's and libm's
# code too), oneDNN's compiled code reads beyond the end of its own buffers, and nothing works in the process that reads files when that
# is confined
MEMCHECK := BUILD=build-memcheck ONEDNN=0 OPT='$(LIGHTLY)' ARCH=x86-64-v3 EXTRA_CFLAGS='-DMEMCHECK -DSANDBOX_OPEN -DNO_JIT -mno-fma'
NO_FMA   := OPENBLAS_CORETYPE=Sandybridge GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA
# ThreadSanitizer on trainer, writer and loader, valgrind on a short run, and on attention, whose vectors may hold what nobody wrote.
races:
	@$(MAKE) --no-print-directory all $(patsubst %,build-tsan/tests/%,train/checkpoint/test_writer train/test_trainer train/test_not_finite data/test_loader) \
	    BUILD=build-tsan OPT='$(LIGHTLY)' EXTRA_CFLAGS='-fsanitize=thread -Wno-error=tsan' EXTRA_LDFLAGS=-fsanitize=thread
	@$(MAKE) --no-print-directory all build-memcheck/tests/f32/model/test_attention $(MEMCHECK)
	@$(NO_FMA) tests/faults/races build-tsan build-memcheck
# Every reader, a target each (tests/fuzz/fuzz_NAME.c), under libFuzzer: RUNS executions each, ONLY=name for some. The same targets under
# AFL++: make fuzz-afl. Both have a compiler and a folder of their own, and need two of the four number types.
RUNS    ?= 20000
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ    := -fsanitize=address,undefined
# comparisons are not traced: that costs a third, and dictionaries name what they compare with
LIBFUZZER := -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp $(FUZZ) -fno-sanitize-recover=undefined
FUZZ_BUILD := FUZZING=1 OPT=-O2 TYPES='f32 bf16' EXTRA_LDFLAGS='$(FUZZ)'
ifdef FUZZING # no reader is in model/, whose vector code takes minutes to compile for a fuzzer
$(BUILD)/f32/model/%.o $(BUILD)/bf16/model/%.o: override CC := clang
$(BUILD)/f32/model/%.o $(BUILD)/bf16/model/%.o: CFLAGS := $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS))
endif
$(FUZZERS:%=$(BUILD)/tests/fuzz/%): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBRARY)
	@$(CC) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/fuzz/seed: $(BUILD)/tests/fuzz/seed.o $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
.SECONDARY: $(FUZZERS:%=$(BUILD)/tests/fuzz/fuzz_%.o)
fuzz-build: $(FUZZERS:%=$(BUILD)/tests/fuzz/%)
fuzz-run: fuzz-build $(BUILD)/tests/fuzz/seed
	@tests/fuzz/run libfuzzer $(BUILD) $(RUNS) $(or $(ONLY),$(FUZZERS))
fuzz: $(BINARY)
	@$(MAKE) --no-print-directory fuzz-run CC=clang BUILD=build-fuzz $(FUZZ_BUILD) \
	    EXTRA_CFLAGS='$(LIBFUZZER)'
# afl++ from the distribution: large, so not among what make deps installs.
fuzz-afl: $(BINARY)
	@command -v afl-fuzz >/dev/null || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends afl++; }
	@$(MAKE) --no-print-directory build-fuzz/tests/fuzz/seed CC=clang BUILD=build-fuzz $(FUZZ_BUILD) \
	    EXTRA_CFLAGS='$(LIBFUZZER)'
	@$(MAKE) --no-print-directory fuzz-build CC=afl-clang-fast BUILD=build-afl $(FUZZ_BUILD) EXTRA_CFLAGS='$(FUZZ) -fno-sanitize-recover=undefined'
	@tests/fuzz/run afl build-afl $(RUNS) $(or $(ONLY),$(FUZZERS))
bench: $(BINARY)
	./$(BINARY) bench $(WORKLOADS)
bench-peers: $(BINARY) # says what to install
	HANDGRAD=./$(BINARY) tests/bench/peers $(PEERS)
# Token ids against npm's tiktoken, gpt-3-encoder and tokenizers, event files against tfrecord and protobufjs, which are installed into the
# build folder; not part of make check.
check-peers: $(BINARY)
	@command -v npm >/dev/null || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends nodejs npm; }
	@mkdir -p $(BUILD)/peers && cd $(BUILD)/peers && { [ -d node_modules/tokenizers -a -d node_modules/tfrecord ] || \
	    npm install --silent --no-save --prefix . tiktoken gpt-3-encoder tokenizers tfrecord protobufjs; }
	@./$(BINARY) tokenize README.md docs/*.md configs -o $(BUILD)/peers/own --tokenizer bpe:1024 --force
	cd $(BUILD)/peers && node $(CURDIR)/tests/peers/peers.js $(abspath $(BINARY)) $(CURDIR)/$(BUILD)/peers/files $(CURDIR)/$(BUILD)/peers/own
	cd $(BUILD)/peers && node $(CURDIR)/tests/peers/events.js $(abspath $(BINARY)) $(CURDIR)/$(BUILD)/peers/events
# PyTorch's results for a tiny GPT-2, computed again and compared with the committed file. PyTorch is large, so make deps leaves it out.
check-oracle:
	@mkdir -p $(BUILD)
	@command -v h5diff >/dev/null && /usr/bin/python3 -c 'import torch, h5py' 2>/dev/null || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends python3-torch python3-h5py hdf5-tools; }
	/usr/bin/python3 tests/oracle/gpt2_tiny.py $(BUILD)/gpt2-tiny.h5
	h5diff --relative=1e-9 $(BUILD)/gpt2-tiny.h5 tests/oracle/gpt2-tiny.h5
# Line and branch coverage of the tests, by directory (gcovr, which it installs). A source that is compiled for several number types
# counts once.
coverage:
	@command -v gcovr >/dev/null || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends gcovr; }
	@$(MAKE) --no-print-directory check-run BUILD=build-coverage OPT='$(LIGHTLY)' EXTRA_CFLAGS=--coverage EXTRA_LDFLAGS=--coverage || true
	@gcovr --root . --object-directory build-coverage --csv --gcov-ignore-parse-errors base model optim data train 2>/dev/null | awk -F, ' \
	    NR > 1 && sub(/\/[^\/]*$$/, "", $$1) { lines[$$1] += $$2; run[$$1] += $$3; branches[$$1] += $$5; taken[$$1] += $$6 } \
	    END { for (d in lines) printf "%-18s lines %5.1f %%   branches %5.1f %%\n", d, 100 * run[d] / lines[d], branches[d] ? 100 * taken[d] / branches[d] : 100 }' | sort
bench-tokenizer: check-peers $(BUILD)/tests/bench/tokenizer
	cd $(BUILD)/peers && $(CURDIR)/tests/peers/bench.sh $(abspath $(BINARY)) $(abspath $(BUILD)/tests/bench/tokenizer) $(CURDIR)/$(BUILD)/peers/files
bench-shards: $(BINARY) $(BUILD)/tests/bench/shards
	@tests/bench/shards.sh $(abspath $(BINARY)) $(abspath $(BUILD)/tests/bench/shards) $(SHARD_TOKENS)
# Chromium and Node.js from the distribution, playwright-core from npm: large, so not among what make deps installs.
BROWSER := $(BUILD)/browser
check-browser: $(BINARY)
	@command -v chromium node npm h5dump >/dev/null || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends chromium hdf5-tools \
	        $$(command -v node >/dev/null || echo nodejs) $$(command -v npm >/dev/null || echo npm); }
	@mkdir -p $(BROWSER)
	@cp tests/browser/package.json $(BROWSER) && npm install --prefix $(BROWSER) --no-audit --no-fund --silent
	@node tests/browser/test.mjs $(abspath $(BINARY)) $$(command -v chromium) $(abspath $(BROWSER)) $(SHOTS)
asan:
	@LSAN_OPTIONS=print_suppressions=0:suppressions=$(CURDIR)/tests/leaks.txt $(MAKE) --no-print-directory check-run BUILD=build-asan OPT='$(LIGHTLY)' EXTRA_CFLAGS='-fsanitize=address,undefined -fno-sanitize-recover=undefined -DDEBUG' \
	    EXTRA_LDFLAGS=-fsanitize=address,undefined
memcheck:
	@$(NO_FMA) OMP_NUM_THREADS=1 CK_TIMEOUT_MULTIPLIER=20 $(MAKE) --no-print-directory check-run $(MEMCHECK) WRAPPER='valgrind -q --error-exitcode=9 --trace-children=yes --trace-children-skip=*/cc,*/gcc,*/clang --soname-synonyms=somalloc=nouserintercepts'

# --- from a bare clone: what is missing is installed first, then make starts anew and finds it ---
ready:
	@{ pkg-config --exists $(PKGS) $(LOADED) check && ls $(DYGRAPHS)/dygraph.min.js && ls /usr/share/games/fortunes/literature; } >/dev/null 2>&1 || $(MAKE) --no-print-directory deps
check demo: ready
	@$(MAKE) --no-print-directory $@-run
deps:
	@if command -v apt-get >/dev/null; then \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $(PACKAGES); \
	else \
	    echo "make deps installs with apt-get, which is not here. Needed: a C11 compiler with OpenMP, make, pkg-config, OpenBLAS (its"; \
	    echo "OpenMP build), HDF5, zlib, inih, cJSON, nettle, PCRE2, libmicrohttpd, Cairo, Pango, dygraphs (DYGRAPHS=folder), Check; for the demo a text"; \
	    echo "(fortunes, or DEMO_TEXT=file). Better with oneDNN (bf16, AVX-512) and libseccomp (the process that parses files of others)."; \
	    exit 1; \
	fi

# --- the demo ---
DEMO_TEXT ?= $(shell find /usr/share/games/fortunes -maxdepth 1 -type f ! -name '*.dat' 2>/dev/null | sort)
demo-run: $(BINARY)
	./$(BINARY) tokenize $(DEMO_TEXT) -o demo/data --tokenizer char --force
	@[ ! -e demo/run ] || { n=1; while [ -e demo/run-$$n ]; do n=$$((n + 1)); done; mv demo/run demo/run-$$n && echo "The run of before is now demo/run-$$n."; }
	./$(BINARY) train configs/demo.ini --out demo/run $(if $(DEMO_STEPS),--set train.steps=$(DEMO_STEPS))
	./$(BINARY) sample demo/run/best.h5 --tokens 400
	@printf '%s\n' '' 'The data is in demo/data, the run in demo/run: config.ini, metrics.jsonl, best.h5 and the newest checkpoints.' \
	    'More:  ./handgrad sample demo/run/best.h5 --prompt "The "' \
	    '       ./handgrad eval demo/run/best.h5 demo/data' \
	    '       ./handgrad train --out demo/run --resume --set train.steps=2000 --allow steps'

# --- what the commands say of themselves, as a manual page and for the shells ---
WORDS := $(BUILD)/share/handgrad.1 $(BUILD)/share/handgrad.bash $(BUILD)/share/_handgrad
words: $(WORDS)
$(BUILD)/share/handgrad.1: FORM := man
$(BUILD)/share/handgrad.bash: FORM := bash
$(BUILD)/share/_handgrad: FORM := zsh
$(WORDS): docs/man/man.awk docs/man/tail.mdoc $(BINARY)
	@mkdir -p $(@D)
	@DATE="$$(date -r docs/man/tail.mdoc '+%B %-e, %Y')" HANDGRAD=$(abspath $(BINARY)) awk -f docs/man/man.awk -v form=$(FORM) > $@

install: $(BINARY) $(WORDS)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/handgrad/configs
	install -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/handgrad
	install -m 644 include/handgrad_op.h $(DESTDIR)$(PREFIX)/include/handgrad_op.h
	install -D -m 644 $(BUILD)/share/handgrad.1 $(DESTDIR)$(PREFIX)/share/man/man1/handgrad.1
	install -D -m 644 $(BUILD)/share/handgrad.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/handgrad
	install -D -m 644 $(BUILD)/share/_handgrad $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_handgrad
	install -m 644 configs/* $(DESTDIR)$(PREFIX)/share/handgrad/configs

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
format-check:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
clean:
	rm -rf build build-* handgrad
