#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* strtod reads the decimal sign of the locale. It is given digits and an exponent only, which every locale reads
 * alike and which it rounds correctly. */
const char *stats_parse(const char *s, double *out)
{
    char digits[768];
    size_t n = 0;
    long exponent = 0;
    const char *p = s;
    if (*p == '+' || *p == '-')
        digits[n++] = *p++;
    size_t first = n;
    int point = 0, any = 0;
    for (; is_digit(*p) || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = 1;
            continue;
        }
        any = 1;
        if (n == first && *p == '0') {      /* leading zeros do not fill the buffer */
            exponent -= point;
            continue;
        }
        if (n < sizeof digits - 32) {
            digits[n++] = *p;
            exponent -= point;
        } else {
            exponent += !point;
        }
    }
    if (!any)
        return s;
    if (n == first)
        digits[n++] = '0';
    if (*p == 'e' || *p == 'E') {
        const char *q = p + 1 + (p[1] == '+' || p[1] == '-');
        if (is_digit(*q)) {
            long e = 0;
            int negative = p[1] == '-';
            for (; is_digit(*q); q++)
                e = e < 100000 ? e * 10 + (*q - '0') : e;
            exponent += negative ? -e : e;
            p = q;
        }
    }
    snprintf(digits + n, sizeof digits - n, "e%ld", exponent);
    *out = strtod(digits, NULL);
    return p;
}

/* printf writes the decimal sign of the locale, of one byte or more: whatever is not part of a number is that. */
static void plain_point(char *s)
{
    static const char number[] = "0123456789+-einfaINFA";
    char *start = s + strspn(s, number);
    if (*start == '\0')
        return;
    size_t length = strcspn(start, number);
    *start = '.';
    memmove(start + 1, start + length, strlen(start + length) + 1);
}

void stats_format(char *out, size_t size, double x, int decimals)
{
    char text[400];
    double scale = pow(10.0, decimals);
    if (fabs(x) * scale < 0.5)
        x = 0.0;                    /* no minus before a zero */
    if (fabs(x) >= 1e15 || !isfinite(x))
        snprintf(text, sizeof text, "%.4g", x);
    else
        snprintf(text, sizeof text, "%.*f", decimals, x);
    plain_point(text);
    snprintf(out, size, "%s", text);
}

static void format_towards(char *out, size_t size, double x, int decimals, double (*towards)(double))
{
    double scale = pow(10.0, decimals);
    double scaled = x * scale;
    /* 0.2 times 10 to the decimals may lie a rounding error beside its integer */
    if (isfinite(scaled) && fabs(scaled - round(scaled)) > 1e-6)
        x = towards(scaled) / scale;
    stats_format(out, size, x, decimals);
}

void stats_format_down(char *out, size_t size, double x, int decimals)
{
    format_towards(out, size, x, decimals, floor);
}

void stats_format_up(char *out, size_t size, double x, int decimals)
{
    format_towards(out, size, x, decimals, ceil);
}

void stats_format_short(char *out, size_t size, double x)
{
    char text[64];
    snprintf(text, sizeof text, "%.4g", x);
    plain_point(text);
    snprintf(out, size, "%s", text);
}

int stats_decimals(double width)
{
    if (!(width > 0.0) || !isfinite(width))
        return 4;
    double d = floor(1.2 - log10(width));
    return (int)fmin(fmax(d, 0.0), 9.0);
}
