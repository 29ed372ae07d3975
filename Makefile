# handgrad: make deps · all · demo · check · bench · asan · format · install
#
#   make                 ./handgrad, for this machine (ARCH=x86-64-v3 for another, ARCH= for none)
#   make check           every test; ends with "N passed, N failed"
#   make CC=clang        another compiler (its objects go to a folder of their own)

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
ARCH    ?= native
PREFIX  ?= /usr/local
BUILD   ?= build$(if $(filter gcc,$(CC)),,-$(notdir $(CC)))
OPT     ?= -O3

IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
WARN    := -Wall -Wextra -Werror
# No -ffast-math: it removes NaN tests. errno and traps are not used; products and sums may fuse.
CFLAGS  := -std=gnu11 $(OPT) -g $(if $(ARCH),-march=$(ARCH)) -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast \
           $(WARN) -MMD -MP -D_GNU_SOURCE $(EXTRA_CFLAGS)
ifeq ($(IS_CLANG),0)
CFLAGS_c128 := -fcx-limited-range
else
CFLAGS  += -fveclib=libmvec -Wno-pass-failed
endif
PKGS    := hdf5 openblas zlib inih libcjson nettle
LDLIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -pthread
CFLAGS  += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS := -fopenmp $(EXTRA_LDFLAGS)

TYPES   := f32 f64 c128
PLAIN   := model/tensors.c model/arena.c model/ops.c model/opcases.c $(wildcard model/gradcheck*.c) # independent of the number type
MATHS   := $(filter-out $(PLAIN),$(wildcard model/*.c))
TWICE   := $(filter-out optim/schedule.c,$(wildcard optim/*.c)) train/gradient_file.c # float and double
ONCE    := $(PLAIN) optim/schedule.c $(wildcard data/*.c) $(filter-out train/main.c train/gradient_file.c,$(wildcard train/*.c))

OBJECTS := $(foreach t,$(TYPES),$(MATHS:%.c=$(BUILD)/$t/%.o)) $(foreach t,f32 f64,$(TWICE:%.c=$(BUILD)/$t/%.o)) \
           $(ONCE:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libhandgrad.a
BINARY  := $(if $(filter build,$(BUILD)),handgrad,$(BUILD)/handgrad)

.PHONY: all deps demo check bench asan format format-check install clean
all: $(BINARY)

$(BINARY): $(BUILD)/train/main.o $(LIBRARY)
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
endef
$(eval $(call typed,f32,F32))
$(eval $(call typed,f64,F64))
$(eval $(call typed,c128,C128))
# data/ and train/ see the float build
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC $<'
	@$(CC) $(CFLAGS) -DREAL_F32 -c -o $@ $<

# Rebuilds everything when compiler or flags change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' > $@
FORCE:

-include $(OBJECTS:.o=.d) $(BUILD)/train/main.d $(wildcard $(BUILD)/tests/*.d $(BUILD)/tests/*/*.d)

# --- tests: every tests/test_*.c is a program of its own, with Check; tests/test_*.sh a script that drives ./handgrad.
# Those that test the mathematics in a number type's own terms are built for f32 and f64. ---
TYPED   := $(patsubst %.c,%,$(notdir $(shell grep -l 'built for float and for double' tests/test_*.c)))
TESTS   := $(filter-out $(TYPED),$(patsubst tests/%.c,%,$(wildcard tests/test_*.c))) $(TYPED:%=f32/%) $(TYPED:%=f64/%)
TESTS   := $(TESTS:%=$(BUILD)/tests/%)
define typed_test
$(BUILD)/tests/$1/%.o: tests/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	@echo '  CC [$1] $$<'
	@$$(CC) $$(CFLAGS) -DREAL_$2 -c -o $$@ $$<
endef
$(eval $(call typed_test,f32,F32))
$(eval $(call typed_test,f64,F64))
$(TESTS): %: %.o $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LDLIBS)
check: $(BINARY) $(TESTS)
	@tests/run $(BUILD)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
format-check:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
clean:
	rm -rf build build-* handgrad
