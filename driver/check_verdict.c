/* check_verdict.c: what a check says about what it found. */
#include "check/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCES = 3 };

void check_did(struct check_run *r)
{
    r->did++;
    if (r->result == CHECK_NO_MATTER) {              /* it did not matter in an earlier case, and does in this one */
        r->result = CHECK_PASS;
        r->text[0] = '\0';
    }
}

/* The worst verdict counts; its sentences replace those of milder ones. */
static void say(struct check_run *r, enum check_result result, const char *format, va_list args)
{
    size_t at;

    if (r->result > result)
        return;
    if (r->result < result || r->failures == 0) {
        r->text[0] = '\0';
        r->failures = 0;
    }
    r->result = result;
    r->failures++;
    at = strlen(r->text);
    if (r->failures > SENTENCES || at + 2 >= sizeof r->text)
        return;
    if (at)
        r->text[at++] = '\n';
    vsnprintf(r->text + at, sizeof r->text - at, format, args);
}

void check_fail(struct check_run *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(r, CHECK_FAIL, format, args);
    va_end(args);
}

void check_not_tested(struct check_run *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(r, CHECK_NOT_TESTED, format, args);
    va_end(args);
}

void check_unproved(struct check_run *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(r, CHECK_UNPROVED, format, args);
    va_end(args);
}

/* Milder than a pass: it counts only while nothing was compared and nothing else was said. */
void check_no_matter(struct check_run *r, const char *format, ...)
{
    va_list args;

    if (r->did > 0 || r->result != CHECK_PASS)
        return;
    r->result = CHECK_NO_MATTER;
    va_start(args, format);
    vsnprintf(r->text, sizeof r->text, format, args);
    va_end(args);
}

void check_note(struct check_run *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->note, sizeof r->note, format, args);
    va_end(args);
}
