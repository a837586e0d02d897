#include <driver/dataset.h>

#include <assay/error.h>
#include <driver/fetch.h>
#include <driver/file.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const dataset_split[AS_SPLITS] = { "train", "valid", "test" };

bool dataset_timed(const struct as_data_field *f) { return f->rank > 0 && f->dim[0] == AS_TIME; }

ptrdiff_t dataset_unit(const struct as_data_field *f)
{
    size_t n = 1;
    for (int i = dataset_timed(f); i < f->rank; i++)
        n = as_size(n, (size_t)f->dim[i]);
    return (ptrdiff_t)n;
}

static void *resized(void *p, ptrdiff_t n, size_t size)
{
    p = realloc(p, as_size((size_t)(n ? n : 1), size));
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory for data: %td items", n);
    return p;
}

struct dataset *dataset_new(const struct as_data_shape *shape)
{
    struct dataset *d = resized(NULL, 1, sizeof *d);
    memset(d, 0, sizeof *d);
    d->stored.shape = *shape;
    for (int s = 0; s < AS_SPLITS; s++) {
        d->stored.shape.count[s] = 0;
        d->room_count[s] = 1;
        d->stored.offset[s] = resized(NULL, 2, sizeof *d->stored.offset[s]);
        d->stored.offset[s][0] = 0;
    }
    for (int f = 0; f < shape->n_fields; f++) {
        const struct as_data_field *field = &shape->field[f];
        ptrdiff_t n = (ptrdiff_t)as_size((size_t)dataset_unit(field),
                                         (size_t)(dataset_timed(field) ? shape->max_length : 1));
        if (field->integer)
            d->scratch.i[f] = resized(NULL, n, sizeof *d->scratch.i[f]);
        else
            d->scratch.x[f] = resized(NULL, n, sizeof *d->scratch.x[f]);
    }
    return d;
}

void dataset_free(struct dataset *d)
{
    if (!d)
        return;
    for (int f = 0; f < AS_MAX_FIELDS; f++) {
        free(d->scratch.i[f]);
        free(d->scratch.x[f]);
        for (int s = 0; s < AS_SPLITS; s++) {
            free(d->stored.i[s][f]);
            free(d->stored.x[s][f]);
        }
    }
    for (int s = 0; s < AS_SPLITS; s++)
        free(d->stored.offset[s]);
    for (int i = 0; i < d->n_notes; i++) {
        free(d->note[i].name);
        free(d->note[i].text);
    }
    free(d->note);
    free(d->trouble);
    free(d);
}

/* ---- the sink ------------------------------------------------------------------------------------------------- */

/* NULL, or what is wrong with one example. */
static const char *refusal(const struct as_data_shape *shape, const struct as_example *e)
{
    if (e->length < 1 || e->length > shape->max_length)
        return as_say("%td steps, outside of 1..%td", e->length, shape->max_length);
    for (int f = 0; f < shape->n_fields; f++) {
        const struct as_data_field *field = &shape->field[f];
        ptrdiff_t n = dataset_unit(field) * (dataset_timed(field) ? e->length : 1);
        int32_t lowest = strcmp(field->name, "target") == 0 ? -1 : 0;
        for (ptrdiff_t j = 0; j < n; j++) {
            if (field->integer && (e->i[f][j] < lowest || e->i[f][j] >= field->vocab))
                return as_say("%s holds %d, outside of %d..%td", field->name, (int)e->i[f][j], (int)lowest,
                              field->vocab - 1);
            if (!field->integer && !isfinite(e->x[f][j]))
                return as_say("%s holds a number that is not finite", field->name);
        }
    }
    return NULL;
}

/* Room for one more example in the arrays of a split. */
static void make_room(struct dataset *d, int split, ptrdiff_t rows)
{
    struct as_stored *s = &d->stored;
    ptrdiff_t count = s->shape.count[split] + 1;
    bool longer = false, more = count > d->room_count[split] || count == 1;
    while (d->room_rows[split] < rows) {
        d->room_rows[split] = d->room_rows[split] ? 2 * d->room_rows[split] : 1024;
        longer = true;
    }
    if (count > d->room_count[split])
        d->room_count[split] *= 2;
    if (more)
        s->offset[split] = resized(s->offset[split], d->room_count[split] + 1, sizeof *s->offset[split]);
    for (int f = 0; f < s->shape.n_fields; f++) {
        const struct as_data_field *field = &s->shape.field[f];
        ptrdiff_t items = dataset_timed(field) ? d->room_rows[split] : d->room_count[split];
        if (!(dataset_timed(field) ? longer : more))
            continue;
        items = (ptrdiff_t)as_size((size_t)items, (size_t)dataset_unit(field));
        if (field->integer)
            s->i[split][f] = resized(s->i[split][f], items, sizeof *s->i[split][f]);
        else
            s->x[split][f] = resized(s->x[split][f], items, sizeof *s->x[split][f]);
    }
}

static void put_example(void *ctx, enum as_split split, const struct as_example *e)
{
    struct dataset *d = ctx;
    struct as_stored *s = &d->stored;
    ptrdiff_t at = s->shape.count[split], row = d->rows[split];
    const char *why = d->trouble ? d->trouble : refusal(&s->shape, e);
    if (why) {
        if (!d->trouble)
            d->trouble = file_text("%s example %td: %s", dataset_split[split], at, why);
        return;
    }
    make_room(d, (int)split, row + e->length);
    for (int f = 0; f < s->shape.n_fields; f++) {
        const struct as_data_field *field = &s->shape.field[f];
        ptrdiff_t unit = dataset_unit(field), n = unit * (dataset_timed(field) ? e->length : 1);
        ptrdiff_t to = unit * (dataset_timed(field) ? row : at);
        if (field->integer)
            memcpy(s->i[split][f] + to, e->i[f], (size_t)n * sizeof *e->i[f]);
        else
            memcpy(s->x[split][f] + to, e->x[f], (size_t)n * sizeof *e->x[f]);
    }
    d->rows[split] = row + e->length;
    s->offset[split][at + 1] = d->rows[split];
    s->shape.count[split] = at + 1;
}

static void put_attribute(void *ctx, const char *name, const char *text)
{
    struct dataset *d = ctx;
    d->note = resized(d->note, d->n_notes + 1, sizeof *d->note);
    d->note[d->n_notes++] = (struct dataset_note){ file_text("%s", name), file_text("%s", text) };
}

struct as_sink dataset_sink(struct dataset *d)
{
    return (struct as_sink){ d, put_example, put_attribute, &d->scratch };
}

const char *dataset_finish(struct dataset *d)
{
    struct as_data_shape *shape = &d->stored.shape;
    if (d->trouble)
        return as_say("%s", d->trouble);
    shape->max_length = 0;
    for (int s = 0; s < AS_SPLITS; s++) {
        if (shape->count[s] == 0)
            return as_say("no examples for %s", dataset_split[s]);
        for (ptrdiff_t e = 0; e < shape->count[s]; e++) {
            ptrdiff_t length = d->stored.offset[s][e + 1] - d->stored.offset[s][e];
            shape->max_length = length > shape->max_length ? length : shape->max_length;
        }
    }
    return NULL;
}

/* ---- the digest ----------------------------------------------------------------------------------------------- */

char *dataset_line(const char *name, const char *type, int rank, const ptrdiff_t *dim, const void *v, size_t bytes)
{
    char hex[65], *line = file_text("%s %s ", name, type), *longer;
    for (int i = 0; i < rank; i++) {
        longer = file_text("%s%td%s", line, dim[i], i + 1 < rank ? "," : "");
        free(line);
        line = longer;
    }
    fetch_sha256(v, bytes, hex);
    longer = file_text("%s %s\n", line, hex);
    free(line);
    return longer;
}
