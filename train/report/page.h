/* page.h: the page of charts: one self-contained HTML file made of the files in web/, a chart
 * library and the data. The report and the live page are the same. */
#pragma once

#include "train/report/history.h"
#include <stdbool.h>
#include <stdio.h>

/* The page about n runs, for the caller to free; live: it polls its server for new data.
 * attention: of a sample, or NULL. Returns
 * NULL if out of memory. */
char *page_html(const struct history *runs, size_t n, bool live, const cJSON *attention);

/* The page's Content-Security-Policy: only its own scripts, by their digests. For the caller to
 * free; NULL if out of memory. */
char *page_policy(void);

/* Copies JSON so that no text in it can end the HTML element around it. */
void page_embed_json(FILE *out, const char *json);
