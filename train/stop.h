/* stop.h: Ctrl-C and SIGTERM as a question that the work asks itself between micro-steps. */
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

/* From here on SIGINT and SIGTERM only set a flag; a second one ends the process at once, as by default. */
void stop_on_signals(void);
bool stop_requested(void);

#endif
