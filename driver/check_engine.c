/* check_engine.c: checks on one plug-in, in a process of their own. What crashes, hangs or ends its process is a
 * failure of the check under way; a new process goes on with the next one. The parent starts no thread: a process
 * that forks after OpenMP has started hangs. */
#include "check/check.h"

#include <assay/error.h>
#include <assay/parallel.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a child says through its pipe: a start, then the end of the same check. */
struct message { int at; bool end; enum check_result result; double seconds; char text[2048], note[512]; };

struct children {
    const struct as_entry *plugin;
    const struct check_how *how;
    const struct as_check *check[128];
    int n;
};

unsigned check_kind_of(const struct as_entry *e)
{
    const struct as_plugin *p = e->plugin;

    if (e->kernel[0])
        return 0;
    return p->variant ? CHECK_LAYER : p->rule ? CHECK_RULE : p->objective ? CHECK_OBJECTIVE : p->source ? CHECK_SOURCE
         : p->study ? CHECK_STUDY : 0;
}

bool check_passed(enum check_result r)
{
    return r != CHECK_FAIL && r != CHECK_NOT_TESTED;
}

const char *check_result_word(enum check_result r)
{
    static const char *const word[] = { "does not apply", "pass", "unproved", "not tested", "FAIL" };

    return word[r];
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- in the child ------------------------------------------------------------------------------------------------- */

struct call { struct check_run *r; };

static void call(void *ctx)
{
    struct call *c = ctx;

    c->r->check->run(c->r);
}

static void send_message(int fd, const struct message *m)
{
    const char *at = (const char *)m;
    size_t left = sizeof *m;

    while (left > 0) {
        ssize_t n = write(fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(3);
        at += n;
        left -= (size_t)n;
    }
}

static void one_check(const struct children *c, int at, int fd)
{
    static struct check_run r;
    static struct message m;
    char name[160];
    struct call ctx = { &r };
    double start = now();

    snprintf(name, sizeof name, "%s/%s", c->plugin->family, c->plugin->name);
    r = (struct check_run){ .check = c->check[at], .entry = c->plugin, .name = name, .seed = c->how->seed,
                            .elements = c->how->elements, .result = CHECK_PASS };
    m = (struct message){ .at = at };
    send_message(fd, &m);
    if (as_try(call, &ctx) != AS_OK)
        check_fail(&r, "%s", as_failure_text());
    if (r.result == CHECK_PASS && r.did == 0)
        check_not_tested(&r, "nothing was compared");
    m.end = true;
    m.result = r.result;
    m.seconds = now() - start;
    snprintf(m.text, sizeof m.text, "%s", r.text);
    snprintf(m.note, sizeof m.note, "%s", r.note);
    send_message(fd, &m);
}

static _Noreturn void child(const struct children *c, int first, int fd)
{
    as_threads_set(1);
    for (int i = first; i < c->n; i++)
        one_check(c, i, fd);
    _exit(0);
}

/* --- in the parent ------------------------------------------------------------------------------------------------ */

/* One message within `limit` seconds: 1, 0 at the end of the pipe, -1 when the time is up. */
static int receive(int fd, struct message *m, double limit)
{
    char *at = (char *)m;
    size_t left = sizeof *m;
    double end = now() + limit;

    while (left > 0) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        double wait = end - now();
        ssize_t n;

        if (wait <= 0)
            return -1;
        if (poll(&p, 1, (int)(wait * 1000) + 1) <= 0)
            continue;
        n = read(fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        left -= (size_t)n;
    }
    return 1;
}

static void tell(const struct children *c, int at, enum check_result result, const char *text, const char *note,
                 double seconds)
{
    struct check_line line = { c->check[at], result, text, note, seconds };

    if (c->how->line)
        c->how->line(c->how->ctx, c->plugin, &line);
}

static const char *how_it_ended(int status)
{
    if (WIFSIGNALED(status))
        return as_say("it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return as_say("its process ended with status %d in the middle", WEXITSTATUS(status));
}

/* Seconds for one check, unless asked otherwise. A sanitizer makes some of them ten times as slow. */
#if defined(__SANITIZE_ADDRESS__)
enum { SECONDS = 300 };
#else
enum { SECONDS = 60 };
#endif

/* Reads until the child is done or gone. Returns the check to go on with; *worst is kept up. */
static int listen_to(const struct children *c, pid_t pid, int fd, int first, enum check_result *worst)
{
    double limit = c->how->limit > 0 ? c->how->limit : SECONDS;
    static struct message m;
    int next = first, status, got;

    while ((got = receive(fd, &m, limit)) == 1)
        if (m.end) {
            tell(c, m.at, m.result, m.text, m.note, m.seconds);
            *worst = m.result > *worst ? m.result : *worst;
            next = m.at + 1;
        }
    if (got < 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (next >= c->n)
        return c->n;
    tell(c, next, CHECK_FAIL, got < 0 ? as_say("it did not end within %g seconds",
         limit) : how_it_ended(status), "", 0);
    *worst = CHECK_FAIL;
    return next + 1;
}

/* By order, then by name as the table has them. */
static void choose(struct children *c)
{
    unsigned kind = check_kind_of(c->plugin);

    for (const struct as_check *const *p = as_checks; *p; p++) {
        int at = c->n;

        if (!((*p)->of & kind) || (c->how->only && strcmp(c->how->only, (*p)->name) != 0))
            continue;
        if (c->n == (int)(sizeof c->check / sizeof *c->check))
            as_fail(AS_FAILED, "more than %d checks", c->n);
        for (; at > 0 && c->check[at - 1]->order > (*p)->order; at--)
            c->check[at] = c->check[at - 1];
        c->check[at] = *p;
        c->n++;
    }
}

enum check_result check_plugin(const struct as_entry *plugin, const struct check_how *how)
{
    struct children c = { .plugin = plugin, .how = how };
    enum check_result worst = CHECK_NO_MATTER;
    int first = 0;

    choose(&c);
    while (first < c.n) {
        int fd[2];
        pid_t pid;

        fflush(NULL);
        if (pipe(fd) != 0)
            as_fail(AS_FAILED, "no pipe to a process for checking: %s", strerror(errno));
        pid = fork();
        if (pid < 0)
            as_fail(AS_FAILED, "no process for checking: %s", strerror(errno));
        if (pid == 0) {
            close(fd[0]);
            child(&c, first, fd[1]);
        }
        close(fd[1]);
        first = listen_to(&c, pid, fd[0], first, &worst);
        close(fd[0]);
    }
    return worst;
}
