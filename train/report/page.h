/* page.h: the page of pictures: one HTML file that needs nothing else, from the files in web/ and a chart library, with the data
 * in it. The report and the live page are the same one. */
#ifndef PAGE_H
#define PAGE_H

#include "base/error.h"
#include "train/report/history.h"
#include <stdbool.h>
#include <stdio.h>

/* The page about some runs. live: it asks the server that it came from for what is new. Errors of writing stay in `out`. -1 where
 * memory is short. */
int page_write(FILE *out, const struct history *runs, size_t n, bool live);

/* The content security policy of the page: its own scripts, by their digests, and nothing from elsewhere. Allocated. */
char *page_policy(void);

/* Copies JSON so that no text in it can end the HTML element around it. */
void page_embed_json(FILE *out, const char *json);

#endif
