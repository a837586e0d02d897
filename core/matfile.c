/* MATLAB 5 files are a header of 128 bytes and then data elements: a tag of eight bytes (type, size) and the content,
 * padded to eight; a content of up to four bytes may stand in the tag itself. A matrix is an element made of elements:
 * flags, sizes, name, values. A compressed element holds one matrix as a zlib stream.
 */
#include <assay/matfile.h>
#include <stdlib.h>
#include <string.h>

enum { INT8 = 1, UINT8, INT16, UINT16, INT32, UINT32, SINGLE, DOUBLE = 9, INT64 = 12, UINT64, MATRIX, COMPRESSED };
enum { CLASS_CELL = 1, CLASS_DOUBLE = 6, CLASS_UINT64 = 15, FLAG_COMPLEX = 0x800, HEADER = 128, NAME_MAX_LENGTH = 63 };

static const unsigned char item_size[] = {
    [INT8] = 1, [UINT8] = 1, [INT16] = 2, [UINT16] = 2, [INT32] = 4, [UINT32] = 4, [SINGLE] = 4, [DOUBLE] = 8,
    [INT64] = 8, [UINT64] = 8,
};

struct span { const unsigned char *p; size_t n; bool big; };         /* bytes still to be read */
struct element { uint32_t type; struct span body; };

struct variable { char name[NAME_MAX_LENGTH + 1]; struct span body; };
struct as_mat {
    struct variable *variable;
    unsigned char **unpacked;                /* one per compressed element, to be freed */
    size_t n, n_unpacked;
};

static uint64_t number(const unsigned char *p, size_t bytes, bool big)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

/* Takes the next element from s. NULL, or why not. */
static const char *take(struct span *s, struct element *e)
{
    if (s->n < 8)
        return as_say("MATLAB file: it ends inside a tag");
    uint32_t type = (uint32_t)number(s->p, 4, s->big), size = (uint32_t)number(s->p + 4, 4, s->big);
    if (type >> 16 != 0) {                                   /* content within the tag */
        size = type >> 16;
        if (size > 4)
            return as_say("MATLAB file: damaged: a short element of %u bytes", (unsigned)size);
        *e = (struct element){ type & 0xffff, { s->p + 4, size, s->big } };
        s->p += 8;
        s->n -= 8;
        return NULL;
    }
    if (size > s->n - 8)
        return as_say("MATLAB file: truncated or damaged: an element of %u bytes, where %zu are left", (unsigned)size,
                      s->n - 8);
    *e = (struct element){ type, { s->p + 8, size, s->big } };
    size_t step = 8 + (size_t)size, padding = type == COMPRESSED ? 0 : (8 - step % 8) % 8;
    if (padding > s->n - step)
        padding = s->n - step;                               /* some writers leave out the last padding */
    s->p += step + padding;
    s->n -= step + padding;
    return NULL;
}

/* Reads flags, sizes and name of a matrix; `body` is left at what follows. The sizes are (rows, cols). */
static const char *head(struct span *body, uint32_t *flags, ptrdiff_t *rows, ptrdiff_t *cols, char *name)
{
    struct element e = { 0 };
    const char *why = take(body, &e);
    if (why)
        return why;
    if (e.type != UINT32 || e.body.n != 8)
        return as_say("MATLAB file: damaged: a matrix without its flags");
    *flags = (uint32_t)number(e.body.p, 4, e.body.big);
    if ((why = take(body, &e)) != NULL)
        return why;
    if (e.type != INT32 || e.body.n < 8 || e.body.n % 4 != 0)
        return as_say("MATLAB file: damaged: a matrix without its sizes");
    *rows = *cols = 1;
    for (size_t i = 0; i < e.body.n / 4; i++) {
        ptrdiff_t dim = (int32_t)number(e.body.p + 4 * i, 4, e.body.big);
        ptrdiff_t *side = i == 0 ? rows : cols;
        if (dim < 0 || (dim > 0 && *side > PTRDIFF_MAX / dim))
            return as_say("MATLAB file: damaged: a matrix with a size of %td", dim);
        *side *= dim;
    }
    if ((why = take(body, &e)) != NULL)
        return why;
    if (e.type != INT8 && e.type != UINT8)
        return as_say("MATLAB file: damaged: a matrix without its name");
    size_t n = e.body.n < NAME_MAX_LENGTH ? e.body.n : NAME_MAX_LENGTH;
    memcpy(name, e.body.p, n);
    name[n] = '\0';
    return NULL;
}

/* What a matrix element holds. */
static const char *value_of(struct span body, struct as_mat_value *v)
{
    char name[NAME_MAX_LENGTH + 1];
    struct element e = { 0 };
    uint32_t flags = 0;
    ptrdiff_t rows, cols;
    if (body.n == 0) {                                       /* how an empty cell is written */
        *v = (struct as_mat_value){ .rows = 0, .cols = 0, .type = DOUBLE };
        return NULL;
    }
    const char *why = head(&body, &flags, &rows, &cols, name);
    if (why)
        return why;
    uint32_t class = flags & 0xff;
    *v = (struct as_mat_value){ .rows = rows, .cols = cols, .big = body.big };
    if (class == CLASS_CELL) {
        /* each cell takes eight bytes or more, so this bounds what a loop over the cells costs */
        if (cols != 0 && rows > (ptrdiff_t)(body.n / 8) / cols)
            return as_say("MATLAB file: truncated or damaged: %td x %td cells in %zu bytes", rows, cols, body.n);
        v->cell = true;
        v->cells = rows * cols;
        v->data = body.p;
        v->n = body.n;
        return NULL;
    }
    if (class < CLASS_DOUBLE || class > CLASS_UINT64 || (flags & FLAG_COMPLEX))
        return as_say("MATLAB file: variable of class %u%s is not read here", (unsigned)class,
                      flags & FLAG_COMPLEX ? " with complex numbers" : "");
    if ((why = take(&body, &e)) != NULL)
        return why;
    if (e.type >= sizeof item_size || item_size[e.type] == 0)
        return as_say("MATLAB file: damaged: values of type %u", (unsigned)e.type);
    size_t items = e.body.n / item_size[e.type];
    if (cols != 0 && (size_t)rows > items / (size_t)cols)
        return as_say("MATLAB file: truncated or damaged: %td x %td values in %zu bytes", rows, cols, e.body.n);
    v->data = e.body.p;
    v->n = e.body.n;
    v->type = (int)e.type;
    return NULL;
}

/* Room for one more entry: the lists double at each power of two. */
static bool grow(void *list, size_t n, size_t size)
{
    void *old, *new;
    if (n != 0 && (n & (n - 1)) != 0)
        return true;
    memcpy(&old, list, sizeof old);
    new = realloc(old, (n ? 2 * n : 1) * size);
    if (new)
        memcpy(list, &new, sizeof new);
    return new != NULL;
}

static const char *unpack(struct as_mat *m, struct element *e)
{
    size_t n;
    const char *why;
    if (!grow(&m->unpacked, m->n_unpacked, sizeof *m->unpacked))
        return as_say("MATLAB file: out of memory");
    unsigned char *data = as_inflate((struct as_bytes){ e->body.p, e->body.n }, NULL, &n, &why);
    if (!data)
        return as_say("MATLAB file: a compressed variable: %s", why);
    m->unpacked[m->n_unpacked++] = data;
    struct span s = { data, n, e->body.big };
    why = take(&s, e);
    return why ? why : e->type == COMPRESSED ? as_say("MATLAB file: damaged: compressed twice") : NULL;
}

static const char *scan(struct as_mat *m, struct span s)
{
    while (s.n > 0) {
        struct element e = { 0 };
        uint32_t flags;
        ptrdiff_t rows, cols;
        const char *why = take(&s, &e);
        if (!why && e.type == COMPRESSED)
            why = unpack(m, &e);
        if (why)
            return why;
        if (e.type != MATRIX)
            continue;
        if (!grow(&m->variable, m->n, sizeof *m->variable))
            return as_say("MATLAB file: out of memory");
        struct variable *v = &m->variable[m->n];
        struct span body = e.body;
        if ((why = head(&body, &flags, &rows, &cols, v->name)) != NULL)
            return why;
        v->body = e.body;
        m->n++;
    }
    return NULL;
}

struct as_mat *as_mat_open(struct as_bytes file, const char **why)
{
    *why = NULL;
    if (file.n < HEADER || (memcmp(file.data + 126, "IM", 2) != 0 && memcmp(file.data + 126, "MI", 2) != 0)) {
        *why = as_say("not a MATLAB 5 file, or truncated within its header: %zu bytes", file.n);
        return NULL;
    }
    struct as_mat *m = calloc(1, sizeof *m);
    if (!m) {
        *why = as_say("MATLAB file: out of memory");
        return NULL;
    }
    *why = scan(m, (struct span){ file.data + HEADER, file.n - HEADER, file.data[126] == 'M' });
    if (!*why)
        return m;
    as_mat_close(m);
    return NULL;
}

void as_mat_close(struct as_mat *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_unpacked; i++)
        free(m->unpacked[i]);
    free(m->unpacked);
    free(m->variable);
    free(m);
}

const char *as_mat_find(const struct as_mat *m, const char *name, struct as_mat_value *value)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->variable[i].name, name))
            return value_of(m->variable[i].body, value);
    return as_say("MATLAB file: no variable %s among %zu (the first is %s)", name, m->n,
                  m->n ? m->variable[0].name : "none");
}

const char *as_mat_cell(const struct as_mat_value *array, ptrdiff_t i, struct as_mat_value *value)
{
    struct span s = { array->data, array->n, array->big };
    struct element e = { 0 };
    if (!array->cell || i < 0 || i >= array->cells)
        return as_say("MATLAB file: no cell %td among %td", i, array->cells);
    for (ptrdiff_t k = 0; k <= i; k++) {
        const char *why = take(&s, &e);
        if (why)
            return why;
    }
    return e.type == MATRIX ? value_of(e.body, value) : as_say("MATLAB file: damaged: cell %td is no matrix", i);
}

static float value_at(const unsigned char *p, int type, bool big)
{
    uint64_t bits = number(p, item_size[type], big);
    uint32_t low = (uint32_t)bits;
    float single;
    double wide;
    switch (type) {
    case INT8: return (float)(int8_t)low;
    case INT16: return (float)(int16_t)low;
    case INT32: return (float)(int32_t)low;
    case INT64: return (float)(int64_t)bits;
    case SINGLE: memcpy(&single, &low, sizeof single); return single;
    case DOUBLE: memcpy(&wide, &bits, sizeof wide); return (float)wide;
    default: return (float)bits;
    }
}

const char *as_mat_rows(const struct as_mat_value *matrix, ptrdiff_t first, ptrdiff_t rows, float *x)
{
    const struct as_mat_value *m = matrix;
    if (m->cell)
        return as_say("MATLAB file: a cell array where numbers were expected");
    if (first < 0 || rows < 0 || first > m->rows || rows > m->rows - first)
        return as_say("MATLAB file: rows %td..%td asked for, there are %td", first, first + rows - 1, m->rows);
    size_t size = item_size[m->type];
    for (ptrdiff_t c = 0; c < m->cols; c++)                  /* column by column in the file */
        for (ptrdiff_t r = 0; r < rows; r++)
            x[r * m->cols + c] = value_at(m->data + (size_t)(c * m->rows + first + r) * size, m->type, m->big);
    return NULL;
}
