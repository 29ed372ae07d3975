/* version.h: the version of handgrad, and what --version prints. */
#ifndef VERSION_H
#define VERSION_H

#define HANDGRAD_VERSION "1.0.0"

/* Prints version, commit, compiler, instruction sets, processor, threads and libraries, one per
 * line. */
void print_version(void);

#endif
