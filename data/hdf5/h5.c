/* h5.c: the few calls to HDF5 that the writers of shards, tokenizers and checkpoints share. */
#include "data/hdf5/h5.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

/* What only keeps other threads out of the library does not wake it. */
void h5_lock_others_out(void)
{
    pthread_mutex_lock(&lock);
}

void h5_lock_renew(void)
{
    lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
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

hid_t h5_dataset_create(hid_t group, const char *name, hid_t type, uint64_t length, uint64_t chunk,
                        const char *file, struct error *err)
{
    h5_lock();
    const hsize_t n = length, c = chunk;
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
    hid_t dataset = -1;
    bool ok = H5Pset_obj_track_times(create, false) >= 0;
    if (chunk)
        ok = ok && H5Pset_chunk(create, 1, &c) >= 0 && H5Pset_shuffle(create) >= 0 &&
             H5Pset_deflate(create, 4) >= 0 && H5Pset_fletcher32(create) >= 0;
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

static int write_attribute(hid_t object, const char *name, hid_t stored, hid_t memory,
                           const void *value, const char *file, struct error *err)
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
