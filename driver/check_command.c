/* check_command.c: `assay check`: which plug-ins, and what is printed. */
#include "check/check.h"
#include "check_memory.h"
#include "commands.h"
#include "file.h"
#include "text.h"

#include <assay/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* In the program that has the mocks; see scripts/scan. */
extern const struct as_entry as_mock_entries[] __attribute__((weak));

struct report {
    const struct command_line *line;
    int checks, printed;
    bool failed, headed, proved;         /* proved: its arrays from another program agree */
    double seconds;
    char unproved[256];
};

static const char *name_of(const struct as_entry *e) { return as_say("%s/%s", e->family, e->name); }

/* --- which plug-ins ------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0 && (n == m || text[n - m - 1] == '/');
}

static bool ends_with_c(const char *word) { return strlen(word) > 2 && strcmp(word + strlen(word) - 2, ".c") == 0; }

/* A path, "family/name", "name" or "family". Mocks go by path, full name or family. */
static bool matches(const struct as_entry *e, const char *word)
{
    if (ends_with(word, e->path) || strcmp(word, name_of(e)) == 0 || strcmp(word, e->family) == 0)
        return true;
    return strcmp(e->family, "mock") != 0 && strcmp(word, e->name) == 0;
}

/* The NAME.c entry of a kernel file, or the entry itself. */
static const struct as_entry *main_of(const struct as_entry *table, const struct as_entry *e)
{
    for (const struct as_entry *o = table; o->path; o++)
        if (!o->kernel[0] && strcmp(o->family, e->family) == 0 && strcmp(o->name, e->name) == 0)
            return o;
    return e;
}

struct chosen { const struct as_entry *entry[1024]; int n; };

static void choose(struct chosen *c, const struct as_entry *e)
{
    for (int i = 0; i < c->n; i++)
        if (c->entry[i] == e)
            return;
    if (c->n == (int)(sizeof c->entry / sizeof *c->entry))
        as_fail(AS_FAILED, "more plug-ins than one call can check; name families");
    c->entry[c->n++] = e;
}

static int choose_from(struct chosen *c, const struct as_entry *table, const char *word)
{
    int found = 0;

    for (const struct as_entry *e = table; e && e->path; e++)
        if (!word ? !e->kernel[0] : matches(e, word)) {
            choose(c, main_of(table, e));
            found++;
        }
    return found;
}

static const char *unknown(const char *word)
{
    const char *names[1024], *nearest;
    int n = 0;

    for (const struct as_entry *e = as_entries; e->path && n < 1023; e++)
        if (!e->kernel[0])
            names[n++] = e->name;
    names[n] = NULL;
    nearest = as_nearest(word, names);
    if (ends_with_c(word))
        return as_say("%s is not in this program: built from another folder, or added since?", word);
    return as_say("there is no plug-in or family %s%s%s%s",
                  word, nearest ? ": did you mean " : "", nearest ? nearest : "",
                  nearest ? "?" : "; `assay list` shows all");
}

/* --- what is printed ------------------------------------------------------------------------------------------ */

static void head(struct report *p, const struct as_entry *e)
{
    if (!p->headed)
        printf("FAIL  %s\n", name_of(e));
    p->headed = true;
}

static void print_sentences(const struct check_line *l)
{
    for (const char *at = l->text; *at; at += strcspn(at, "\n"), at += *at == '\n')
        printf("      %.*s\n", (int)strcspn(at, "\n"), at);
}

static void repeat_line(const struct report *p, const struct as_entry *e, const struct check_line *l)
{
    printf("      again: %s check %s --only %s", p->line->program, name_of(e), l->check->name);
    if (p->line->seed)
        printf(" --seed %ld", p->line->seed);
    putchar('\n');
}

static void print_json(struct report *p, const struct as_entry *e, const struct check_line *l)
{
    printf("%s{\"plugin\": ", p->printed++ ? ",\n " : " ");
    text_json(stdout, name_of(e));
    printf(", \"path\": ");
    text_json(stdout, e->path);
    printf(", \"check\": ");
    text_json(stdout, l->check->name);
    printf(", \"result\": ");
    text_json(stdout, check_result_word(l->result));
    printf(", \"seconds\": %.3f, \"text\": ", l->seconds);
    text_json(stdout, l->text);
    printf(", \"note\": ");
    text_json(stdout, l->note);
    printf("}");
}

static void one_line(void *ctx, const struct as_entry *e, const struct check_line *l)
{
    struct report *p = ctx;

    p->checks += l->result != CHECK_NO_MATTER;
    p->seconds += l->seconds;
    p->failed = p->failed || !check_passed(l->result);
    p->proved = p->proved || (l->result == CHECK_PASS && strcmp(l->check->name, "golden") == 0);
    if (l->result == CHECK_UNPROVED && !p->proved)
        snprintf(p->unproved, sizeof p->unproved, "%s", l->text);
    if (p->line->json) {
        print_json(p, e, l);
    } else if (!check_passed(l->result)) {
        head(p, e);
        printf("    %s: %s\n", l->result == CHECK_FAIL ? "failed" : "not tested", l->check->name);
        print_sentences(l);
        repeat_line(p, e, l);
    } else if (p->line->verbose) {
        printf("    %-16s %-15s %5.2f s  %s%s%s\n", l->check->name, check_result_word(l->result), l->seconds, l->text,
               l->text[0] && l->note[0] ? "; " : "", l->note);
    }
    fflush(stdout);
}

static int list_checks(bool json)
{
    static const char *const kind[] = { "layers", "rules", "objectives", "sources", "studies" };
    int printed = 0;

    for (const struct as_check *const *c = as_checks; *c; c++) {
        if (json) {
            printf("%s{\"name\": ", printed++ ? ",\n " : "[");
            text_json(stdout, (*c)->name);
            printf(", \"proves\": ");
            text_json(stdout, (*c)->proves);
            printf(", \"cannot\": ");
            text_json(stdout, (*c)->cannot);
            printf("}");
            continue;
        }
        printf("%s (", (*c)->name);
        for (int i = 0, some = 0; i < 5; i++)
            if ((*c)->of & 1u << i)
                printf("%s%s", some++ ? ", " : "", kind[i]);
        printf(")\n    proves ");
        text_wrap(stdout, (*c)->proves, 11, 4);
        printf("    not    ");
        text_wrap(stdout, (*c)->cannot, 11, 4);
    }
    if (json)
        puts("]");
    return EXIT_ALL_WELL;
}

static const char *unknown_check(const char *only)
{
    const char *names[130], *nearest;
    int n = 0;

    for (const struct as_check *const *c = as_checks; *c; c++) {
        if (strcmp((*c)->name, only) == 0)
            return NULL;
        names[n < 128 ? n++ : n] = (*c)->name;
    }
    names[n] = NULL;
    nearest = as_nearest(only, names);
    return as_say("there is no check %s%s%s%s", only, nearest ? ": did you mean " : "", nearest ? nearest : "",
                  nearest ? "?" : "; `assay check --list` shows all");
}

/* One plug-in; true when it passed. */
static bool check_one(const struct command_line *line, const struct as_entry *e, int *printed)
{
    struct report p = { .line = line, .printed = *printed };
    struct check_how how = { .seed = (uint64_t)line->seed, .elements = line->elements, .only = line->only,
                             .limit = line->elements ? 3600 : 0, .line = one_line, .ctx = &p };

    bool all = !line->only && !line->elements && !line->seed;

    if (all && !line->json && !line->verbose && check_remembered(e, p.unproved, sizeof p.unproved)) {
        printf("pass  %-36s checked before%s%s\n", name_of(e), p.unproved[0] ? "; unproved: " : "", p.unproved);
        return true;
    }
    if (line->verbose && !line->json)
        printf("%s\n", name_of(e));
    check_plugin(e, &how);
    *printed = p.printed;
    if (all && !p.failed && p.checks)
        check_remember(e, p.unproved);
    if (line->json || p.failed)
        return !p.failed;
    if (p.checks == 0)
        printf("-     %-36s no check is for it\n", name_of(e));
    else
        printf("pass  %-36s %2d checks, %4.1f s%s%s\n",
               name_of(e), p.checks, p.seconds, p.unproved[0] ? "; unproved: " : "",
               p.unproved);
    fflush(stdout);
    return true;
}

int command_check(struct command_line *line)
{
    static struct chosen c;
    int failed = 0, printed = 0;
    const char *missing = NULL, *why = line->only ? unknown_check(line->only) : NULL;

    if (line->list)
        return list_checks(line->json);
    for (int i = 0; i < line->n_words && !why; i++)
        if (choose_from(&c, as_entries, line->word[i]) + choose_from(&c, as_mock_entries, line->word[i]) == 0) {
            if (ends_with_c(line->word[i]) && file_exists(line->word[i]))
                missing = unknown(line->word[i]);
            else
                why = unknown(line->word[i]);
        }
    if (why)
        return complain(EXIT_WRONG_USE, why);
    if (line->n_words == 0)
        choose_from(&c, as_entries, NULL);
    why = check_rebuild(c.entry, c.n, missing);
    if (why)
        return complain(EXIT_CANNOT, why);
    if (line->json)
        printf("[");
    for (int i = 0; i < c.n; i++)
        failed += !check_one(line, c.entry[i], &printed);
    if (line->json)
        puts("]");
    else if (c.n > 1)
        printf("%d of %d passed\n", c.n - failed, c.n);
    return failed ? EXIT_DIFFERENT : EXIT_ALL_WELL;
}
