/* sudoku: fill the grid so that each digit stands once in each row, each column and each box. The givens allow exactly
 * one solution. n digits, n x n cells; boxes of 2 x 2 (n = 4), 2 x 3 (6) or 3 x 3 cells (9), rows by columns.
 *
 * Time runs over the cells, row by row: x is the given digit 1..n or 0 for none, target the digit less 1 of every cell,
 * given or not. `edges` has the pairs (from, to) of different cells of one row, column or box, both ways, by `to`.
 *
 * A grid is filled by search with digits tried in drawn orders (every solution can come, not all equally often). Then
 * digits are taken away in a drawn order, those left in without which another solution fits, until as many are left as
 * drawn from `givens`; where the order ends before, more are left. Palm et al. 2018 keep 17 to 34 givens of 9 x 9
 * cells.
 *
 * Splits share no solution, even up to the names of the digits: digits are renamed so that the first row reads 1..n,
 * and a hash of the renamed grid sends half of these classes to the training set, a quarter each to the others. There
 * are 12 classes of 4 x 4 grids (of 288 grids) and 39,168 of 6 x 6.
 */
#include <assay/registry.h>
#include <assay/source.h>

enum { SIZE_4, SIZE_6, SIZE_9 };
enum { X, TARGET, EDGES };
enum { DRAW_GIVENS, DRAW_ORDER, DRAW_GRID };         /* sub-streams of one example */
#define DIGITS 9                                     /* of the largest grid */
#define CELLS (DIGITS * DIGITS)

struct options { int size; struct as_range givens; };

/* fewest: no puzzle with fewer givens has but one solution. */
static const struct { int n, high, wide, fewest; struct as_range givens; } kinds[] = {
    [SIZE_4] = { 4, 2, 2, 4, { 5, 10 } }, [SIZE_6] = { 6, 2, 3, 8, { 12, 24 } }, [SIZE_9] = { 9, 3, 3, 17, { 28, 50 } },
};

static const struct as_option options[] = {
    { .key = "size", .type = AS_WORD, .offset = offsetof(struct options, size), .words = "4|6|9", .def = SIZE_6,
      .sweep = "4,6,9", .help = "digits n" },
    { .key = "givens", .type = AS_RANGE, .offset = offsetof(struct options, givens), .words = "0", .min = 0,
      .max = CELLS, .help = "digits given, one number drawn for each puzzle; 0: 5..10, 12..24 or 28..50, by the size" },
    { 0 }
};

static struct as_range givens(const struct options *o) { return o->givens.hi ? o->givens : kinds[o->size].givens; }

static const char *check(const void *opt)
{
    const struct options *o = opt;
    int n = kinds[o->size].n;
    struct as_range g = givens(o);
    if (g.lo < kinds[o->size].fewest || g.hi > n * n)
        return as_say("sudoku: %d..%d givens cannot be; %d x %d cells take %d to %d", g.lo, g.hi, n, n,
                      kinds[o->size].fewest, n * n);
    return NULL;
}

/* Row, column and box of each cell. */
struct lines { int n; unsigned char row[CELLS], column[CELLS], box[CELLS]; };

static struct lines lines_of(const struct options *o)
{
    int n = kinds[o->size].n, high = kinds[o->size].high, wide = kinds[o->size].wide;
    struct lines l = { .n = n };
    for (int cell = 0; cell < n * n; cell++) {
        l.row[cell] = (unsigned char)(cell / n);
        l.column[cell] = (unsigned char)(cell % n);
        l.box[cell] = (unsigned char)(cell / n / high * high + cell % n / wide);
    }
    return l;
}

/* Neighbours of a cell: the rest of row and column, and what the box has beside them. */
static int neighbours(int size)
{
    return 2 * (kinds[size].n - 1) + (kinds[size].high - 1) * (kinds[size].wide - 1);
}

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    int n = kinds[o->size].n;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME }, .vocab = n + 1 };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 1, .dim = { AS_TIME },
                                               .vocab = n };
    s->field[EDGES] = (struct as_data_field){ .name = "edges", .integer = true, .rank = 2,
                                              .dim = { (ptrdiff_t)n * n * neighbours(o->size), 2 }, .vocab = n * n };
    s->n_fields = 3;
    s->max_length = n * n;
    s->classes = n;
    s->per_step = true;
    s->metric = "solved";
    s->objective = "ce";
}

/* --- search ----------------------------------------------------------------------------------------------------- */

/* digit: -1 where empty. Sets of digits that stand already, one bit a digit. */
struct grid {
    const struct lines *line;
    int n;
    signed char digit[CELLS];
    unsigned row[DIGITS], column[DIGITS], box[DIGITS];
};

static unsigned candidates(const struct grid *g, int cell)
{
    const struct lines *l = g->line;
    return ~(g->row[l->row[cell]] | g->column[l->column[cell]] | g->box[l->box[cell]]) & ((1U << g->n) - 1);
}

/* Puts a digit, or takes the one that is there away. */
static void flip(struct grid *g, int cell, int digit)
{
    unsigned bit = 1U << digit;
    g->digit[cell] = g->digit[cell] < 0 ? (signed char)digit : -1;
    g->row[g->line->row[cell]] ^= bit;
    g->column[g->line->column[cell]] ^= bit;
    g->box[g->line->box[cell]] ^= bit;
}

static int count_bits(unsigned set)
{
    set = (set & 0x155) + (set >> 1 & 0x155);        /* nine bits: pairs, then fours, then all */
    set = (set & 0x133) + (set >> 2 & 0x133);
    return (int)((set & 0xf) + (set >> 4 & 0xf) + (set >> 8));
}

/* The empty cell with the fewest candidates, or -1. */
static int tightest(const struct grid *g)
{
    int best = -1, fewest = DIGITS + 1;
    for (int cell = 0; cell < g->n * g->n && fewest > 1; cell++) {
        int some = g->digit[cell] < 0 ? count_bits(candidates(g, cell)) : fewest;
        if (some < fewest) {
            fewest = some;
            best = cell;
        }
    }
    return best;
}

/* Fills the grid, depth first. key: digits are tried from a drawn one on; NULL: from 0. False: it cannot be filled. */
static bool fill(struct grid *g, const struct as_key *key, uint64_t *draws)
{
    int cell = tightest(g), from;
    unsigned set;
    if (cell < 0)
        return true;
    set = candidates(g, cell);
    from = key ? (int)as_below(*key, (*draws)++, (uint32_t)g->n) : 0;
    for (int k = 0; k < g->n; k++) {
        int digit = (from + k) % g->n;
        if (!(set >> digit & 1))
            continue;
        flip(g, cell, digit);
        if (fill(g, key, draws))
            return true;
        flip(g, cell, digit);
    }
    return false;
}

/* Whether the grid can be filled with another digit in this cell than the one that is there. */
static bool has_another(const struct grid *g, int cell)
{
    struct grid rest = *g;
    unsigned set;
    flip(&rest, cell, g->digit[cell]);
    set = candidates(&rest, cell) & ~(1U << g->digit[cell]);
    for (int digit = 0; digit < g->n; digit++) {
        struct grid tried = rest;
        uint64_t none = 0;
        if (!(set >> digit & 1))
            continue;
        flip(&tried, cell, digit);
        if (fill(&tried, NULL, &none))
            return true;
    }
    return false;
}

/* --- examples --------------------------------------------------------------------------------------------------- */

/* FNV-1a of the grid with digits renamed in the order of the first row; its upper bits say which split. */
static enum as_split split_of(const struct grid *g)
{
    int name[DIGITS];
    uint64_t h = 14695981039346656037U;
    for (int j = 0; j < g->n; j++)
        name[g->digit[j]] = j;
    for (int cell = 0; cell < g->n * g->n; cell++)
        h = (h ^ (uint64_t)name[g->digit[cell]]) * 1099511628211U;
    return h >> 63 ? AS_TRAIN : h >> 62 & 1 ? AS_VALID : AS_TEST;
}

/* A filled grid of the split: drawn until it is of that split. */
static void draw_grid(const struct lines *l, enum as_split split, struct as_key own, struct grid *g)
{
    for (uint64_t attempt = 0; ; attempt++) {
        struct as_key key = as_subkey(as_subkey(own, DRAW_GRID), attempt);
        uint64_t draws = 0;
        *g = (struct grid){ .line = l, .n = l->n };
        for (int cell = 0; cell < CELLS; cell++)
            g->digit[cell] = -1;
        fill(g, &key, &draws);
        if (split_of(g) == split)
            return;
    }
}

static bool in_one_line(const struct lines *l, int a, int b)
{
    return l->row[a] == l->row[b] || l->column[a] == l->column[b] || l->box[a] == l->box[b];
}

static void write_edges(const struct lines *l, int32_t *pair)
{
    for (int to = 0; to < l->n * l->n; to++)
        for (int from = 0; from < l->n * l->n; from++) {
            if (from == to || !in_one_line(l, from, to))
                continue;
            *pair++ = from;
            *pair++ = to;
        }
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);
    struct lines l = lines_of(o);
    struct grid g;
    int32_t order[CELLS];
    int cells = l.n * l.n, left = cells, goal = as_range_draw(givens(o), own, DRAW_GIVENS);
    draw_grid(&l, split, own, &g);
    e->length = cells;
    for (int cell = 0; cell < cells; cell++)
        e->i[TARGET][cell] = g.digit[cell];
    as_shuffle(as_subkey(own, DRAW_ORDER), cells, order);
    for (int k = 0; k < cells && left > goal; k++) {
        int cell = order[k];
        if (has_another(&g, cell))
            continue;
        flip(&g, cell, g.digit[cell]);
        left--;
    }
    for (int cell = 0; cell < cells; cell++)
        e->i[X][cell] = g.digit[cell] + 1;
    write_edges(&l, e->i[EDGES]);
}

/* --- another solver: exact cover by dancing links (Knuth 2000, arXiv cs/0011047) ----------------------------------- */

/* Columns 1..4 n^2: a cell is filled; a digit stands in a row, in a column, in a box. A row of four for each digit in
 * each cell, behind them. Link 0 is the head. */
#define COLUMNS (4 * CELLS)
#define LINKS (1 + COLUMNS + 4 * CELLS * DIGITS)
struct links {
    short left[LINKS], right[LINKS], up[LINKS], down[LINKS], column[LINKS], size[COLUMNS + 1];
    int n, solutions, now[CELLS], first[CELLS];
};

static void cover(struct links *l, int c)
{
    l->right[l->left[c]] = l->right[c];
    l->left[l->right[c]] = l->left[c];
    for (int i = l->down[c]; i != c; i = l->down[i])
        for (int j = l->right[i]; j != i; j = l->right[j]) {
            l->down[l->up[j]] = l->down[j];
            l->up[l->down[j]] = l->up[j];
            l->size[l->column[j]]--;
        }
}

static void uncover(struct links *l, int c)
{
    for (int i = l->up[c]; i != c; i = l->up[i])
        for (int j = l->left[i]; j != i; j = l->left[j]) {
            l->size[l->column[j]]++;
            l->down[l->up[j]] = l->up[l->down[j]] = (short)j;
        }
    l->right[l->left[c]] = l->left[l->right[c]] = (short)c;
}

static void build(struct links *l, const struct lines *line)
{
    int n = line->n, columns = 4 * n * n;
    *l = (struct links){ .n = n };
    for (int c = 0; c <= columns; c++) {
        l->left[c] = (short)(c ? c - 1 : columns);
        l->right[c] = (short)(c < columns ? c + 1 : 0);
        l->up[c] = l->down[c] = l->column[c] = (short)c;
    }
    for (int r = 0; r < n * n * n; r++) {
        int cell = r / n, digit = r % n, first = 1 + columns + 4 * r;
        int at[4] = { cell, cell / n * n + digit, cell % n * n + digit, line->box[cell] * n + digit };
        for (int k = 0; k < 4; k++) {
            int j = first + k, c = 1 + k * n * n + at[k];
            l->left[j] = (short)(first + (k + 3) % 4);
            l->right[j] = (short)(first + (k + 1) % 4);
            l->column[j] = (short)c;
            l->up[j] = l->up[c];
            l->down[j] = (short)c;
            l->down[l->up[c]] = (short)j;
            l->up[c] = (short)j;
            l->size[c]++;
        }
    }
}

static void choose(struct links *l, int link)
{
    int r = (link - 1 - 4 * l->n * l->n) / 4;
    l->now[r / l->n] = r % l->n;
}

/* Counts solutions up to two, and keeps the first. */
static void cover_all(struct links *l)
{
    int c = l->right[0];
    if (c == 0) {
        for (int cell = 0; cell < l->n * l->n && l->solutions == 0; cell++)
            l->first[cell] = l->now[cell];
        l->solutions++;
        return;
    }
    for (int k = c; k != 0; k = l->right[k])
        if (l->size[k] < l->size[c])
            c = k;
    cover(l, c);
    for (int i = l->down[c]; i != c && l->solutions < 2; i = l->down[i]) {
        choose(l, i);
        for (int j = l->right[i]; j != i; j = l->right[j])
            cover(l, l->column[j]);
        cover_all(l);
        for (int j = l->left[i]; j != i; j = l->left[j])
            uncover(l, l->column[j]);
    }
    uncover(l, c);
}

/* The given digit as a row that is chosen beforehand. False when it contradicts another given. */
static bool give(struct links *l, int cell, int digit)
{
    int first = 1 + 4 * l->n * l->n + 4 * (cell * l->n + digit);
    for (int k = 0; k < 4; k++) {
        int c = l->column[first + k];
        if (l->right[l->left[c]] != c)
            return false;
        cover(l, c);
    }
    choose(l, first);
    return true;
}

/* Each pair once, each of one row, column or box: then their number says that none is missing. */
static const char *wrong_edges(const struct options *o, const struct lines *l, const int32_t *pair)
{
    bool seen[CELLS][CELLS] = { 0 };
    int n = l->n;
    for (int k = 0; k < n * n * neighbours(o->size); k++, pair += 2) {
        int a = pair[0], b = pair[1];
        if (a < 0 || b < 0 || a >= n * n || b >= n * n || a == b || seen[a][b] || !in_one_line(l, a, b))
            return as_say("sudoku: edge %d, from %d to %d, is none or stands there twice", k, a, b);
        seen[a][b] = true;
    }
    return NULL;
}

static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    struct lines line = lines_of(o);
    struct links l;
    int n = line.n, given = 0;
    build(&l, &line);
    for (int cell = 0; cell < n * n; cell++) {
        int digit = e->i[X][cell] - 1;
        if (digit < -1 || digit >= n || (digit >= 0 && !give(&l, cell, digit)))
            return as_say("sudoku: the %d given in cell %d cannot be", digit + 1, cell);
        given += digit >= 0;
    }
    if (given < givens(o).lo)
        return as_say("sudoku: %d givens, less than %d", given, givens(o).lo);
    cover_all(&l);
    if (l.solutions != 1)
        return as_say("sudoku: the givens allow %s", l.solutions ? "several solutions" : "no solution");
    for (int cell = 0; cell < n * n; cell++)
        if (e->i[TARGET][cell] != l.first[cell])
            return as_say("sudoku: cell %d is a %d, but the target is %d", cell, l.first[cell] + 1,
                          (int)e->i[TARGET][cell] + 1);
    return wrong_edges(o, &line, e->i[EDGES]);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "sudoku of 4 x 4, 6 x 6 or 9 x 9 cells with one solution, and the graph of its constraints",
    .origin = "Palm et al. 2018, https://arxiv.org/abs/1711.08028",
    .licence = "generated",
    .surrogate = "the puzzles of Park 2016 and Royle (17 givens): smaller grids, which two cores can learn",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .example = example, .answer = answer, .disjoint = true,
};

const struct as_plugin AS_PLUGIN(datasets__sudoku) = { .abi = ASSAY_ABI, .source = &source };
