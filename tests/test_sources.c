/* Every source in the registry: what a generator promises is tried on its defaults, on every value that its options
 * name for a sweep, and on all splits. Nothing here lists sources but the statistics at the end, which know the tasks. */
#include <assay/config.h>
#include <assay/registry.h>
#include <assay/source.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EXAMPLES = 40 };
static const uint32_t role[AS_SPLITS] = { AS_ROLE_DATA, AS_ROLE_VALID, AS_ROLE_TEST };

struct setup { const struct as_entry *entry; const struct as_source *s; void *opt; struct as_data_shape shape; };

static bool timed(const struct as_data_field *f) { return f->rank > 0 && f->dim[0] == AS_TIME; }
static ptrdiff_t items(const struct as_data_field *f, ptrdiff_t length)
{
    ptrdiff_t n = 1;
    for (int i = 0; i < f->rank; i++)
        n *= f->dim[i] == AS_TIME ? length : f->dim[i];
    return n;
}
static int field_of(const struct setup *u, const char *name)
{
    for (int f = 0; f < u->shape.n_fields; f++)
        if (!strcmp(u->shape.field[f].name, name))
            return f;
    return -1;
}

static void *defaults(const struct as_source *s)
{
    struct as_config *cfg = as_config_new();
    void *opt = calloc(1, s->opt_size ? s->opt_size : 1);
    assert_non_null(opt);
    if (s->options)
        assert_null(as_options_read(s->options, opt, s->opt_size, cfg, "data"));
    as_config_free(cfg);
    return opt;
}

static void shape_of(struct setup *u)
{
    memset(&u->shape, 0, sizeof u->shape);
    u->s->shape(u->opt, &u->shape);
}

/* One source with `KEY VALUE` pairs set. */
static struct setup find(const char *name, int n, const char *const *pairs)
{
    struct setup u = { .entry = as_registry_find("source", name, NULL) };
    assert_non_null(u.entry);
    u.s = u.entry->plugin->source;
    u.opt = defaults(u.s);
    for (int i = 0; i < n; i++)
        for (const struct as_option *row = u.s->options; row->key; row++)
            if (!strcmp(row->key, pairs[2 * i]))
                assert_null(as_option_set(row, u.opt, pairs[2 * i + 1]));
    if (u.s->check)
        assert_null(u.s->check(u.opt));
    shape_of(&u);
    return u;
}

static struct as_example new_example(const struct setup *u)
{
    struct as_example e = { 0 };
    for (int f = 0; f < u->shape.n_fields; f++) {
        size_t n = (size_t)items(&u->shape.field[f], u->shape.max_length);
        if (u->shape.field[f].integer)
            e.i[f] = malloc(n * sizeof *e.i[f]);
        else
            e.x[f] = malloc(n * sizeof *e.x[f]);
    }
    return e;
}
static void free_example(struct as_example *e)
{
    for (int f = 0; f < AS_MAX_FIELDS; f++) {
        free(e->i[f]);
        free(e->x[f]);
    }
}

/* Makes an example in arrays full of rubbish, so that what is not written shows. */
static void make(const struct setup *u, enum as_split split, uint64_t seed, uint64_t index, int rubbish,
                 struct as_example *e)
{
    struct as_key key = { seed, role[split], 0 };
    for (int f = 0; f < u->shape.n_fields; f++) {
        size_t n = (size_t)items(&u->shape.field[f], u->shape.max_length) * 4;
        memset(u->shape.field[f].integer ? (void *)e->i[f] : (void *)e->x[f], rubbish, n);
    }
    e->length = -1;
    u->s->example(u->opt, split, key, index, e);
}

static bool same(const struct setup *u, const struct as_example *a, const struct as_example *b, int fields)
{
    if (a->length != b->length)
        return false;
    for (int f = 0; f < fields; f++) {
        const void *p = u->shape.field[f].integer ? (const void *)a->i[f] : a->x[f];
        const void *q = u->shape.field[f].integer ? (const void *)b->i[f] : b->x[f];
        if (memcmp(p, q, (size_t)items(&u->shape.field[f], a->length) * 4) != 0)
            return false;
    }
    return true;
}

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

/* ---- statistics of the tasks: within five standard errors ----------------------------------------------------------- */

static void parity_is_balanced(void **state)
{
    enum { N = 4000 };
    const char *const last[] = { "labels", "last", "length", "5..9" };
    struct setup u = find("parity", 2, last);
    struct as_example e = new_example(&u);
    int odd = 0, lengths[10] = { 0 };
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TRAIN, 0, i, 0, &e);
        odd += e.i[1][e.length - 1];
        lengths[e.length]++;
    }
    assert_in_range(odd, N / 2 - 158, N / 2 + 158);
    for (int n = 5; n <= 9; n++)
        assert_in_range(lengths[n], N / 5 - 127, N / 5 + 127);
    free_example(&e);
    free(u.opt);
}

static void group_products_are_uniform(void **state)
{
    enum { N = 12000 };
    const char *const a5[] = { "group", "a5", "length", "8" };
    struct setup u = find("group-word", 2, a5);
    struct as_example e = new_example(&u);
    int count[60] = { 0 };
    double chi = 0;
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TEST, 0, i, 0, &e);
        count[e.i[1][7]]++;
        assert_int_equal(e.i[0][0], e.i[1][0]);          /* x_1 times the identity */
    }
    for (int k = 0; k < 60; k++)
        chi += (count[k] - N / 60.0) * (count[k] - N / 60.0) / (N / 60.0);
    assert_true(chi > 20 && chi < 59 + 5 * sqrt(2 * 59.0));
    free_example(&e);
    free(u.opt);
}

/* Mean slot of the first query. a = 1 is uniform over 56 slots; a = 0.01 is about 1/g. */
static double first_gap(const char *a)
{
    enum { N = 3000 };
    const char *const pairs[] = { "pairs", "4", "length", "120", "a", a, "random_non_queries", "off" };
    struct setup u = find("recall", 4, pairs);
    struct as_example e = new_example(&u);
    double sum = 0;
    for (uint64_t i = 0; i < N; i++) {
        ptrdiff_t t = 8;
        make(&u, AS_TRAIN, 0, i, 0, &e);
        while (e.i[0][t] != e.i[0][0])                   /* the query of the first pair */
            t += 2;
        sum += (double)(t - 8) / 2 / N;
    }
    free_example(&e);
    free(u.opt);
    return sum;
}

static void recall_gaps_follow_the_power_law(void **state)
{
    double uniform = first_gap("1"), power = first_gap("0.01"), mean = 0, total = 0;
    (void)state;
    for (int g = 1; g <= 56; g++) {
        mean += (g - 1) * pow(g, -0.99);
        total += pow(g, -0.99);
    }
    /* the first pair draws its slot first, so its law is exactly the stated one */
    assert_true(fabs(uniform - 27.5) < 5 * 16.2 / sqrt(3000));
    assert_true(fabs(power - mean / total) < 5 * 13.5 / sqrt(3000));
}

static void selective_copying_spreads_evenly(void **state)
{
    enum { N = 2000, BODY = 40 };
    const char *const few[] = { "length", "36", "tokens", "4" };
    struct setup u = find("selective-copying", 2, few);
    struct as_example e = new_example(&u);
    int place[BODY] = { 0 };
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_VALID, 0, i, 0, &e);
        for (int t = 0; t < BODY; t++)
            place[t] += e.i[0][t] != 0;
    }
    for (int t = 0; t < BODY; t++)
        assert_in_range(place[t], N / 10 - 67, N / 10 + 67);
    free_example(&e);
    free(u.opt);
}

static void adding_has_its_known_baseline(void **state)
{
    enum { N = 4000 };
    const char *const length[] = { "length", "10..20" };
    struct setup u = find("adding", 1, length);
    struct as_example e = new_example(&u);
    double squares = 0;
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TRAIN, 0, i, 0, &e);
        double off = (double)e.x[1][0] - 1;
        squares += off * off / N;
    }
    assert_true(fabs(squares - 1 / 6.0) < 5 * 0.2 / sqrt(N));
    free_example(&e);
    free(u.opt);
}

/* All pairs, each once: over the splits together, and again in the next epoch in another order. */
static void modular_addition_covers_all_pairs(void **state)
{
    enum { P = 13, ALL = P * P, TRAIN = 68 };
    const char *const small[] = { "p", "13", "fraction", "0.4" };
    const uint64_t count[AS_SPLITS] = { TRAIN, 50, 51 };
    struct setup u = find("modular-addition", 2, small);
    struct as_example e = new_example(&u);
    int seen[ALL] = { 0 }, again[ALL] = { 0 }, order = 0;
    (void)state;
    for (int s = 0; s < AS_SPLITS; s++)
        for (uint64_t i = 0; i < count[s]; i++) {
            make(&u, (enum as_split)s, 5, i, 0, &e);
            int pair = e.i[0][0] * P + e.i[0][1];
            seen[pair]++;
            make(&u, (enum as_split)s, 5, i + count[s], 0, &e);
            again[e.i[0][0] * P + e.i[0][1]]++;
            order += pair == e.i[0][0] * P + e.i[0][1];
        }
    for (int pair = 0; pair < ALL; pair++)
        assert_true(seen[pair] == 1 && again[pair] == 1);
    assert_in_range(order, 0, ALL / 4);
    free_example(&e);
    free(u.opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_generator),
        cmocka_unit_test(every_converter_names_its_files),
        cmocka_unit_test(promised_splits_are_disjoint),
        cmocka_unit_test(parity_is_balanced),
        cmocka_unit_test(group_products_are_uniform),
        cmocka_unit_test(recall_gaps_follow_the_power_law),
        cmocka_unit_test(selective_copying_spreads_evenly),
        cmocka_unit_test(adding_has_its_known_baseline),
        cmocka_unit_test(modular_addition_covers_all_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
