/* gradient_file.c: see gradient_file.h. Compiled for float, for bf16 products, and for double. */
#include "train/gradient_file.h"
#include "base/atomic.h"
#include "data/hdf5/h5.h"
#include "model/gpt.h"
#include "model/real.h"
#include <stdlib.h>

#ifdef REAL_F64
#define STORED H5T_IEEE_F64LE
#define NATIVE H5T_NATIVE_DOUBLE
#else
#define STORED H5T_IEEE_F32LE
#define NATIVE H5T_NATIVE_FLOAT
#endif

/* The checkpoint's float weights, in a model of this build's type. */
static int read_model(struct gpt *g, const char *path, size_t rows, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    int status = -1;
    float *params = calloc(c.tensors->total, sizeof *params);
    struct tensors *tensors = tensors_create(&c.tensors->config);
    if (!params || !tensors || gpt_create(g, tensors, rows, GPT_TRAIN)) {
        fail(err, "%s: no memory for its gradients on %zu tokens", path, rows);
    } else if (checkpoint_read(f, "params", params, err) == 0) {
        for (size_t i = 0; i < g->tensors->total; i++)
            g->params[i] = params[i];
        status = 0;
    } else {
        gpt_destroy(g);
    }
    free(params);
    checkpoint_close(f);
    return status;
}

static int write_array(hid_t group, const char *name, int rank, const hsize_t *shape, const real *x,
                       const char *file, struct error *err)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE),
                space = rank ? H5Screate_simple(rank, shape, NULL) : H5Screate(H5S_SCALAR);
    H5Pset_obj_track_times(create, 0);
    const hid_t set = H5Dcreate2(group, name, STORED, space, H5P_DEFAULT, create, H5P_DEFAULT);
    int status = set < 0 || H5Dwrite(set, NATIVE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0;
    if (set >= 0 && H5Dclose(set) < 0)
        status = 1;
    H5Sclose(space);
    H5Pclose(create);
    return status ? fail(err, "%s: cannot write %s", file, name) : 0;
}

static int write_gradients(hid_t image, const struct gpt *g, const char *file, struct error *err)
{
    const hid_t group = H5Gcreate2(image, "grads", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0)
        return fail(err, "%s: cannot write grads", file);
    int status = 0;
    for (size_t i = 0; i < g->tensors->count && !status; i++) {
        const struct tensor *t = &g->tensors->list[i];
        status = write_array(group, t->name, t->ndim, (hsize_t[]){t->shape[0], t->shape[1]},
                             g->grads + t->offset, file, err);
    }
    H5Gclose(group);
    return status;
}

static int write_file(const char *out, const struct gpt *g, real loss, const real *logits, size_t B,
                      size_t T, struct error *err)
{
    struct h5_image image;
    h5_lock();
    int status = h5_image_create(&image, out, err);
    if (status == 0)
        status = write_array(image.file, "loss", 0, NULL, &loss, out, err);
    if (status == 0)
        status = write_array(image.file, "logits", 3,
                             (hsize_t[]){B, T, g->tensors->config.vocab_size}, logits, out, err);
    if (status == 0)
        status = write_gradients(image.file, g, out, err);
    if (status == 0)
        status = h5_image_finish(&image, out, err);
    if (status == 0)
        status = atomic_write(out, image.bytes, image.size, err);
    h5_image_free(&image);
    h5_unlock();
    return status;
}

int gradient_file_write(const char *out, const char *checkpoint, const uint32_t *inputs,
                        const uint32_t *targets, size_t B, size_t T, double *loss,
                        struct error *err)
{
    struct gpt g;
    if (read_model(&g, checkpoint, B * T, err))
        return -1;
    int status = -1;
    real *logits = malloc(B * T * g.tensors->config.vocab_size * sizeof *logits);
    if (logits) {
        gpt_logits(&g, logits, inputs, B, T);
        *loss = gpt_loss_and_grads(&g, inputs, targets, B, T, 1, NULL);
        status = write_file(out, &g, (real)*loss, logits, B, T, err);
    } else {
        fail(err, "%s: no memory for logits (%zu, %zu, %zu)", out, B, T,
             g.tensors->config.vocab_size);
    }
    free(logits);
    gpt_destroy(&g);
    return status;
}
