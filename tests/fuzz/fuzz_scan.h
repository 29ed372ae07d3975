/* fuzz_scan.h: for targets that read HDF5 files with a single reader. The work of the sandbox runs
 * in this process: the scan of what libhdf5 parsed (data/hdf5/h5_scan.c). libhdf5 may crash here;
 * only a crash in our code is a finding (tests/fuzz/blame). */
#pragma once

#include "base/memory.h"
#include "data/hdf5/h5.h"
#include "data/hdf5/sandbox.h"
#include "tests/fuzz/fuzz_h5.h"
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <time.h>

/* Replaces data/hdf5/sandbox.c. */
int sandbox_run(struct sandbox_result *r, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *err)
{
    static void *buffer;
    (void)doing, (void)file, (void)err;
    if (!buffer)
        buffer = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    r->size = work(argument, buffer, capacity);
    r->bytes = malloc(r->size); /* whose end the sanitizer checks */
    memcpy(r->bytes, buffer, r->size);
    return 0;
}

void sandbox_free(struct sandbox_result *r)
{
    free(r->bytes);
    *r = (struct sandbox_result){0};
}

/* Replaces base/memory.c, which queries the system for every file, a fifth of the run time. */
int memory_check(size_t bytes, const char *name, struct error *err)
{
    return bytes <= 1 << 28 ? 0 : fail(err, "%s: too large", name);
}

/* Directs the report of each process to a separate file, FUZZ_REPORTS/r.TIME.PID. Process ids alone
 * are reused and would overwrite earlier reports. */
static void name_report(void)
{
    char path[512];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(path, sizeof path, "%s/r.%lld%09ld", getenv("FUZZ_REPORTS"), (long long)now.tv_sec,
             now.tv_nsec);
    __sanitizer_set_report_path(path);
}

/* libhdf5 clears half a megabyte for each file that it opens. Without a limit on its free lists
 * this target is twice as fast. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (getenv("FUZZ_REPORTS")) {
        name_report();
        pthread_atfork(NULL, NULL, name_report); /* AFL++ forks for each new process */
    }
    return H5set_free_list_limits(-1, -1, -1, -1, -1, -1) < 0;
}

/* Called by the sanitizer before it writes a report, which takes long because of the stack. In case
 * the fuzzer kills the process meanwhile, the place of the bad access and of its caller is written
 * first: "place MODULE+0xOFFSET MODULE+0xOFFSET". */
void __asan_on_error(void)
{
    void *const *frame = __asan_get_report_bp(),
                *pc[] = {__asan_get_report_pc(), frame ? frame[1] : NULL};
    char line[2048] = "place", module[900];
    for (size_t i = 0, n = 5; i < 2 && pc[i]; i++) {
        void *offset;
        if (__sanitizer_get_module_and_offset_for_pc(pc[i], module, sizeof module, &offset))
            n += (size_t)snprintf(line + n, sizeof line - n, " %s+0x%zx", module, (size_t)offset);
    }
    if (pc[0])
        __sanitizer_report_error_summary(line); /* prints it to the report */
}
