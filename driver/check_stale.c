/* check_stale.c: whether the sources on the disk are those that this program was built from. The hashes are those of
 * scripts/scan, computed anew: of a plug-in, its file, the contracts and the headers beside it; of core, all of it.
 */
#include "check/check.h"

#include "fetch.h"
#include "file.h"

#include <assay/error.h>
#include <build_info.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct as_entry as_mock_entries[] __attribute__((weak));

struct lines { char **line; int n; };

static void add_line(struct lines *l, char *line)
{
    char **longer = realloc(l->line, ((size_t)l->n + 1) * sizeof *longer);
    if (!longer)
        as_fail(AS_NO_MEMORY, "no memory for the list of sources");
    l->line = longer;
    l->line[l->n++] = line;
}

static void lines_free(struct lines *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->line[i]);
    free(l->line);
}

/* "SHA256" of a file; false when it is not there. */
static bool sum_of(const char *home, const char *path, char hex[65], char **content)
{
    char *whole = file_text("%s/%s", home, path);
    size_t n;
    char *bytes = file_read(whole, &n, NULL);
    free(whole);
    if (bytes)
        fetch_sha256(bytes, n, hex);
    if (content)
        *content = bytes;
    else
        free(bytes);
    return bytes != NULL;
}

/* ---- folders ------------------------------------------------------------------------------------------------------ */

static struct lines *found;                          /* nftw() hands nothing along */
static size_t cut;                                   /* of "HOME/" */

static int take(const char *path, const struct stat *s, int kind, struct FTW *at)
{
    const char *dot = strrchr(path, '.');
    (void)s;
    if (kind == FTW_F && path[at->base] != '.' && dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h") || !strcmp(dot, ".cc")))
        add_line(found, file_text("%s", path + cut));
    return 0;
}

static int by_text(const void *a, const void *b)
{
    char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The hash of the lines "SUM  PATH" of all sources below the folders, in order. */
static void folders_hash(const char *home, const char *const *folder, char hex[65])
{
    struct lines list = { 0 };
    char *text = file_text("%s", "");
    size_t length = 0;
    found = &list;
    cut = strlen(home) + 1;
    for (; *folder; folder++) {
        char *path = file_text("%s/%s", home, *folder);
        nftw(path, take, 16, FTW_PHYS);
        free(path);
    }
    if (list.n)
        qsort(list.line, (size_t)list.n, sizeof *list.line, by_text);
    for (int i = 0; i < list.n; i++) {
        char sum[65];
        if (!sum_of(home, list.line[i], sum, NULL))
            continue;
        char *line = file_text("%s  %s\n", sum, list.line[i]);
        size_t n = strlen(line);
        text = realloc(text, length + n + 1);
        if (!text)
            as_fail(AS_NO_MEMORY, "no memory for the list of sources");
        memcpy(text + length, line, n + 1);
        length += n;
        free(line);
    }
    fetch_sha256(text, length, hex);
    free(text);
    lines_free(&list);
}

/* ---- one plug-in -------------------------------------------------------------------------------------------------- */

/* Appends "SUM PATH" of each header that `content` includes in quotes, once each, depth first. */
static void add_headers(const char *home, const char *path, const char *content, struct lines *seen, char **text)
{
    int folder = (int)(strrchr(path, '/') + 1 - path);
    for (const char *at = content; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        const char *p = at + strspn(at, " \t");
        if (*p != '#' || strncmp(p + 1 + strspn(p + 1, " \t"), "include", 7))
            continue;
        p += 1 + strspn(p + 1, " \t") + 7;
        p += strspn(p, " \t");
        if (*p != '"')
            continue;
        char *header = file_text("%.*s%.*s", folder, path, (int)strcspn(p + 1, "\"\n"), p + 1), sum[65], *inner;
        bool known = false;
        for (int i = 0; i < seen->n; i++)
            known = known || !strcmp(seen->line[i], header);
        if (known) {
            free(header);
            continue;
        }
        add_line(seen, header);
        bool there = sum_of(home, header, sum, &inner);
        char *longer = file_text("%s\n%s %s", *text, there ? sum : "", header);
        free(*text);
        *text = longer;
        if (there)
            add_headers(home, header, inner, seen, text);
        free(inner);
    }
}

/* NULL, or what is wrong with the source of one entry. */
static const char *entry_stale(const struct as_entry *e, const char *home, const char *contracts)
{
    char sum[65], *content;
    struct lines seen = { 0 };
    if (!sum_of(home, e->path, sum, &content))
        return as_say("%s is gone from %s", e->path, home);
    char *text = file_text("%s\n%s %s", contracts, sum, e->path);
    add_headers(home, e->path, content, &seen, &text);
    char *whole = file_text("%s\n", text);
    fetch_sha256(whole, strlen(whole), sum);
    free(whole);
    free(text);
    free(content);
    lines_free(&seen);
    return strcmp(sum, e->hash) ? as_say("%s, or a header that it includes, is not what this program was built from", e->path)
                                : NULL;
}

const char *check_stale(const struct as_entry *entry, const char *home)
{
    static const char *const contract[] = { "include/assay", NULL }, *const core[] = { "core", "include", NULL };
    static char contracts[65], whole[65];             /* once: nobody edits while we look */
    const char *why = NULL;
    if (!whole[0]) {
        folders_hash(home, core, whole);
        folders_hash(home, contract, contracts);
    }
    if (strcmp(whole, ASSAY_CORE_HASH))
        return "core or the contracts are not what this program was built from";
    const struct as_entry *table = as_entries;
    for (const struct as_entry *e = as_mock_entries; e && e->path; e++)
        if (e == entry)
            table = as_mock_entries;
    for (const struct as_entry *e = table; e->path && !why; e++)
        if (!strcmp(e->family, entry->family) && !strcmp(e->name, entry->name))
            why = entry_stale(e, home, contracts);
    return why;
}
