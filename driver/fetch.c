#include <driver/fetch.h>

#include <driver/file.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* No raw file of a data set here is near it; it keeps a wrong address from filling the disk. */
#define MAX_BYTES "536870912"

void fetch_sha256(const void *bytes, size_t n, char hex[65])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA2_CTX sha;
    SHA256Init(&sha);
    SHA256Update(&sha, bytes, n);
    SHA256Final(digest, &sha);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

char *fetch_cache(const char **why)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')                    /* relative ones are to be ignored, says the standard */
        return file_text("%s/assay", cache);
    if (home && *home)
        return file_text("%s/.cache/assay", home);
    *why = as_say("no place for data: neither XDG_CACHE_HOME nor HOME is set; set one of them");
    return NULL;
}

static const char *wrong_checksum(const char *path, const struct as_file *file, const char *got, const char *remedy)
{
    return as_say("%s: wrong SHA-256: expected %s, got %s; %s", path, file->sha256, got, remedy);
}

static bool is_right(const struct as_file *file, const void *bytes, size_t n, char got[65])
{
    fetch_sha256(bytes, n, got);
    return strcmp(got, file->sha256) == 0;
}

/* ---- the mirror ----------------------------------------------------------------------------------------------- */

/* NULL with *why NULL when the mirror does not have it. */
static unsigned char *from_mirror(const char *mirror, const struct as_file *file, size_t *n, const char **why)
{
    char *path = file_text("%s/%s", mirror, file->path), got[65];
    unsigned char *bytes = NULL;
    *why = NULL;
    if (file_exists(path)) {
        bytes = (unsigned char *)file_read(path, n, why);
    } else {
        free(path);
        path = file_text("%s/%s.gz", mirror, file->path);
        size_t packed_n;
        char *packed = file_exists(path) ? file_read(path, &packed_n, why) : NULL;
        if (packed) {
            bytes = as_inflate((struct as_bytes){ (unsigned char *)packed, packed_n }, NULL, n, why);
            if (!bytes)
                *why = as_say("%s: %s; put a whole copy there, or unset ASSAY_MIRROR", path, *why);
            free(packed);
        }
    }
    if (bytes && !is_right(file, bytes, *n, got)) {
        *why = wrong_checksum(path, file, got, "put a right copy there, or unset ASSAY_MIRROR");
        free(bytes);
        bytes = NULL;
    }
    free(path);
    return bytes;
}

/* ---- the public address --------------------------------------------------------------------------------------- */

/* Waits for curl and keeps the first line that it wrote to its error output. */
static int wait_for(pid_t pid, int fd, char *said, size_t room)
{
    size_t n = 0;
    char drop[256];
    for (;;) {
        bool full = n + 1 >= room;
        ssize_t got = read(fd, full ? drop : said + n, full ? sizeof drop : room - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += full ? 0 : (size_t)got;
    }
    said[n] = '\0';
    said[strcspn(said, "\r\n")] = '\0';
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* curl into `aside`. NULL, or what it said. */
static const char *run_curl(const char *url, const char *aside)
{
    /* -q: a .curlrc must not change what is asked for */
    const char *argv[] = { "curl", "-q", "--proto", "=https", "--proto-redir", "=https", "--fail", "--location",
                           "--max-redirs", "5", "--silent", "--show-error", "--connect-timeout", "20", "--max-time",
                           "900", "--max-filesize", MAX_BYTES, "--output", aside, "--", url, NULL };
    posix_spawn_file_actions_t actions;
    int pipe_fd[2];
    pid_t pid;
    char said[400];
    if (pipe2(pipe_fd, O_CLOEXEC) != 0)
        return as_say("no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDERR_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid, "curl", &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fd[1]);
    if (error) {
        close(pipe_fd[0]);
        return error == ENOENT ? as_say("curl is not installed (apt-get install curl)") : as_say("curl: %s", strerror(error));
    }
    int status = wait_for(pid, pipe_fd[0], said, sizeof said);
    close(pipe_fd[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    if (WIFSIGNALED(status))
        return as_say("curl was ended by signal %d", WTERMSIG(status));
    return as_say("%s", *said ? said : "curl failed");
}

static unsigned char *from_address(const struct as_file *file, const char *path, size_t *n, const char **why)
{
    char *folder = file_text("%s", path), got[65];
    *strrchr(folder, '/') = '\0';
    *why = file_make_folder(folder);
    free(folder);
    if (*why)
        return NULL;
    char *aside = file_text("%s.part.%ld", path, (long)getpid());
    const char *said = run_curl(file->url, aside);
    unsigned char *bytes = NULL;
    if (said)
        *why = as_say("%s cannot be had: %s; go online, or set ASSAY_MIRROR to a folder that holds %s", file->url, said,
                      file->path);
    else
        bytes = (unsigned char *)file_read(aside, n, why);
    if (bytes && !is_right(file, bytes, *n, got)) {
        *why = wrong_checksum(file->url, file, got, "the address gives something else now; set ASSAY_MIRROR to a folder "
                              "that holds a right copy");
        free(bytes);
        bytes = NULL;
    }
    if (bytes && rename(aside, path) != 0) {
        *why = file_error(path, "cannot be put into the cache", errno);
        free(bytes);
        bytes = NULL;
    }
    unlink(aside);
    free(aside);
    return bytes;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static unsigned char *from_cache(const struct as_file *file, size_t *n, const char **why)
{
    char *cache = fetch_cache(why), got[65];
    if (!cache)
        return NULL;
    char *path = file_text("%s/raw/%s", cache, file->path);
    unsigned char *bytes = file_exists(path) ? (unsigned char *)file_read(path, n, why) : NULL;
    if (bytes && !is_right(file, bytes, *n, got)) {
        free(bytes);                                 /* damaged since it was put there: fetched again */
        bytes = NULL;
    }
    if (!bytes)
        bytes = from_address(file, path, n, why);
    free(path);
    free(cache);
    return bytes;
}

/* What is inside, when the file as published is packed. */
static unsigned char *unpacked(const struct as_file *file, unsigned char *bytes, size_t *n, const char **why)
{
    size_t length = strlen(file->path);
    bool gzip = length > 3 && strcmp(file->path + length - 3, ".gz") == 0;
    if (!bytes || (!file->member && !gzip))
        return bytes;
    unsigned char *inside = as_inflate((struct as_bytes){ bytes, *n }, file->member, n, why);
    if (!inside)
        *why = as_say("%s: %s, although its checksum is right; report this", file->path, *why);
    free(bytes);
    return inside;
}

unsigned char *fetch_raw(const struct as_file *file, size_t *n, const char **why)
{
    const char *mirror = getenv("ASSAY_MIRROR");
    unsigned char *bytes = NULL;
    struct stat at;
    *why = NULL;
    if (mirror && *mirror) {
        if (stat(mirror, &at) != 0 || !S_ISDIR(at.st_mode)) {
            *why = as_say("ASSAY_MIRROR=%s is not a folder; set it to one, or unset it", mirror);
            return NULL;
        }
        bytes = from_mirror(mirror, file, n, why);
    }
    if (!bytes && !*why)
        bytes = from_cache(file, n, why);
    return unpacked(file, bytes, n, why);
}
