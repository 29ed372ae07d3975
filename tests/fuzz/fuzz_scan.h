/* fuzz_scan.h: for targets that read HDF5 files, each with a reader of its own. What the sandbox does runs in this process: our walk over
 * what libhdf5 parsed (data/h5_scan.c). libhdf5 itself may crash here, as it has; only a crash in code of ours is a finding
 * (tests/fuzz/blame). */
#ifndef FUZZ_SCAN_H
#define FUZZ_SCAN_H

#include "../../data/h5.h"
#include "../../data/sandbox.h"
#include "../../train/memory.h"
#include "fuzz_h5.h"
#include <sys/mman.h>

/* In the place of data/sandbox.c. */
int sandbox_run(struct sandbox_result *r, sandbox_work *work, void *argument, size_t capacity, const char *doing,
                const char *file, struct error *err)
{
    static void *room;
    (void)doing, (void)file, (void)err;
    if (!room)
        room = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    r->size = work(argument, room, capacity);
    r->bytes = malloc(r->size); /* with an end that is watched */
    memcpy(r->bytes, room, r->size);
    return 0;
}

void sandbox_free(struct sandbox_result *r)
{
    free(r->bytes);
    *r = (struct sandbox_result){0};
}

/* In the place of train/memory.c, which asks the system at every file: a fifth of the time. */
int memory_check(size_t bytes, const char *name, struct error *err)
{
    return bytes <= 1 << 28 ? 0 : fail(err, "%s: too large", name);
}

/* libhdf5 clears half a megabyte for each file that it opens: that it keeps what it frees makes this target twice as fast. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return H5set_free_list_limits(-1, -1, -1, -1, -1, -1) < 0;
}

#endif
