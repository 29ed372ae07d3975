/* files.h: shared by tests that use files: a temporary directory, files in it, and checks of calls
 * that return a status. */
#pragma once

#include "base/error.h"
#include "tests/test.h"
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#undef fail /* Check's macro; base/error.h has a function of this name */
#define FIXTURE static inline __attribute__((unused))

static __attribute__((unused)) struct error err;

#define OK(call) ck_assert_msg((call) == 0, "%s: %s", #call, err.text)
#define FAILS(call, part)                                                                          \
    do {                                                                                           \
        strcpy(err.text, "(no error)");                                                            \
        ck_assert_msg((call) != 0, "%s was expected to fail", #call);                              \
        ck_assert_msg(strstr(err.text, part), "\"%s\" does not contain \"%s\"", err.text, part);   \
    } while (0)

/* Creates a temporary directory. It is removed when the process ends or the next one is created. */
static char folder[64];
static pid_t folder_owner;
FIXTURE void remove_folder(void)
{
    char command[192];
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", folder, folder);
    if (getpid() == folder_owner && system(command) != 0)
        perror(folder);
    folder_owner = 0;
}
FIXTURE void enter_folder(void)
{
    remove_folder();
    strcpy(folder, "/tmp/handgrad-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    folder_owner = getpid();
    static bool registered;
    if (!registered)
        atexit(remove_folder);
    registered = true;
}
/* Returns the path of a file in it. The last sixteen results are valid. */
FIXTURE const char *in_folder(const char *name)
{
    static char paths[16][160];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

FIXTURE unsigned char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f, "%s", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size + 1);
    ck_assert_uint_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}
FIXTURE void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f, "%s", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

FIXTURE size_t count_files(void)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

/* Flips bits of one byte in place. Rewriting the file would make some file systems sync it. */
FIXTURE void flip_bits(const char *path, size_t offset, unsigned char bits)
{
    FILE *f = fopen(path, "r+b");
    ck_assert_msg(f, "%s", path);
    fseek(f, (long)offset, SEEK_SET);
    const int c = getc(f);
    fseek(f, (long)offset, SEEK_SET);
    putc(c ^ bits, f);
    fclose(f);
}
