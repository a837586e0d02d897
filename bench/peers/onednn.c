/* onednn.c: oneDNN's own recurrent layers as a peer: the same protocol as worker.py, see there. Layouts are those that the
 * library asks for, filled directly, so no conversion of weights or data is timed, which favours the library. Its `gru` is
 * the one with the reset before the product, `lbr_gru` the one behind it. For the C interface of oneDNN 2.x. */
#include <dnnl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if DNNL_VERSION_MAJOR != 2
int main(void)
{
    char line[512];

    while (fgets(line, sizeof line, stdin)) {
        puts("no\tthe peer is written for oneDNN 2.x, this is another");
        fflush(stdout);
    }
    return 0;
}
#else

enum { ARGS = 24, TIMES = 100000 };
struct cell { const char *name; dnnl_alg_kind_t kind; int gates, biases; };
static const struct cell cells[] = {
    { "lstm", dnnl_vanilla_lstm, 4, 4 }, { "gru-before", dnnl_vanilla_gru, 3, 3 }, { "gru-after", dnnl_lbr_gru, 3, 4 },
    { "rnn", dnnl_vanilla_rnn, 1, 1 },
};

struct bound { int arg; dnnl_memory_t memory; };
struct layer {
    dnnl_primitive_desc_t forward_desc, backward_desc;
    dnnl_primitive_t forward, backward;
    struct bound bound[ARGS];
    int n;
    dnnl_exec_arg_t forward_args[ARGS], backward_args[ARGS];
    int n_forward, n_backward;
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static int failed(dnnl_status_t s) { return s != dnnl_success; }

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

struct sizes { dnnl_memory_desc_t x, w, u, b; };

static int describe(const struct cell *c, long batch, long time, long width, struct sizes *s)
{
    dnnl_dims_t x = { time, batch, width }, w = { 1, 1, width, c->gates, width }, b = { 1, 1, c->biases, width };

    return failed(dnnl_memory_desc_init_by_tag(&s->x, 3, x, dnnl_f32, dnnl_tnc)) ||
           failed(dnnl_memory_desc_init_by_tag(&s->w, 5, w, dnnl_f32, dnnl_format_tag_any)) ||
           failed(dnnl_memory_desc_init_by_tag(&s->u, 5, w, dnnl_f32, dnnl_format_tag_any)) ||
           failed(dnnl_memory_desc_init_by_tag(&s->b, 4, b, dnnl_f32, dnnl_ldgo));
}

static dnnl_status_t forward_desc(const struct cell *c, dnnl_rnn_desc_t *d, const struct sizes *s)
{
    const dnnl_prop_kind_t train = dnnl_forward_training;
    const dnnl_rnn_direction_t left = dnnl_unidirectional_left2right;

    if (c->kind == dnnl_vanilla_lstm)
        return dnnl_lstm_forward_desc_init(d, train, left, &s->x, NULL, NULL, &s->w, &s->u, &s->b, &s->x, NULL, NULL, 0);
    if (c->kind == dnnl_vanilla_gru)
        return dnnl_gru_forward_desc_init(d, train, left, &s->x, NULL, &s->w, &s->u, &s->b, &s->x, NULL, 0);
    if (c->kind == dnnl_lbr_gru)
        return dnnl_lbr_gru_forward_desc_init(d, train, left, &s->x, NULL, &s->w, &s->u, &s->b, &s->x, NULL, 0);
    return dnnl_vanilla_rnn_forward_desc_init(d, train, dnnl_eltwise_tanh, left, &s->x, NULL, &s->w, &s->u, &s->b, &s->x, NULL, 0,
                                              0, 0);
}

static dnnl_status_t backward_desc(const struct cell *c, dnnl_rnn_desc_t *d, const struct sizes *s)
{
    const dnnl_prop_kind_t back = dnnl_backward;
    const dnnl_rnn_direction_t left = dnnl_unidirectional_left2right;
    const dnnl_memory_desc_t *x = &s->x, *w = &s->w, *u = &s->u, *b = &s->b;

    if (c->kind == dnnl_vanilla_lstm)
        return dnnl_lstm_backward_desc_init(d, back, left, x, NULL, NULL, w, u, b, x, NULL, NULL, x, NULL, NULL, w, u, b, x, NULL,
                                            NULL, 0);
    if (c->kind == dnnl_vanilla_gru)
        return dnnl_gru_backward_desc_init(d, back, left, x, NULL, w, u, b, x, NULL, x, NULL, w, u, b, x, NULL, 0);
    if (c->kind == dnnl_lbr_gru)
        return dnnl_lbr_gru_backward_desc_init(d, back, left, x, NULL, w, u, b, x, NULL, x, NULL, w, u, b, x, NULL, 0);
    return dnnl_vanilla_rnn_backward_desc_init(d, back, dnnl_eltwise_tanh, left, x, NULL, w, u, b, x, NULL, x, NULL, w, u, b, x,
                                               NULL, 0, 0, 0);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static dnnl_memory_t find(const struct layer *l, int arg, const dnnl_memory_desc_t *md)
{
    for (int k = 0; k < l->n; k++) {
        const dnnl_memory_desc_t *has;

        if (l->bound[k].arg == arg && !failed(dnnl_memory_get_memory_desc(l->bound[k].memory, &has)) &&
            dnnl_memory_desc_equal(has, md))
            return l->bound[k].memory;
    }
    return NULL;
}

/* An array as the primitive wants it, small random numbers in it; forward and backward share what has one layout. */
static int bind(struct layer *l, dnnl_primitive_desc_t pd, int arg, dnnl_exec_arg_t *args, int *n)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
    size_t bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    dnnl_memory_t m;
    void *at;

    if (!bytes)
        return 0;
    m = find(l, arg, md);
    if (!m) {
        if (l->n == ARGS || failed(dnnl_memory_create(&m, md, engine, DNNL_MEMORY_ALLOCATE)))
            return 1;
        l->bound[l->n++] = (struct bound){ arg, m };
        if (failed(dnnl_memory_get_data_handle(m, &at)))
            return 1;
        if (arg == DNNL_ARG_WORKSPACE)
            memset(at, 0, bytes);
        else
            for (size_t i = 0; i < bytes / sizeof(float); i++)
                ((float *)at)[i] = 0.05f * ((float)rand() / (float)RAND_MAX - 0.5f);
    }
    args[(*n)++] = (dnnl_exec_arg_t){ arg, m };
    return 0;
}

static void release(struct layer *l)
{
    for (int k = 0; k < l->n; k++)
        dnnl_memory_destroy(l->bound[k].memory);
    if (l->forward)
        dnnl_primitive_destroy(l->forward);
    if (l->backward)
        dnnl_primitive_destroy(l->backward);
    if (l->forward_desc)
        dnnl_primitive_desc_destroy(l->forward_desc);
    if (l->backward_desc)
        dnnl_primitive_desc_destroy(l->backward_desc);
    memset(l, 0, sizeof *l);
}

static int build(const struct cell *c, long batch, long time, long width, struct layer *l)
{
    static const int both[] = { DNNL_ARG_SRC_LAYER, DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER, DNNL_ARG_BIAS,
                                DNNL_ARG_DST_LAYER, DNNL_ARG_WORKSPACE };
    static const int back[] = { DNNL_ARG_DIFF_SRC_LAYER, DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER,
                                DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_DST_LAYER };
    struct sizes s;
    dnnl_rnn_desc_t f, b;

    memset(l, 0, sizeof *l);
    if (describe(c, batch, time, width, &s) || failed(forward_desc(c, &f, &s)) ||
        failed(dnnl_primitive_desc_create(&l->forward_desc, &f, NULL, engine, NULL)) || failed(backward_desc(c, &b, &s)) ||
        failed(dnnl_primitive_desc_create(&l->backward_desc, &b, NULL, engine, l->forward_desc)) ||
        failed(dnnl_primitive_create(&l->forward, l->forward_desc)) ||
        failed(dnnl_primitive_create(&l->backward, l->backward_desc)))
        return 1;
    for (size_t k = 0; k < sizeof both / sizeof *both; k++)
        if (bind(l, l->forward_desc, both[k], l->forward_args, &l->n_forward) ||
            bind(l, l->backward_desc, both[k], l->backward_args, &l->n_backward))
            return 1;
    for (size_t k = 0; k < sizeof back / sizeof *back; k++)
        if (bind(l, l->backward_desc, back[k], l->backward_args, &l->n_backward))
            return 1;
    return 0;
}

/* --- measuring ---------------------------------------------------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int step(const struct layer *l)
{
    return failed(dnnl_primitive_execute(l->forward, stream, l->n_forward, l->forward_args)) ||
           failed(dnnl_primitive_execute(l->backward, stream, l->n_backward, l->backward_args)) ||
           failed(dnnl_stream_wait(stream));
}

static void measure(const char *name, const char *shape, double seconds)
{
    static double times[TIMES];
    static struct layer l;
    const struct cell *c = NULL;
    long batch, time, width;
    int n = 0;
    double start;

    for (size_t k = 0; k < sizeof cells / sizeof *cells; k++)
        if (strcmp(cells[k].name, name) == 0)
            c = &cells[k];
    if (!c || sscanf(shape, "%ldx%ldx%ld", &batch, &time, &width) != 3) {
        puts("no\tneither a layer that oneDNN has nor a shape");
        return;
    }
    if (build(c, batch, time, width, &l) || step(&l) || step(&l)) {
        puts("no\toneDNN refused it");
        release(&l);
        return;
    }
    start = now();
    do {
        double before = now();

        if (step(&l))
            break;
        times[n++] = now() - before;
    } while (n < TIMES && (n < 3 || now() - start < 1e3 * seconds));
    qsort(times, (size_t)n, sizeof *times, rising);
    if (n)
        printf("ok\t%.6g\t%.6g\t%.6g\t%d\n", times[n / 2], times[n / 4], times[3 * n / 4], n);
    else
        puts("no\toneDNN failed in the middle");
    release(&l);
}

int main(void)
{
    static char line[1024];
    const dnnl_version_t *v = dnnl_version();

    if (failed(dnnl_engine_create(&engine, dnnl_cpu, 0)) || failed(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags)))
        return 1;
    while (fgets(line, sizeof line, stdin)) {
        char *field[5] = { line }, *at = line;
        int n = 1, has = 0;

        line[strcspn(line, "\n")] = 0;
        for (; n < 5 && (at = strchr(at, '\t')); n++) {
            *at++ = 0;
            field[n] = at;
        }
        for (size_t k = 0; n > 1 && k < sizeof cells / sizeof *cells; k++)
            has += strcmp(cells[k].name, field[1]) == 0;
        if (strcmp(field[0], "facts") == 0)
            printf("ok\toneDNN %d.%d.%d\tthreads OMP_NUM_THREADS\n", v->major, v->minor, v->patch);
        else if (strcmp(field[0], "forms") == 0)
            puts(has ? "ok\tprimitive" : "ok");
        else if (n == 5)
            measure(field[1], field[3], atof(field[4]));
        else
            puts("no\twhich request is this?");
        fflush(stdout);
    }
    return 0;
}
#endif
