/* h5.c: see h5.h. */
#include "data/hdf5/h5.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* --- the lock --- */

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare_library(void)
{
    H5dont_atexit(); /* nothing is left to flush, and a thread may still be writing at exit */
    H5open();
    H5PLset_loading_state(0);
}

void h5_lock(void)
{
    pthread_mutex_lock(&lock);
    pthread_once(&once, prepare_library);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* a setting of each thread */
}

void h5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

struct job {
    sandbox_work *work;
    void *argument;
};

static size_t run_in_child(void *job, void *result, size_t capacity)
{
    const struct job *j = job;
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    return j->work(j->argument, result, capacity);
}

int h5_sandbox_run(struct sandbox_result *result, sandbox_work *work, void *argument,
                   size_t capacity, const char *doing, const char *file, struct error *err)
{
    struct job job = {work, argument};
    pthread_mutex_lock(&lock); /* not h5_lock: a process that only reads never starts the library */
    const int status = sandbox_run(result, run_in_child, &job, capacity, doing, file, err);
    pthread_mutex_unlock(&lock);
    return status;
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

/* --- datasets --- */

hid_t h5_type_id(enum h5_type type, bool in_memory)
{
    const hid_t ids[TYPES][2] = {[TYPE_U8] = {H5T_STD_U8LE, H5T_NATIVE_UINT8},
                                 [TYPE_U16] = {H5T_STD_U16LE, H5T_NATIVE_UINT16},
                                 [TYPE_U32] = {H5T_STD_U32LE, H5T_NATIVE_UINT32},
                                 [TYPE_U64] = {H5T_STD_U64LE, H5T_NATIVE_UINT64},
                                 [TYPE_F32] = {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT},
                                 [TYPE_F64] = {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE}};
    return ids[type][in_memory];
}

hid_t h5_dataset_create(hid_t group, const char *name, enum h5_type type, uint64_t length,
                        uint64_t chunk, const char *file, struct error *err)
{
    const hsize_t n = length, c = chunk < length ? chunk : length;
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
    hid_t dataset = -1;
    if (H5Pset_obj_track_times(create, false) >= 0 &&
        (!chunk || (H5Pset_chunk(create, 1, &c) >= 0 && H5Pset_shuffle(create) >= 0 &&
                    H5Pset_deflate(create, 4) >= 0 && H5Pset_fletcher32(create) >= 0)))
        dataset = H5Dcreate2(group, name, h5_type_id(type, false), space, H5P_DEFAULT, create,
                             H5P_DEFAULT);
    if (dataset < 0)
        h5_fail(err, file, name);
    H5Sclose(space);
    H5Pclose(create);
    return dataset;
}

int h5_write_array(hid_t group, const char *name, enum h5_type type, uint64_t length,
                   uint64_t chunk, const void *elements, const char *file, struct error *err)
{
    const hid_t dataset = h5_dataset_create(group, name, type, length, chunk, file, err);
    if (dataset < 0)
        return -1;
    int status = 0;
    if (H5Dwrite(dataset, h5_type_id(type, true), H5S_ALL, H5S_ALL, H5P_DEFAULT, elements) < 0)
        status = h5_fail(err, file, name);
    H5Dclose(dataset);
    return status;
}

/* --- attributes --- */

static int write_attribute(hid_t object, const char *name, hid_t stored, hid_t memory,
                           const void *value, const char *file, struct error *err)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    int status = 0;
    if (attribute < 0 || H5Awrite(attribute, memory, value) < 0)
        status = h5_fail(err, file, name);
    H5Aclose(attribute);
    H5Sclose(space);
    return status;
}

int h5_write_u64(hid_t object, const char *name, uint64_t value, const char *file,
                 struct error *err)
{
    return write_attribute(object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, file, err);
}

int h5_write_f64(hid_t object, const char *name, double value, const char *file, struct error *err)
{
    return write_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, file, err);
}

int h5_write_string(hid_t object, const char *name, const char *value, const char *file,
                    struct error *err)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    const size_t length = strlen(value);
    H5Tset_size(type, length ? length : 1); /* HDF5 has no strings of length 0 */
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const int status = write_attribute(object, name, type, type, value, file, err);
    H5Tclose(type);
    return status;
}
