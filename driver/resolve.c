/* resolve.c: see resolve.h. */
#include "resolve.h"
#include "data.h"
#include "file.h"
#include "key.h"
#include "stages.h"

#include <assay/error.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <assay/train.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- one configuration --------------------------------------------------------------------------------------- */

struct building {
    const struct experiment *e;
    struct as_config *cfg;           /* of the stage under way */
    struct stages stages;
    const char *stage;               /* its name, or NULL */
    bool check_evals;
    struct resolved *out;
    struct as_data *train, *valid;
    struct as_model *model, *taught; /* taught: of the stage before */
    struct as_trainer *trainer;
};

static struct as_data *open_data(struct as_config *cfg, const struct as_stored **stored, struct resolved *out)
{
    const char *why = NULL;
    *stored = data_stored(cfg, &why);
    out->no_data = why && data_missing();
    if (why)
        as_fail(AS_REFUSED, "%s", why);
    return as_data_open(cfg, 0, *stored);
}

/* The training data with other keys laid over; what nobody reads is refused under the name it was given. */
static struct as_data *open_changed(const struct as_config *cfg, const char *what, int n, const char *const *key,
                                    const char *const *text, struct resolved *out)
{
    struct as_config *copy = as_config_copy(cfg);
    const struct as_stored *stored;
    for (int i = 0; i < n; i++) {
        as_config_set(copy, key[i], text[i], true);
        for (size_t k = 0; k < copy->n; k++)
            if (!strcmp(copy->entry[k].key, key[i]))
                copy->entry[k].read = false;
    }
    struct as_data *d = open_data(copy, &stored, out);
    for (size_t k = 0; k < copy->n; k++)         /* keys of the model are not read yet, and no matter here */
        if (strncmp(copy->entry[k].key, "data.", 5))
            copy->entry[k].given = false;
    const char *why = as_config_unread(copy);
    as_config_free(copy);
    if (why)
        as_fail(AS_REFUSED, "%s: %s", what, why);
    return d;
}

static struct as_data *open_valid(struct as_config *cfg, struct resolved *out)
{
    static const char prefix[] = "valid.data.";
    const char *key[64], *text[64];
    int n = 0;
    for (size_t i = 0; i < cfg->n && n < 64; i++) {
        struct as_config_entry *e = &cfg->entry[i];
        if (strncmp(e->key, prefix, sizeof prefix - 1))
            continue;
        e->read = true;
        key[n] = e->key + strlen("valid.");
        text[n++] = e->text;
    }
    return open_changed(cfg, "[valid]", n, key, text, out);
}

/* The model with other keys laid over must read them and have the weights that were trained. */
static void check_model(const struct building *b, const char *what, int n, const char *const *key,
                        const char *const *text)
{
    struct as_config *copy = as_config_copy(b->cfg);
    int changed = 0;
    for (int i = 0; i < n; i++) {
        if (!strncmp(key[i], "data.", 5))
            continue;
        as_config_set(copy, key[i], text[i], true);
        for (size_t k = 0; k < copy->n; k++)
            if (!strcmp(copy->entry[k].key, key[i]))
                copy->entry[k].read = false;
        changed++;
    }
    const char *why = NULL;
    if (changed) {
        struct as_model *m = as_model_new(copy, as_data_describe(b->train), 0);
        why = as_config_unread(copy);
        if (!why && (as_model_adopt(m, b->model, NULL) || as_model_store(m).n != as_model_store(b->model).n))
            why = "only keys of the model that leave its weights as they are can be changed on trained ones";
        as_model_free(m);
    }
    as_config_free(copy);
    if (why)
        as_fail(AS_REFUSED, "%s: %s", what, why);
}

/* Those of an evaluation's keys that are the data's, at the front. */
static int data_keys_first(int n, const char **key, const char **text)
{
    int front = 0;
    for (int i = 0; i < n; i++) {
        const char *k = key[i], *t = text[i];
        if (strncmp(k, "data.", 5))
            continue;
        key[i] = key[front];
        text[i] = text[front];
        key[front] = k;
        text[front++] = t;
    }
    return front;
}

static void check_evals(struct building *b)
{
    for (int i = 0; i < b->e->n_evals; i++) {
        const struct eval *v = &b->e->eval[i];
        int n = eval_keys(v);
        const char **key = malloc(((size_t)n + 1) * sizeof *key), **text = malloc(((size_t)n + 1) * sizeof *text);
        if (!key || !text)
            as_fail(AS_NO_MEMORY, "no memory for the evaluations");
        for (int k = 0; k < eval_points(v); k++) {
            eval_point(v, k, key, text);
            check_model(b, as_say("[eval %s]", v->name), n, key, text);
            as_data_close(open_changed(b->cfg, as_say("[eval %s]", v->name), data_keys_first(n, key, text), key, text,
                                       b->out));
        }
        free(key);
        free(text);
    }
    for (int i = 0; i < b->e->n_metrics; i++) {
        const char *nearest = NULL;
        if (!as_metric_find(b->e->metric[i], &nearest))
            as_fail(AS_REFUSED, "[test] metrics: there is no metric %s%s%s%s", b->e->metric[i],
                    nearest ? ": did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    }
}

/* Data, model and trainer: each writes its defaults back. fresh: weights that are no earlier stage's, or NULL. */
static void build_training(struct building *b, const char *fresh)
{
    struct as_config *cfg = b->cfg;
    const struct as_stored *stored;
    b->train = open_data(cfg, &stored, b->out);
    b->out->stored = b->out->stored || stored;
    b->valid = open_valid(cfg, b->out);
    const struct as_data_shape *shape = as_data_describe(b->train);
    b->model = as_model_new(cfg, shape, 0);
    const char *why = b->taught ? as_model_adopt(b->model, b->taught, fresh) : NULL;
    if (why)
        as_fail(AS_REFUSED, "%s", why);
    b->trainer = as_trainer_new(cfg, b->model, b->train, b->valid, 0);
    struct as_model_stats s = as_model_measure(b->model, shape->max_length);
    b->out->parameters = s.parameters;
    b->out->state = s.state;
    b->out->flop = s.flop;
    free(b->out->model);
    b->out->model = as_model_describe(b->model);
}

/* Of the data of all stages; without stages, of the data. */
static void hash_data(const struct stages *s, char out[65])
{
    char *all = file_text("%s", "");
    for (int i = 0; i < s->n; i++) {
        const char *why = data_hash(s->stage[i].config, out);
        if (why)
            as_fail(AS_REFUSED, "%s", why);
        char *longer = file_text("%s%s\n", all, out);
        free(all);
        all = longer;
    }
    if (s->n > 1)
        key_sha256(all, strlen(all), out);
    free(all);
}

static void let_go(struct building *b)
{
    as_trainer_free(b->trainer);
    as_data_close(b->valid);
    as_data_close(b->train);
    if (b->taught)
        as_model_free(b->taught);
    b->trainer = NULL;
    b->valid = b->train = NULL;
    b->taught = b->model;
    b->model = NULL;
}

static void build_stage(struct building *b, const struct stage *s)
{
    let_go(b);
    b->stage = s->name;
    b->cfg = s->config;
    if (!as_config_get(b->cfg, "data.source"))
        as_fail(AS_REFUSED, "[data] source is missing; `assay list sources` shows what there is");
    build_training(b, s->fresh);
    as_config_get(b->cfg, "test.examples");      /* the cell reads it when it evaluates */
    const char *why = as_config_unread(b->cfg);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
}

/* What a study reads of its own, and what it trains, if anything: the same sections as any experiment's. */
static void build_study(struct building *b, const char *name)
{
    const char *nearest = NULL, *why = NULL;
    const struct as_entry *entry = as_registry_find("study", name, &nearest);
    if (!entry)
        as_fail(AS_REFUSED, "study = %s: there is no such study%s%s", name, nearest ? "; nearest is " : "",
                nearest ? nearest : "");
    const struct as_study *s = entry->plugin->study;
    void *opt = malloc(s->opt_size ? s->opt_size : 1);
    if (!opt)
        as_fail(AS_NO_MEMORY, "no memory for the options of %s", name);
    if (s->options)
        why = as_options_read(s->options, opt, s->opt_size, b->cfg, "study");
    free(opt);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
    b->out->metric = file_text("%s", "");
    if (as_config_get(b->cfg, "data.source")) {
        const struct as_stored *stored;
        if (as_config_get(b->cfg, "model"))
            build_training(b, NULL);
        else
            b->train = open_data(b->cfg, &stored, b->out);
        hash_data(&b->stages, b->out->data_hash);
    }
    why = as_config_unread(b->cfg);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
}

static void build(void *ctx)
{
    struct building *b = ctx;
    struct as_config *cfg = b->cfg;
    const char *study = as_config_get(cfg, "study"), *why;
    b->stages = stages_asked(cfg, b->e->stage, study ? 0 : b->e->n_stages);
    if (study) {
        build_study(b, study);
        return;
    }
    for (int i = 0; i < b->stages.n; i++)
        build_stage(b, &b->stages.stage[i]);
    b->out->metric = file_text("%s", as_data_describe(b->train)->metric);
    if (b->check_evals)
        check_evals(b);
    b->stage = NULL;
    why = b->cfg == cfg ? NULL : stages_unread(cfg, &b->stages);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
    hash_data(&b->stages, b->out->data_hash);
    stages_put(cfg, &b->stages);
}

const char *resolve_cell(const struct experiment *e, struct as_config *cfg, bool with_evals, struct resolved *out)
{
    struct building b = { .e = e, .cfg = cfg, .check_evals = with_evals, .out = out };
    enum as_failure f = as_try(build, &b);
    const char *why = !f ? NULL : b.stage ? as_say("[stage %s] %s", b.stage, as_failure_text())
                                          : as_say("%s", as_failure_text());
    let_go(&b);                                  /* the model becomes the one before */
    let_go(&b);
    stages_free(&b.stages);
    return why;
}

/* --- in a child ------------------------------------------------------------------------------------------------ */

static void put_text(FILE *to, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    int there = text != NULL;
    fwrite(&there, sizeof there, 1, to);
    fwrite(&n, sizeof n, 1, to);
    fwrite(text ? text : "", 1, n, to);
}

static bool get_text(FILE *from, char **text)
{
    size_t n;
    int there;
    *text = NULL;
    if (fread(&there, sizeof there, 1, from) != 1 || fread(&n, sizeof n, 1, from) != 1)
        return false;
    char *t = malloc(n + 1);
    if (!t)
        as_fail(AS_NO_MEMORY, "no memory for a configuration");
    bool whole = fread(t, 1, n, from) == n;
    t[n] = '\0';
    if (there)
        *text = t;
    else
        free(t);
    return whole;
}

static void put(FILE *to, const struct resolved *r, const struct as_config *cfg, const char *why)
{
    char *config = why ? NULL : as_config_text(cfg);
    put_text(to, why);
    put_text(to, config);
    put_text(to, r->model);
    put_text(to, r->metric);
    fwrite(r, sizeof *r, 1, to);                 /* for the numbers; its pointers mean nothing on the other side */
    fflush(to);
    free(config);
}

static struct as_config *parse_config(char *text)
{
    struct as_config *cfg = as_config_new();
    for (char *line = text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        char *equals = strstr(line, " = ");
        if (!equals)
            continue;
        *equals = '\0';
        as_config_set(cfg, line, equals + 3, false);
    }
    return cfg;
}

static bool get(FILE *from, struct resolved *r)
{
    struct resolved numbers;
    char *why, *config, *model, *metric;
    bool whole = get_text(from, &why) && get_text(from, &config) && get_text(from, &model)
              && get_text(from, &metric) && fread(&numbers, sizeof numbers, 1, from) == 1;
    if (!whole)
        return false;                            /* the child died: what little leaked goes with the message */
    *r = numbers;
    r->why = why;
    r->config = config ? parse_config(config) : NULL;
    r->model = model;
    r->metric = metric;
    free(config);
    return true;
}

static _Noreturn void child(const struct experiment *e, struct as_config *const *cfg, const bool *evals, int n, int fd)
{
    FILE *to = fdopen(fd, "w");
    as_threads_set(1);
    for (int i = 0; to && i < n; i++) {
        struct resolved r = { 0 };
        const char *why = resolve_cell(e, cfg[i], evals[i], &r);
        put(to, &r, cfg[i], why);
        free(r.model);
        free(r.metric);
        if (why)
            break;                               /* the first refusal ends the plan */
    }
    _exit(to && fclose(to) == 0 ? 0 : 1);
}

static char *death(int status)
{
    if (WIFSIGNALED(status))
        return file_text("building the model crashed (%s)", strsignal(WTERMSIG(status)));
    return file_text("building the model ended with status %d", WEXITSTATUS(status));
}

void resolve_all(const struct experiment *e, struct as_config *const *cfg, const bool *evals, int n,
                 struct resolved *out)
{
    int fd[2], status = 0, i;
    memset(out, 0, (size_t)n * sizeof *out);
    fflush(NULL);
    pid_t pid = pipe(fd) ? -1 : fork();
    if (pid < 0)
        as_fail(AS_FAILED, "cannot start a process to check the models; are there too many already?");
    if (pid == 0) {
        close(fd[0]);
        child(e, cfg, evals, n, fd[1]);
    }
    close(fd[1]);
    FILE *from = fdopen(fd[0], "r");
    for (i = 0; from && i < n && get(from, &out[i]) && !out[i].why; i++)
        ;
    if (from)
        fclose(from);
    while (waitpid(pid, &status, 0) < 0)
        ;
    if (i < n && !out[i].why)
        out[i].why = death(status);
}

void resolved_free(struct resolved *r)
{
    as_config_free(r->config);
    free(r->why);
    free(r->model);
    free(r->metric);
}
