/* file.h: files that are either whole or not there. Sentences come from as_say(): use them soon, or copy. */
#ifndef ASSAY_DRIVER_FILE_H
#define ASSAY_DRIVER_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Puts n bytes at `path`: written aside in the same folder, synced, renamed, folder synced. Whatever stood there
 * before stays whole when this fails. NULL, or one line: path, cause, remedy. */
const char *file_replace(const char *path, const void *bytes, size_t n);

/* The whole content, zero-terminated beyond *n; malloc'd. NULL and *why (may be NULL) when it cannot be read. */
char *file_read(const char *path, size_t *n, const char **why);

/* A second name for a file that is only ever replaced; a copy where the file system has no links. Something at `to`
 * stays as it is. NULL, or one line. */
const char *file_link(const char *from, const char *to);

/* Removes the files of a folder for which `dead` says so. A folder that is not there is fine. */
void file_sweep(const char *folder, bool (*dead)(const char *name));

bool file_exists(const char *path);

/* Makes a folder and those above it, as far as they are missing. NULL, or one line. */
const char *file_make_folder(const char *path);

/* Removes a folder with everything in it. Links are removed, not followed. */
void file_remove_folder(const char *path);

/* printf into malloc'd memory. Raises AS_NO_MEMORY when there is none. */
char *file_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "PATH: what: cause; remedy" for an errno. */
const char *file_error(const char *path, const char *what, int error);

#endif
