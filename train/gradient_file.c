/* gradient_file.c: see gradient_file.h. */
#include "train/gradient_file.h"
#include "base/atomic.h"
#include "data/hdf5/h5.h"
#include "model/model_code.h"
#include "train/checkpoint/checkpoint.h"
#include <stdlib.h>

struct run {
    const struct model_code *code;
    void *model;
    const struct tensors *tensors;
    const struct batch *batch;
    void *logits; /* (B,T,V) */
    double loss;
    bool is_double;
    const char *out;
};

static size_t number_size(const struct run *r)
{
    return r->is_double ? sizeof(double) : sizeof(float);
}

/* Reads the checkpoint's float weights into a model of the precision's number type. */
static int read_model(struct run *r, const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    const size_t rows = r->batch->rows * r->batch->block_size;
    int status = -1;
    float *params = calloc(c.tensors->total, sizeof *params);
    r->model = params ? r->code->create(&c.tensors->config, rows) : NULL;
    if (!r->model)
        fail(err, "%s: no memory for its gradients on %zu tokens", path, rows);
    else
        status = checkpoint_read(f, "params", params, err);
    if (!status) {
        r->tensors = r->code->tensors(r->model);
        void *to = r->code->params(r->model);
        for (size_t i = 0; i < r->tensors->total; i++)
            if (r->is_double)
                ((double *)to)[i] = params[i];
            else
                ((float *)to)[i] = params[i];
    }
    free(params);
    checkpoint_close(f);
    return status;
}

static int write_array(const struct run *r, hid_t group, const char *name, int rank,
                       const hsize_t *shape, const void *x, struct error *err)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE),
                space = rank ? H5Screate_simple(rank, shape, NULL) : H5Screate(H5S_SCALAR);
    H5Pset_obj_track_times(create, 0);
    const hid_t set = H5Dcreate2(group, name, r->is_double ? H5T_IEEE_F64LE : H5T_IEEE_F32LE, space,
                                 H5P_DEFAULT, create, H5P_DEFAULT);
    bool failed = H5Dwrite(set, r->is_double ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT, H5S_ALL,
                           H5S_ALL, H5P_DEFAULT, x) < 0;
    failed |= H5Dclose(set) < 0;
    H5Sclose(space);
    H5Pclose(create);
    return failed ? fail(err, "%s: cannot write %s", r->out, name) : 0;
}

static int write_gradients(const struct run *r, hid_t image, struct error *err)
{
    const hid_t group = H5Gcreate2(image, "grads", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0)
        return fail(err, "%s: cannot write grads", r->out);
    const char *grads = r->code->grads(r->model);
    int status = 0;
    for (size_t i = 0; i < r->tensors->count && !status; i++) {
        const struct tensor *t = &r->tensors->list[i];
        status = write_array(r, group, t->name, t->ndim, (hsize_t[]){t->shape[0], t->shape[1]},
                             grads + t->offset * number_size(r), err);
    }
    H5Gclose(group);
    return status;
}

static int write_file(const struct run *r, struct error *err)
{
    const float loss = r->loss;
    const hsize_t shape[] = {r->batch->rows, r->batch->block_size, r->tensors->config.vocab_size};
    struct h5_image image;
    h5_lock();
    const int status = h5_image_create(&image, r->out, err) ||
                       write_array(r, image.file, "loss", 0, NULL,
                                   r->is_double ? (const void *)&r->loss : &loss, err) ||
                       write_array(r, image.file, "logits", 3, shape, r->logits, err) ||
                       write_gradients(r, image.file, err) ||
                       h5_image_finish(&image, r->out, err) ||
                       atomic_write(r->out, image.bytes, image.size, err);
    h5_image_free(&image);
    h5_unlock();
    return status;
}

int gradient_file_write(const char *out, const char *checkpoint, enum gradient_precision precision,
                        const struct batch *batch, double *loss, struct error *err)
{
    static const struct model_code *const codes[] = {&model_code_f32, &model_code_bf16,
                                                     &model_code_f64};
    struct run r = {.code = codes[precision],
                    .batch = batch,
                    .is_double = precision == GRADIENT_F64,
                    .out = out};
    const size_t B = batch->rows, T = batch->block_size;
    int status = read_model(&r, checkpoint, err);
    if (!status) {
        const size_t V = r.tensors->config.vocab_size;
        r.logits = malloc(B * T * V * number_size(&r));
        if (!r.logits)
            status = fail(err, "%s: no memory for logits (%zu, %zu, %zu)", out, B, T, V);
    }
    if (!status) {
        double losses[2];
        r.code->logits(r.model, r.logits, batch);
        r.code->loss_and_grads(losses, r.model, batch, NULL);
        *loss = r.loss = losses[0];
        status = write_file(&r, err);
    }
    free(r.logits);
    r.code->destroy(r.model);
    return status ? -1 : 0;
}
