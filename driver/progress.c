#include <driver/progress.h>

#include <assay/error.h>
#include <driver/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

const char *duration(double s)
{
    if (!(s >= 0)) return "unknown";
    if (s < 9.95) return as_say("%.1f s", s);
    long t = lround(s);
    if (t < 60) return as_say("%ld s", t);
    if (t < 3600) return t % 60 ? as_say("%ld min %ld s", t / 60, t % 60) : as_say("%ld min", t / 60);
    return as_say("%ld h %ld min", t / 3600, t % 3600 / 60);
}

void json_number(double x)
{
    fputs(isfinite(x) ? as_say("%.9g", x) : "null", stdout);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int columns(void)
{
    struct winsize w;
    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col > 0) return w.ws_col;
    const char *set = getenv("COLUMNS");
    long n = set ? strtol(set, NULL, 10) : 0;
    return n > 0 && n < 10000 ? (int)n : 80;
}

void progress_start(struct progress *p, bool json)
{
    const char *term = getenv("TERM");
    p->json = json;
    p->live = !json && isatty(STDOUT_FILENO) && !(term && !strcmp(term, "dumb"));
    p->left = -1;
}

/* The longest of these forms that leaves the last column free: a full line would wrap. */
static void fill(const struct progress *p, char *line, int room)
{
    enum { BAR = 20 };
    char bar[BAR + 3] = "[";
    int full = p->total ? BAR * p->done / p->total : 0;
    for (int i = 0; i < BAR; i++) bar[1 + i] = i < full ? '#' : '-';
    bar[BAR + 1] = ']';
    bar[BAR + 2] = 0;
    const char *left = p->left >= 0 ? as_say("  %s left", duration(p->left)) : "";
    const char *form[] = {
        as_say("%s %s  %d/%d done  %d running  %d failed%s", p->phase, bar, p->done, p->total, p->running, p->failed, left),
        as_say("%s  %d/%d done  %d running  %d failed%s", bar, p->done, p->total, p->running, p->failed, left),
        as_say("%d/%d done %d running %d failed%s", p->done, p->total, p->running, p->failed, left),
        as_say("%d/%d, %d run, %d failed%s", p->done, p->total, p->running, p->failed, left),
        as_say("%d/%d, %d failed%s", p->done, p->total, p->failed, left),
        as_say("%d/%d", p->done, p->total),
    };
    size_t i = 0;
    while (i + 1 < sizeof form / sizeof *form && (int)strlen(form[i]) > room) i++;
    snprintf(line, (size_t)room + 1, "%s", form[i]);
}

void progress_draw(struct progress *p, bool now)
{
    double t = seconds_now();
    if (!p->live || (!now && t - p->drawn < 0.2)) return;
    char line[256];
    int room = columns() - 1;
    fill(p, line, room < 8 ? 8 : room > 200 ? 200 : room);
    printf("\r%s\033[K", line);
    fflush(stdout);
    p->shown = true;
    p->drawn = t;
}

void progress_clear(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", stdout);
    p->shown = false;
    fflush(stdout);
}

static void cell_json(const struct progress *p, const char *key, const char *detail, const char *outcome,
                      const char *reason, double seconds)
{
    printf("{\"event\":\"cell\",\"phase\":");
    text_json(stdout, p->phase);
    printf(",\"key\":");
    text_json(stdout, key);
    printf(",\"cell\":");
    text_json(stdout, detail);
    printf(",\"outcome\":");
    text_json(stdout, outcome);
    printf(",\"reason\":");
    text_json(stdout, reason);
    printf(",\"seconds\":");
    json_number(seconds);
    printf(",\"done\":%d,\"total\":%d,\"failed\":%d}\n", p->done, p->total, p->failed);
    fflush(stdout);
}

void progress_cell(struct progress *p, const char *key, const char *detail, const char *outcome, const char *reason,
                   double seconds)
{
    bool bad = strcmp(outcome, "ok") != 0;
    if (p->json) {
        cell_json(p, key, detail, outcome, reason, seconds);
    } else if (!p->live || bad) {
        progress_clear(p);
        printf("%s %d/%d  %s  %s  %s%s%s\n", p->phase, p->done, p->total, outcome, detail, duration(seconds),
               *reason ? "  " : "", reason);
        fflush(stdout);
    }
    progress_draw(p, true);
}

void progress_note(struct progress *p, const char *text)
{
    progress_clear(p);
    if (p->json) {
        printf("{\"event\":\"note\",\"text\":");
        text_json(stdout, text);
        puts("}");
    } else {
        puts(text);
    }
    fflush(stdout);
    progress_draw(p, true);
}
