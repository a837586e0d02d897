/* The option parser: every type of option, and the tables of all plug-ins.
 * Input: a line with the path of a plug-in ("impl/rule/adam.c"; any other: a table of all types), then lines KEY = TEXT.
 * Promise: what is accepted lies in its range, and its text is read back as the same value.
 * Covers: core/option.c core/number.c core/config.c
 */
#include "fuzz.h"

#include <assay/config.h>
#include <assay/error.h>
#include <assay/layer.h>
#include <assay/objective.h>
#include <assay/option.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>

struct all { int whole, flag, word, bounded; double number, share; struct as_range length, open; };

static const struct as_option all_types[] = {
    { .key = "whole", .type = AS_INT, .offset = offsetof(struct all, whole), .def = 3, .help = "h" },
    { .key = "bounded", .type = AS_INT, .offset = offsetof(struct all, bounded), .def = 3, .min = -2, .max = 64,
      .help = "h" },
    { .key = "flag", .type = AS_BOOL, .offset = offsetof(struct all, flag), .help = "h" },
    { .key = "word", .type = AS_WORD, .offset = offsetof(struct all, word), .words = "none|rotary|learned",
      .help = "h" },
    { .key = "number", .type = AS_NUM, .offset = offsetof(struct all, number), .help = "h" },
    { .key = "share", .type = AS_NUM, .offset = offsetof(struct all, share), .def = 0.5, .min = 0, .max = 1,
      .help = "h" },
    { .key = "length", .type = AS_RANGE, .offset = offsetof(struct all, length), .words = "3..40", .min = 1,
      .max = 4096, .help = "h" },
    { .key = "open", .type = AS_RANGE, .offset = offsetof(struct all, open), .def = 2, .help = "h" },
    { 0 }
};

static void table_of(const char *path, const struct as_option **table, size_t *size)
{
    *table = all_types;
    *size = sizeof(struct all);
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_plugin *p = e->plugin;
        if (strcmp(e->path, path))
            continue;
        if (p->variant && p->variant->options) {
            *table = p->variant->options;
            *size = p->variant->opt_size;
        } else if (p->rule && p->rule->options) {
            *table = p->rule->options;
            *size = p->rule->opt_size;
        } else if (p->source && p->source->options) {
            *table = p->source->options;
            *size = p->source->opt_size;
        } else if (p->study && p->study->options) {
            *table = p->study->options;
            *size = p->study->opt_size;
        } else if (p->objective && p->objective->options) {
            *table = p->objective->options;
            *size = p->objective->opt_size;
        }
    }
}

static double low_end(const struct as_option *row, const void *opt)
{
    const char *at = (const char *)opt + row->offset;
    if (row->type == AS_NUM)
        return *(const double *)(const void *)at;
    return row->type == AS_RANGE ? ((const struct as_range *)(const void *)at)->lo : *(const int *)(const void *)at;
}

static void keep_promises(const struct as_option *table, const void *opt, void *again)
{
    for (const struct as_option *row = table; row->key; row++) {
        char text[128], more[128];
        double v = low_end(row, opt);
        as_option_text(row, opt, text, sizeof text);
        const char *why = as_option_set(row, again, text);
        fuzz_promise(!why);
        as_option_text(row, again, more, sizeof more);
        fuzz_promise(!strcmp(text, more));
        fuzz_promise(memcmp(&v, &(double){ low_end(row, again) }, sizeof v) == 0);
        if (row->type != AS_WORD && row->type != AS_BOOL && (row->min != 0 || row->max != 0))
            fuzz_promise(v >= row->min && v <= row->max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct as_option *table;
    size_t opt_size;
    char *path = fuzz_take(&data, &size, '\n');
    struct as_config *cfg = as_config_new();
    table_of(path, &table, &opt_size);
    void *opt = calloc(1, opt_size), *again = calloc(1, opt_size);
    while (size) {
        char *line = fuzz_take(&data, &size, '\n'), *equals = strchr(line, '=');
        if (equals) {
            *equals = 0;
            char key[300];
            snprintf(key, sizeof key, "section.%.*s", (int)strcspn(line, " "), line);
            as_config_set(cfg, key, equals + 1 + strspn(equals + 1, " "), true);
        }
        free(line);
    }
    const char *why = as_options_read(table, opt, opt_size, cfg, "section");
    if (!why)
        keep_promises(table, opt, again);
    why = as_config_unread(cfg);
    fuzz_promise(!why || *why);
    char *text = as_config_text(cfg);
    free(text);
    free(opt);
    free(again);
    free(path);
    as_config_free(cfg);
    return 0;
}
