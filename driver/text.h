/* text.h: small helpers for what is printed. */
#ifndef ASSAY_DRIVER_TEXT_H
#define ASSAY_DRIVER_TEXT_H

#include <stdio.h>

/* "4,386": whole numbers with commas, for people; "-" for NAN. as_say(). */
const char *text_count(double n);

/* "0..4, 7": ranges of whole numbers, in the order given. as_say(). */
const char *text_ranges(const long *number, int n);

/* A string in JSON, with its quotes. */
void text_json(FILE *to, const char *text);

/* Prints text wrapped at 100 columns, each line after `indent` blanks but the first, which begins where it is
 * (`at` columns are already there). Ends with a newline. */
void text_wrap(FILE *to, const char *text, int indent, int at);

#endif
