/* The sudoku generator: splits share no solution, not even up to the names of the digits; givens are as many as
 * asked. */
#include "source_try.h"

#include <stdio.h>

enum { CELLS = 81, MOST = 600 };

/* The solution with digits renamed in the order of the first row, as a word. */
static void renamed(const struct as_example *e, int n, char *word)
{
    int name[9] = { 0 };
    for (int j = 0; j < n; j++)
        name[e->i[1][j]] = j;
    for (int cell = 0; cell < n * n; cell++)
        word[cell] = (char)('a' + name[e->i[1][cell]]);
    word[n * n] = '\0';
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* How many different classes of solutions there are among so many examples of each split; none may be in two. */
static void classes(const char *size, int n, int examples, int found[AS_SPLITS])
{
    static char word[AS_SPLITS][MOST][CELLS + 1];
    const char *const pairs[] = { "size", size };
    struct setup u = find("sudoku", 1, pairs);
    struct as_example e = new_example(&u);
    for (int s = 0; s < AS_SPLITS; s++) {
        for (int i = 0; i < examples; i++) {
            make(&u, (enum as_split)s, (uint64_t)s, (uint64_t)i, 0, &e);
            renamed(&e, n, word[s][i]);
        }
        qsort(word[s], (size_t)examples, sizeof *word[s], by_text);
        found[s] = 0;
        for (int i = 0; i < examples; i++)
            found[s] += i == 0 || strcmp(word[s][i], word[s][i - 1]) != 0;
    }
    for (int s = 0; s < AS_SPLITS; s++)
        for (int i = 0; i < examples; i++)
            if (bsearch(word[s][i], word[(s + 1) % AS_SPLITS], (size_t)examples, sizeof *word[s], by_text))
                fail_msg("size %s: the solution %s is in two splits", size, word[s][i]);
    free_example(&e);
    free(u.opt);
}

static void splits_share_no_solution(void **state)
{
    int found[AS_SPLITS];
    (void)state;
    classes("4", 4, MOST, found);
    assert_int_equal(found[AS_TRAIN] + found[AS_VALID] + found[AS_TEST], 12);   /* all that there are */
    for (int s = 0; s < AS_SPLITS; s++)
        assert_true(found[s] > 0);
    classes("6", 6, MOST, found);
    for (int s = 0; s < AS_SPLITS; s++)
        assert_true(found[s] > MOST / 2);
}

static int count_givens(const struct as_example *e)
{
    int n = 0;
    for (ptrdiff_t cell = 0; cell < e->length; cell++)
        n += e->i[0][cell] > 0;
    return n;
}

static void givens_are_as_asked(void **state)
{
    static const char *const asked[][5] = { { "size", "4", "givens", "8", "8" }, { "size", "6", "givens", "18", "18" },
                                            { "size", "9", "givens", "36", "36" } };
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct setup u = find("sudoku", 2, asked[k]);
        struct as_example e = new_example(&u);
        for (uint64_t i = 0; i < 40; i++) {
            make(&u, AS_TRAIN, 0, i, 0, &e);
            assert_int_equal(count_givens(&e), atoi(asked[k][4]));
        }
        free_example(&e);
        free(u.opt);
    }
}

/* Each number of the range about as often as the others. */
static void givens_are_drawn(void **state)
{
    enum { N = 1200 };
    const char *const pairs[] = { "givens", "15..20" };
    struct setup u = find("sudoku", 1, pairs);
    struct as_example e = new_example(&u);
    int count[CELLS + 1] = { 0 };
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TRAIN, 0, i, 0, &e);
        count[count_givens(&e)]++;
    }
    for (int g = 15; g <= 20; g++)
        assert_in_range(count[g], N / 6 - 65, N / 6 + 65);      /* five standard errors */
    free_example(&e);
    free(u.opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(splits_share_no_solution),
                                        cmocka_unit_test(givens_are_as_asked), cmocka_unit_test(givens_are_drawn) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
