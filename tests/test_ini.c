/* Experiment files: what inih would misread is refused with its place; sections, overrides and quick forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../driver/experiment.h"
#include "../driver/file.h"
#include "../driver/ini.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "assay test ini XXXXXX";

#define has(text, part) \
    do { \
        const char *t_ = (text); \
        if (!t_ || !strstr(t_, part)) \
            fail_msg("\"%s\" does not say \"%s\"", t_ ? t_ : "(nothing)", part); \
    } while (0)

static char *put(const char *name, const char *text, size_t n)
{
    char *path = file_text("%s/%s", folder, name);
    assert_null(file_replace(path, text, n));
    return path;
}

static const char *refused(const char *text)
{
    const char *why;
    char *path = put("x.ini", text, strlen(text));
    struct ini *ini = ini_read(path, &why);
    free(path);
    if (!ini)
        return why;
    ini_free(ini);
    return "accepted";
}

static void lines(void **state)
{
    (void)state;
    char line[300], section[80];
    assert_string_equal(refused("[a]\nk = v ; comment\n; x\n\n# y\nl = a;b\n"), "accepted");
    assert_string_equal(refused("\xef\xbb\xbf[a]\r\nk = \xc3\xa9\r\n"), "accepted");
    assert_string_equal(refused("[a]\nk = v"), "accepted");
    memset(line, 'x', sizeof line);
    memcpy(line, "[a]\nk = ", 8);
    line[4 + 199] = '\0';
    assert_string_equal(refused(line), "accepted");
    line[4 + 199] = 'x';
    line[4 + 200] = '\0';
    has(refused(line), "x.ini:2: the line has 200 bytes, 199 are the most");
    snprintf(section, sizeof section, "[%.*s]\nk=v\n", 49, line + 10);
    assert_string_equal(refused(section), "accepted");
    snprintf(section, sizeof section, "[%.*s]\nk=v\n", 50, line + 10);
    has(refused(section), "x.ini:1: the section name has 50 bytes");
    has(refused("[a]\nk = v\n  l = w\n"), "x.ini:3: the line begins with a blank");
    has(refused("[a]\nk = v\nk = w\n"), "x.ini:3: k stands here a second time, first in line 2");
    has(refused("[a]\nk = v\n[b]\nl = 1\n[a]\nm = w\n"), "x.ini:5: [a] stands here a second time, first in line 1");
    assert_string_equal(refused("[a]\nk = v\n[b]\nk = w\n"), "accepted");
    has(refused("[a]\nk\n"), "x.ini:2: neither a section");
    has(refused("[a]\nk : v\n"), "x.ini:2: neither a section");
    has(refused("[a]\nk =\n"), "k has no value");
    has(refused("[a]\nk = ; only a comment\n"), "k has no value");
    has(refused("[a]\nk = 1 # no\n"), "begins with ';'");
    has(refused("[a\nk = 1\n"), "closing bracket");
    has(refused("[a] b\nk = 1\n"), "behind the closing bracket");
    has(refused("[a  b]\nk = 1\n"), "one blank");
    has(refused("[a]\nk l = 1\n"), "a key is one word");
    has(refused("[a]\nk = \xff\n"), "byte 5 is not UTF-8");
    has(refused("[a]\nk = \xc0\x80\n"), "not UTF-8");
    has(refused("[a]\nk = a\x01\n"), "control character (code 1)");
    const char *why;
    char *path = put("x.ini", "[a]\nk = \0v\n", 11);
    assert_null(ini_read(path, &why));
    has(why, "zero byte");
    free(path);
    assert_null(ini_read("/nowhere/at all.ini", &why));
    has(why, "/nowhere/at all.ini");
}

static void includes(void **state)
{
    (void)state;
    const char *why;
    static const char base[] = "[train]\nsteps = 1\nbatch = 2\n", top[] = "include = base.ini\n[train]\nsteps = 5\n";
    static const char loop[] = "include = loop.ini\n", lost[] = "[experiment]\ninclude = lost.txt\n";
    free(put("base.ini", base, sizeof base - 1));
    char *path = put("top.ini", top, sizeof top - 1);
    struct ini *ini = ini_read(path, &why);
    assert_non_null(ini);
    assert_int_equal(ini->n, 3);
    assert_string_equal(ini->entry[1].value, "5");
    assert_string_equal(ini->entry[2].key, "batch");
    has(ini->entry[2].file, "base.ini");
    assert_int_equal(ini->entry[2].line, 3);
    ini_free(ini);
    free(path);
    path = put("loop.ini", loop, sizeof loop - 1);
    assert_null(ini_read(path, &why));
    has(why, "circle");
    free(path);
    path = put("lost.ini", lost, sizeof lost - 1);
    assert_null(ini_read(path, &why));
    has(why, "lost.ini:2");
    has(why, "lost.txt");
    free(path);
}

/* --- experiments --------------------------------------------------------------------------------------------- */

static const char head[] = "[experiment]\ntitle = T\npapers = 16, 15\nminutes = 2.5\n"
    "[data]\nsource = parity\n[model]\nmodel = classifier\nmixer = deltanet\nmixer.beta_max = 2\nmixer.heads = 2\n"
    "[train]\nrule = adamw\nrule.beta1 = 0.8\nsteps = 10\nselect = best validation\n"
    "[valid]\ndata.length = 9\nmetric = accuracy\n[test]\nmetrics = accuracy, ce\nexamples = 7\n";
static const char tail[] = "[tune]\nlr = 1e-3, 1e-2\n[vary]\nwidth = 8, 16\nseed = 0..2, 7\n"
    "[eval long]\ndata.length = 5, 6\ndata.labels = last\nexamples = 3\n"
    "[claim c]\nthat = accuracy[width=8] >= 0.5\nsource = proposal\n"
    "[figure f]\nkind = curve\nx = long.length\n"
    "[quick]\nseeds = 0\ntune = off\nsteps = 2\neval.long.examples = 1\n";

static struct experiment *read_text(const char *text, int n, const char *const *set, bool quick, const char **why)
{
    char *path = put("e.ini", text, strlen(text));
    struct experiment *e = experiment_read(path, set, n, quick, why);
    free(path);
    return e;
}

static const char *base_of(struct experiment *e, const char *key)
{
    return as_config_get(e->base, key);
}

static void sections(void **state)
{
    (void)state;
    const char *why, *key[2], *text[2];
    char *whole = file_text("%s%s", head, tail);
    struct experiment *e = read_text(whole, 0, NULL, false, &why);
    free(whole);
    if (!e)
        fail_msg("%s", why);
    assert_string_equal(e->name, "e");
    assert_true(fabs(e->minutes - 2.5) < 1e-12);
    assert_string_equal(base_of(e, "data.source"), "parity");
    assert_string_equal(base_of(e, "mixer.beta_max"), "2");
    assert_string_equal(base_of(e, "train.steps"), "10");
    assert_string_equal(base_of(e, "train.select"), "best");
    assert_string_equal(base_of(e, "rule.beta1"), "0.8");
    assert_string_equal(base_of(e, "valid.data.length"), "9");
    assert_string_equal(base_of(e, "test.examples"), "7");
    assert_int_equal(e->n_metrics, 2);
    assert_string_equal(e->tune[0].key, "train.lr");
    assert_int_equal(e->n_tune_seeds, 2);
    assert_int_equal(e->tune_seed[1], 1000001);
    assert_int_equal(e->n_vary, 1);
    assert_int_equal(e->n_seeds, 4);
    assert_int_equal(e->seed[3], 7);
    assert_int_equal(eval_points(&e->eval[0]), 2);
    assert_int_equal(eval_keys(&e->eval[0]), 2);
    eval_point(&e->eval[0], 1, key, text);
    assert_string_equal(key[0], "data.labels");
    assert_string_equal(text[1], "6");
    assert_string_equal(eval_axis_name(&e->eval[0], &e->eval[0].axis[0]), "long.length");
    assert_int_equal(e->claim_line[0], 33);
    assert_string_equal(e->figure[0].kind, "curve");
    assert_false(e->altered);
    experiment_free(e);
}

static void quick_form(void **state)
{
    (void)state;
    const char *why;
    static const char *const set[] = { "steps=3", "seeds=1..2" };
    char *whole = file_text("%s%s", head, tail);
    struct experiment *e = read_text(whole, 2, set, true, &why);
    free(whole);
    if (!e)
        fail_msg("%s", why);
    assert_int_equal(e->n_tune, 0);
    assert_int_equal(e->n_tune_seeds, 0);
    assert_int_equal(e->n_seeds, 2);
    assert_string_equal(base_of(e, "train.steps"), "3");
    assert_int_equal(e->eval[0].examples, 1);
    assert_true(e->altered);
    experiment_free(e);
    e = read_text(head, 1, (const char *const[]){ "seeds=5" }, false, &why);
    assert_non_null(e);
    assert_false(e->altered);
    experiment_free(e);
    assert_null(read_text(head, 0, NULL, true, &why));
    has(why, "no section [quick]");
}

/* An override wins over arms and axes, and takes along what a new filler does not know. */
static void overrides(void **state)
{
    (void)state;
    const char *why;
    char *whole = file_text("%s[vary]\nmixer.conv = 0, 4\n[arm a]\nmixer.key_width = 8\n[arm b]\n"
                            "mixer.key_width = 4\nwidth = 8\n[arm c]\nwidth = 8\n", head);
    static const char *const set[] = { "mixer.forget_bias=2", "mixer.nonsense=1", "mixer=lstm" };
    struct experiment *e = read_text(whole, 3, set, false, &why);
    free(whole);
    if (!e)
        fail_msg("%s", why);
    assert_string_equal(base_of(e, "mixer"), "lstm");
    assert_string_equal(base_of(e, "mixer.forget_bias"), "2");
    assert_non_null(base_of(e, "mixer.nonsense"));     /* given with it: kept, and refused when it is resolved */
    assert_null(base_of(e, "mixer.heads"));
    assert_null(base_of(e, "mixer.beta_max"));
    assert_int_equal(e->n_vary, 0);
    assert_int_equal(e->n_arms, 2);
    assert_string_equal(e->arm[1].name, "b");
    has(e->note, "arm c no longer differs from arm b");
    has(e->note, "the axis mixer.conv is left out");
    experiment_free(e);
    assert_null(read_text(head, 1, (const char *const[]){ "width" }, false, &why));
    has(why, "write --set KEY=VALUE");
    static const char *const two_lines[] = { "mixer.conv=4\nwidth = 8" }, *const blank[] = { "width=  " };
    assert_null(read_text(head, 1, two_lines, false, &why));
    has(why, "byte 13, is a control character (code 10)");
    assert_null(read_text(head, 1, blank, false, &why));
    has(why, "write --set KEY=VALUE");
    assert_null(read_text(head, 1, (const char *const[]){ "eval.lung.examples=3" }, false, &why));
    has(why, "there is no [eval lung]");
}

static const char *bad(const char *more_text)
{
    const char *why;
    char *whole = file_text("%s%s", head, more_text);
    struct experiment *e = read_text(whole, 0, NULL, false, &why);
    free(whole);
    experiment_free(e);
    return e ? "accepted" : why;
}

static void refusals(void **state)
{
    (void)state;
    assert_string_equal(bad(""), "accepted");
    has(bad("[trian]\nx = 1\n"), "e.ini:24: unknown section [trian]: did you mean [train]?");
    assert_string_equal(bad("[stage a]\nclip = 2\n"), "accepted");
    has(bad("[stage a]\nsteps = 1\n"), "every stage sets train.steps itself");
    has(bad("[stage a]\n[stage b]\nsteps = 1\n"), "e.ini:23: [stage a] is empty");
    has(bad("[stage a.b]\nsteps = 1\n"), "letters, digits");
    has(bad("[stage a]\nsteps = 1\nseed = 3\n"), "[stage a]: seed is one for all stages");
    has(bad("[stage a]\nfresh = b\n"), "the first stage draws all its weights anyway");
    has(bad("[stage aa]\nclip = 2\n[arm x]\nstage.ab.steps = 1\n"), "there is no [stage ab]: did you mean [stage aa]?");
    has(bad("[stage a]\nclip = 2\n[vary]\nstage.lr = 1, 2\n"), "a key of a stage is stage.NAME.KEY");
    has(bad("[match]\nkey = width\n"), "not supported yet");
    has(bad("[replicate]\nunit = split\n"), "not supported yet");
    has(bad("[eval a]\nmode = step\n"), "not supported yet");
    has(bad("[vary]\nwidth = 8, 8\n"), "twice");
    has(bad("[vary]\nwidth = 8,, 9\n"), "empty place");
    has(bad("[vary]\nseed = 0..1000000\n"), "seeds");
    has(bad("[vary]\nseed = 1000000\n"), "no seed");
    has(bad("[vary]\nmixer.heads = 1, 2\n"), "has one value and varies");
    has(bad("[arm a]\nlr = 1\n[tune]\nlr = 1, 2\n"), "[arm a] and in [tune]");
    has(bad("[claim a]\nthat = accuracy >\nsource = proposal\n"), "claim a");
    has(bad("[claim a]\nthat = accuracy > 0.5\n"), "where it comes from");
    has(bad("[claim a]\nthta = accuracy > 0.5\n"), "did you mean \"that\"");
    has(bad("[figure a]\nx = width\n"), "has no kind");
    const char *why;
    assert_null(read_text("[experiment]\ntitel = T\n", 0, NULL, false, &why));
    has(why, "e.ini:2: [experiment] has no key \"titel\": did you mean \"title\"?");
    assert_null(read_text("[experiment]\ntitle = T\n[model]\ntrain.lr = 1\n", 0, NULL, false, &why));
    has(why, "does not belong into [model]; its section is [train]");
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
        cmocka_unit_test(lines), cmocka_unit_test(includes), cmocka_unit_test(sections), cmocka_unit_test(quick_form),
        cmocka_unit_test(overrides), cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
