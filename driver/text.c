/* text.c: see text.h. */
#include "text.h"

#include <assay/error.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *text_count(double n)
{
    char digits[64], out[96];
    if (isnan(n))
        return "-";
    if (fabs(n) >= 1e15)
        return as_say("%.3g", n);
    snprintf(digits, sizeof digits, "%.0f", n);
    size_t m = strlen(digits), to = 0;
    for (size_t i = 0; i < m; i++) {
        out[to++] = digits[i];
        if (i + 1 < m && (m - 1 - i) % 3 == 0 && digits[i] != '-')
            out[to++] = ',';
    }
    out[to] = '\0';
    return as_say("%s", out);
}

const char *text_ranges(const long *number, int n)
{
    const char *all = "";
    for (int i = 0; i < n;) {
        int j = i;
        while (j + 1 < n && number[j + 1] == number[j] + 1)
            j++;
        all = as_say(j > i ? "%s%s%ld..%ld" : "%s%s%ld", all, i ? ", " : "", number[i], number[j]);
        i = j + 1;
    }
    return all;
}

void text_json(FILE *to, const char *text)
{
    putc('"', to);
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(to, "\\%c", *s);
        else if (*s < 0x20)
            fprintf(to, "\\u%04x", *s);
        else
            putc(*s, to);
    }
    putc('"', to);
}

void text_wrap(FILE *to, const char *text, int indent, int at)
{
    const int width = 100;
    bool blank = false;              /* owed before the next word, unless a line ends there */
    while (*text) {
        int n = (int)strcspn(text, " \n");
        if (at > indent && at + blank + n > width) {
            fprintf(to, "\n%*s", indent, "");
            at = indent;
        } else if (blank) {
            putc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", n, text);
        at += n;
        text += n;
        while (*text == ' ' || *text == '\n')
            text++;
        blank = true;
    }
    putc('\n', to);
}
