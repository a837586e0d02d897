/* error.c: sentences in the C locale, and failures that unwind to the innermost as_try(). */
#include <assay/error.h>

#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCES = 8, SENTENCE = 2048, WORD = 128 };

struct attempt { jmp_buf back; struct attempt *outer; };

static _Thread_local char sentences[SENTENCES][SENTENCE];
static _Thread_local unsigned turn;
static _Thread_local struct attempt *innermost;
static _Thread_local enum as_failure raised;   /* not in the attempt: locals changed after setjmp() are lost */
static _Thread_local char failure[SENTENCE];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t plain;

static void make_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* vsnprintf() follows the thread's locale: a comma there would end up in numbers that are read back. */
static void __attribute__((format(printf, 2, 0))) write_plain(char *to, const char *format, va_list args)
{
    pthread_once(&once, make_plain);
    locale_t was = plain ? uselocale(plain) : (locale_t)0;
    if (vsnprintf(to, SENTENCE, format, args) < 0)
        to[0] = '\0';
    if (plain)
        uselocale(was);
}

const char *as_say(const char *format, ...)
{
    char *to = sentences[turn++ % SENTENCES];
    va_list args;
    va_start(args, format);
    write_plain(to, format, args);
    va_end(args);
    return to;
}

_Noreturn void as_fail(enum as_failure what, const char *format, ...)
{
    char text[SENTENCE];          /* the arguments may point into the sentence of an earlier failure */
    va_list args;
    va_start(args, format);
    write_plain(text, format, args);
    va_end(args);
    memcpy(failure, text, sizeof failure);
    if (!innermost)
        abort();                  /* nobody can be told: a caller forgot its as_try() */
    raised = what;
    longjmp(innermost->back, 1);
}

enum as_failure as_try(void (*body)(void *ctx), void *ctx)
{
    struct attempt here = { .outer = innermost };
    failure[0] = '\0';
    innermost = &here;
    if (setjmp(here.back) == 0) {
        body(ctx);
        innermost = here.outer;
        return AS_OK;
    }
    innermost = here.outer;
    return raised;
}

const char *as_failure_text(void)
{
    return failure;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b. Both shorter than WORD. */
static size_t distance(const char *a, const char *b)
{
    size_t row[3][WORD], m = strlen(a), n = strlen(b);
    size_t *before = row[0], *last = row[1], *now = row[2];
    for (size_t j = 0; j <= n; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= m; i++) {
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = least(last[j - 1] + same, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[n];
}

const char *as_nearest(const char *word, const char *const *names)
{
    size_t length = strlen(word), best = (length + 2) / 3 + 1;
    const char *found = NULL;
    if (length >= WORD)
        return NULL;
    for (; *names; names++) {
        if (strlen(*names) >= WORD)
            continue;
        size_t d = distance(word, *names);
        if (d < best && d < length) {
            best = d;
            found = *names;
        }
    }
    return found;
}
