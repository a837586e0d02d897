#include <driver/supervise.h>

#include <assay/error.h>
#include <driver/commands.h>
#include <driver/file.h>
#include <driver/job.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE = 20 };                 /* seconds that a cell has to keep its state when asked to stop */

struct watch {
    int signals;                     /* signalfd */
    sigset_t before;
    int stopped_by;
    double stop_time;
};

extern char **environ;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int processors_allowed(void)
{
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

double memory_allowed(void)
{
    double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE);
    char *text = file_read("/sys/fs/cgroup/memory.max", NULL, NULL);
    double group = text ? strtod(text, NULL) : 0;          /* "max" reads as 0 */
    free(text);
    return group > 0 && group < bytes ? group : bytes;
}

/* ---- starting ------------------------------------------------------------------------------------------------ */

static void fail(struct task *t, enum outcome o, const char *reason)
{
    free(t->reason);
    t->outcome = o;
    t->reason = file_text("%s", reason);
}

/* The child gets no input, a log for whatever libraries print, and the pipe as number JOB_PIPE. */
static int spawn(struct task *t, int to)
{
    char *argv[] = { "assay", "cell", t->job, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, t->log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files, to, JOB_PIPE);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(&t->pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return error;
}

static void start(struct supervisor *s, struct task *t)
{
    int ends[2];
    t->started = seconds_now();
    t->started_once = true;
    t->pid = 0;
    t->pipe = -1;
    const char *why = s->prepare(s->ctx, t);
    if (why) {
        fail(t, CELL_FAILED, why);
        return;
    }
    /* Above the low numbers, so that dup2() in the child never closes what it is about to copy. */
    if (pipe2(ends, O_CLOEXEC)) {
        fail(t, CELL_FAILED, as_say("no pipe: %s", strerror(errno)));
        return;
    }
    int high = fcntl(ends[1], F_DUPFD_CLOEXEC, 10), error = high < 0 ? errno : spawn(t, high);
    close(ends[1]);
    if (high >= 0) close(high);
    if (error) {
        close(ends[0]);
        t->pid = 0;
        fail(t, CELL_FAILED, as_say("cannot be started: %s", strerror(error)));
        return;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    t->pipe = ends[0];
    s->progress->running++;
}

/* ---- listening ----------------------------------------------------------------------------------------------- */

static void take_line(struct supervisor *s, struct task *t)
{
    long step, steps;
    if (sscanf(t->line, "step %ld %ld", &step, &steps) == 2) {
        t->step = step;
        t->steps = steps;
    } else if (!strncmp(t->line, "note ", 5)) {
        progress_note(s->progress, t->line + 5);
    } else if (!strncmp(t->line, "end ", 4)) {
        char *outcome = t->line + 4, *reason = strchr(outcome, ' ');
        if (reason) *reason++ = 0;
        fail(t, outcome_of(outcome), reason ? reason : "");
        t->told = true;
    }
}

static void listen_to(struct supervisor *s, struct task *t)
{
    char bytes[4096];
    ssize_t n;
    while (t->pipe >= 0 && (n = read(t->pipe, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] != '\n') {
                if (t->n_line < sizeof t->line - 1) t->line[t->n_line++] = bytes[i];
                continue;
            }
            t->line[t->n_line] = 0;
            t->n_line = 0;
            take_line(s, t);
        }
    }
}

/* The last line that a crashed cell left in its log. */
static char *last_words(const struct task *t)
{
    char *text = file_read(t->log, NULL, NULL);
    if (!text) return file_text("%s", "");
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' ')) text[--n] = 0;
    char *line = strrchr(text, '\n');
    char *words = file_text("%s%.300s", n ? ": " : "", line ? line + 1 : text);
    free(text);
    return words;
}

/* What an exit status means that the cell itself could not explain. */
static void judge(struct supervisor *s, struct task *t, int status)
{
    if (t->late) {
        fail(t, CELL_TIMEOUT, as_say("longer than %s; raise --limit-time", duration(s->limit_time)));
    } else if (t->large) {
        fail(t, CELL_OUT_OF_MEMORY, as_say("more than %.0f MiB; raise --limit-memory", s->limit_memory / 1048576));
    } else if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        char *words = last_words(t);
        fail(t, CELL_CRASHED, as_say("signal %d (%s)%s%s", number, strsignal(number),
                                     number == SIGKILL ? ", perhaps by the system for lack of memory" : "", words));
        free(words);
    } else if (t->told && WEXITSTATUS(status) == EXIT_CANNOT) {
        t->cannot = true;
    } else if (!t->told && WEXITSTATUS(status) != JOB_STOPPED) {
        char *words = last_words(t);
        fail(t, CELL_CRASHED, as_say("exit status %d without a word%s", WEXITSTATUS(status), words));
        free(words);
    }
}

static void end_task(struct supervisor *s, struct watch *w, struct task *t, int status)
{
    listen_to(s, t);
    close(t->pipe);
    t->pipe = -1;
    t->pid = 0;
    t->seconds = seconds_now() - t->started;
    s->progress->running--;
    bool stopped = (WIFEXITED(status) && WEXITSTATUS(status) == JOB_STOPPED) ||
                   (w->stopped_by && WIFSIGNALED(status) && !t->late && !t->large);
    if (!stopped) judge(s, t, status);
    unlink(t->job);
    if (t->outcome != CELL_CRASHED) unlink(t->log);
    if (!stopped) s->finished(s->ctx, t);
}

static void reap(struct supervisor *s, struct watch *w)
{
    int status;
    for (int i = 0; i < s->n; i++)
        if (s->task[i].pid > 0 && waitpid(s->task[i].pid, &status, WNOHANG) == s->task[i].pid)
            end_task(s, w, &s->task[i], status);
}

/* ---- limits -------------------------------------------------------------------------------------------------- */

static double resident(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    char *text = file_read(path, NULL, NULL);
    long all = 0, here = 0;
    if (text && sscanf(text, "%ld %ld", &all, &here) != 2) here = 0;
    free(text);
    return (double)here * (double)sysconf(_SC_PAGE_SIZE);
}

static void police(struct supervisor *s, const struct watch *w)
{
    double now = seconds_now();
    for (int i = 0; i < s->n; i++) {
        struct task *t = &s->task[i];
        if (t->pid <= 0) continue;
        if (s->limit_time > 0 && now - t->started > s->limit_time) t->late = true;
        if (s->limit_memory > 0 && resident(t->pid) > s->limit_memory) t->large = true;
        bool grace_over = w->stopped_by && now - w->stop_time > GRACE;
        if (t->late || t->large || grace_over) kill(t->pid, SIGKILL);
    }
}

/* Work is counted in cells; those under way count by their steps. */
static void estimate(struct supervisor *s)
{
    struct progress *p = s->progress;
    double spent = 0, done = 0, left = 0, now = seconds_now();
    for (int i = 0; i < s->n; i++) {
        const struct task *t = &s->task[i];
        double part = t->outcome != CELL_MISSING ? 1
                      : t->pid > 0 && t->steps > 0 ? (double)t->step / (double)t->steps : 0;
        if (t->started_once) spent += t->outcome != CELL_MISSING ? t->seconds : now - t->started;
        done += part;
        left += 1 - part;
    }
    p->left = left <= 0 ? -1 : done > 0.05 ? left * spent / done / s->jobs : -1;
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

static void open_watch(struct watch *w)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &w->before);
    w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w->signals < 0) as_fail(AS_FAILED, "no descriptor for signals: %s", strerror(errno));
}

static void take_signals(struct supervisor *s, struct watch *w)
{
    struct signalfd_siginfo info;
    while (read(w->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) continue;
        bool again = w->stopped_by != 0;
        if (!again) {
            w->stopped_by = (int)info.ssi_signo;
            w->stop_time = seconds_now();
            progress_note(s->progress, "stopping: cells keep their state (once more ends them at once)");
        }
        for (int i = 0; i < s->n; i++)
            if (s->task[i].pid > 0) kill(s->task[i].pid, again ? SIGKILL : SIGTERM);
    }
}

static void wait_a_little(struct supervisor *s, struct watch *w)
{
    struct pollfd *f = calloc((size_t)s->n + 1, sizeof *f);
    nfds_t n = 1;
    if (!f) as_fail(AS_NO_MEMORY, "no memory to wait for cells");
    f[0] = (struct pollfd){ .fd = w->signals, .events = POLLIN };
    for (int i = 0; i < s->n; i++)
        if (s->task[i].pid > 0 && s->task[i].pipe >= 0) f[n++] = (struct pollfd){ s->task[i].pipe, POLLIN, 0 };
    poll(f, n, 500);
    free(f);
}

int supervise(struct supervisor *s)
{
    struct watch w = { .signals = -1 };
    int next = 0;
    open_watch(&w);
    for (;;) {
        while (!w.stopped_by && next < s->n && s->progress->running < s->jobs) {
            struct task *t = &s->task[next++];
            start(s, t);
            if (t->outcome != CELL_MISSING) s->finished(s->ctx, t);
        }
        estimate(s);
        progress_draw(s->progress, false);
        if (s->progress->running == 0 && (next == s->n || w.stopped_by)) break;
        wait_a_little(s, &w);
        for (int i = 0; i < s->n; i++)
            if (s->task[i].pid > 0) listen_to(s, &s->task[i]);
        take_signals(s, &w);
        reap(s, &w);
        police(s, &w);
    }
    progress_clear(s->progress);
    close(w.signals);
    sigprocmask(SIG_SETMASK, &w.before, NULL);
    return w.stopped_by;
}
