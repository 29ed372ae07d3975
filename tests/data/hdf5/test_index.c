/* test_index.c: the index of an HDF5 file is untrusted: whatever it contains, the reader stays
 * within its bounds. */
#include "data/hdf5/h5_read.h"
#include "tests/data_fixture.h"

/* Replaces sandbox_run: "sends" this index, or if it is NULL, scans the file in this process. */
static const void *sent;
static size_t sent_size;

int sandbox_run(struct sandbox_result *r, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *e)
{
    (void)doing, (void)file, (void)e;
    r->bytes = malloc(sent ? sent_size + !sent_size : capacity);
    r->size = sent ? sent_size : work(argument, r->bytes, capacity);
    if (sent)
        memcpy(r->bytes, sent, sent_size); /* an exact copy, so that a sanitizer checks its end */
    return 0;
}

void sandbox_free(struct sandbox_result *r)
{
    free(r->bytes);
    *r = (struct sandbox_result){0};
}

static struct h5_reader *open_index(const void *bytes, size_t size, const void *index, size_t n)
{
    sent = index;
    sent_size = n;
    struct h5_reader *r = h5_open_bytes(bytes, size, "f", &err);
    sent = NULL;
    return r;
}

static void fill_file(hid_t root, bool with_group)
{
    static const uint32_t NUMBERS[1000] = {1, 2, 3};
    OK(h5_write_u64(root, "count", 3, "f", &err));
    OK(h5_write_string(root, "name", "value", "f", &err));
    OK(h5_write_array(root, "flat", TYPE_U32, 1000, 0, NUMBERS, "f", &err));
    OK(h5_write_array(root, "packed", TYPE_U32, 1000, 300, NUMBERS, "f", &err));
    if (with_group) {
        const hid_t group = H5Gcreate2(root, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_hard(root, "/", group, "itself", H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(group);
    }
}

static void make_file(struct h5_image *image, bool with_group)
{
    h5_lock();
    OK(h5_image_create(image, "f", &err));
    fill_file(image->file, with_group);
    OK(h5_image_finish(image, "f", &err));
    h5_unlock();
}

/* Reads everything and returns the sum of what it sees, so that a sanitizer checks each byte. */
static uint64_t read_all(const struct h5_reader *r, bool *complete)
{
    const struct h5_node root = h5_root(r);
    struct h5_node d;
    uint64_t sum = 0, v = 0;
    uint32_t numbers[1000];
    char *text = NULL;
    *complete =
        h5_read_u64(root, "count", &v, &err) == 0 && h5_read_string(root, "name", &text, &err) == 0;
    sum += v + (text ? strlen(text) : 0);
    free(text);
    for (int i = 0; i < 2; i++)
        if (h5_find_dataset(root, i ? "packed" : "flat", TYPE_U32, 1000, &d, &err) == 0 &&
            h5_read(d, 0, d.entry->dims[0], numbers, &err) == 0)
            for (size_t k = 0; k < d.entry->dims[0]; k++)
                sum += numbers[k];
        else
            *complete = false;
    return sum;
}

START_TEST(a_group_in_itself_is_rejected)
{
    struct h5_image image;
    make_file(&image, true);
    FAILS(!h5_open_bytes(image.bytes, image.size, "f", &err),
          "f: contains too many groups, or a group that contains itself");
    h5_image_free(&image);
}
END_TEST

START_TEST(changed_indices_are_harmless)
{
    static const uint64_t VALUES[] = {
        0, 1, 255, 1u << 31, UINT32_MAX, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX - 7};
    struct h5_image image;
    bool complete;
    size_t accepted = 0, rounds = 0;
    unsigned char *index = malloc(1 << 16);
    make_file(&image, false);
    const size_t size = h5_scan(&(struct h5_scan){image.bytes, image.size}, index, 1 << 16);
    struct h5_reader *r = open_index(image.bytes, image.size, index, size);
    ck_assert_msg(r, "%s", err.text);
    const uint64_t sum = read_all(r, &complete);
    ck_assert(complete && sum == 3 + 5 + 2 * 6);
    h5_close(r);
    for (size_t at = 0; at + 8 <= size; at += 4, rounds++) {
        unsigned char saved[8];
        memcpy(saved, index + at, 8);
        memcpy(index + at, &VALUES[random_below(8)], random_below(2) ? 4 : 8);
        const size_t cut = random_below(8) == 0 ? random_below(size) : 0;
        if ((r = open_index(image.bytes, image.size, index, size - cut)))
            read_all(r, &complete);
        accepted += r != NULL;
        h5_close(r);
        memcpy(index + at, saved, 8);
    }
    ck_assert(accepted > 0 && accepted < rounds);
    free(index);
    h5_image_free(&image);
}
END_TEST

/* An index could make the reader process the same bytes for hours: by text without an end, or by
 * chunks that datasets share. */
START_TEST(indices_take_no_time)
{
    struct h5_image image;
    static unsigned char index[1 << 16];
    make_file(&image, false);
    const size_t size = h5_scan(&(struct h5_scan){image.bytes, image.size}, index, sizeof index);
    struct h5_index *head = (struct h5_index *)(void *)index;
    struct h5_entry *entries = (struct h5_entry *)(head + 1), *flat = NULL, *packed = NULL;
    for (uint64_t i = 0; i < head->n_entries; i++)
        if (entries[i].kind == KIND_DATASET)
            *(entries[i].layout == LAYOUT_CHUNKED ? &packed : &flat) = &entries[i];
    ck_assert(flat && packed);
    const struct h5_entry saved = *flat;
    *flat = *packed;
    flat->name = saved.name;
    FAILS(!open_index(image.bytes, image.size, index, size), "its contents are inconsistent");
    *flat = saved;
    index[size - 1] = 'x';
    FAILS(!open_index(image.bytes, image.size, index, size), "its contents are inconsistent");
    index[size - 1] = 0;
    struct h5_reader *r = open_index(image.bytes, image.size, index, size);
    ck_assert_msg(r, "%s", err.text);
    h5_close(r);
    h5_image_free(&image);
}
END_TEST

/* Only entries of the kind attribute have been checked as such; found by fuzzing. */
START_TEST(an_attribute_of_another_kind_is_missing)
{
    struct h5_image image;
    static unsigned char index[1 << 16];
    char *text;
    make_file(&image, false);
    const size_t size = h5_scan(&(struct h5_scan){image.bytes, image.size}, index, sizeof index);
    struct h5_index *head = (struct h5_index *)(void *)index;
    struct h5_entry *entries = (struct h5_entry *)(head + 1);
    for (uint64_t i = 0; i < head->n_entries; i++)
        if (entries[i].type == TYPE_STRING) {
            entries[i].kind = KIND_UNKNOWN;
            entries[i].offset = UINT64_MAX / 2;
        }
    struct h5_reader *r = open_index(image.bytes, image.size, index, size);
    ck_assert_msg(r, "%s", err.text);
    FAILS(h5_read_string(h5_root(r), "name", &text, &err), "f: attribute name is missing");
    h5_close(r);
    h5_image_free(&image);
}
END_TEST

SUITE("data/hdf5/index", a_group_in_itself_is_rejected, changed_indices_are_harmless,
      indices_take_no_time, an_attribute_of_another_kind_is_missing)
