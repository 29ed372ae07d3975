/* memory.c: see memory.h. */
#include "base/memory.h"
#include "base/minmax.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Reads the number after `key` at the beginning of a line of DIRECTORY/NAME; an empty key matches
 * the first line. */
static bool read_number(const char *directory, const char *name, const char *key, uint64_t *value)
{
    char path[PATH_MAX + 64], line[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f))
        found = !strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%lu", value) == 1;
    if (f)
        fclose(f);
    return found;
}

/* limit - used, at least 0. */
static size_t remaining(uint64_t limit, uint64_t used)
{
    return limit > used ? limit - used : 0;
}

/* Memory that one control group leaves, in version 1 or 2 of the interface. Its file cache can be
 * reclaimed and does not count as used. */
static size_t group_available(const char *group, bool v2)
{
    uint64_t limit, used, file = 0;
    if (!read_number(group, v2 ? "memory.max" : "memory.limit_in_bytes", "", &limit) ||
        !read_number(group, v2 ? "memory.current" : "memory.usage_in_bytes", "", &used))
        return SIZE_MAX;
    read_number(group, "memory.stat", v2 ? "inactive_file " : "total_inactive_file ", &file);
    return remaining(limit, used - size_min(file, used));
}

/* The minimum over a group and its ancestors: schedulers set limits a level or two up. Inside a
 * container, whose own group is the root, only the root may exist. */
static size_t ancestors_available(const char *root, const char *group, bool v2)
{
    char path[PATH_MAX];
    size_t available = group_available(root, v2);
    if (snprintf(path, sizeof path, "%s%s", root, group) >= (int)sizeof path)
        return available;
    for (char *end; (end = strrchr(path, '/')) >= path + strlen(root); *end = '\0')
        available = size_min(available, group_available(path, v2));
    return available;
}

/* A line is "0::/GROUP" in version 2, "7:memory:/GROUP" in version 1. */
size_t memory_of_groups(const char *groups, const char *root)
{
    char line[PATH_MAX], v1_root[PATH_MAX];
    size_t available = SIZE_MAX;
    FILE *f = fopen(groups, "re");
    snprintf(v1_root, sizeof v1_root, "%s/memory", root);
    while (f && fgets(line, sizeof line, f)) {
        const char *controllers = strchr(line, ':'),
                   *group = controllers ? strchr(controllers + 1, ':') : NULL;
        line[strcspn(line, "\n")] = '\0';
        if (group && group == controllers + 1)
            available = size_min(available, ancestors_available(root, group + 1, true));
        else if (group && !strncmp(controllers + 1, "memory:", 7))
            available = size_min(available, ancestors_available(v1_root, group + 1, false));
    }
    if (f)
        fclose(f);
    return available;
}

static size_t address_space_available(void)
{
    struct rlimit limit;
    uint64_t kilobytes;
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
        !read_number("/proc/self", "status", "VmSize:", &kilobytes))
        return SIZE_MAX;
    return remaining(limit.rlim_cur, kilobytes << 10);
}

size_t memory_available(void)
{
    uint64_t kilobytes;
    const size_t available = read_number("/proc", "meminfo", "MemAvailable:", &kilobytes)
                                 ? (size_t)kilobytes << 10
                                 : SIZE_MAX;
    return size_min(available, size_min(memory_of_groups("/proc/self/cgroup", "/sys/fs/cgroup"),
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
    return bytes <= available ? 0
                              : fail(err, "%s: needs %s of memory, %s are free", name,
                                     memory_text(bytes, need), memory_text(available, have));
}
