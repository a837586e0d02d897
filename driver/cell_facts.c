/* cell_facts.c: what a reader of the record has to know about where its numbers come from; and studies, which
 * record their own metrics. */
#include <driver/cell.h>

#include <assay/error.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <build_info.h>
#include <core/lib/library.h>
#include <core/real/gemm.h>
#include <driver/data.h>
#include <driver/file.h>
#include <driver/h5.h>
#include <driver/key.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static void keep_processor(struct record *r)
{
    char *text = file_read("/proc/cpuinfo", NULL, NULL);
    const char *names[] = { "model name", "Model", "CPU part" };
    char *found = NULL;
    for (size_t i = 0; text && i < sizeof names / sizeof *names && !found; i++) {
        char *at = strstr(text, names[i]);
        char *colon = at ? strchr(at, ':') : NULL;
        if (!colon) continue;
        colon += strspn(colon, ": \t");
        colon[strcspn(colon, "\n")] = 0;
        found = colon;
    }
    record_text(r, "processor", found ? found : "unknown");
    free(text);
}

/* Versions of the libraries that run, which may be others than those of the build. */
static void keep_libraries(struct record *r)
{
    record_text(r, "products", as_products_by());
    record_text(r, "functions", as_library_functions());
    record_text(r, "hdf5", h5_version());
    record_text(r, "libc", gnu_get_libc_version());
}

/* A study may do without data. */
static void keep_data_of(struct cell_run *c, const struct as_config *cfg, const char *name)
{
    char hash[65];
    struct as_config *copy = as_config_copy(cfg);
    const char *why = as_config_get(copy, "data.source") ? data_hash(copy, hash) : NULL;
    bool there = as_config_get(copy, "data.source") != NULL;
    as_config_free(copy);
    if (why) as_fail(AS_REFUSED, "%s", why);
    if (there) record_text(c->record, name, hash);
}

/* Those of a stage as "data NAME", of the last as "data". */
static void keep_data(struct cell_run *c)
{
    if (!c->stages.n) keep_data_of(c, c->job->config, "data");
    for (int i = 0; i < c->stages.n; i++) {
        const struct stage *s = &c->stages.stage[i];
        char *name = i + 1 < c->stages.n ? file_text("data %s", s->name) : file_text("data");
        keep_data_of(c, s->config, name);
        free(name);
    }
}

static void keep_plugins(struct cell_run *c)
{
    const struct as_entry **file;
    int n = key_plugins(c->job->config, &file);
    for (int i = 0; i < n; i++) {
        char *name = file_text("plugin %s", file[i]->path);
        record_text(c->record, name, file[i]->hash);
        free(name);
    }
    free(file);
}

void cell_facts(struct cell_run *c)
{
    struct record *r = c->record;
    const struct job *j = c->job;
    struct utsname u;
    struct rusage usage;
    record_text(r, "experiment", j->experiment);
    record_text(r, "role", j->role == CELL_FINAL ? "final" : "tune");
    record_text(r, "eval_key", j->eval_key);
    record_number(r, "seed", (double)j->seed);
    record_number(r, "threads", j->threads);
    record_number(r, "team", as_threads_seen());
    record_text(r, "level", as_level_name(as_level()));
    record_text(r, "compiler", ASSAY_CC);
    record_text(r, "flags", ASSAY_CFLAGS);
    record_text(r, "core", ASSAY_CORE_HASH);
    record_text(r, "libraries", ASSAY_LIBRARIES);
    keep_libraries(r);
    if (!uname(&u)) {
        record_text(r, "host", u.nodename);
        record_text(r, "system", as_say("%s %s %s", u.sysname, u.release, u.machine));
    }
    keep_processor(r);
    if (!getrusage(RUSAGE_SELF, &usage)) {
        record_number(r, "peak.memory", 1024.0 * (double)usage.ru_maxrss);
        record_number(r, "cpu.seconds", (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec +
                                            (double)usage.ru_stime.tv_sec + 1e-6 * (double)usage.ru_stime.tv_usec);
    }
    for (int i = 0; i < j->n_facts; i++) record_text(r, j->fact[i].name, j->fact[i].text);
    keep_data(c);
    keep_plugins(c);
}

/* ---- studies ------------------------------------------------------------------------------------------------- */

static void study_value(void *ctx, const char *metric, double value)
{
    struct cell_run *c = ctx;
    record_value(c->record, metric, value, 0, NULL);
}
static void study_curve(void *ctx, const char *metric, double x, double value)
{
    struct cell_run *c = ctx;
    curve_point(record_curve(c->record, metric), x, value);
}

void cell_study(struct cell_run *c)
{
    const char *name = as_config_get(c->cfg, "study"), *near = NULL, *why = NULL;
    const struct as_entry *e = as_registry_find("study", name, &near);
    if (!e)
        as_fail(AS_REFUSED, "study = %s: there is no such study%s%s", name, near ? "; nearest is " : "",
                near ? near : "");
    const struct as_study *s = as_study_build(e);
    void *opt = calloc(1, s->opt_size ? s->opt_size : 1);
    if (!opt) as_fail(AS_NO_MEMORY, "no memory for a study");
    if (s->options) why = as_options_read(s->options, opt, s->opt_size, c->cfg, "study");
    if (why) {
        free(opt);
        as_fail(AS_REFUSED, "%s", why);
    }
    const struct as_stored *stored = as_config_get(c->cfg, "data.source") ? data_stored(c->cfg, &why) : NULL;
    if (why) {
        free(opt);
        as_fail(AS_REFUSED, "%s", why);
    }
    struct as_study_run run = { .opt = opt, .seed = (uint64_t)c->job->seed, .config = c->cfg, .stored = stored,
                                .ctx = c, .record = study_value, .curve = study_curve };
    cell_say("phase %s", name);
    s->run(&run);
    free(opt);
}
