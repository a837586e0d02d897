/* figures.c: `assay figures NAME`: draws from stored records only. */
#include <driver/figures.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/run.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* gnuplot in the figures' folder, in the C locale and in UTC, its messages in a file. 0, or 127 when it is missing. */
static int gnuplot(const char *folder, const char *name, const char *format)
{
    char *script = file_text("%s.gp", name), *set = file_text("format='%s'", format);
    char *log = file_text("%s/%s.log", folder, name);
    char *argv[] = { "sh", "-c", "cd -- \"$0\" && LC_ALL=C TZ=UTC exec gnuplot -e \"$1\" \"$2\"",
                     (char *)(uintptr_t)folder, set, script, NULL };
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    int error = posix_spawnp(&pid, "sh", &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (!error)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    int code = error ? 126 : WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    free(script);
    free(set);
    free(log);
    return code;
}

static char *first_message(const char *folder, const char *name)
{
    char *path = file_text("%s/%s.log", folder, name), *text = file_read(path, NULL, NULL), *line = text;
    free(path);
    while (line && *line) {
        char *end = line + strcspn(line, "\n");
        bool last = !*end;
        *end = 0;
        if (strspn(line, " \t^") != strlen(line) && (strstr(line, "line ") || last)) break;
        line = last ? end : end + 1;
    }
    char *message = file_text("%s", line ? line : "");
    free(text);
    return message;
}

/* Draws one format. The file is written aside and renamed, so a half-drawn figure never stands there. */
static const char *draw(const struct results *r, const char *name, const char *format)
{
    const char *why = NULL;
    int code = gnuplot(r->figures, name, format);
    char *log = file_text("%s/%s.log", r->figures, name);
    char *aside = file_text("%s/%s.%s.new", r->figures, name, format);
    char *path = file_text("%s/%s.%s", r->figures, name, format);
    if (code == 127) {
        why = "gnuplot is missing: apt-get install gnuplot-nox, then `assay figures`; tables and scripts are there";
    } else if (code) {
        char *message = first_message(r->figures, name);
        why = as_say("%s/%s.gp: gnuplot could not draw it: %s", r->figures, name, message);
        free(message);
    } else if (rename(aside, path)) {
        why = file_error(path, "cannot be put in place", errno);
    }
    unlink(log);
    if (why) unlink(aside);
    free(log);
    free(aside);
    free(path);
    return why;
}

int figures_draw(struct results *r, bool png, bool pdf, bool quiet)
{
    const char *why = file_make_folder(r->figures);
    bool pictures = true;
    if (why) return complain(EXIT_CANNOT, why);
    int status = 0;
    for (int i = 0; i < r->e->n_figures; i++) {
        const struct figure *f = &r->e->figure[i];
        struct drawing *d = drawing_make(r, f, &why);
        if (d) why = drawing_write(r, d);
        if (!why && pictures) why = draw(r, f->name, "svg");
        if (!why && pictures && png) why = draw(r, f->name, "png");
        if (!why && pictures && pdf) why = draw(r, f->name, "pdf");
        if (why) {
            if (pictures || !strstr(why, "gnuplot is missing")) status = complain(EXIT_CANNOT, why);
            /* Tables and scripts of the others are still worth having. */
            if (strstr(why, "gnuplot is missing")) pictures = false;
        } else if (!quiet && pictures) {
            printf("%s/%s.svg\n", r->figures, f->name);
        }
        drawing_free(d);
    }
    return status;
}

int command_figures(struct command_line *line)
{
    const char *why;
    struct experiment *e = experiment_of(line);
    if (!e) return EXIT_WRONG_USE;
    struct results *r = results_open(e, results_folder(line->results), &why);
    int status = EXIT_ALL_WELL;
    if (!r) status = complain_of_plan(e, why);
    else if (r->n_damaged) status = complain(EXIT_CANNOT, r->damaged[0]);
    else if (!e->n_figures) puts("no [figure] sections: nothing to draw");
    else status = figures_draw(r, true, true, false);
    results_close(r);
    experiment_free(e);
    return status;
}
