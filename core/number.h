/* number.h: numbers as text, the same in every locale. Private to core; the driver uses as_parse_num(). */
#ifndef ASSAY_CORE_NUMBER_H
#define ASSAY_CORE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* The shortest of 15, 16 and 17 digits that reads back to the same double; integers without an exponent up to
 * 2^53. buf: n bytes, 32 are enough. */
void as_number_text(char *buf, size_t n, double value);

/* A whole number: "64", "1e4". false when the text is none, has a fraction, or goes beyond 2^53. */
bool as_parse_whole(const char *text, long *value);

/* "3..40" or "40"; both ends in int, lo <= hi. NULL, or what is wrong with it ("is no range such as 3..40"). */
const char *as_parse_range(const char *text, int *lo, int *hi);

/* "on", "off" and their usual other spellings. */
bool as_parse_bool(const char *text, bool *value);

#endif
