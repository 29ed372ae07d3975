/* report.c: handgrad report. */
#include "train/report/report.h"
#include "train/cli/command.h"
#include "train/lens/sample_attention.h"
#include <stdio.h>

int command_report(int argc, char **argv, struct error *err)
{
    struct operand_list runs = {0};
    const char *out = NULL;
    bool csv = false;
    const struct option_spec options[] = {
        {"RUN", .operands = &runs},
        {"output", 'o', "FILE",
         "File to write (RUN/report.html; report.html for several runs; standard output for "
         "--csv)",
         .string = &out},
        {"csv", 'c', NULL, "Write the metrics of every step as comma-separated values",
         .flag = &csv},
        {0}};
    parse_command_line(
        argc, argv, options, "RUN…",
        "Writes a self-contained HTML page about one run, or about several to compare: loss, "
        "learning rate, gradient norm, speed, the norms of every tensor, samples, attention, "
        "configuration, data and machine. `train` writes it as well when it ends.");
    const char *const *dirs = (const char *const *)runs.items;
    if (csv)
        return report_csv(dirs, runs.n, out, err);
    cJSON *attention = runs.n == 1 ? sample_attention(dirs[0]) : NULL;
    const int status = report_write(dirs, runs.n, out, attention, err);
    cJSON_Delete(attention);
    if (!status && out)
        printf("report: %s\n", out);
    else if (!status)
        printf(runs.n == 1 ? "report: %s/report.html\n" : "report: report.html\n", dirs[0]);
    return status;
}
