/* Every converter of raw data, from bytes to examples as the driver stores them: nothing out of the declared shape.
 * Input: a line "NAME KEY=TEXT ..." (a source and its options), then its files, "\n--next file--\n" between them.
 * Covers: datasets/polyphonic.h datasets/tiny-shakespeare.c driver/dataset.c
 */
#include "fuzz.h"

#include <assay/error.h>
#include <assay/registry.h>
#include <driver/dataset.h>

enum { FILES = 8 };
static const char next_file[] = "\n--next file--\n";

struct converting { const struct as_source *source; const void *opt; struct as_bytes *file; };

static void convert(void *ctx)
{
    const struct converting *c = ctx;
    struct as_data_shape shape = { 0 };
    c->source->shape(c->opt, &shape);
    struct dataset *d = dataset_new(&shape);
    struct as_sink sink = dataset_sink(d);
    const char *why = c->source->convert(c->opt, c->file, &sink);
    if (!why)
        why = dataset_finish(d);
    fuzz_promise(!why || *why);
    dataset_free(d);
}

static const struct as_source *source_of(char *line, void **opt)
{
    char *save, *name = strtok_r(line, " ", &save);
    const struct as_entry *e = name ? as_registry_find("source", name, NULL) : NULL;
    if (!e || !e->plugin->source->convert)
        return NULL;
    const struct as_source *s = e->plugin->source;
    struct as_config *cfg = as_config_new();
    *opt = calloc(1, s->opt_size + 1);
    const char *why = s->options ? as_options_read(s->options, *opt, s->opt_size, cfg, "data") : NULL;
    fuzz_promise(!why);
    for (char *word; (word = strtok_r(NULL, " ", &save)) != NULL;)
        for (const struct as_option *row = s->options; row && row->key; row++)
            if (!strncmp(row->key, word, strlen(row->key)) && word[strlen(row->key)] == '=')
                as_option_set(row, *opt, word + strlen(row->key) + 1);      /* refused: the default stays */
    as_config_free(cfg);
    if (s->check && s->check(*opt)) {
        free(*opt);
        return NULL;
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *opt;
    char *line = fuzz_take(&data, &size, '\n');
    struct as_bytes file[FILES];
    unsigned char *copy[FILES] = { NULL };
    struct converting c = { .source = source_of(line, &opt), .file = file };
    int n = 0;
    free(line);
    if (!c.source)
        return -1;
    c.opt = opt;
    for (const struct as_file *f = c.source->files; f->path && n < FILES; f++, n++) {
        const uint8_t *stop = size ? memmem(data, size, next_file, sizeof next_file - 1) : NULL;
        size_t length = stop ? (size_t)(stop - data) : size, step = length + (stop ? sizeof next_file - 1 : 0);
        copy[n] = malloc(length ? length : 1);
        memcpy(copy[n], data, length);
        file[n] = (struct as_bytes){ copy[n], length };
        data += step;
        size -= step;
    }
    if (as_try(convert, &c))
        fuzz_promise(*as_failure_text());
    for (int i = 0; i < n; i++)
        free(copy[i]);
    free(opt);
    return 0;
}
