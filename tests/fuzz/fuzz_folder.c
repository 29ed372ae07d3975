/* fuzz_folder.c: an untrusted run directory, as it is read by the report, the page and the plot,
 * and as it is truncated by a run that resumes. The input holds metrics, tensors, samples, starts
 * and the configuration, separated by bytes 0x01. */
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
static FILE *discarded;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct error err;
    discarded = fopen("/dev/null", "w");
    if (history_open(&history, fuzz_dir(), &err) || !discarded ||
        !freopen("/dev/null", "w", stdout))
        abort();
    return 0;
}

/* Makes the next refresh read all files again. */
static void reset_history(void)
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
        log_validation(&log, step, 1.5, "");
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
    const size_t whole = size; /* selects one action, which is faster than all */
    for (size_t i = 0; i < FILES; i++) {
        const uint8_t *end = memchr(data, 1, size);
        const size_t n = end && i + 1 < FILES ? (size_t)(end - data) : size;
        fuzz_write(&files[i], NAMES[i], data, n);
        data += n, size -= n;
        if (size)
            data++, size--;
    }
    reset_history();
    if (history_refresh(&history, &err) == 0 && whole % 4 != 1) {
        if (whole % 4)
            free(history_json(&history, &nothing));
        else
            plot_losses(discarded, &history, &terminal);
    }
    if (whole % 4 == 1)
        cut(3);
    return 0;
}
