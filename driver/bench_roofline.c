/* bench_roofline.c: the lines of a bench as points under the machine's two roofs, drawn by gnuplot from a table and a
 * script that stay beside the figure. */
#include "bench.h"
#include "file.h"

#include <assay/config.h>
#include <assay/error.h>
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#ifndef ASSAY_DATADIR
#define ASSAY_DATADIR "/usr/local/share/assay"
#endif

enum { POINTS = 256, NAME_FIELD = 0, TIME_FIELD = 3, RATE_FIELD = 7, BYTES_FIELD = 9 };
struct point { char label[192]; double intensity, rate; };      /* FLOP a byte; GFLOP/s */
struct roofs { double peak, copy; char processor[160]; struct point point[POINTS]; int n; };

/* Field number k of a line, copied. */
static bool take(const char *line, int k, char *out, size_t room)
{
    size_t n;

    for (; k > 0; k--) {
        line = strchr(line, '\t');
        if (!line++)
            return false;
    }
    n = strcspn(line, "\t");
    snprintf(out, room, "%.*s", (int)(n < room ? n : room - 1), line);
    return true;
}

static void read_line(struct roofs *r, const char *line)
{
    char name[96], batch[24], time[24], width[24], rate[40], bytes[40];
    double flops, moved;

    if (strncmp(line, "# peak\t", 7) == 0)
        r->peak = strtod(line + 7, NULL);
    if (strncmp(line, "# copy\t", 7) == 0)
        r->copy = strtod(line + 7, NULL);
    if (strncmp(line, "# processor\t", 12) == 0)
        snprintf(r->processor, sizeof r->processor, "%s", line + 12);
    if (*line == '#' || r->n == POINTS || !take(line, NAME_FIELD, name, sizeof name) || !take(line, 2, batch, sizeof batch) ||
        !take(line, TIME_FIELD, time, sizeof time) || !take(line, 4, width, sizeof width) ||
        !take(line, RATE_FIELD, rate, sizeof rate) || !take(line, BYTES_FIELD, bytes, sizeof bytes))
        return;
    if (!as_parse_num(rate, &flops) || !as_parse_num(bytes, &moved) || moved <= 0)
        return;                              /* the header of the columns, or a line without a count */
    snprintf(r->point[r->n].label, sizeof r->point[0].label, "%s %sx%sx%s", name, batch, time, width);
    r->point[r->n].rate = flops;
    r->point[r->n++].intensity = 1e9 * flops / moved;
}

static const char *read_bench(const char *path, struct roofs *r)
{
    const char *why = NULL;
    char *text = file_read(path, NULL, &why), *save = NULL;

    if (!text)
        return why;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        read_line(r, line);
    free(text);
    if (r->peak <= 0 || r->copy <= 0 || !r->n)
        return as_say("%s: no output of `assay bench` with a line that counts operations, a peak and a copy", path);
    return NULL;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static char *template_of(const char *name, const char **why)
{
    const char *home = getenv("ASSAY_HOME");
    char *path = file_text("%s/plots/%s.gp", home && *home ? home : ASSAY_DATADIR, name), *text = file_read(path, NULL, why);

    free(path);
    return text;
}

static void put_text(FILE *f, const char *name, const char *text)
{
    fprintf(f, "%s = '", name);
    for (; *text; text++)
        fputs(*text == '\'' ? "''" : (char[]){ *text, 0 }, f);
    fputs("'\n", f);
}

static void put_script(FILE *f, const struct roofs *r, const char *name, const char *source)
{
    double left = r->peak / r->copy, right = left, bottom = r->peak;
    size_t longest = 0;

    for (int k = 0; k < r->n; k++) {
        left = fmin(left, r->point[k].intensity);
        right = fmax(right, r->point[k].intensity);
        bottom = fmin(bottom, r->point[k].rate);
        longest = strlen(r->point[k].label) > longest ? strlen(r->point[k].label) : longest;
    }
    fprintf(f, "# %s.gp: draws %s.tsv; run it in its folder. For another format: gnuplot -e \"format='png'\" %s.gp\n", name, name,
            name);
    put_text(f, "name", name);
    put_text(f, "title", "Operations a second against operations a byte");
    put_text(f, "xlabel", "FLOP for each byte that has to move");
    put_text(f, "ylabel", "GFLOP/s");
    put_text(f, "caption", as_say("%s; %s", source, r->processor));
    fprintf(f, "longest = %zu\npeak = %.6g; copy = %.6g\nxmin = %.6g; xmax = %.6g; ymin = %.6g; n = %d\n", longest, r->peak,
            r->copy, left / 2, right * 2, bottom / 2, r->n);
    fprintf(f, "array label[%d]\n", r->n);
    for (int k = 0; k < r->n; k++)
        put_text(f, as_say("label[%d]", k + 1), r->point[k].label);
}

static const char *write_both(const struct roofs *r, const char *base, const char *name, const char *source)
{
    const char *why = NULL;
    char *common = template_of("common", &why), *kind = common ? template_of("roofline", &why) : NULL;
    char *table = NULL, *script = NULL, *path;
    size_t n_table, n_script;
    FILE *f;

    if (!kind) {
        free(common);
        return why;
    }
    f = open_memstream(&table, &n_table);
    if (!f)
        as_fail(AS_NO_MEMORY, "no memory for a figure");
    fputs("# label\tFLOP a byte\tGFLOP/s\n", f);
    for (int k = 0; k < r->n; k++)
        fprintf(f, "%s\t%.6g\t%.6g\n", r->point[k].label, r->point[k].intensity, r->point[k].rate);
    fclose(f);
    f = open_memstream(&script, &n_script);
    if (!f)
        as_fail(AS_NO_MEMORY, "no memory for a figure");
    put_script(f, r, name, source);
    fprintf(f, "\n%s\n%s", common, kind);
    fclose(f);
    path = file_text("%s.tsv", base);
    why = file_replace(path, table, n_table);
    free(path);
    path = file_text("%s.gp", base);
    why = why ? why : file_replace(path, script, n_script);
    free(path);
    free(table);
    free(script);
    free(common);
    free(kind);
    return why;
}

static const char *draw(const char *base, const char *name, const char *format)
{
    char *folder = file_text("%.*s", (int)(name - base), base), *drawn = file_text("%s.%s.new", base, format);
    char *script = file_text("%s.gp", name), *set = file_text("format='%s'", format), *to = file_text("%s.%s", base, format);
    char *argv[] = { "sh", "-c", "cd -- \"$0\" && LC_ALL=C TZ=UTC exec gnuplot -e \"$1\" \"$2\"", *folder ? folder : ".", set,
                     script, NULL };
    const char *why = NULL;
    int status = 0;
    pid_t pid;

    if (posix_spawnp(&pid, "sh", NULL, NULL, argv, environ))
        why = "sh could not be started";
    else
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    if (!why && WIFEXITED(status) && WEXITSTATUS(status) == 127)
        why = "gnuplot is missing: apt-get install gnuplot-nox; the table and the script are there";
    else if (!why && status)
        why = as_say("%s.gp: gnuplot could not draw it", base);
    if (!why && rename(drawn, to))
        why = file_error(to, "cannot be written", errno);
    free(folder);
    free(drawn);
    free(script);
    free(set);
    free(to);
    return why;
}

int bench_roofline(const char *tsv, const char *out)
{
    static struct roofs r;
    const char *dot = strrchr(out, '.'), *why = NULL, *name, *slash;
    char *base;

    if (!dot || (strcmp(dot, ".svg") != 0 && strcmp(dot, ".png") != 0 && strcmp(dot, ".pdf") != 0))
        return complain(EXIT_WRONG_USE, as_say("-o %s: the figure's name ends in .svg, .png or .pdf", out));
    base = file_text("%.*s", (int)(dot - out), out);
    slash = strrchr(base, '/');
    name = slash ? slash + 1 : base;
    if (strlen(tsv) == strlen(base) + 4 && strncmp(tsv, base, strlen(base)) == 0 && strcmp(tsv + strlen(base), ".tsv") == 0)
        why = as_say("-o %s: the figure's own table would overwrite %s; give another name", out, tsv);
    why = why ? why : read_bench(tsv, &r);
    slash = strrchr(tsv, '/');
    why = why ? why : write_both(&r, base, name, slash ? slash + 1 : tsv);
    why = why ? why : draw(base, name, dot + 1);
    free(base);
    return why ? complain(EXIT_CANNOT, why) : EXIT_ALL_WELL;
}
