/* subject.c: see subject.h. */
#include "model/check/subject.h"
#include <stdio.h>

struct gradcheck_subject gradcheck_subject(enum op op)
{
    return (struct gradcheck_subject){
        .name = op_info[op].name,
        .op = op,
        .code = {op_code_f32[op], op_code_f64[op], op_code_c128[op], op_code_bf16[op]}};
}

struct gradcheck_subject gradcheck_mistaken(const struct mistake *m)
{
    return (struct gradcheck_subject){
        .name = m->name,
        .op = m->op,
        .code = {mistaken_code_f32[m->op], mistaken_code_f64[m->op], mistaken_code_c128[m->op]},
        .planted = {m, 0}};
}

void gradcheck_where(char *text, size_t size, size_t at, const size_t *shape, int ndim)
{
    text[0] = '\0';
    size_t below = 1;
    for (int i = 1; i < ndim; i++)
        below *= shape[i];
    int n = 0;
    for (int i = 0; i < ndim && at != SIZE_MAX; i++) {
        n += snprintf(text + n, size - n, "[%zu]", at / below);
        at %= below;
        below /= i + 1 < ndim ? shape[i + 1] : 1;
    }
}
