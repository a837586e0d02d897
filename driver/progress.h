/* progress.h: what a person, or a program, sees while cells run. */
#ifndef ASSAY_DRIVER_PROGRESS_H
#define ASSAY_DRIVER_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool live, json;                 /* one line that is written over; one JSON object a line */
    const char *phase;               /* "tuning", "training" */
    int total, done, running, failed, kept;      /* kept: done before this run */
    double left;                     /* seconds, estimated; < 0: unknown */
    bool shown;                      /* private: a live line stands there */
    double drawn;                    /* private: when */
};

/* live only when standard output is a terminal. */
void progress_start(struct progress *p, bool json);
/* Draws the live line when it is due (always when `now` is set). Nothing when not live. */
void progress_draw(struct progress *p, bool now);
/* Takes the live line away, so that something else can be printed. */
void progress_clear(struct progress *p);
/* A cell has ended. detail: "mixer.beta_max=2 seed 3". */
void progress_cell(struct progress *p, const char *key, const char *detail, const char *outcome, const char *reason,
                   double seconds);
/* A remark for people; JSON has it as an object too. */
void progress_note(struct progress *p, const char *text);

/* "1 min 10 s", "2 h 5 min"; as_say(). */
const char *duration(double seconds);
/* Prints a JSON string with quotes. */
void json_number(double x);                       /* null when it is no number */

#endif
