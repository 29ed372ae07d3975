/* h5.c: the few calls to HDF5 that shards, tokenizers and checkpoints share. */
#include "h5.h"
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_STRING = 16 << 20, MAX_CHUNK = 1 << 20 };

/* --- the lock --- */

/* libhdf5 is one global state of its own; the lock that guards it has to be one as well. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare_library(void)
{
    H5dont_atexit(); /* nothing of ours is left to flush, and a thread may still be reading when the process exits */
    H5open();
    H5PLset_loading_state(0);
}

void h5_lock(void)
{
    pthread_mutex_lock(&lock);
    pthread_once(&once, prepare_library);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* each thread has a setting of its own */
}

void h5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* --- errors --- */

static herr_t copy_innermost(unsigned n, const H5E_error2_t *e, void *text)
{
    if (n == 0 && e->desc)
        snprintf(text, 256, "%s", e->desc);
    return 0;
}

int h5_fail(struct error *err, const char *file, const char *what)
{
    char reason[256] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, copy_innermost, reason);
    H5Eclear2(H5E_DEFAULT);
    return fail(err, reason[0] ? "%s: %s: %s" : "%s: %s", file, what, reason);
}

/* --- files --- */

hid_t h5_file_open(const char *path, struct error *err)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return fail(err, "%s: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode)) /* a pipe would hang */
        return fail(err, "%s: not a regular file", path);
    h5_lock();
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* Files are replaced, never changed, so there is nothing to lock; and not every file system can. */
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    H5Pset_file_locking(access, false, true);
#endif
    H5Pset_fapl_sec2(access); /* whatever the environment says */
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0)
        h5_fail(err, path, "not an HDF5 file, or damaged");
    H5Pclose(access);
    h5_unlock();
    return file;
}

/* --- datasets --- */

/* NULL where the dataset is as h5.h asks, otherwise what it is not. */
static const char *check_storage(hid_t dataset, hid_t space, hid_t create, uint64_t length, size_t element)
{
    const H5D_layout_t layout = H5Pget_layout(create);
    if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        return "expected a contiguous or chunked dataset";
    if (H5Pget_external_count(create) != 0)
        return "expected a dataset that lies in this file";
    const int filters = H5Pget_nfilters(create);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        const H5Z_filter_t f = H5Pget_filter2(create, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (f != H5Z_FILTER_SHUFFLE && f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_FLETCHER32)
            return "expected no filters but shuffle, deflate and fletcher32";
    }
    if (layout == H5D_CONTIGUOUS)
        return H5Dget_storage_size(dataset) == length * element ? NULL : "its storage is not as long as its shape says";
    hsize_t chunk = 0, present = 0;
    if (H5Pget_chunk(create, 1, &chunk) != 1 || chunk == 0 || chunk > MAX_CHUNK)
        return "expected chunks of at most 1048576 elements";
    /* A missing chunk would read as zeros. 1.10.8 wants the space, not H5S_ALL. */
    if (H5Dget_num_chunks(dataset, space, &present) < 0)
        present = 0;
    if (present != length / chunk + (length % chunk != 0))
        return "chunks are missing";
    return NULL;
}

static const char *check_dataset(hid_t dataset, hid_t type, uint64_t max_length, uint64_t *length)
{
    const hid_t stored = H5Dget_type(dataset), space = H5Dget_space(dataset), create = H5Dget_create_plist(dataset);
    const char *wrong = NULL;
    hsize_t n = 0;
    if (stored < 0 || space < 0 || create < 0)
        wrong = "damaged";
    else if (H5Tequal(stored, type) <= 0)
        wrong = "expected another type";
    else if (H5Sget_simple_extent_type(space) != H5S_SIMPLE || H5Sget_simple_extent_ndims(space) != 1 ||
             H5Sget_simple_extent_dims(space, &n, NULL) != 1)
        wrong = "expected one dimension";
    else if (n == 0 || n > max_length)
        wrong = n ? "longer than it can be" : "empty";
    else
        wrong = check_storage(dataset, space, create, n, H5Tget_size(stored));
    *length = n;
    if (create >= 0)
        H5Pclose(create);
    if (space >= 0)
        H5Sclose(space);
    if (stored >= 0)
        H5Tclose(stored);
    return wrong;
}

hid_t h5_dataset_open(hid_t group, const char *name, hid_t type, uint64_t max_length, hid_t access, uint64_t *length,
                      const char *file, struct error *err)
{
    h5_lock();
    hid_t dataset = -1;
    H5L_info_t link;
    const char *wrong = NULL;
    const htri_t exists = H5Lexists(group, name, H5P_DEFAULT);
    if (exists == 0)
        wrong = "missing";
    else if (exists < 0 || H5Lget_info(group, name, &link, H5P_DEFAULT) < 0)
        wrong = "damaged";
    else if (link.type != H5L_TYPE_HARD)
        wrong = "expected a dataset, not a link to one";
    else if ((dataset = H5Dopen2(group, name, access)) < 0)
        wrong = "not a dataset, or damaged";
    else
        wrong = check_dataset(dataset, type, max_length, length);
    if (wrong) {
        fail(err, "%s: /%s: %s", file, name, wrong);
        if (dataset >= 0)
            H5Dclose(dataset);
        dataset = -1;
    }
    H5Eclear2(H5E_DEFAULT);
    h5_unlock();
    return dataset;
}

hid_t h5_dataset_create(hid_t group, const char *name, hid_t type, uint64_t length, uint64_t chunk, const char *file,
                        struct error *err)
{
    h5_lock();
    const hsize_t n = length, c = chunk;
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
    hid_t dataset = -1;
    bool ok = H5Pset_obj_track_times(create, false) >= 0;
    if (chunk)
        ok = ok && H5Pset_chunk(create, 1, &c) >= 0 && H5Pset_shuffle(create) >= 0 && H5Pset_deflate(create, 4) >= 0 &&
             H5Pset_fletcher32(create) >= 0;
    if (ok)
        dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (dataset < 0)
        h5_fail(err, file, name);
    H5Sclose(space);
    H5Pclose(create);
    h5_unlock();
    return dataset;
}

/* --- attributes --- */

static int write_attribute(hid_t object, const char *name, hid_t stored, hid_t memory, const void *value, const char *file,
                           struct error *err)
{
    h5_lock();
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    int status = 0;
    if (attribute < 0 || H5Awrite(attribute, memory, value) < 0)
        status = h5_fail(err, file, name);
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    h5_unlock();
    return status;
}

int h5_write_u64(hid_t object, const char *name, uint64_t value, const char *file, struct error *err)
{
    return write_attribute(object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, file, err);
}

int h5_write_f64(hid_t object, const char *name, double value, const char *file, struct error *err)
{
    return write_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, file, err);
}

int h5_write_string(hid_t object, const char *name, const char *value, const char *file, struct error *err)
{
    h5_lock();
    const hid_t type = H5Tcopy(H5T_C_S1);
    const size_t length = strlen(value);
    H5Tset_size(type, length ? length : 1); /* HDF5 knows no empty ones */
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const int status = write_attribute(object, name, type, type, value, file, err);
    H5Tclose(type);
    h5_unlock();
    return status;
}

/* Opens a scalar attribute of a class and gives its stored type; -1 where there is no such. */
static hid_t open_attribute(hid_t object, const char *name, H5T_class_t class, hid_t *type, const char *file, struct error *err)
{
    *type = -1;
    const htri_t exists = H5Aexists(object, name);
    if (exists == 0)
        return fail(err, "%s: attribute %s is missing", file, name);
    const hid_t attribute = exists < 0 ? -1 : H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return h5_fail(err, file, name);
    const hid_t space = H5Aget_space(attribute);
    *type = H5Aget_type(attribute);
    const bool scalar = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SCALAR;
    if (space >= 0)
        H5Sclose(space);
    if (scalar && *type >= 0 && H5Tget_class(*type) == class)
        return attribute;
    fail(err, "%s: attribute %s: expected one %s", file, name,
         class == H5T_INTEGER ? "integer"
         : class == H5T_FLOAT ? "floating-point number"
                              : "string");
    if (*type >= 0)
        H5Tclose(*type);
    H5Aclose(attribute);
    return -1;
}

/* Reads into *value, where the caller has found the type to be fit for it, and closes both. */
static int read_and_close(hid_t attribute, hid_t type, hid_t memory, void *value, const char *name, const char *file,
                          struct error *err)
{
    const int status = H5Aread(attribute, memory, value) < 0 ? h5_fail(err, file, name) : 0;
    H5Tclose(type);
    H5Aclose(attribute);
    return status;
}

int h5_read_u64(hid_t object, const char *name, uint64_t *value, const char *file, struct error *err)
{
    h5_lock();
    hid_t type;
    const hid_t attribute = open_attribute(object, name, H5T_INTEGER, &type, file, err);
    int status = -1;
    if (attribute >= 0) {
        /* The library would clamp without a word what does not fit. */
        const bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE, wide = H5Tget_size(type) > sizeof *value;
        int64_t v = 0;
        status = read_and_close(attribute, type, is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64,
                                is_signed ? (void *)&v : (void *)value, name, file, err);
        if (status == 0 && (wide || v < 0))
            status = fail(err, "%s: attribute %s: expected an integer from 0 to 2^64 - 1", file, name);
        if (is_signed)
            *value = (uint64_t)v;
    }
    h5_unlock();
    return status;
}

int h5_read_f64(hid_t object, const char *name, double *value, const char *file, struct error *err)
{
    h5_lock();
    hid_t type;
    const hid_t attribute = open_attribute(object, name, H5T_FLOAT, &type, file, err);
    const int status = attribute < 0 ? -1 : read_and_close(attribute, type, H5T_NATIVE_DOUBLE, value, name, file, err);
    h5_unlock();
    return status;
}

int h5_read_string(hid_t object, const char *name, char **value, const char *file, struct error *err)
{
    h5_lock();
    *value = NULL;
    hid_t type;
    const hid_t attribute = open_attribute(object, name, H5T_STRING, &type, file, err);
    int status = -1;
    if (attribute >= 0) {
        const size_t size = H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : SIZE_MAX;
        if (size <= MAX_STRING && (*value = calloc(size + 1, 1)))
            status = read_and_close(attribute, type, type, *value, name, file, err);
        else {
            fail(err,
                 size <= MAX_STRING ? "%s: attribute %s: out of memory"
                                    : "%s: attribute %s: expected a string of fixed length, of at most 16 MiB",
                 file, name);
            H5Tclose(type);
            H5Aclose(attribute);
        }
        if (status != 0) {
            free(*value);
            *value = NULL;
        }
    }
    h5_unlock();
    return status;
}
