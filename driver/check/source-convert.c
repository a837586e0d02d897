/* source-convert: a converter, on its raw files where they are at hand (in $ASSAY_MIRROR or in the cache; nothing is
 * fetched here): every example fits the shape, every split has some, twice the same digest, and no input twice in two
 * splits when it promises that. Without the files it is listed as unproved.
 */
#include "source.h"

#include <assay/error.h>
#include <driver/dataset.h>
#include <driver/fetch.h>
#include <driver/file.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 16 };

/* Stands between converter and store: looks at each example on its way. */
struct looking { struct as_sink inner; const struct as_data_shape *shape; struct check_run *r; long seen[AS_SPLITS]; };

static void example(void *ctx, enum as_split split, const struct as_example *e)
{
    struct looking *l = ctx;
    const char *why = (int)split < 0 || split >= AS_SPLITS ? "it is for no split" : source_misfit(l->shape, e);
    check_did(l->r);
    if (why && !l->r->failures)
        check_fail(l->r, "%s example %ld: %s", source_split_name(split), l->seen[split], why);
    l->seen[split]++;
    l->inner.example(l->inner.ctx, split, e);
}

static void attribute(void *ctx, const char *name, const char *text)
{
    struct looking *l = ctx;
    l->inner.attribute(l->inner.ctx, name, text);
}

static bool at_hand(const struct as_file *f)
{
    const char *mirror = getenv("ASSAY_MIRROR"), *why;
    char *cache = fetch_cache(&why);
    char *path[3] = { file_text("%s/%s", mirror ? mirror : "", f->path), file_text("%s/%s.gz", mirror ? mirror : "", f->path),
                      file_text("%s/raw/%s", cache ? cache : "", f->path) };
    bool there = (mirror && *mirror && (file_exists(path[0]) || file_exists(path[1]))) || (cache && file_exists(path[2]));
    for (int i = 0; i < 3; i++)
        free(path[i]);
    free(cache);
    return there;
}

/* Converted and finished; NULL after the check was failed. */
static struct dataset *convert(struct check_run *r, const void *opt, const struct as_bytes *file)
{
    const struct as_source *s = r->entry->plugin->source;
    struct as_data_shape shape = { 0 };
    s->shape(opt, &shape);
    struct dataset *d = dataset_new(&shape);
    struct looking l = { .inner = dataset_sink(d), .shape = &shape, .r = r };
    struct as_sink sink = { .ctx = &l, .example = example, .attribute = attribute, .scratch = l.inner.scratch };
    const char *why = s->convert(opt, file, &sink);
    if (!why)
        why = dataset_finish(d);
    if (why)
        check_fail(r, "with its defaults the converter stops: %s", why);
    if (!r->failures)
        return d;
    dataset_free(d);
    return NULL;
}

/* The first field in which two converted sets differ, or NULL. */
static const char *difference(const struct dataset *a, const struct dataset *b)
{
    for (int s = 0; s < AS_SPLITS; s++) {
        ptrdiff_t n = a->stored.shape.count[s];
        if (n != b->stored.shape.count[s] || a->rows[s] != b->rows[s])
            return "the number of examples or steps";
        for (int f = 0; f < a->stored.shape.n_fields; f++) {
            const struct as_data_field *field = &a->stored.shape.field[f];
            ptrdiff_t items = (dataset_timed(field) ? a->rows[s] : n) * dataset_unit(field);
            const void *p = field->integer ? (void *)a->stored.i[s][f] : (void *)a->stored.x[s][f];
            const void *q = field->integer ? (void *)b->stored.i[s][f] : (void *)b->stored.x[s][f];
            if (items && memcmp(p, q, (size_t)items * 4))
                return field->name;
        }
    }
    return NULL;
}

static void twice(struct check_run *r, const struct as_bytes *file)
{
    const struct as_source *s = r->entry->plugin->source;
    void *opt = calloc(1, s->opt_size + 1);
    const char *why = check_options_with(s->options, NULL, opt, s->opt_size);
    if (why)
        check_fail(r, "its defaults are refused: %s", why);
    struct dataset *a = why ? NULL : convert(r, opt, file), *b = a ? convert(r, opt, file) : NULL;
    const char *other = b ? difference(a, b) : NULL;
    if (other)
        check_fail(r, "converted twice, the same bytes give another %s", other);
    if (b)
        check_note(r, "%td, %td and %td examples", a->stored.shape.count[0], a->stored.shape.count[1], a->stored.shape.count[2]);
    dataset_free(a);
    dataset_free(b);
    free(opt);
}

static void run(struct check_run *r)
{
    const struct as_source *s = r->entry->plugin->source;
    struct as_bytes file[FILES];
    int n = 0;
    if (!s->convert) {
        check_no_matter(r, "is a generator");
        return;
    }
    for (const struct as_file *f = s->files; f->path; f++)
        if (!at_hand(f)) {
            check_unproved(r, "its raw file %s is not at hand: assay data %s fetches it, or set ASSAY_MIRROR", f->path,
                           r->entry->name);
            return;
        }
    for (const struct as_file *f = s->files; f->path && n < FILES && !r->failures; f++, n++) {
        const char *why;
        file[n].data = fetch_raw(f, &file[n].n, &why);
        if (!file[n].data) {
            check_not_tested(r, "%s", why);
            break;
        }
    }
    bool whole = n > 0 && !s->files[n].path;
    if (whole && file[n - 1].data)
        twice(r, file);
    for (int i = 0; i < n; i++)
        free((void *)(uintptr_t)file[i].data);
}

const struct as_check AS_CHECK(source_convert) = {
    .name = "source-convert", .of = CHECK_SOURCE,
    .proves = "a converter gives the same fitting examples twice from its verified raw files",
    .cannot = "anything when the raw files are not at hand; it then says so",
    .run = run,
};
