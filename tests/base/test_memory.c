/* test_memory.c: what is left of memory under control groups, and files that say they are larger
 * than it. */
#include "base/memory.h"
#include "tests/test.h"
#include "train/checkpoint/image.h"
#include "train/ids_file.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error err;
static char dir[64];

static void enter_dir(void)
{
    strcpy(dir, "/tmp/handgrad-memory-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void leave_dir(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static char *put(const char *name, const char *text, size_t size)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *slash = path + strlen(dir) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, size, f), size);
    fclose(f);
    return path;
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static size_t left(const char *groups)
{
    char path[128];
    put_text("groups", groups);
    snprintf(path, sizeof path, "%s/groups", dir);
    return memory_of_groups(path, dir);
}

/* A scheduler sets its limit on an ancestor of the process's group; file pages do not count. */
START_TEST(limits_of_groups_above)
{
    enter_dir();
    ck_assert_uint_eq(left("0::/\n"), SIZE_MAX);
    put_text("job/memory.max", "1000\n");
    put_text("job/memory.current", "400\n");
    put_text("job/memory.stat", "anon 300\ninactive_file 100\n");
    put_text("job/step/memory.max", "max\n");
    put_text("job/step/task/memory.max", "900\n");
    put_text("job/step/task/memory.current", "100\n");
    ck_assert_uint_eq(left("0::/job/step/task\n"), 700);
    ck_assert_uint_eq(left("0::/job/step\n"), 700);
    ck_assert_uint_eq(left("0::/\n"), SIZE_MAX);
    ck_assert_uint_eq(left("0::/elsewhere\n"), SIZE_MAX);
    put_text("job/step/task/memory.current", "5000\n"); /* more than all of it */
    ck_assert_uint_eq(left("0::/job/step/task\n"), 0);
    put_text("memory/memory.limit_in_bytes",
             "50\n"); /* the first version, as a container sees it: its own group is the root */
    put_text("memory/memory.usage_in_bytes", "20\n");
    ck_assert_uint_eq(left("5:cpu:/x\n4:memory:/not/here\n"), 30);
    leave_dir();
}
END_TEST

/* A sealed block before a hole of 2^43 bytes is rejected before any memory is allocated. */
START_TEST(a_file_larger_than_memory)
{
    enter_dir();
    unsigned char block[USER_BLOCK];
    struct h5_image image;
    uint64_t step;
    const uint64_t size = (uint64_t)1 << 43; /* ext4 holds no 16 TiB */
    image_write_block(block, size - USER_BLOCK, 1, 0);
    const char *path = put("hole.h5", (const char *)block, sizeof block);
    if (truncate(path, (off_t)size) == 0) {
        ck_assert_int_eq(image_read(&image, &step, path, &err), -1);
        ck_assert_msg(strstr(err.text, "hole.h5: needs 8.8 TB of memory, "), "%s", err.text);
    }
    leave_dir();
}
END_TEST

static int read_ids(const char *text, size_t size, size_t *rows)
{
    uint32_t *ids = NULL;
    size_t columns;
    const int status = ids_file_read(put("ids", text, size), 300, &ids, rows, &columns, &err);
    if (!status)
        free(ids);
    return status;
}

START_TEST(lines_of_ids)
{
    size_t rows;
    enter_dir();
    ck_assert_int_eq(read_ids("1 2\r\n\n 3\t4", 10, &rows), 0);
    ck_assert_uint_eq(rows, 2);
    ck_assert_int_eq(read_ids("1 2\0 4\n", 7, &rows), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "not a text file"));
    ck_assert_int_eq(read_ids("1 2\n3 x\n", 8, &rows), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2: 'x' is not a token id"));
    ck_assert_int_eq(read_ids("", 0, &rows), -1);
    leave_dir();
}
END_TEST

SUITE("train/memory", limits_of_groups_above, a_file_larger_than_memory, lines_of_ids)
