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
    c.tokenizer = NULL; /* ours now */
    rows = rows ? rows : c.config.train.batch_size;
    struct tensors *tensors = tensors_create(&c.tensors->config);
    int status =
        tensors ? memory_check(gpt_bytes(tensors, rows * c.config.model.block_size, use), path, err)
                : 0;
    if (status)
        tensors_destroy(tensors);
    else if (!tensors || gpt_create(&m->model, tensors, rows * c.config.model.block_size, use))
        status = fail(err, "%s: no memory for its model at %zu rows", path, rows);
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
