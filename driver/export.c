/* export.c: `assay export NAME --csv|--md|--tex`: the stored results as one table, a row a value (csv), or a row an
 * arm (md, tex). */
#include <driver/run.h>

#include <driver/file.h>
#include <driver/summary_table.h>
#include <assay/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_csv(const char *text)
{
    if (!strpbrk(text, ",\"\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void export_csv(const struct results *r)
{
    char *unchecked = results_unchecked(r);      /* a column of its own, when there is something to say */
    for (int a = 0; a < r->plan->n_axes; a++) {
        put_csv(r->plan->axis[a]);
        putchar(',');
    }
    printf("seed,outcome,metric,at,value,examples,key%s\n", unchecked ? ",unchecked" : "");
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *c = &r->plan->cell[i];
        const struct record *rec = r->record[i];
        if (c->role != CELL_FINAL || !rec) continue;
        for (int k = 0; k < rec->n_values || (k == 0 && rec->n_values == 0); k++) {
            const struct value *v = rec->n_values ? &rec->value[k] : NULL;
            for (int a = 0; a < r->plan->n_axes; a++) {
                put_csv(c->coordinate[a]);
                putchar(',');
            }
            printf("%ld,%s,", c->seed, outcome_name(rec->outcome));
            put_csv(v ? v->metric : "");
            putchar(',');
            char *at = file_text("%s", "");
            for (int q = 0; v && q < v->n_keys; q++) {
                char *more = file_text("%s%s%s=%s", at, q ? " " : "", v->key[q], v->text[q]);
                free(at);
                at = more;
            }
            put_csv(at);
            free(at);
            printf(",%s,%ld,%.12s", v ? as_say("%.17g", v->value) : "", v ? v->examples : 0, c->key);
            if (unchecked) {
                const char *said = record_text_of(rec, "unchecked");
                putchar(',');
                put_csv(said ? said : "");
            }
            putchar('\n');
        }
    }
    free(unchecked);
}

/* A text as the format wants it. */
static void put_cell(const char *text, bool tex)
{
    for (; *text; text++) {
        if (tex && strchr("#$%&_{}", *text)) printf("\\%c", *text);
        else if (tex && *text == '\\') fputs("\\textbackslash{}", stdout);
        else if (tex && (*text == '~' || *text == '^')) printf("\\%c{}", *text);
        else if (!tex && *text == '|') fputs("\\|", stdout);
        else putchar(*text);
    }
}

static void put_rule(const struct table *t)
{
    fputs("|---|", stdout);
    for (int c = 1; c < t->columns; c++) fputs("---:|", stdout);
    putchar('\n');
}

static void put_table(const struct table *t, const char *caption, bool tex)
{
    if (tex) {
        fputs("\\begin{tabular}{l", stdout);
        for (int c = 1; c < t->columns; c++) putchar('r');
        puts("}\n\\hline");
    }
    for (int i = 0; i < t->rows; i++) {
        if (!tex) fputs("| ", stdout);
        for (int c = 0; c < t->columns; c++) {
            const char *text = t->text[i * t->columns + c];
            if (c) fputs(tex ? " & " : " | ", stdout);
            put_cell(text ? text : "", tex);
        }
        puts(tex ? " \\\\" : " |");
        if (i == 0 && tex) puts("\\hline");
        if (i == 0 && !tex) put_rule(t);
    }
    if (tex) puts("\\hline\n\\end{tabular}");
    if (caption) {
        fputs(tex ? "% " : "\n", stdout);
        put_cell(caption, tex);
        putchar('\n');
    }
    putchar('\n');
}

static void put_claims(struct results *r, bool tex)
{
    const char *why;
    struct claim_result *v = claims_answer(r, &why);
    struct table t = table_new(4);
    static const char *const head[] = { "claim", "verdict", "result", "source" };
    for (int c = 0; c < 4; c++) table_put(&t, 0, c, head[c]);
    for (int i = 0; v && i < r->e->n_claims; i++) {
        table_put(&t, 1 + i, 0, r->e->claim[i].name);
        table_put(&t, 1 + i, 1, claim_verdict_text(v[i].verdict));
        table_put(&t, 1 + i, 2, v[i].text);
        table_put(&t, 1 + i, 3, r->e->claim[i].source);
    }
    if (v) put_table(&t, *r->look ? r->look : NULL, tex);
    table_free(&t);
    free(v);
}

static void put_block(void *tex, const struct block *b) { put_table(&b->table, b->caption, *(bool *)tex); }

static void export_tables(struct results *r, bool tex)
{
    char *unchecked = results_unchecked(r);
    if (unchecked) {
        put_cell(unchecked, tex);
        puts("\n");
    }
    free(unchecked);
    free(table_blocks(r, true, put_block, &tex));
    put_claims(r, tex);
    struct table budget = budget_make(r);
    put_table(&budget, NULL, tex);
    table_free(&budget);
}

int command_export(struct command_line *line)
{
    const char *why;
    if (!line->csv && !line->md && !line->tex) return complain(EXIT_WRONG_USE, "export needs --csv, --md or --tex");
    struct experiment *e = experiment_of(line);
    if (!e) return EXIT_WRONG_USE;
    struct results *r = results_open(e, results_folder(line->results), &why);
    int status = EXIT_ALL_WELL;
    if (!r) status = complain_of_plan(e, why);
    else if (r->n_damaged) status = complain(EXIT_CANNOT, r->damaged[0]);
    else if (line->csv) export_csv(r);
    else export_tables(r, line->tex);
    results_close(r);
    experiment_free(e);
    return status;
}
