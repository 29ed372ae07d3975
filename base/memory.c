/* memory.c: see memory.h. */
#include "base/memory.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number behind `key` at the beginning of a line of a file, or at its beginning where the key is empty. */
static bool read_number(const char *path, const char *key, uint64_t *value)
{
    char line[256];
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f))
        found = !strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%lu", value) == 1;
    if (f)
        fclose(f);
    return found;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What a limit leaves of what is used. */
static size_t left(uint64_t limit, uint64_t used)
{
    return limit > used ? (size_t)(limit - used) : 0;
}

/* What a control group leaves, of the second version or the first. Pages of files that it holds can be given back. */
static size_t group_left(const char *group, bool second)
{
    char path[PATH_MAX + 64];
    uint64_t limit, used, file = 0;
    snprintf(path, sizeof path, "%s/%s", group, second ? "memory.max" : "memory.limit_in_bytes");
    if (!read_number(path, "", &limit))
        return SIZE_MAX;
    snprintf(path, sizeof path, "%s/%s", group,
             second ? "memory.current" : "memory.usage_in_bytes");
    if (!read_number(path, "", &used))
        return SIZE_MAX;
    snprintf(path, sizeof path, "%s/memory.stat", group);
    (void)read_number(path, second ? "inactive_file " : "total_inactive_file ", &file);
    return left(limit, used - smaller(file, used));
}

/* The least that our group and those above it leave: schedulers set limits a level or two up. From inside a container, whose root it
 * is, only the root may be there. */
static size_t groups_left(const char *root, const char *group, bool second)
{
    char path[PATH_MAX];
    size_t least = group_left(root, second);
    if (snprintf(path, sizeof path, "%s%s", root, group) >= (int)sizeof path)
        return least;
    for (char *end; (end = strrchr(path, '/')) >= path + strlen(root); *end = '\0')
        least = smaller(least, group_left(path, second));
    return least;
}

/* A line is "0::/GROUP", or "7:memory:/GROUP" of the first version. */
size_t memory_of_groups(const char *groups, const char *root)
{
    char line[PATH_MAX], first[PATH_MAX];
    size_t least = SIZE_MAX;
    FILE *f = fopen(groups, "re");
    snprintf(first, sizeof first, "%s/memory", root);
    while (f && fgets(line, sizeof line, f)) {
        const char *controllers = strchr(line, ':'),
                   *group = controllers ? strchr(controllers + 1, ':') : NULL;
        line[strcspn(line, "\n")] = '\0';
        if (group && group == controllers + 1)
            least = smaller(least, groups_left(root, group + 1, true));
        else if (group && !strncmp(controllers + 1, "memory:", 7))
            least = smaller(least, groups_left(first, group + 1, false));
    }
    if (f)
        fclose(f);
    return least;
}

static size_t address_space_available(void)
{
    struct rlimit limit;
    uint64_t kilobytes;
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
        !read_number("/proc/self/status", "VmSize:", &kilobytes))
        return SIZE_MAX;
    return left(limit.rlim_cur, kilobytes << 10);
}

size_t memory_available(void)
{
    uint64_t kilobytes;
    size_t available = SIZE_MAX;
    if (read_number("/proc/meminfo", "MemAvailable:", &kilobytes))
        available = (size_t)kilobytes << 10;
    return smaller(available, smaller(memory_of_groups("/proc/self/cgroup", "/sys/fs/cgroup"),
                                      address_space_available()));
}

char *memory_text(size_t bytes, char text[24])
{
    const double x = (double)bytes;
    if (x >= 1e15)
        snprintf(text, 24, "%.3g PB", x / 1e15);
    else if (x >= 1e12)
        snprintf(text, 24, "%.1f TB", x / 1e12);
    else if (x >= 1e9)
        snprintf(text, 24, "%.1f GB", x / 1e9);
    else
        snprintf(text, 24, "%.0f MB", x / 1e6);
    return text;
}

int memory_check(size_t bytes, const char *name, struct error *err)
{
    char need[24], have[24];
    const size_t available = memory_available();
    if (bytes <= available)
        return 0;
    return fail(err, "%s: needs %s of memory, %s are free", name, memory_text(bytes, need),
                memory_text(available, have));
}
