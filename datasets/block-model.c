/* block-model: a random graph whose nodes of one class prefer, or avoid, each other, with noisy features (contextual
 * stochastic block model, Deshpande et al. 2018), for what learns on graphs:
 *     class of node i = i mod classes
 *     edges: nodes * degree / 2 pairs; a uniform, b with probability `homophily` of a's class, else of another one
 *     x_i = signal / sqrt(features) * centre_c + normal,   centre_c normal, one a class
 * `edges` holds each pair in both directions, (from, to); a pair may come twice. Every example is another graph with other
 * centres. Where a node stands says its class, so a model must not know positions; those that treat nodes alike do not.
 */
#include <assay/registry.h>
#include <assay/source.h>
#include <math.h>

enum { X, TARGET, EDGE };

struct options { int nodes, classes, degree, features; double homophily, signal; };

static const struct as_option options[] = {
    { .key = "nodes", .type = AS_INT, .offset = offsetof(struct options, nodes), .def = 60, .min = 20, .max = 4000,
      .help = "of a graph" },
    { .key = "classes", .type = AS_INT, .offset = offsetof(struct options, classes), .def = 4, .min = 2, .max = 10,
      .help = "of nodes" },
    { .key = "degree", .type = AS_INT, .offset = offsetof(struct options, degree), .def = 4, .min = 1, .max = 32,
      .help = "mean number of neighbours" },
    { .key = "homophily", .type = AS_NUM, .offset = offsetof(struct options, homophily), .def = 0.8, .min = 0, .max = 1,
      .sweep = "0.1,0.5,0.9", .help = "share of edges within a class" },
    { .key = "features", .type = AS_INT, .offset = offsetof(struct options, features), .def = 8, .min = 1, .max = 128,
      .help = "width of x" },
    { .key = "signal", .type = AS_NUM, .offset = offsetof(struct options, signal), .def = 1, .min = 0, .max = 100,
      .sweep = "0.5,1,2", .help = "length of a class's centre, in deviations of the noise" },
    { 0 }
};

static ptrdiff_t pairs(const struct options *o) { return (ptrdiff_t)o->nodes * o->degree / 2; }

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, o->features } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 1, .dim = { AS_TIME },
                                               .vocab = o->classes };
    s->field[EDGE] = (struct as_data_field){ .name = "edges", .integer = true, .rank = 2, .dim = { 2 * pairs(o), 2 },
                                             .vocab = o->nodes };
    s->n_fields = 3;
    s->max_length = o->nodes;
    s->classes = o->classes;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* A node of a class, uniform; another than `but`. Classes have two nodes or more. */
static int32_t draw_node(const struct options *o, int class, int32_t but, struct as_key key, uint64_t index)
{
    uint32_t size = (uint32_t)((o->nodes - class + o->classes - 1) / o->classes);
    int32_t node = class + o->classes * (int32_t)as_below(key, index, size);
    if (node != but)
        return node;
    return node + o->classes < o->nodes ? node + o->classes : class;
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);
    struct as_key centre = as_subkey(own, 1), noise = as_subkey(own, 2), edge = as_subkey(own, 3);
    float share = (float)(o->signal / sqrt((double)o->features));
    (void)split;            /* the key's role keeps the splits apart */
    e->length = o->nodes;
    for (int i = 0; i < o->nodes; i++) {
        int class = i % o->classes;
        e->i[TARGET][i] = class;
        for (int j = 0; j < o->features; j++)
            e->x[X][i * o->features + j] = share * as_normal(centre, (uint64_t)(class * o->features + j)) +
                                           as_normal(noise, (uint64_t)(i * o->features + j));
    }
    for (ptrdiff_t k = 0; k < pairs(o); k++) {
        uint64_t at = 4 * (uint64_t)k;
        int32_t a = (int32_t)as_below(edge, at, (uint32_t)o->nodes), *pair = e->i[EDGE] + 4 * k;
        int class = a % o->classes;
        if ((double)as_uniform(edge, at + 1) >= o->homophily)
            class = (class + 1 + (int)as_below(edge, at + 2, (uint32_t)o->classes - 1)) % o->classes;
        int32_t b = draw_node(o, class, a, edge, at + 3);
        pair[0] = pair[3] = a;
        pair[1] = pair[2] = b;
    }
}

/* The classes go round and round; no node stands beside itself. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    int32_t next = 0;
    for (ptrdiff_t i = 0; i < e->length; i++) {
        if (e->i[TARGET][i] != next)
            return as_say("node %td is of class %d, but the target is %d", i, (int)next, (int)e->i[TARGET][i]);
        next = next + 1 < o->classes ? next + 1 : 0;
    }
    for (ptrdiff_t k = 0; k < 2 * pairs(o); k++)
        if (e->i[EDGE][2 * k] == e->i[EDGE][2 * k + 1])
            return as_say("edge %td goes from node %d to itself", k, (int)e->i[EDGE][2 * k]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "classes of the nodes of a random graph with communities and noisy features",
    .origin = "Deshpande et al. 2018, https://arxiv.org/abs/1807.09596",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__block_model) = { .abi = ASSAY_ABI, .source = &source };
