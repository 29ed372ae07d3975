/* fuzz_index.c: what a compromised sandbox could send, and everything that reads from it. The first
 * eight bytes give the size of the index, which the file follows. */
#include "data/hdf5/h5_read.h"
#include "data/hdf5/sandbox.h"
#include "tests/fuzz/fuzz_h5.h"

static const void *sent; /* the index */
static size_t sent_size;

/* Replaces data/hdf5/sandbox.c. */
int sandbox_run(struct sandbox_result *r, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *err)
{
    (void)work, (void)argument, (void)capacity, (void)doing, (void)file, (void)err;
    r->bytes = malloc(sent_size + !sent_size); /* aligned, with a checked end */
    r->size = sent_size;
    memcpy(r->bytes, sent, sent_size);
    return 0;
}

void sandbox_free(struct sandbox_result *r)
{
    free(r->bytes);
    *r = (struct sandbox_result){0};
}

/* Reads every member, attribute and dataset that a reader might request. */
static void walk(struct h5_node group, unsigned depth)
{
    static uint64_t elements[1 << 10];
    struct error err;
    uint64_t u;
    double x;
    char *text = NULL;
    static const char *const NAMES[] = {"count", "name",   "flat", "packed",
                                        "group", "format", "kind", "vocab_size"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct h5_node d;
        h5_read_u64(group, NAMES[i], &u, &err);
        h5_read_f64(group, NAMES[i], &x, &err);
        if (h5_read_string(group, NAMES[i], &text, &err) == 0)
            free(text);
        for (enum h5_type t = TYPE_U8; t <= TYPE_F64; t++)
            if (h5_find_dataset(group, NAMES[i], t, 1 << 10, &d, &err) == 0)
                h5_read(d, 0, d.entry->dims[0], elements, &err);
        if (depth < 3 && h5_group(group, NAMES[i], &d))
            walk(d, depth + 1);
    }
    tokenizer_destroy(tokenizer_read(group, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    struct error err;
    uint64_t split;
    if (size < 8)
        return 0;
    memcpy(&split, data, 8);
    size -= 8, data += 8;
    split = split > size ? size : split;
    sent = data, sent_size = split;
    data += split, size -= split;
    void *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    struct h5_reader *r = h5_open_bytes(bytes, size, "f", &err);
    if (r) {
        const struct h5_node root = h5_root(r);
        struct h5_node ignored;
        walk(root, 0);
        if (h5_member(root, "tokens", &ignored))
            fuzz_shard(fuzz_write(&file, "file", data, size));
        if (h5_has_attribute(root, "kind"))
            fuzz_tokenizer(fuzz_write(&file, "file", data, size));
        if (size > USER_BLOCK && h5_has_attribute(root, "config"))
            fuzz_checkpoint(fuzz_write_sealed(&file, data, size));
    }
    h5_close(r);
    free(bytes);
    return 0;
}
