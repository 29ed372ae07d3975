/* tokenizer.c: see tokenizer.h.
 *
 * In a file, a tokenizer is a group with the attributes format, kind, vocab_size and fingerprint,
 * and for byte and char, end_of_text if they have that token; for char also the dataset
 * code_points, for bpe what bpe_h5.c writes. The fingerprint covers everything that determines
 * ids, so recomputing it detects any damage.
 */
#include "data/tokenizer/tokenizer.h"
#include "base/atomic.h"
#include "base/utf8.h"
#include "data/hdf5/h5.h"
#include "data/tokenizer/bpe_files.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FORMAT = 1 };

/* Whether an id is that of byte's or char's special token. */
static bool is_end(const struct tokenizer *t, uint32_t id)
{
    return !t->bpe && id >= t->symbols;
}

static void compute_fingerprint(struct tokenizer *t)
{
    struct digest d;
    digest_init(&d);
    digest_update_string(&d, t->kind);
    for (size_t i = 0; i < t->symbols && t->code_points; i++)
        digest_update_u32(&d, t->code_points[i]);
    if (t->bpe)
        bpe_digest(t->bpe, &d);
    else if (t->vocab_size > t->symbols)
        digest_update_string(&d, END_OF_TEXT);
    digest_finish(&d, t->fingerprint);
}

struct tokenizer *tokenizer_create_byte(struct error *err)
{
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t || !(t->tokens = calloc(BPE_BYTES, sizeof *t->tokens))) {
        free(t);
        return fail_null(err, "byte tokenizer: out of memory");
    }
    t->kind = "byte";
    t->vocab_size = t->symbols = BPE_BYTES;
    for (size_t i = 0; i < BPE_BYTES; i++)
        t->tokens[i] = (struct token){.bytes = {(char)i}, .length = 1};
    compute_fingerprint(t);
    return t;
}

static int check_alphabet(const uint32_t *c, size_t n, struct error *err)
{
    if (n == 0)
        return fail(err, "char tokenizer: the alphabet is empty");
    for (size_t i = 0; i < n; i++) {
        if (c[i] >= CODE_POINTS || (c[i] >= 0xD800 && c[i] <= 0xDFFF))
            return fail(err, "char tokenizer: symbol %zu is U+%04X, which is not a character", i,
                        c[i]);
        if (i > 0 && c[i] <= c[i - 1])
            return fail(err, "char tokenizer: symbol %zu, U+%04X, is not above the previous one", i,
                        c[i]);
    }
    return 0;
}

struct tokenizer *tokenizer_create_char(const uint32_t *code_points, size_t n, struct error *err)
{
    if (check_alphabet(code_points, n, err))
        return NULL;
    struct tokenizer *t = calloc(1, sizeof *t);
    if (t) {
        t->kind = "char";
        t->vocab_size = t->symbols = n;
        t->n_ids = code_points[n - 1] + 1;
        t->tokens = calloc(n, sizeof *t->tokens);
        t->code_points = malloc(n * sizeof *t->code_points);
        t->ids = calloc(t->n_ids, sizeof *t->ids);
    }
    if (!t || !t->tokens || !t->code_points || !t->ids) {
        tokenizer_destroy(t);
        return fail_null(err, "char tokenizer: out of memory for %zu symbols", n);
    }
    for (size_t i = 0; i < n; i++) {
        t->code_points[i] = code_points[i];
        t->ids[code_points[i]] = (uint32_t)i + 1;
        t->tokens[i].length = (uint8_t)utf8_encode(code_points[i], t->tokens[i].bytes);
    }
    compute_fingerprint(t);
    return t;
}

struct tokenizer *tokenizer_create_bpe(struct bpe *bpe, struct error *err)
{
    struct tokenizer *t = bpe ? calloc(1, sizeof *t) : NULL;
    if (bpe && !t) {
        bpe_destroy(bpe);
        fail(err, "bpe tokenizer: out of memory");
    }
    if (!t)
        return NULL;
    t->kind = "bpe";
    t->bpe = bpe;
    t->vocab_size = bpe->model.vocab_size;
    compute_fingerprint(t);
    return t;
}

void tokenizer_add_end_of_text(struct tokenizer *t)
{
    t->vocab_size = t->symbols + 1;
    compute_fingerprint(t);
}

void tokenizer_destroy(struct tokenizer *t)
{
    if (!t)
        return;
    bpe_destroy(t->bpe);
    free(t->tokens);
    free(t->code_points);
    free(t->ids);
    free(t);
}

int tokenizer_encode_piece(const struct tokenizer *t, const char *text, size_t length,
                           uint64_t offset, uint32_t *ids, size_t *n, struct error *err)
{
    *n = 0;
    if (t->bpe)
        return fail(err, "a piece of text cannot be encoded by itself"); /* a word may continue */
    if (!t->code_points) {
        for (size_t i = 0; i < length; i++)
            ids[i] = (uint8_t)text[i];
        *n = length;
        return 0;
    }
    for (size_t i = 0; i < length;) {
        uint32_t c;
        const int bytes = utf8_decode(text + i, length - i, &c);
        const uint64_t at = offset + i;
        if (bytes <= 0)
            return fail(err,
                        bytes ? "byte %" PRIu64 ": the text ends inside a UTF-8 character"
                              : "byte %" PRIu64 ": 0x%02X is not valid UTF-8",
                        at, (uint8_t)text[i]);
        if (c >= t->n_ids || t->ids[c] == 0)
            return fail(err,
                        "byte %" PRIu64 ": U+%04X \"%.*s\" is not among the %zu symbols of the "
                        "char tokenizer",
                        at, c, bytes, text + i, t->symbols);
        ids[(*n)++] = t->ids[c] - 1;
        i += (size_t)bytes;
    }
    return 0;
}

/* Encodes a complete text for byte and char. */
static int encode_symbols(const struct tokenizer *t, const char *text, size_t length, bool special,
                          uint32_t *ids, size_t *n, struct error *err)
{
    const size_t name = strlen(END_OF_TEXT);
    uint32_t end_of_text;
    special &= tokenizer_end_of_text(t, &end_of_text);
    *n = 0;
    for (size_t i = 0, m;;) {
        const char *next = special ? memmem(text + i, length - i, END_OF_TEXT, name) : NULL;
        const size_t end = next ? (size_t)(next - text) : length;
        if (tokenizer_encode_piece(t, text + i, end - i, i, ids + *n, &m, err))
            return -1;
        *n += m;
        if (!next)
            return 0;
        ids[(*n)++] = end_of_text;
        i = end + name;
    }
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, bool special,
                     uint32_t **ids, size_t *n, struct error *err)
{
    *n = 0;
    *ids = malloc((length ? length : 1) * sizeof **ids);
    if (!*ids)
        return fail(err, "out of memory for the tokens of %zu bytes", length);
    const int status = t->bpe ? bpe_encode(t->bpe, text, length, special, *ids, n, err)
                              : encode_symbols(t, text, length, special, *ids, n, err);
    if (status != 0) {
        free(*ids);
        *ids = NULL;
        *n = 0;
    }
    return status;
}

const char *tokenizer_name(const struct tokenizer *t, uint32_t id, size_t *length)
{
    if (t->bpe)
        return bpe_token(&t->bpe->model, id, length);
    if (is_end(t, id)) {
        *length = strlen(END_OF_TEXT);
        return END_OF_TEXT;
    }
    *length = t->tokens[id].length;
    return t->tokens[id].bytes;
}

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id)
{
    return t->bpe ? t->bpe->model.kinds[id] != BPE_NORMAL : is_end(t, id);
}

const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *length)
{
    const char *name = tokenizer_name(t, id, length);
    if (tokenizer_is_special(t, id))
        *length = 0;
    return name;
}

bool tokenizer_end_of_text(const struct tokenizer *t, uint32_t *id)
{
    *id = (uint32_t)t->symbols;
    if (!t->bpe)
        return t->vocab_size > t->symbols;
    const struct bytemap *specials = &t->bpe->specials;
    const struct bytemap_entry *e = bytemap_find(specials, END_OF_TEXT, strlen(END_OF_TEXT));
    if (!e && specials->n)
        e = specials->entries; /* entries are in the order of ids */
    *id = e ? (uint32_t)e->value : BPE_NONE;
    return e;
}

/* --- files --- */

int tokenizer_write(const struct tokenizer *t, hid_t group, const char *file, struct error *err)
{
    if (h5_write_u64(group, "format", FORMAT, file, err) ||
        h5_write_string(group, "kind", t->kind, file, err) ||
        h5_write_u64(group, "vocab_size", t->vocab_size, file, err) ||
        h5_write_string(group, "fingerprint", t->fingerprint, file, err))
        return -1;
    if (t->bpe)
        return bpe_write(t->bpe, group, file, err);
    if (t->vocab_size > t->symbols && h5_write_u64(group, "end_of_text", t->symbols, file, err))
        return -1;
    return t->code_points ? h5_write_array(group, "code_points", TYPE_U32, t->symbols, 0,
                                           t->code_points, file, err)
                          : 0;
}

static struct tokenizer *read_char(struct h5_node group, uint64_t symbols, struct error *err)
{
    uint32_t *code_points = h5_read_array(group, "code_points", TYPE_U32, symbols, err);
    if (!code_points)
        return NULL;
    struct tokenizer *t = tokenizer_create_char(code_points, symbols, err);
    free(code_points);
    return t ? t : fail_null(err, "%s: %s", h5_file_name(group), err->text);
}

struct tokenizer *tokenizer_read(struct h5_node group, struct error *err)
{
    const char *file = h5_file_name(group);
    uint64_t format, vocab_size, end_of_text = 0;
    char *kind = NULL, *fingerprint = NULL;
    struct tokenizer *t = NULL;
    if (h5_read_u64(group, "format", &format, err) || h5_read_string(group, "kind", &kind, err) ||
        h5_read_u64(group, "vocab_size", &vocab_size, err) ||
        h5_read_string(group, "fingerprint", &fingerprint, err))
        goto out;
    const bool has_end = h5_has_attribute(group, "end_of_text");
    if (has_end && h5_read_u64(group, "end_of_text", &end_of_text, err))
        goto out;
    if (format != FORMAT)
        fail(err, "%s: tokenizer format %" PRIu64 "; this handgrad reads %d", file, format, FORMAT);
    else if (has_end && (!vocab_size || end_of_text != vocab_size - 1))
        fail(err, "%s: end_of_text %" PRIu64 ": expected the last id, %" PRIu64, file, end_of_text,
             vocab_size - 1);
    else if (strcmp(kind, "byte") == 0)
        t = tokenizer_create_byte(err);
    else if (strcmp(kind, "char") == 0)
        t = read_char(group, vocab_size - has_end, err);
    else if (strcmp(kind, "bpe") == 0)
        t = tokenizer_create_bpe(bpe_read(group, vocab_size, err), err);
    else
        fail(err, "%s: tokenizer kind \"%s\": expected byte, char or bpe", file, kind);
    if (t && has_end && !t->bpe)
        tokenizer_add_end_of_text(t);
    if (t && (t->vocab_size != vocab_size || strcmp(t->fingerprint, fingerprint) != 0)) {
        fail(err, "%s: the tokenizer's fingerprint does not match its vocabulary", file);
        tokenizer_destroy(t);
        t = NULL;
    }
out:
    free(kind);
    free(fingerprint);
    return t;
}

int tokenizer_save(const struct tokenizer *t, const char *path, struct error *err)
{
    struct h5_image image;
    h5_lock();
    int status = h5_image_create(&image, path, err);
    if (status == 0)
        status = tokenizer_write(t, image.file, path, err);
    if (status == 0)
        status = h5_image_finish(&image, path, err);
    h5_unlock();
    if (status == 0)
        status = atomic_write(path, image.bytes, image.size, err);
    h5_image_free(&image);
    return status;
}

/* From the root of a file, or with `any`, from its group "tokenizer" if it has one. */
static struct tokenizer *load(const char *path, bool any, struct error *err)
{
    struct h5_reader *file = h5_open(path, err);
    struct h5_node group;
    struct tokenizer *t = NULL;
    if (file) {
        if (!any || !h5_member(h5_root(file), "tokenizer", &group))
            group = h5_root(file);
        t = tokenizer_read(group, err);
    }
    h5_close(file);
    return t;
}

struct tokenizer *tokenizer_load(const char *path, struct error *err)
{
    return load(path, false, err);
}

struct tokenizer *tokenizer_load_any(const char *path, const struct bpe_hints *hints,
                                     struct error *err)
{
    char inside[PATH_MAX];
    struct stat s;
    if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode))
        return h5_is(path) ? load(path, true, err)
                           : tokenizer_create_bpe(bpe_load(path, hints, err), err);
    return snprintf(inside, sizeof inside, "%s/tokenizer.h5", path) < PATH_MAX
               ? tokenizer_load(inside, err)
               : fail_null(err, "%s: %s", path, strerror(ENAMETOOLONG));
}
