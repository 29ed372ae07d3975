/* model_cache.h: the model that the server looks into: one at a time in memory, that of the checkpoint last asked for, read again
 * where its file has changed; and one computation at a time, on one thread. */
#ifndef MODEL_CACHE_H
#define MODEL_CACHE_H

#include "train/lens/inspection.h"
#include <pthread.h>
#include <sys/stat.h>

/* A model in memory, for as long as somebody uses it. */
struct lens_model {
    struct inspection reading;
    char *path;
    struct stat file;
    char *text; /* that the reading has in hand; NULL for none */
    size_t users;
};

struct lens_room {
    pthread_mutex_t lock; /* of all below, of computing, and of the models' users */
    struct lens_model *current;
};

/* Names of a run folder that a reader may ask for: best.h5 and ckpt-DIGITS.h5. */
bool lens_checkpoint_name(const char *name);
/* Those that are there, best.h5 first, then from the newest; each allocated, as the list is. -1 where the folder cannot be read. */
int lens_checkpoints(const char *run_dir, char ***names, size_t *n, struct error *err);

void lens_room_open(struct lens_room *room);
void lens_room_close(struct lens_room *room);

/* Enters the room: 0, or -1 where another computation did not end within a few seconds. */
int lens_room_enter(struct lens_room *room);
void lens_room_leave(struct lens_room *room);

/* In the room: the model of a checkpoint file, with a text read where one is given. NULL with the error; *missing says whether
 * the file is not there. It holds until the room is left; lens_model_keep and lens_model_drop hold it longer. */
struct lens_model *lens_room_model(struct lens_room *room, const char *path, const char *text,
                                   bool *missing, struct error *err);
void lens_model_keep(struct lens_model *m);
void lens_model_drop(struct lens_model *m);

#endif
