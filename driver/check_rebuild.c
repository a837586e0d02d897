/* check_rebuild.c: a check never tests a stale program. After an edit it is made anew and started again; where it cannot
 * be made (no build folder, it does not compile), it refuses.
 */
#include "check_memory.h"

#include "file.h"

#include <assay/error.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Set for the program that was just made: a second difference is a fault, not an edit. */
static const char mark[] = "ASSAY_REBUILT";

static bool is_source_tree(const char *home)
{
    char *path = file_text("%s/scripts/scan", home);
    bool is = file_exists(path);
    free(path);
    return is;
}

/* `make` of our own file in its folder, what it says on standard error. */
static bool make_again(const char *folder, const char *name)
{
    const char *argv[] = { "make", "-s", "-C", folder, name, NULL };
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int error = posix_spawnp(&pid, "make", &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    while (!error && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return !error && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The arguments of this process, from the kernel; malloc'd, with what they point to. */
static char **own_arguments(void)
{
    size_t n = 0;
    char *text = file_read("/proc/self/cmdline", &n, NULL);
    char **argv = calloc(n + 1, sizeof *argv);
    int count = 0;
    if (!text || !argv)
        return NULL;
    for (size_t at = 0; at < n; at += strlen(text + at) + 1)
        argv[count++] = text + at;
    return argv;
}

const char *check_rebuild(const struct as_entry *const *plugin, int n, const char *missing)
{
    const char *home = getenv("ASSAY_HOME"), *why = missing;
    char self[4096];
    if (!home || !*home || !is_source_tree(home))
        return missing;
    for (int i = 0; i < n && !why; i++)
        why = check_stale(plugin[i], home);
    if (!why)
        return NULL;
    why = as_say("%s", why);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? memrchr(self, '/', (size_t)length) : NULL;
    if (getenv(mark) || !slash)
        return as_say("%s, not even after building again; ./bootstrap builds it all", why);
    self[length] = 0;
    char *makefile = file_text("%.*s/config.status", (int)(slash - self), self);
    bool can = file_exists(makefile);
    free(makefile);
    if (!can)
        return as_say("%s; ./bootstrap builds it, or unset ASSAY_HOME to check what is in the program", why);
    fprintf(stderr, "assay: %s; building\n", why);
    char *folder = file_text("%.*s", (int)(slash - self), self);
    bool made = make_again(folder, slash + 1);
    free(folder);
    if (!made)
        return as_say("%s, and does not build; see above", why);
    char **argv = own_arguments();
    setenv(mark, "yes", 1);
    fflush(NULL);
    if (argv)
        execv(self, argv);
    return as_say("%s; it was built again: start it again", why);
}
