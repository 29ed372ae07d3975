/* fuzz_folder.c: a run folder of somebody else, as the report, the page and the plot read it, and as a run that goes on cuts it: metrics,
 * tensors, samples, starts and the configuration, with a byte 0x01 between two. */
#include "base/jsonl.h"
#include "tests/fuzz/fuzz.h"
#include "train/log.h"
#include "train/report/history.h"
#include "train/report/plot.h"
#include <math.h>

enum { FILES = 5 };
static const char *const NAMES[FILES] = {"metrics.jsonl", "tensors.jsonl", "samples.jsonl",
                                         "starts.jsonl", "config.ini"};
static struct history history;
static struct fuzz_file files[FILES];
static FILE *nowhere;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct error err;
    nowhere = fopen("/dev/null", "w");
    if (history_open(&history, fuzz_dir(), &err) || !nowhere || !freopen("/dev/null", "w", stdout))
        abort();
    return 0;
}

/* As if nothing had been read. */
static void forget(void)
{
    for (size_t i = 0; i < HISTORY_FILES; i++)
        history.files[i].inode = 0;
    cJSON_Delete(history.config);
    history.config = NULL;
    history.clip = NAN;
}

static void cut(uint64_t step)
{
    struct error err;
    struct log log;
    struct jsonl lines;
    if (log_open(&log, history.dir, step, 100, 10, &err) == 0)
        log_validation(&log, step, 1.5);
    log_close(&log);
    if (jsonl_open(&lines, history.dir, NAMES[1], step, &err) == 0 && lines.last > step)
        abort();
    jsonl_close(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    static const struct history_seen nothing;
    static const struct terminal terminal = {.width = 40};
    const size_t whole = size; /* says what is done, to be quicker than all of it */
    for (size_t i = 0; i < FILES; i++) {
        const uint8_t *end = memchr(data, 1, size);
        const size_t n = end && i + 1 < FILES ? (size_t)(end - data) : size;
        fuzz_write(&files[i], NAMES[i], data, n);
        data += n, size -= n;
        if (size)
            data++, size--;
    }
    forget();
    if (history_refresh(&history, &err) == 0 && whole % 4 != 1) {
        if (whole % 4)
            free(history_json(&history, &nothing));
        else
            plot_losses(nowhere, &history, &terminal);
    }
    if (whole % 4 == 1)
        cut(3);
    return 0;
}
