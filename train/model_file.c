/* model_file.c: see model_file.h. */
#include "train/model_file.h"
#include "base/memory.h"

int model_file_open(struct model_file *m, const char *path, size_t rows, enum gpt_use use,
                    struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    *m = (struct model_file){.config = c.config, .state = c.state, .tokenizer = c.tokenizer};
    c.tokenizer = NULL; /* now owned by m */
    const size_t n = (rows ? rows : c.config.train.batch_size) * c.config.model.block_size;
    struct tensors *tensors = tensors_create(&c.tensors->config);
    int status = tensors ? memory_check(gpt_bytes(tensors, n, use), path, err) : 0;
    if (status)
        tensors_destroy(tensors);
    else if (!tensors || gpt_create(&m->model, tensors, n, use))
        status = fail(err, "%s: out of memory for its model at %zu tokens per batch", path, n);
    else
        status = checkpoint_read(f, "params", m->model.params, err);
    checkpoint_close(f);
    if (status)
        model_file_close(m);
    return status;
}

void model_file_close(struct model_file *m)
{
    gpt_destroy(&m->model);
    tokenizer_destroy(m->tokenizer);
    *m = (struct model_file){0};
}
