/* Paragraphs broken into lines: no word is lost or grown together with the next, no line is too long or ends in a blank. */
#include <driver/text.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { INDENT = 8, WIDTH = 100 };

/* The text again from its lines. malloc'd. */
static char *joined(const char *lines)
{
    char *text = malloc(strlen(lines) + 1);
    size_t n = 0;
    assert_non_null(text);
    for (const char *p = lines; *p; p++) {
        if (*p != '\n') { text[n++] = *p; continue; }
        if (p[1]) text[n++] = ' ';
        p += strspn(p + 1, " ");
    }
    text[n] = 0;
    return text;
}

static void words_stay_apart(void **state)
{
    const char *text = "a layer whose rate of forgetting is one of four numbers that were chosen beforehand, and whose "
                       "weights are those of another one, twice as wide, at every step but the first, or the last";
    (void)state;
    for (int at = INDENT; at < INDENT + WIDTH; at++) {
        char *lines = NULL, *again;
        size_t n;
        FILE *f = open_memstream(&lines, &n);
        assert_non_null(f);
        text_wrap(f, text, INDENT, at);
        fclose(f);
        again = joined(*lines == '\n' ? lines + 1 + INDENT : lines);
        assert_string_equal(again, text);
        assert_null(strstr(lines, " \n"));
        int column = at;
        for (const char *p = lines; *p; p++) {
            column = *p == '\n' ? 0 : column + 1;
            assert_true(column <= WIDTH);
        }
        free(again);
        free(lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(words_stay_apart) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
