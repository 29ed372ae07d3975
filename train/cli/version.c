/* version.c: handgrad --version. The Makefile defines COMMIT and INIH_VERSION. */
#include "model/gemm/gemm_backend.h"
#include "train/cli/command.h"
#include "train/machine.h"
#include <archive.h>
#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <hdf5.h>
#include <microhttpd.h>
#include <nettle/version.h>
#include <omp.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stdio.h>
#include <zlib.h>
#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

#define HANDGRAD_VERSION "1.0.0"

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void print_instruction_sets(void)
{
#ifdef __x86_64__
#define TEXT(x)               #x
#define COMPILED(macro, name) (*TEXT(macro) == '1' ? " " name : "") /* 1, or not defined */
#define FOUND(name)           (__builtin_cpu_supports(name) ? " " name : "")
    printf("compiled for   x86-64%s%s%s%s\n", COMPILED(__AVX2__, "avx2"), COMPILED(__FMA__, "fma"),
           COMPILED(__AVX512F__, "avx512f"), COMPILED(__AVX512BF16__, "avx512bf16"));
    printf("available      x86-64%s%s%s%s\n", FOUND("avx2"), FOUND("fma"), FOUND("avx512f"),
           FOUND("avx512bf16"));
#endif
}

static void print_products(bool bf16)
{
    const char *why;
    const enum gemm_backend b = gemm_backend_choice(bf16, &why);
    printf("%-15s%s (%s)\n", bf16 ? "bf16 products" : "f32 products", gemm_backend_name(b), why);
}

/* Cairo and Pango are loaded only when a picture is drawn. */
static void print_loaded(const char *name, const char *function)
{
    void *library = dlopen("libpangocairo-1.0.so.0", RTLD_LAZY);
    const char *(*version)(void) = library ? (const char *(*)(void))dlsym(library, function) : NULL;
    printf("%-15s%s\n", name, version ? version() : "not installed");
}

static void print_libraries(void)
{
    char text[64];
    unsigned major, minor, patch;
    for (enum gemm_backend b = GEMM_OPENBLAS; b <= GEMM_ONEDNN; b++)
        if (gemm_backend_version(b, text, sizeof text))
            printf("%-15s%s\n", gemm_backend_name(b), text);
    H5get_libversion(&major, &minor, &patch);
    printf("HDF5           %u.%u.%u\n", major, minor, patch);
    printf("zlib           %s\n", zlibVersion());
    pcre2_config(PCRE2_CONFIG_VERSION, text);
    printf("PCRE2          %s\n", text);
    printf("cJSON          %s\n", cJSON_Version());
    printf("inih           %s\n", INIH_VERSION);
    printf("libarchive     %s\n", archive_version_string() + strlen("libarchive "));
    printf("nettle         %d.%d\n", nettle_version_major(), nettle_version_minor());
    printf("libmicrohttpd  %s\n", MHD_get_version());
    print_loaded("Cairo", "cairo_version_string");
    print_loaded("Pango", "pango_version_string");
#ifdef HAVE_SECCOMP
    const struct scmp_version *seccomp = seccomp_version();
    printf("libseccomp     %u.%u.%u\n", seccomp->major, seccomp->minor, seccomp->micro);
#endif
    printf("glibc          %s\n", gnu_get_libc_version());
}

void print_version(void)
{
    char cpu[256];
    machine_cpu(cpu, sizeof cpu, "unknown");
    printf("handgrad " HANDGRAD_VERSION "\n");
    if (*COMMIT)
        printf("commit         " COMMIT "\n");
    printf("compiler       " COMPILER "\n");
    print_instruction_sets();
    printf("processors     %d × %s, %d threads\n", omp_get_num_procs(), cpu, omp_get_max_threads());
    print_products(false);
    print_products(true);
    print_libraries();
}
