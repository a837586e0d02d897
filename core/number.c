/* number.c: see number.h. The process may run under a locale with a decimal comma; what is parsed, hashed and
 * recorded must not notice, so everything here goes through a C locale of its own. */
#include "number.h"

#include <assay/config.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t in_c(void)
{
    pthread_once(&c_locale_once, c_locale_make);
    return uselocale(c_locale);       /* a failed newlocale() gives 0, which changes nothing */
}

/* strtod() also takes "nan", "inf" and hexadecimal: none of them is a setting that anybody means. */
static bool decimal(const char *text)
{
    return *text && text[strspn(text, "+-.0123456789eE")] == '\0' && strpbrk(text, "0123456789");
}

bool as_parse_num(const char *text, double *value)
{
    if (!decimal(text))
        return false;
    locale_t before = in_c();
    char *end;
    double v = strtod(text, &end);
    uselocale(before);
    if (*end || !isfinite(v))
        return false;
    *value = v;
    return true;
}

void as_number_text(char *buf, size_t n, double value)
{
    locale_t before = in_c();
    if (value == rint(value) && fabs(value) <= 0x1p53) {
        snprintf(buf, n, "%.0f", value == 0 ? 0.0 : value);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(buf, n, "%.*g", digits, value);
            if (strtod(buf, NULL) == value)
                break;
        }
    }
    uselocale(before);
}

bool as_parse_whole(const char *text, long *value)
{
    double v;
    if (!as_parse_num(text, &v) || v != rint(v) || fabs(v) > 0x1p53)
        return false;
    *value = (long)v;
    return true;
}

const char *as_parse_range(const char *text, int *lo, int *hi)
{
    char first[32];
    long a, b;
    const char *dots = strstr(text, "..");
    if (dots) {
        size_t n = (size_t)(dots - text);
        if (n >= sizeof first)
            return "is no range such as 3..40";
        memcpy(first, text, n);
        first[n] = '\0';
        if (!as_parse_whole(first, &a) || !as_parse_whole(dots + 2, &b))
            return "is no range such as 3..40";
    } else {
        if (!as_parse_whole(text, &a))
            return "is neither a whole number nor a range such as 3..40";
        b = a;
    }
    if (a < INT_MIN || b > INT_MAX)
        return "is too large";
    if (a > b)
        return "runs backwards: the smaller end comes first";
    *lo = (int)a;
    *hi = (int)b;
    return NULL;
}

bool as_parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = { "on", "true", "yes", "1" }, *const no[] = { "off", "false", "no", "0" };
    for (int i = 0; i < 4; i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *value = !strcmp(text, yes[i]);
            return true;
        }
    }
    return false;
}
