/* cora: 2,708 papers in seven fields of machine learning, which cite each other; 1,433 words each holds or not (McCallum
 * et al. 2000; Sen et al. 2008). As published with Planetoid (Yang et al. 2016), with its split: 140 papers to learn
 * from, 20 a class, 500 for validation, 1,000 to test; the other 1,068 have a class that no split shows.
 *
 * An example is the whole graph, its nodes stand along time, and the three splits differ in `target` (and `weight`)
 * alone: -1 (and 0) at nodes that are not of the split. So learning is transductive. `edges` are pairs (from, to), each
 * citation in both directions, once, without loops, sorted by `to`, then `from`. `label` is the class of every node, for
 * studies that draw splits of their own; a model that reads it knows the answers.
 * The files are Python pickles: allx, ally (1,708 nodes: features, classes), tx, ty (the 1,000 of the test, in the order
 * of test.index, which says where they stand), graph (node: neighbours). The published x and y are the first 140 rows of
 * allx and ally.
 */
#include <assay/pickle.h>
#include <assay/registry.h>
#include <assay/source.h>
#include <string.h>

enum { NODES = 2708, WORDS = 1433, CLASSES = 7, EDGES = 10556, KNOWN = 1708, TRAIN = 140, VALID = 500 };
enum { X, TARGET, WEIGHT, EDGE, LABEL, FIELDS };
enum { ALLX, ALLY, TX, TY, GRAPH, TEST_INDEX, FILES };

struct options { int normalise; };

static const struct as_option options[] = {
    { .key = "normalise", .type = AS_BOOL, .offset = offsetof(struct options, normalise), .def = 1, .sweep = "0,1",
      .help = "the features of a node add up to one (Kipf & Welling 2017), or are zeros and ones" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    (void)opt;
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, WORDS } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 1, .dim = { AS_TIME },
                                               .vocab = CLASSES };
    s->field[WEIGHT] = (struct as_data_field){ .name = "weight", .rank = 1, .dim = { AS_TIME } };
    s->field[EDGE] = (struct as_data_field){ .name = "edges", .integer = true, .rank = 2, .dim = { EDGES, 2 },
                                             .vocab = NODES };
    s->field[LABEL] = (struct as_data_field){ .name = "label", .integer = true, .rank = 1, .dim = { AS_TIME },
                                              .vocab = CLASSES };
    s->n_fields = FIELDS;
    s->max_length = NODES;
    s->classes = CLASSES;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* Where row i of tx and ty stands: line i of test.index. */
static const char *read_places(struct as_bytes file, int32_t *place)
{
    size_t at = 0;
    unsigned char seen[NODES - KNOWN] = { 0 };
    for (int i = 0; i < NODES - KNOWN; i++) {
        int32_t node = 0;
        size_t from = at;
        for (; at < file.n && at - from < 5 && file.data[at] >= '0' && file.data[at] <= '9'; at++)
            node = 10 * node + file.data[at] - '0';
        if (at == from || at == file.n || file.data[at++] != '\n' || node < KNOWN || node >= NODES || seen[node - KNOWN]++)
            return as_say("test.index: line %d is not one of the nodes %d..%d, each once", i + 1, KNOWN, NODES - 1);
        place[i] = node;
    }
    return at == file.n ? NULL : as_say("test.index: more than %d lines", NODES - KNOWN);
}

/* Rows of features: to node i, or to place[i]. x (NODES, WORDS) holds zeros there. */
static const char *put_features(const struct as_pickle_value *v, ptrdiff_t rows, const int32_t *place, int normalise,
                                float *x)
{
    struct as_pickle_rows m;
    const char *why = as_pickle_sparse(v, &m);
    if (why)
        return why;
    if (m.rows != rows || m.cols != WORDS)
        return as_say("%td x %td features instead of %td x %d", m.rows, m.cols, rows, WORDS);
    for (ptrdiff_t r = 0; r < rows; r++) {
        float *row = x + (place ? place[r] : r) * WORDS, sum = 0;
        ptrdiff_t from = (ptrdiff_t)as_pickle_number(m.start, r), to = (ptrdiff_t)as_pickle_number(m.start, r + 1);
        for (ptrdiff_t k = from; k < to; k++) {
            ptrdiff_t word = (ptrdiff_t)as_pickle_number(m.column, k);
            if (as_pickle_number(m.value, k) < 1 || as_pickle_number(m.value, k) > 1 || row[word] > 0)
                return as_say("word %td of row %td is there twice, or not 1", word, r);
            row[word] = 1;
            sum += 1;
        }
        for (ptrdiff_t j = 0; j < WORDS && normalise && sum > 0; j++)
            row[j] /= sum;
    }
    return NULL;
}

/* Rows with a single one, at the class. */
static const char *put_labels(const struct as_pickle_value *v, ptrdiff_t rows, const int32_t *place, int32_t *label)
{
    if (!as_pickle_is_array(v, 2, true) || v->dim[0] != rows || v->dim[1] != CLASSES)
        return as_say("not an array of %td x %d classes", rows, CLASSES);
    for (ptrdiff_t r = 0; r < rows; r++) {
        int ones = 0;
        for (int c = 0; c < CLASSES; c++)
            if (as_pickle_number(v, r * CLASSES + c) > 0) {
                label[place ? place[r] : r] = c;
                ones++;
            }
        if (ones != 1)
            return as_say("row %td has %d classes", r, ones);
    }
    return NULL;
}

/* Pairs, sorted and once. room: NODES * NODES bytes. */
static const char *put_edges(const struct as_pickle_value *graph, unsigned char *room, int32_t *edge)
{
    ptrdiff_t n = 0;
    if (graph->kind != AS_PICKLE_DICT || graph->count != 2 * NODES)
        return as_say("not a dict of %d nodes", NODES);
    memset(room, 0, (size_t)NODES * NODES);
    for (ptrdiff_t k = 0; k < graph->count; k += 2) {
        const struct as_pickle_value *node = graph->item[k], *near = graph->item[k + 1];
        if (node->kind != AS_PICKLE_INT || node->i < 0 || node->i >= NODES || near->kind != AS_PICKLE_LIST)
            return as_say("entry %td is not a node with a list", k / 2);
        for (ptrdiff_t j = 0; j < near->count; j++) {
            const struct as_pickle_value *other = near->item[j];
            if (other->kind != AS_PICKLE_INT || other->i < 0 || other->i >= NODES)
                return as_say("neighbour %td of node %d is not a node", j, (int)node->i);
            room[node->i * NODES + other->i] = room[other->i * NODES + node->i] = 1;
        }
    }
    for (int32_t to = 0; to < NODES; to++)
        for (int32_t from = 0; from < NODES; from++)
            if (room[to * NODES + from] && from != to) {
                if (n < EDGES) {
                    edge[2 * n] = from;
                    edge[2 * n + 1] = to;
                }
                n++;
            }
    return n == EDGES ? NULL : as_say("%td edges instead of %d", n, EDGES);
}

static const char *put_graph(const struct options *o, struct as_pickle *const *p, const int32_t *place,
                             struct as_example *e)
{
    /* the features, which come last, lend their room */
    const char *why = put_edges(as_pickle_root(p[GRAPH]), (unsigned char *)e->x[X], e->i[EDGE]);
    if (why)
        return as_say("graph: %s", why);
    memset(e->x[X], 0, sizeof(float) * NODES * WORDS);
    why = put_features(as_pickle_root(p[ALLX]), KNOWN, NULL, o->normalise, e->x[X]);
    if (why)
        return as_say("allx: %s", why);
    why = put_features(as_pickle_root(p[TX]), NODES - KNOWN, place, o->normalise, e->x[X]);
    if (why)
        return as_say("tx: %s", why);
    why = put_labels(as_pickle_root(p[ALLY]), KNOWN, NULL, e->i[LABEL]);
    if (why)
        return as_say("ally: %s", why);
    why = put_labels(as_pickle_root(p[TY]), NODES - KNOWN, place, e->i[LABEL]);
    return why ? as_say("ty: %s", why) : NULL;
}

static void put_splits(const struct as_sink *sink, struct as_example *e)
{
    static const int first[AS_SPLITS] = { 0, TRAIN, KNOWN }, last[AS_SPLITS] = { TRAIN, TRAIN + VALID, NODES };
    e->length = NODES;
    for (int s = 0; s < AS_SPLITS; s++) {
        for (int i = 0; i < NODES; i++) {
            bool mine = i >= first[s] && i < last[s];
            e->i[TARGET][i] = mine ? e->i[LABEL][i] : -1;
            e->x[WEIGHT][i] = mine ? 1 : 0;
        }
        sink->example(sink->ctx, (enum as_split)s, e);
    }
}

static const char *convert(const void *opt, const struct as_bytes *files, const struct as_sink *sink)
{
    struct as_pickle *p[TEST_INDEX] = { NULL };
    int32_t place[NODES - KNOWN];
    const char *why = read_places(files[TEST_INDEX], place);
    for (int i = 0; i < TEST_INDEX && !why; i++)
        p[i] = as_pickle_open(files[i], &why);
    if (!why)
        why = put_graph(opt, p, place, sink->scratch);
    if (!why)
        put_splits(sink, sink->scratch);
    for (int i = 0; i < TEST_INDEX; i++)
        as_pickle_close(p[i]);
    sink->attribute(sink->ctx, "classes", "Case_Based, Genetic_Algorithms, Neural_Networks, Probabilistic_Methods, "
                    "Reinforcement_Learning, Rule_Learning and Theory, in an order that the publisher does not state");
    return why;
}

#define ADDRESS "https://raw.githubusercontent.com/kimiyoung/planetoid/af6abf468a772cc055bec88c52e4d6f51b7c37e3/data/"

static const struct as_file files[] = {
    { .path = "planetoid/ind.cora.allx", .url = ADDRESS "ind.cora.allx",
      .sha256 = "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543" },
    { .path = "planetoid/ind.cora.ally", .url = ADDRESS "ind.cora.ally",
      .sha256 = "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71" },
    { .path = "planetoid/ind.cora.tx", .url = ADDRESS "ind.cora.tx",
      .sha256 = "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a" },
    { .path = "planetoid/ind.cora.ty", .url = ADDRESS "ind.cora.ty",
      .sha256 = "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad" },
    { .path = "planetoid/ind.cora.graph", .url = ADDRESS "ind.cora.graph",
      .sha256 = "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d" },
    { .path = "planetoid/ind.cora.test.index", .url = ADDRESS "ind.cora.test.index",
      .sha256 = "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "papers that cite each other: the field of each, from its words and the graph",
    .origin = "Sen et al. 2008; as in Yang et al. 2016, https://github.com/kimiyoung/planetoid",
    .licence = "unclear: none is stated for the data; the copy is MIT",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__cora) = { .abi = ASSAY_ABI, .source = &source };
