#include "gradcheck_report.h"
int gradcheck_print_sweep(const struct gradcheck_options *o, struct error *err)
{
    (void)o;
    return fail(err, "not yet"), 1;
}
int gradcheck_diagnose(const struct gradcheck_options *o, struct error *err)
{
    (void)o;
    return fail(err, "not yet"), 1;
}
int gradcheck_write_template(const struct gradcheck_options *o, struct error *err)
{
    (void)o;
    return fail(err, "not yet"), 1;
}
