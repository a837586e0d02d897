/* `assay data NAME [--set KEY=VALUE]...`: makes or verifies the data of a source and says what they are. For generators
 * `--set examples=N` writes N examples of each split to a file, each checked by the source's own answer(). */
#include <driver/commands.h>

#include <assay/error.h>
#include <driver/data_find.h>
#include <driver/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 1000, MOST_SAMPLES = 1000000 };

static int refuse(int status, const char *why)
{
    fprintf(stderr, "assay: %s\n", why);
    return status;
}

/* ---- output: aligned lines, or one JSON object ------------------------------------------------------------------ */

struct page { bool json; int rows; };

static void row(struct page *p, const char *name, const char *text)
{
    if (!p->json) {
        printf("%-10s ", name);
        for (const char *c = text; *c; c++) {
            putchar(*c);
            if (*c == '\n' && c[1])
                printf("%-10s ", "");
        }
        if (!*text || text[strlen(text) - 1] != '\n')
            putchar('\n');
        return;
    }
    printf("%s  \"%s\": \"", p->rows++ ? ",\n" : "{\n", name);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

/* Two counts: a sentence for people, two numbers for machines. */
static void row_counts(struct page *p, const char *split, ptrdiff_t examples, ptrdiff_t steps)
{
    if (p->json)
        printf("%s  \"%s\": { \"examples\": %td, \"steps\": %td }", p->rows++ ? ",\n" : "{\n", split, examples, steps);
    else
        row(p, split, as_say("%td examples, %td steps", examples, steps));
}

static void describe_fields(struct page *p, const struct as_data_shape *shape)
{
    char *text = file_text("%s", "");
    for (int k = 0; k < shape->n_fields; k++) {
        const struct as_data_field *f = &shape->field[k];
        char *longer = file_text("%s%s%s (", text, k ? ", " : "", f->name);
        free(text);
        text = longer;
        for (int i = 0; i < f->rank; i++) {
            longer = f->dim[i] == AS_TIME ? file_text("%s%stime", text, i ? ", " : "")
                                          : file_text("%s%s%td", text, i ? ", " : "", f->dim[i]);
            free(text);
            text = longer;
        }
        longer = f->integer ? file_text("%s) of 0..%td", text, f->vocab - 1) : file_text("%s) real", text);
        free(text);
        text = longer;
    }
    row(p, "fields", text);
    free(text);
}

static void describe(struct page *p, const struct data_wanted *w, const struct dataset *d, const char *path)
{
    row(p, "source", w->entry->name);
    row(p, "summary", w->source->summary);
    row(p, "origin", w->source->origin);
    row(p, "licence", w->source->licence);
    if (w->source->surrogate)
        row(p, "surrogate", w->source->surrogate);
    if (*w->options)
        row(p, "options", w->options);
    describe_fields(p, &w->shape);
    for (int s = 0; s < AS_SPLITS; s++)
        row_counts(p, dataset_split[s], d->stored.shape.count[s], d->rows[s]);
    row(p, "longest", as_say("%td", d->stored.shape.max_length));
    for (int i = 0; i < d->n_notes; i++)
        row(p, d->note[i].name, d->note[i].text);
    for (const struct as_file *f = w->source->files; f && f->path; f++)
        row(p, "raw", as_say("%s\n%s\nsha256 %s", f->path, f->url, f->sha256));
    row(p, "digest", d->digest);
    row(p, "file", path);
    if (p->json)
        printf("\n}\n");
}

/* ---- a sample of a generator ------------------------------------------------------------------------------------ */

static const char *sample(const struct data_wanted *w, struct dataset *d, long examples)
{
    static const uint32_t role[AS_SPLITS] = { AS_ROLE_DATA, AS_ROLE_VALID, AS_ROLE_TEST };
    struct as_sink sink = dataset_sink(d);
    for (int s = 0; s < AS_SPLITS; s++) {
        struct as_key key = { 0, role[s], 0 };
        for (long i = 0; i < examples; i++) {
            w->source->example(w->opt, (enum as_split)s, key, (uint64_t)i, sink.scratch);
            const char *why = w->source->answer(w->opt, sink.scratch);
            if (why)
                return as_say("%s example %ld: %s", dataset_split[s], i, why);
            sink.example(sink.ctx, (enum as_split)s, sink.scratch);
        }
    }
    sink.attribute(sink.ctx, "seed", "0");
    return dataset_finish(d);
}

static struct dataset *write_sample(const struct data_wanted *w, const char *path, long examples, const char **why)
{
    struct dataset *d = dataset_new(&w->shape);
    struct dataset_label label = data_label(w);
    char *folder = file_text("%s", path);
    *strrchr(folder, '/') = '\0';
    *why = file_make_folder(folder);
    free(folder);
    if (!*why)
        *why = sample(w, d, examples);
    if (!*why)
        *why = dataset_write(d, path, &label);
    if (!*why)
        return d;
    dataset_free(d);
    return NULL;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

/* `--set` with and without the section. NULL, or why not. */
static const char *take_settings(struct as_config *cfg, const struct command_line *line)
{
    for (int i = 0; i < line->n_set; i++) {
        const char *equals = strchr(line->set[i], '=');
        if (!equals || equals == line->set[i])
            return as_say("--set %s: write KEY=VALUE", line->set[i]);
        bool full = strncmp(line->set[i], "data.", 5) == 0;
        char *key = file_text("%s%.*s", full ? "" : "data.", (int)(equals - line->set[i]), line->set[i]);
        as_config_set(cfg, key, equals + 1, true);
        free(key);
    }
    return NULL;
}

struct work { struct command_line *line; struct as_config *cfg; int status; };

static int run(struct as_config *cfg, struct command_line *line)
{
    struct data_wanted w;
    struct page page = { .json = line->json };
    const char *why = take_settings(cfg, line);
    if (why || (why = data_want(cfg, &w)) != NULL)
        return refuse(EXIT_WRONG_USE, why);
    bool generator = !w.source->convert;
    long examples = generator ? as_config_int(cfg, "data.examples", SAMPLE, 1, MOST_SAMPLES) : 0;
    why = as_config_unread(cfg);
    if (why) {
        data_want_free(&w);
        return refuse(EXIT_WRONG_USE, why);
    }
    char *path = data_path(&w, generator ? "-sample" : "", &why);
    struct dataset *mine = path && generator ? write_sample(&w, path, examples, &why) : NULL;
    const struct dataset *d = generator ? mine : path ? data_load(&w, &why) : NULL;
    if (d)
        describe(&page, &w, d, path);
    dataset_free(mine);
    free(path);
    data_want_free(&w);
    return d ? EXIT_ALL_WELL : refuse(EXIT_CANNOT, why);
}

static void run_in_try(void *ctx)
{
    struct work *work = ctx;
    work->status = run(work->cfg, work->line);
}

int command_data(struct command_line *line)
{
    struct work work = { line, as_config_new(), EXIT_CANNOT };
    if (line->n_words != 1) {
        as_config_free(work.cfg);
        return refuse(EXIT_WRONG_USE, "name one data source: assay data NAME (assay list has them all)");
    }
    as_config_set(work.cfg, "data.source", line->word[0], true);
    enum as_failure failure = as_try(run_in_try, &work);
    if (failure != AS_OK)
        work.status = refuse(failure == AS_REFUSED ? EXIT_WRONG_USE : EXIT_CANNOT, as_failure_text());
    as_config_free(work.cfg);
    return work.status;
}
