#include <driver/file.h>

#include <assay/error.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *remedy_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT: return "free some space there, or choose another folder";
    case EFBIG: return "raise the file size limit (ulimit -f)";
    case EACCES:
    case EPERM:
    case EROFS: return "make it writable, or choose another folder";
    case ENOENT: return "check the path";
    case ENOTDIR: return "a file stands where a folder is needed; move it away or choose another folder";
    case ENAMETOOLONG: return "choose a shorter path";
    case EMFILE:
    case ENFILE: return "raise the limit on open files (ulimit -n)";
    case EIO: return "the disk may be failing; choose another folder";
    default: return "choose another folder if this stays";
    }
}

const char *file_error(const char *path, const char *what, int error)
{
    return as_say("%s: %s: %s; %s", path, what, strerror(error), remedy_of(error));
}

char *file_text(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) as_fail(AS_NO_MEMORY, "no memory for a text");
    return text;
}

/* All bytes, or errno. */
static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

/* A renamed file is safe only when its folder is. Some file systems refuse to sync a folder (EINVAL): fine. */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    int error = 0;
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0 || fsync(fd)) error = errno == EINVAL ? 0 : errno;
    if (fd >= 0) close(fd);
    free(folder);
    return error;
}

static int replace(const char *path, const char *aside, const void *bytes, size_t n)
{
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    int error = write_all(fd, bytes, n);
    if (!error && fsync(fd)) error = errno;
    if (close(fd) && !error) error = errno;
    if (!error && rename(aside, path)) error = errno;
    if (error) unlink(aside);
    return error ? error : sync_folder(path);
}

const char *file_replace(const char *path, const void *bytes, size_t n)
{
    /* A file size limit must come back as EFBIG, not kill the process. */
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    sigaction(SIGXFSZ, &ignore, &before);
    char *aside = file_text("%s.new.%ld", path, (long)getpid());
    int error = replace(path, aside, bytes, n);
    free(aside);
    sigaction(SIGXFSZ, &before, NULL);
    return error ? file_error(path, "cannot be written", error) : NULL;
}

char *file_read(const char *path, size_t *n, const char **why)
{
    const char *ignored;
    if (!why) why = &ignored;
    *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *why = as_say("%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    size_t room = 1 << 16, done = 0;
    struct stat s;
    if (!fstat(fd, &s) && s.st_size > 0) room = (size_t)s.st_size + 1;
    char *bytes = malloc(room);
    for (;;) {
        if (bytes && done + 1 >= room) {
            char *more = realloc(bytes, room *= 2);
            if (!more) free(bytes);
            bytes = more;
        }
        ssize_t got = bytes ? read(fd, bytes + done, room - done - 1) : -1;
        if (got < 0 && bytes && errno == EINTR) continue;
        if (got < 0) {
            *why = as_say("%s: cannot be read: %s", path, bytes ? strerror(errno) : "out of memory");
            free(bytes);
            bytes = NULL;
        }
        if (got <= 0) break;
        done += (size_t)got;
    }
    close(fd);
    if (bytes) bytes[done] = 0;
    if (n) *n = bytes ? done : 0;
    return bytes;
}

const char *file_link(const char *from, const char *to)
{
    if (!link(from, to) || errno == EEXIST) return NULL;
    const char *why;
    size_t n;
    char *bytes = file_read(from, &n, &why);
    if (!bytes) return why;
    why = file_replace(to, bytes, n);
    free(bytes);
    return why;
}

void file_sweep(const char *folder, bool (*dead)(const char *name))
{
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));)
        if (dead(f->d_name)) unlinkat(dirfd(d), f->d_name, 0);
    if (d) closedir(d);
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

const char *file_make_folder(const char *path)
{
    char *p = strdup(path);
    if (!p) as_fail(AS_NO_MEMORY, "no memory for a path");
    const char *why = NULL;
    for (char *s = p + 1; !why; s++) {
        if (*s != '/' && *s != 0) continue;
        char c = *s;
        *s = 0;
        struct stat st;
        if (mkdir(p, 0777) && errno != EEXIST) {
            int error = errno;
            /* On a read-only system an existing folder may answer EROFS: what counts is that it is there. */
            if (stat(p, &st) || !S_ISDIR(st.st_mode)) why = file_error(p, "cannot be made", error);
        } else if (!stat(p, &st) && !S_ISDIR(st.st_mode)) {
            why = file_error(p, "cannot be made", ENOTDIR);
        }
        *s = c;
        if (!c) break;
    }
    free(p);
    return why;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    remove(path);
    return 0;
}

void file_remove_folder(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }
