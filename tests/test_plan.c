/* Plans: the grid, what is resolved, and what changes a key and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../driver/experiment.h"
#include "../driver/file.h"
#include "../driver/key.h"

#include <assay/layer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "assay test plan XXXXXX";

#define has(text, part) \
    do { \
        const char *t_ = (text); \
        if (!t_ || !strstr(t_, part)) \
            fail_msg("\"%s\" does not say \"%s\"", t_ ? t_ : "(nothing)", part); \
    } while (0)

static const char file[] =
    "[experiment]\ntitle = T\n[data]\nsource = parity\nlength = 3..6\n"
    "[model]\nmodel = classifier\nblock = prenorm\nwidth = 8\n"
    "[train]\nsteps = 4\nbatch = 4\n[valid]\ndata.length = 9\nexamples = 4\n[test]\nexamples = 4\n"
    "[tune]\nlr = 1e-3, 3e-3\n[vary]\ndepth = 1, 2\nseed = 0..2\n"
    "[arm d]\nmixer = deltanet\nmixer.heads = 2\n[arm l]\nmixer = lstm\n"
    "[eval long]\ndata.length = 5, 12\n";

struct made { struct experiment *e; struct plan *p; };

/* The file with the text `from` replaced, and overrides. */
static struct made make(const char *from, const char *to, int n, const char *const *set, const char **why)
{
    struct made m = { NULL, NULL };
    const char *at = from ? strstr(file, from) : NULL;
    char *text = at ? file_text("%.*s%s%s", (int)(at - file), file, to, at + strlen(from)) : file_text("%s", file);
    char *path = file_text("%s/e.ini", folder);
    if (from && !at)
        fail_msg("the file has no \"%s\"", from);
    assert_null(file_replace(path, text, strlen(text)));
    m.e = experiment_read(path, set, n, false, why);
    if (m.e)
        m.p = plan_make(m.e, why);
    free(path);
    free(text);
    return m;
}

static void unmake(struct made m)
{
    plan_free(m.p);
    experiment_free(m.e);
}

static struct made sound(const char *from, const char *to)
{
    const char *why = NULL;
    struct made m = make(from, to, 0, NULL, &why);
    if (!m.p)
        fail_msg("%s", why);
    return m;
}

static void grid(void **state)
{
    (void)state;
    struct made m = sound(NULL, NULL);
    struct plan *p = m.p;
    assert_int_equal(p->n_points, 4);
    assert_int_equal(p->n_axes, 2);
    assert_string_equal(p->axis[0], "arm");
    assert_string_equal(p->axis[1], "depth");
    assert_int_equal(plan_tune_count(p), 2);
    assert_int_equal(p->n_cells, 4 * 2 * 2 + 4 * 3);
    assert_int_equal(p->cell[0].role, CELL_TUNE);
    assert_int_equal(p->cell[0].seed, 1000000);
    assert_int_equal(strlen(p->cell[0].key), 64);
    const struct cell *c = &p->cell[16 + 1];
    assert_int_equal(c->role, CELL_FINAL);
    assert_string_equal(c->coordinate[0], "d");
    assert_string_equal(c->coordinate[1], "2");
    assert_string_equal(c->key, "");
    assert_null(c->config);
    plan_tuned(p, 1, (const char *const[]){ "3e-3" });
    assert_int_equal(c->combination, 1);
    assert_string_equal(as_config_get(c->config, "train.lr"), "0.003");
    assert_string_equal(as_config_get(c->config, "seed"), "0");
    assert_string_equal(as_config_get(c->config, "rule"), "adamw");       /* a default, written back */
    assert_non_null(as_config_get(c->config, "mixer.core.impl"));
    assert_int_equal(strlen(c->key), 64);
    assert_true(p->point[1].parameters > p->point[0].parameters);
    assert_string_equal(m.e->metric[0], "accuracy");
    /* No two cells are the same cell. */
    for (int i = 0; i < p->n_cells; i++)
        for (int k = 0; k < i; k++)
            if (*p->cell[i].key)
                assert_string_not_equal(p->cell[i].key, p->cell[k].key);
    unmake(m);
}

static int different_keys(struct made a, struct made b)
{
    int n = 0;
    assert_int_equal(a.p->n_cells, b.p->n_cells);
    for (int i = 0; i < a.p->n_cells; i++)
        n += strcmp(a.p->cell[i].key, b.p->cell[i].key) != 0;
    unmake(b);
    return n;
}

static void keys(void **state)
{
    (void)state;
    struct made m = sound(NULL, NULL);
    assert_int_equal(different_keys(m, sound(NULL, NULL)), 0);
    assert_int_equal(different_keys(m, sound("title = T", "title = U\nminutes = 3\npapers = 1")), 0);
    assert_int_equal(different_keys(m, sound("[arm d]", "[claim c]\nthat = accuracy[arm=l, depth=1] > 0.1\n"
                                                        "source = proposal\n[figure f]\nkind = curve\n[arm d]")), 0);
    assert_int_equal(different_keys(m, sound("[eval long]", "[eval wide]")), 0);
    assert_int_equal(different_keys(m, sound("[test]\nexamples = 4", "[test]\nexamples = 5")), 0);
    /* Other writing of the same number, and a default said aloud. */
    assert_int_equal(different_keys(m, sound("lr = 1e-3", "lr = 0.001")), 0);
    assert_int_equal(different_keys(m, sound("[train]", "[train]\nrule = adamw")), 0);
    /* What does decide the weights. */
    assert_int_equal(different_keys(m, sound("steps = 4", "steps = 5")), 16);
    assert_int_equal(different_keys(m, sound("[train]\n", "[train]\ndecay = 0.1\n")), 16);
    assert_int_equal(different_keys(m, sound("[valid]\ndata.length = 9", "[valid]\ndata.length = 10")), 16);
    assert_int_equal(different_keys(m, sound("mixer.heads = 2", "mixer.heads = 4")), 8);
    unmake(m);
}

static void evaluations(void **state)
{
    (void)state;
    struct made a = sound(NULL, NULL), b = sound("data.length = 5, 12", "data.length = 5, 13");
    struct made c = sound("[test]\nexamples = 4", "[test]\nexamples = 5");
    for (int i = 0; i < 4; i++) {
        plan_tuned(a.p, i, (const char *const[]){ "1e-3" });
        plan_tuned(b.p, i, (const char *const[]){ "1e-3" });
        plan_tuned(c.p, i, (const char *const[]){ "1e-3" });
    }
    for (int i = 0; i < a.p->n_cells; i++) {
        bool final = a.p->cell[i].role == CELL_FINAL;
        assert_string_equal(a.p->cell[i].key, b.p->cell[i].key);
        assert_int_equal(!strcmp(a.p->cell[i].eval_key, b.p->cell[i].eval_key), !final);
        assert_int_equal(!strcmp(a.p->cell[i].eval_key, c.p->cell[i].eval_key), !final);
    }
    unmake(a);
    unmake(b);
    unmake(c);
}

/* A key knows exactly the files that it uses: the text that is hashed is looked at, since hashes are the build's. */
static void plugins(void **state)
{
    (void)state;
    struct made m = sound(NULL, NULL);
    const struct as_entry **used;
    char *delta = key_text(m.p->resolved[0], "0"), *lstm = key_text(m.p->resolved[4], "0");
    has(delta, "[plug-in] impl/linear-attention/deltanet.c ");
    has(delta, "[plug-in] impl/core/delta-rule.c ");
    has(delta, "[plug-in] impl/wiring/prenorm.c ");
    has(delta, "[plug-in] impl/model/classifier.c ");
    has(delta, "[plug-in] impl/rule/adamw.c ");
    has(delta, "[plug-in] impl/objective/ce.c ");
    has(delta, "[plug-in] datasets/parity.c ");
    has(delta, "[core] ");
    has(delta, "[level] ");
    assert_null(strstr(delta, "lstm"));
    has(lstm, "[plug-in] impl/recurrent/lstm.c ");
    assert_null(strstr(lstm, "delta"));
    assert_null(strstr(delta, "test."));
    int n = key_plugins(m.p->resolved[0], &used);
    for (int i = 1; i < n; i++)
        assert_true(strcmp(used[i - 1]->path, used[i]->path) <= 0);
    free(used);
    free(delta);
    free(lstm);
    /* The kernel file of the chosen implementation belongs to it. */
    const char *impl = as_config_get(m.p->resolved[0], "mixer.core.impl");
    struct as_choice c[16];
    int k = as_registry_impls(as_registry_find("layer", "delta-rule", NULL), c, 16);
    for (int i = 0; i < k; i++)
        if (!strcmp(c[i].impl->name, impl)) {
            char *text = key_text(m.p->resolved[0], "0");
            has(text, c[i].entry->hash);
            free(text);
        }
    char hex[65];
    key_sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    unmake(m);
}

/* Stages are part of the key, in their order; a resolved stage is whole; what a stage uses is known. */
static void stages(void **state)
{
    (void)state;
    static const char two[] = "[stage a]\nlr = 2e-3\n[stage b]\nrule = sgd\nsteps = 3\n[eval long]";
    struct made m = sound("[eval long]", two);
    struct as_config *r = m.p->resolved[0];
    assert_int_equal(m.e->n_stages, 2);
    assert_string_equal(as_config_get(r, "stage.order"), "a, b");
    assert_string_equal(as_config_get(r, "stage.a.rule"), "adamw");       /* a default */
    assert_string_equal(as_config_get(r, "stage.b.rule"), "sgd");
    assert_string_equal(as_config_get(r, "stage.a.train.steps"), "4");
    assert_string_equal(as_config_get(r, "stage.b.train.steps"), "3");
    assert_string_equal(as_config_get(r, "stage.a.train.lr"), "0.002");   /* tuning is of the other one */
    assert_string_equal(as_config_get(r, "stage.b.train.lr"), "0.001");
    assert_string_equal(as_config_get(r, "stage.b.mixer"), "deltanet");   /* of the arm */
    assert_string_equal(as_config_get(r, "test.examples"), "4");
    assert_null(as_config_get(r, "stage.a.test.examples"));
    assert_null(as_config_get(r, "mixer"));
    char *text = key_text(r, "0");
    has(text, "[plug-in] impl/rule/adamw.c ");
    has(text, "[plug-in] impl/rule/sgd.c ");
    has(text, "[plug-in] impl/linear-attention/deltanet.c ");
    free(text);
    assert_int_equal(different_keys(m, sound("[eval long]", two)), 0);
    assert_int_equal(different_keys(m, sound("[test]\nexamples = 4", "[stage a]\nlr = 2e-3\n[stage b]\nrule = sgd\nsteps = 3\n"
                                                                     "[test]\nexamples = 5")), 0);
    assert_int_equal(different_keys(m, sound("[eval long]", "[stage b]\nlr = 2e-3\n[stage a]\nrule = sgd\nsteps = 3\n[eval long]")), 16);
    assert_int_equal(different_keys(m, sound("[eval long]", "[stage a]\nlr = 2e-3\n[stage b]\nrule = sgd\nsteps = 4\n[eval long]")), 16);
    assert_int_equal(different_keys(m, sound("[eval long]", "[stage a]\nlr = 2e-3\n[stage b]\nfresh = W_head\nrule = sgd\nsteps = 3\n"
                                                            "[eval long]")), 16);
    assert_int_equal(different_keys(m, sound(NULL, NULL)), 16);
    unmake(m);
}

/* A study's options may name the rule that it trains with: its file decides the cell's bits as well. */
static void rule_of_a_study(void **state)
{
    (void)state;
    struct as_config *cfg = as_config_new();
    as_config_set(cfg, "study", "finite-width", true);
    as_config_set(cfg, "study.rule", "muon", true);
    as_config_set(cfg, "study.objective", "ce", true);
    char *text = key_text(cfg, "0");
    has(text, "[plug-in] impl/study/finite-width.c ");
    has(text, "[plug-in] impl/rule/muon.c ");
    has(text, "[plug-in] impl/objective/ce.c ");
    free(text);
    as_config_free(cfg);
}

static const char *refused(const char *from, const char *to, const char *set)
{
    const char *why = NULL;
    struct made m = make(from, to, set != NULL, &set, &why);
    if (m.p)
        why = "accepted";
    unmake(m);
    return why;
}

static void refusals(void **state)
{
    (void)state;
    has(refused("mixer.heads = 2", "mixer.haeds = 2", NULL), "arm = d, depth = 1");
    has(refused("mixer.heads = 2", "mixer.haeds = 2", NULL), "did you mean \"mixer.heads\"?");
    has(refused("mixer = lstm", "mixer = lstn", NULL), "lstm");
    has(refused("steps = 4", "steps = -4", NULL), "out of range");
    has(refused("source = parity", "source = partiy", NULL), "parity");
    has(refused("data.length = 5, 12", "data.lenght = 5, 12", NULL), "[eval long]");
    has(refused("data.length = 5, 12", "data.length = 5, 0", NULL), "out of range");
    has(refused("[valid]\n", "[valid]\ndata.lenght = 3\n", NULL), "data.length");
    has(refused("data.length = 5, 12", "width = 8, 16", NULL), "[eval long]");
    has(refused("data.length = 5, 12", "width = 16", NULL), "leave its weights as they are");
    has(refused("data.length = 5, 12", "widht = 8", NULL), "did you mean \"width\"?");
    has(refused("data.length = 5, 12", "lr = 1e-3", NULL), "train.lr is neither");
    assert_string_equal(refused("data.length = 5, 12", "data.length = 5\ndropout = 0, 0.5", NULL), "accepted");
    has(refused("[test]\n", "[test]\nmetrics = acuracy\n", NULL), "did you mean accuracy?");
    has(refused("[test]\n", "[test]\nexample = 3\n", NULL), "test.example");
    has(refused(NULL, NULL, "mixer.heads=3"), "heads");
    assert_string_equal(refused(NULL, NULL, "mixer=gru"), "accepted");
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    file_remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid), cmocka_unit_test(keys), cmocka_unit_test(evaluations), cmocka_unit_test(plugins),
        cmocka_unit_test(stages), cmocka_unit_test(rule_of_a_study), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
