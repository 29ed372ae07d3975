# Builds ./handgrad and libhandgrad.a, and installs. The rules of the tests are in tests/rules.mk.
#
#   make deps               installs every package (Debian and Ubuntu; elsewhere it lists them)
#   make                    ./handgrad for this machine (ARCH=x86-64-v3: for others; ARCH=: for any)
#   make CC=clang           the same with another compiler, in a build directory of its own
#   make demo               from a text to a trained model that generates text, in about a minute
#                           (DEMO_TEXT="FILE…": your own; DEMO_STEPS=50: shorter)
#   make install PREFIX=…   binary, header, configurations, documentation, shell completion
#   make format             applies .clang-format; make format-check: checks that it is applied
#
#   make check              every test; the last line is "N passed, N failed"
#                           (make check-run ONLY=NAME: the tests with NAME in their path)
#   make asan               every test with the address and undefined-behaviour sanitizers
#   make memcheck           every C test under valgrind
#   make races              the threads of a run under ThreadSanitizer and valgrind
#   make check-faults       kills, power loss, full disks, failing calls, damaged files
#                           (ONLY="kill power": some of them; LONG=1: all cases)
#   make fuzz               every reader under libFuzzer (RUNS=1000000: executions of each;
#                           ONLY="ids json": some of them); make fuzz-afl: under AFL++
#   make mutants            plants small faults in the sources, one at a time, and expects that the
#                           tests notice (ONLY="trainer schedule": in some files)
#   make check-browser      report, live page and lens in Chromium
#   make check-peers        token ids and event files against other projects' tools, from npm
#   make check-oracle       recomputes PyTorch's results for a tiny GPT-2, and compares
#   make coverage           lines and branches that the tests reach, by directory
#
#   make bench              the machine's peak, and what training reaches of it
#                           (WORKLOADS="NAME…")
#   make bench-peers        the same against PyTorch (PEERS="5 f32 char-0.8M": runs, type, workload)
#   make bench-tokenizer    encoding and tokenizer training, against npm's tiktoken
#   make bench-shards       reading a shard of 1e9 tokens (SHARD_TOKENS=…: of fewer)

.DEFAULT_GOAL := all
# Unless make was given -j, one job per processor.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
ifeq ($(origin CC),default)
CC := gcc
endif
ARCH   ?= native
PREFIX ?= /usr/local
OPT    ?= -O3
BUILD  ?= build$(if $(filter gcc,$(CC)),,-$(notdir $(CC)))

# --- packages ---

PACKAGES := build-essential \
            pkg-config \
            libopenblas-openmp-dev \
            libdnnl-dev \
            libhdf5-dev \
            zlib1g-dev \
            libinih-dev \
            libcjson-dev \
            libarchive-dev \
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

# Installs packages unless a command exists: $(call install_for,COMMAND,PACKAGES)
APT_GET     := $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive apt-get
install_for  = command -v $1 >/dev/null || $(APT_GET) install -y -q --no-install-recommends $2

deps:
	@if command -v apt-get >/dev/null; then \
	    $(APT_GET) update -q && $(APT_GET) install -y -q --no-install-recommends $(PACKAGES); \
	else \
	    printf '%s\n' \
	    "make deps needs apt-get. Install by other means: a C11 compiler with OpenMP, make," \
	    "pkg-config, OpenBLAS (its OpenMP build), HDF5, zlib, inih, cJSON, libarchive, nettle, PCRE2," \
	    "libmicrohttpd, Cairo, Pango, dygraphs (DYGRAPHS=DIRECTORY) and Check; for the demo the" \
	    "fortunes (or DEMO_TEXT=FILE). Recommended: oneDNN (bf16, AVX-512) and libseccomp (a" \
	    "sandbox for the process that parses other people's files)." >&2; \
	    exit 1; \
	fi

# --- flags ---

IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
WARN     := -Wall -Wextra -Werror
# Not -ffast-math, which removes tests for NaN. No code reads errno or traps.
CFLAGS   := -std=gnu11 -I. $(OPT) -g $(if $(ARCH),-march=$(ARCH)) -fopenmp -fno-math-errno \
            -fno-trapping-math -ffp-contract=fast $(WARN) -MMD -MP -D_GNU_SOURCE $(EXTRA_CFLAGS)
ifeq ($(IS_CLANG),0)
CFLAGS_c128 := -fcx-limited-range
else
CFLAGS   += -fveclib=libmvec -Wno-pass-failed
endif
LDFLAGS  := -fopenmp $(EXTRA_LDFLAGS)
PKGS     := hdf5 openblas zlib inih libcjson libarchive nettle libpcre2-8 libmicrohttpd
# Only the headers are needed: train/report/drawing.c loads the libraries when it draws.
LOADED   := pangocairo
# Optional: confines the process that parses other people's files to the calls of malloc.
SECCOMP  := $(shell pkg-config --exists libseccomp 2>/dev/null && echo libseccomp)
CFLAGS   += $(if $(SECCOMP),-DHAVE_SECCOMP) \
            $(shell pkg-config --cflags $(PKGS) $(LOADED) $(SECCOMP) 2>/dev/null)
# Selects the OpenMP build by its directory, as Debian's alternatives may prefer another build.
OPENBLAS := $(patsubst %/libopenblas.so,%, \
            $(firstword $(wildcard /usr/lib/*/openblas-openmp/libopenblas.so)))
comma    := ,
LDLIBS   := $(if $(OPENBLAS),-L$(OPENBLAS) -Wl$(comma)-rpath$(comma)$(OPENBLAS)) \
            $(shell pkg-config --libs $(PKGS) $(SECCOMP) 2>/dev/null) -lm -pthread
# oneDNN, if installed: products in bf16, and in float with AVX-512. ONEDNN=0 leaves it out.
ONEDNN_H := $(wildcard $(addsuffix oneapi/dnnl/dnnl.h,/usr/include/ /usr/local/include/))
ONEDNN   ?= $(if $(ONEDNN_H),1,0)
ifneq ($(ONEDNN),0)
CFLAGS   += -DHAVE_ONEDNN
LDLIBS   += -ldnnl
endif

# --- sources: what the directories hold ---

SOURCES  := $(filter-out train/cli/main.c train/cli/version.c model/plain/%, \
            $(wildcard base/*.c optim/*.c $(foreach d,model data train,$d/*.c $d/*/*.c)))
# A source that includes model/real.h is compiled once per number type that its directory needs.
# The bf16 build differs in products alone, so it has no planted mistakes.
TYPES    := f32 bf16 f64 c128
TYPED    := $(shell grep -l '"model/real.h"' $(SOURCES))
f32      := $(filter model/% optim/% train/%,$(TYPED))
bf16     := $(filter-out model/check/mistakes%,$(filter model/% train/%,$(TYPED)))
f64      := $(filter model/% optim/%,$(TYPED))
c128     := $(filter model/%,$(TYPED))
# The textbook versions in double, the same with planted mistakes, and their tables.
GENERATE := model/check/generate.awk
PLAIN    := $(patsubst model/plain/%.c,%,$(wildcard model/plain/*.c))
OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(TYPED),$(SOURCES))) \
            $(foreach t,$(TYPES),$(patsubst %.c,$(BUILD)/$t/%.o,$($t))) \
            $(PLAIN:%=$(BUILD)/f64/generated/plain_%.o) \
            $(foreach t,f32 f64 c128,$(PLAIN:%=$(BUILD)/$t/generated/mistaken_%.o)) \
            $(BUILD)/generated/mistakes.o $(BUILD)/generated/templates.o $(BUILD)/web/files.o
LIBRARY  := $(BUILD)/libhandgrad.a
BINARY   := $(if $(filter build,$(BUILD)),handgrad,$(BUILD)/handgrad)

.PHONY: all deps ready demo demo-run words install format format-check clean FORCE
all: $(BINARY) include/handgrad_op.h

$(BINARY): $(BUILD)/train/cli/main.o $(BUILD)/train/cli/version.o $(LIBRARY)
	@echo '  LD $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

# --- objects ---

compile = @mkdir -p $(@D) && echo '  CC $(if $1,[$1] )$<' && $(CC) $(CFLAGS) $2 -c -o $@ $<
# gcc keeps vector constants in registers across calls of libm, which makes Intel's processors save
# them at a hundred times the cost of the call.
TEXTBOOK := -fno-tree-vectorize
define typed_rules
$(BUILD)/$1/%.o: %.c $(BUILD)/flags
	$$(call compile,$1,$$(CFLAGS_$1) -DREAL_$2)
$(BUILD)/$1/generated/%.o: $(BUILD)/generated/%.c $(BUILD)/flags
	$$(call compile,$1,$$(CFLAGS_$1) $(TEXTBOOK) -DREAL_$2)
$(BUILD)/tests/$1/%.o: tests/%.c $(BUILD)/flags
	$$(call compile,$1,$$(CFLAGS_$1) -DREAL_$2 -DTYPED_BUILD=1)
endef
$(eval $(call typed_rules,f32,F32))
$(eval $(call typed_rules,bf16,BF16))
$(eval $(call typed_rules,f64,F64))
$(eval $(call typed_rules,c128,C128))
# All other code sees the float build.
$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call compile,,-DREAL_F32)
$(BUILD)/%.o: $(BUILD)/%.c $(BUILD)/flags
	$(call compile,,-DREAL_F32)

generate = @mkdir -p $(@D) && LC_ALL=C awk -v mode=$1 -f $(GENERATE) $2 > $@.new && mv $@.new $@
mistakes = $(1:%=model/check/mistakes/%.txt)
$(BUILD)/generated/plain_%.c: model/plain/%.c $(GENERATE)
	$(call generate,plain,$<)
$(BUILD)/generated/mistaken_%.c: model/check/mistakes/%.txt model/plain/%.c $(GENERATE)
	$(call generate,mistaken,$(filter-out $(GENERATE),$^))
# in the order of ops.def
OPERATIONS := $(shell sed -n 's/^OP.[A-Z0-9_]*, [a-z0-9_]*, \([a-z0-9_]*\),$$/\1/p' \
              model/check/ops.def | uniq) block
$(BUILD)/generated/mistakes.c: $(call mistakes,$(OPERATIONS)) model/check/ops.def $(GENERATE)
	$(call generate,list,$(call mistakes,$(OPERATIONS)))
$(BUILD)/generated/templates.c: model/block_parts.def $(PLAIN:%=model/plain/%.c) $(GENERATE)
	$(call generate,template,$(filter-out $(GENERATE),$^))
# The installed header: prototypes for implementations of one's own.
include/handgrad_op.h: include/handgrad_op.h.in model/block_parts.def $(PLAIN:%=model/%.h) \
                       $(GENERATE)
	$(call generate,header,$(filter-out $(GENERATE),$^))
.SECONDARY: $(foreach f,plain mistaken,$(PLAIN:%=$(BUILD)/generated/$f_%.c))

# The files of the live page, and its chart library, go into the binary as strings.
DYGRAPHS ?= /usr/share/javascript/dygraphs
CHARTS   := $(DYGRAPHS)/dygraph.min.js $(DYGRAPHS)/dygraph.min.css
$(CHARTS):
	@echo "$@ is missing: install dygraphs (libjs-dygraphs), or run make deps" >&2; exit 1
$(BUILD)/web/files.o: web/files.S $(wildcard web/*) $(CHARTS) $(BUILD)/flags
	@mkdir -p $(@D) && echo '  AS $<' && $(CC) -Wa,-I$(DYGRAPHS) -c -o $@ $<

# A file that is rewritten when its text changes, so that what depends on it is rebuilt.
remember = @mkdir -p $(@D); echo '$1' | cmp -s - $@ || echo '$1' > $@
$(BUILD)/flags: FORCE
	$(call remember,$(CC) $(CFLAGS))
# The commit that handgrad --version prints.
COMMIT := $(if $(wildcard .git),$(shell git describe --tags --always --dirty 2>/dev/null))
$(BUILD)/commit: FORCE
	$(call remember,$(COMMIT))
$(BUILD)/train/cli/version.o: $(BUILD)/commit
$(BUILD)/train/cli/version.o: private CFLAGS += -DCOMMIT='"$(COMMIT)"' \
                              -DINIH_VERSION='"$(shell pkg-config --modversion inih)"'
FORCE:

-include $(OBJECTS:.o=.d) $(BUILD)/train/cli/main.d $(BUILD)/train/cli/version.d

include tests/rules.mk

# --- from a bare clone: installs what is missing, then starts make again, which finds it ---

ready:
	@{ pkg-config --exists $(PKGS) $(LOADED) check && ls $(CHARTS) \
	    && ls /usr/share/games/fortunes/literature; } >/dev/null 2>&1 \
	    || $(MAKE) --no-print-directory deps
check demo: ready
	@$(MAKE) --no-print-directory $@-run

DEMO_TEXT ?= $(sort $(shell find /usr/share/games/fortunes -maxdepth 1 -type f ! -name '*.dat' \
             2>/dev/null))
# Each demo has a directory of its own: demo, demo-2, …
demo-run: $(BINARY)
	@run=demo; n=2; while [ -e $$run ]; do run=demo-$$n; n=$$((n + 1)); done; \
	echo "./$(BINARY) train TEXT… --out $$run --minutes 1"; \
	./$(BINARY) train $(DEMO_TEXT) --out $$run --minutes 1 \
	    $(if $(DEMO_STEPS),--set train.steps=$(DEMO_STEPS)) && \
	echo "./$(BINARY) sample $$run --tokens 150" && \
	./$(BINARY) sample $$run --tokens 150 && \
	printf '%s\n' '' "$$run holds config.ini, the tokens in data/, best.h5, the newest checkpoints," \
	    "metrics.jsonl and report.html, a page for the browser. What next:" \
	    "    ./$(BINARY) serve $$run                       the page live, with the lens" \
	    "    ./$(BINARY) lens $$run --text 'Once upon a'   what the model does with a text" \
	    "    ./$(BINARY) sample $$run --prompt 'The '" \
	    "    ./$(BINARY) train YOUR_TEXT.txt"

# --- installation: the manual page and the completions come from the commands' own --help ---

WORDS := $(BUILD)/share/handgrad.1 $(BUILD)/share/handgrad.bash $(BUILD)/share/_handgrad
$(BUILD)/share/handgrad.1: FORM := man
$(BUILD)/share/handgrad.bash: FORM := bash
$(BUILD)/share/_handgrad: FORM := zsh
words: $(WORDS)
$(WORDS): docs/man/man.awk docs/man/tail.mdoc $(BINARY)
	@mkdir -p $(@D)
	@DATE="$$(date -r docs/man/tail.mdoc '+%B %-e, %Y')" HANDGRAD=$(abspath $(BINARY)) \
	    awk -f docs/man/man.awk -v form=$(FORM) > $@

SHARE = $(DESTDIR)$(PREFIX)/share
install: $(BINARY) include/handgrad_op.h $(WORDS)
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BINARY)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include include/handgrad_op.h
	install -D -m 644 -t $(SHARE)/handgrad/configs configs/*.ini
	install -D -m 644 -t $(SHARE)/doc/handgrad README.md CHANGELOG.md CONTRIBUTING.md LICENSE
	install -D -m 644 -t $(SHARE)/doc/handgrad/docs docs/*.md docs/*.svg docs/*.png
	@# links to sources, which are not installed, become text
	@perl -0pi -e 's/\[([^]]*)\]\((?!http|#|LICENSE)(?!(docs\/)?[a-zA-Z-]+\.(md|svg|png))[^)]*\)/$$1/g' \
	    $(SHARE)/doc/handgrad/*.md $(SHARE)/doc/handgrad/docs/*.md
	install -D -m 644 -t $(SHARE)/man/man1 $(BUILD)/share/handgrad.1
	install -D -m 644 $(BUILD)/share/handgrad.bash $(SHARE)/bash-completion/completions/handgrad
	install -D -m 644 -t $(SHARE)/zsh/site-functions $(BUILD)/share/_handgrad

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
format-check:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
clean:
	rm -rf build build-* handgrad include/handgrad_op.h
