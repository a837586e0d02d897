/* Every source in the registry: what a generator promises is tried on its defaults, on every value that its options
 * name for a sweep, and on all splits. Nothing here lists sources by name. */
#include "source_try.h"

#include <math.h>
#include <stdio.h>

enum { EXAMPLES = 40 };

static void check_values(const struct setup *u, const struct as_example *e)
{
    assert_true(e->length >= 1 && e->length <= u->shape.max_length);
    for (int f = 0; f < u->shape.n_fields; f++) {
        const struct as_data_field *field = &u->shape.field[f];
        int lowest = strcmp(field->name, "target") == 0 ? -1 : 0;
        for (ptrdiff_t j = 0; j < items(field, e->length); j++) {
            if (field->integer)
                assert_in_range(e->i[f][j] - lowest, 0, field->vocab - 1 - lowest);
            else
                assert_true(isfinite(e->x[f][j]));
        }
    }
}

/* Every single label of the example, made wrong, must be noticed. */
static void check_corruption(const struct setup *u, struct as_example *e)
{
    int f = field_of(u, "target");
    const struct as_data_field *field = &u->shape.field[f];
    ptrdiff_t n = items(field, e->length), step = n > 64 ? n / 64 : 1;
    for (ptrdiff_t j = n - 1; j >= 0; j -= step) {
        if (field->integer) {
            int32_t was = e->i[f][j];
            e->i[f][j] = (int32_t)((was + 1) % field->vocab);
            assert_non_null(u->s->answer(u->opt, e));
            e->i[f][j] = was;
        } else {
            float was = e->x[f][j];
            e->x[f][j] = was + 1e-3F;
            assert_non_null(u->s->answer(u->opt, e));
            e->x[f][j] = was;
        }
    }
    assert_null(u->s->answer(u->opt, e));
}

static void check_setup(struct setup *u)
{
    shape_of(u);
    struct as_example a = new_example(u), b = new_example(u);
    int across_seeds = 0, across_splits = 0;
    assert_string_equal(u->shape.field[0].name, "x");
    assert_true(field_of(u, "target") > 0 && u->shape.classes > 0 && u->shape.metric && u->shape.objective);
    assert_int_equal(u->shape.per_step, timed(&u->shape.field[field_of(u, "target")]));
    for (int split = 0; split < AS_SPLITS; split++)
        for (uint64_t i = 0; i < EXAMPLES; i++) {
            make(u, (enum as_split)split, 7, i, 0x55, &a);
            make(u, (enum as_split)split, 7, i, 0x2a, &b);
            assert_true(same(u, &a, &b, u->shape.n_fields));
            check_values(u, &a);
            const char *why = u->s->answer(u->opt, &a);
            if (why)
                fail_msg("%s: %s", u->entry->name, why);
            if (i < 4)
                check_corruption(u, &a);
            make(u, (enum as_split)split, 8, i, 0x55, &b);
            across_seeds += same(u, &a, &b, 1);
            make(u, (enum as_split)((split + 1) % AS_SPLITS), 7, i, 0x55, &b);
            across_splits += same(u, &a, &b, 1);
        }
    /* short inputs may meet by chance, most do not */
    assert_in_range(across_seeds, 0, EXAMPLES);
    assert_in_range(across_splits, 0, u->s->disjoint ? 0 : EXAMPLES);
    free_example(&a);
    free_example(&b);
}

/* Calls check_setup() for the defaults and for each value of each option's sweep. Returns how many were tried. */
static int each_setup(const struct as_entry *entry)
{
    struct setup u = { .entry = entry, .s = entry->plugin->source };
    int tried = 1;
    u.opt = defaults(u.s);
    check_setup(&u);
    for (const struct as_option *row = u.s->options; row && row->key; row++) {
        char sweep[256];
        snprintf(sweep, sizeof sweep, "%s", row->sweep ? row->sweep : "");
        for (char *rest = sweep, *value; (value = strsep(&rest, ",")) != NULL && *value;) {
            free(u.opt);
            u.opt = defaults(u.s);
            assert_null(as_option_set(row, u.opt, value));
            if (u.s->check && u.s->check(u.opt))
                continue;
            check_setup(&u);
            tried++;
        }
    }
    free(u.opt);
    return tried;
}

static void every_generator(void **state)
{
    int generators = 0, setups = 0;
    (void)state;
    for (const struct as_entry *e = as_entries; e->path; e++)
        if (e->plugin->source && e->plugin->source->example) {
            setups += each_setup(e);
            generators++;
        }
    assert_true(generators >= 6 && setups >= 2 * generators);
}

static void every_converter_names_its_files(void **state)
{
    int converters = 0;
    (void)state;
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_source *s = e->plugin->source;
        if (!s || !s->convert)
            continue;
        struct setup u = { .entry = e, .s = s, .opt = defaults(s) };
        shape_of(&u);
        assert_true(u.shape.max_length > 0 && field_of(&u, "target") > 0);
        for (const struct as_file *f = s->files; f->path; f++) {
            assert_int_equal(strncmp(f->url, "https://", 8), 0);
            assert_int_equal(strspn(f->sha256, "0123456789abcdef"), 64);
            assert_true(f->path[0] != '/' && !strstr(f->path, ".."));
        }
        free(u.opt);
        converters++;
    }
    assert_true(converters >= 5);
}

/* FNV-1a of the input of an example. */
static uint64_t input_hash(const struct setup *u, const struct as_example *e)
{
    const unsigned char *p = u->shape.field[0].integer ? (const void *)e->i[0] : (const void *)e->x[0];
    uint64_t h = 14695981039346656037U;
    for (ptrdiff_t j = 0; j < items(&u->shape.field[0], e->length) * 4; j++)
        h = (h ^ p[j]) * 1099511628211U;
    return h;
}
static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Promised disjoint: 2,000 inputs of each split, under different seeds, share nothing. */
static void promised_splits_are_disjoint(void **state)
{
    enum { N = 2000 };
    int promised = 0;
    (void)state;
    for (const struct as_entry *entry = as_entries; entry->path; entry++) {
        if (!entry->plugin->source || !entry->plugin->source->disjoint)
            continue;
        struct setup u = { .entry = entry, .s = entry->plugin->source, .opt = defaults(entry->plugin->source) };
        shape_of(&u);
        struct as_example e = new_example(&u);
        uint64_t *seen[AS_SPLITS];
        for (int s = 0; s < AS_SPLITS; s++) {
            seen[s] = malloc(N * sizeof *seen[s]);
            for (uint64_t i = 0; i < N; i++) {
                make(&u, (enum as_split)s, (uint64_t)s * 3 + i % 2, i, 0, &e);
                seen[s][i] = input_hash(&u, &e);
            }
            qsort(seen[s], N, sizeof *seen[s], by_value);
        }
        for (int s = 0; s < AS_SPLITS; s++)
            for (int i = 0; i < N; i++)
                assert_null(bsearch(&seen[s][i], seen[(s + 1) % AS_SPLITS], N, sizeof **seen, by_value));
        for (int s = 0; s < AS_SPLITS; s++)
            free(seen[s]);
        free_example(&e);
        free(u.opt);
        promised++;
    }
    assert_true(promised >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_generator),
        cmocka_unit_test(every_converter_names_its_files),
        cmocka_unit_test(promised_splits_are_disjoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
