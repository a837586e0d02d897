/* accept.c: `assay accept NAME`: puts the verdicts of an experiment into the ledger, which is kept in git. Rows of
 * the same experiment are replaced; those of others stay as they are, byte by byte. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char head[] = "id\texperiment\tclaim\tverdict\testimate\tlow\thigh\tseeds\tminutes\tcommit\n";

static const char *num(double x) { return isfinite(x) ? as_say("%.6g", x) : "-"; }

/* The commit that all final records come from; NULL and *why when there is none, or not one only, or it was dirty. */
static const char *commit_of(const struct results *r, const char **why)
{
    const char *first = NULL;
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct record *rec = r->plan->cell[i].role == CELL_FINAL ? r->record[i] : NULL;
        if (!rec) continue;
        const char *commit = record_text_of(rec, "commit"), *dirty = record_text_of(rec, "dirty");
        if (!commit) *why = "its results do not know their commit (run outside git); run it again inside";
        else if (dirty && !strcmp(dirty, "yes"))
            *why = "its results come from a tree with uncommitted changes; commit, delete its cells and run it again";
        else if (record_text_of(rec, "unchecked"))
            *why = as_say("its results were run with --unchecked: %s; mend that and run it again",
                          record_text_of(rec, "unchecked"));
        else if (first && strcmp(first, commit) != 0)
            *why = as_say("its results come from several commits (%.10s, %.10s); delete its cells and run it again",
                          first, commit);
        if (*why) return NULL;
        first = commit;
    }
    return first;
}

/* Minutes on two cores, as in [experiment]: processor time shared between two. */
static double minutes_of(const struct results *r)
{
    double seconds = 0;
    for (int i = 0; i < r->plan->n_cells; i++) {
        double x = r->record[i] ? record_number_of(r->record[i], "seconds") : (double)NAN;
        double threads = r->record[i] ? record_number_of(r->record[i], "threads") : 1;
        if (!isnan(x)) seconds += x * (threads > 1 ? threads : 1);
    }
    return seconds / 60 / 2;
}

static void put_ids(FILE *f, const char *papers)
{
    for (const char *s = papers && *papers ? papers : "0"; *s; s++)
        if (*s != ' ' && *s != '\t') putc(*s, f);
}

static void put_rows(FILE *f, const struct results *r, const struct claim_result *v, const char *commit)
{
    for (int i = 0; i < r->e->n_claims; i++) {
        put_ids(f, r->e->papers);
        fprintf(f, "\t%s\t%s\t%s\t%s\t%s\t%s\t%ld\t%s\t%s\n", r->e->name, r->e->claim[i].name,
                claim_verdict_text(v[i].verdict), num(v[i].estimate), num(v[i].low), num(v[i].high), v[i].seeds,
                as_say("%.1f", minutes_of(r)), commit);
    }
}

/* Whether a ledger line is a row of this experiment: its second column. */
static bool row_of(const char *line, const char *name)
{
    const char *second = strchr(line, '\t');
    size_t n = strlen(name);
    return second && !strncmp(second + 1, name, n) && second[1 + n] == '\t';
}

static const char *write_ledger(const struct results *r, const char *path, const struct claim_result *v,
                                const char *commit)
{
    const char *why = NULL;
    char *old = file_exists(path) ? file_read(path, NULL, &why) : NULL, *text = NULL;
    size_t n = 0;
    if (why) return why;
    FILE *f = open_memstream(&text, &n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for the ledger");
    if (!old || !*old) fputs(head, f);
    for (char *line = old; line && *line;) {
        size_t k = strcspn(line, "\n");
        if (!row_of(line, r->e->name)) {
            fwrite(line, 1, k, f);
            putc('\n', f);
        }
        line += k + (line[k] == '\n');
    }
    put_rows(f, r, v, commit);
    fclose(f);
    why = file_replace(path, text, n);
    free(text);
    free(old);
    return why;
}

static const char *incomplete(const struct results *r)
{
    int missing = 0, all = 0;
    for (int i = 0; i < r->plan->n_cells; i++) {
        if (r->plan->cell[i].role != CELL_FINAL) continue;
        all++;
        missing += !results_complete(r, i);
    }
    return missing ? as_say("%d of its %d cells have not finished; run it first", missing, all) : NULL;
}

static int accept(struct results *r, const char *folder)
{
    const char *why = r->n_damaged ? r->damaged[0] : NULL, *commit = NULL;
    struct claim_result *v = NULL;
    if (!why && !r->e->n_claims) why = "it has no claims";
    if (!why) why = incomplete(r);
    if (!why) commit = commit_of(r, &why);
    if (!why && !(v = claims_answer(r, &why)) && !why) why = "its claims cannot be answered";
    char *path = file_text("%s/ledger.tsv", folder), *guard = file_text("%s/.ledger.lock", folder);
    int lock = -1;
    if (!why && ((lock = open(guard, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0 || flock(lock, LOCK_EX)))
        why = file_error(guard, "cannot be made", errno);
    char *sentence = why ? file_text("%s: %s", r->e->name, why) : NULL;
    if (!why && (why = write_ledger(r, path, v, commit))) sentence = file_text("%s", why);
    if (!why)
        for (int i = 0; i < r->e->n_claims; i++)
            printf("%s\t%s\t%s\n", path, r->e->claim[i].name, claim_verdict_text(v[i].verdict));
    int status = why ? complain(EXIT_CANNOT, sentence) : EXIT_ALL_WELL;
    if (lock >= 0) close(lock);
    free(sentence);
    free(guard);
    free(path);
    free(v);
    return status;
}

int command_accept(struct command_line *line)
{
    const char *why, *folder = results_folder(line->results);
    struct experiment *e = experiment_of(line);
    if (!e) return EXIT_WRONG_USE;
    struct results *r = results_open(e, folder, &why);
    int status = r ? accept(r, folder) : complain_of_plan(e, why);
    results_close(r);
    experiment_free(e);
    return status;
}
