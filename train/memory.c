/* memory.c: see memory.h. */
#include "memory.h"
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

/* The limit that the control group sets; as seen from inside its container, which has it at the root. Pages of files that it
 * holds can be given back. */
static size_t group_available(void)
{
    uint64_t limit, used, file = 0;
    if (read_number("/sys/fs/cgroup/memory.max", "", &limit) && read_number("/sys/fs/cgroup/memory.current", "", &used)) {
        (void)read_number("/sys/fs/cgroup/memory.stat", "inactive_file ", &file);
        return left(limit, used - smaller(file, used));
    }
    if (read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", "", &limit) &&
        read_number("/sys/fs/cgroup/memory/memory.usage_in_bytes", "", &used)) {
        (void)read_number("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file ", &file);
        return left(limit, used - smaller(file, used));
    }
    return SIZE_MAX;
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
    return smaller(available, smaller(group_available(), address_space_available()));
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
    return fail(err, "%s: needs %s of memory, %s are free", name, memory_text(bytes, need), memory_text(available, have));
}
