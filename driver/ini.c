/* ini.c: see ini.h. inih cuts section names at 49 bytes and lines at 199 without a word, joins indented lines to
 * the one before, and leaves repeated keys to its caller; every line is looked at before inih sees the text. */
#include "ini.h"
#include "file.h"

#include <assay/error.h>
#include <ctype.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 199
#define MAX_SECTION 49
#define MAX_DEPTH 8
#define MAX_BYTES (1u << 20)

/* One file being read: entries found by the scan (with lines), then by inih (which must agree). */
struct reading {
    struct ini *ini;
    const char *file;
    const char *why;
    int first;                    /* our first entry in ini->entry */
    int seen;                     /* entries that inih reported so far */
    char section[MAX_SECTION + 1];
    int section_line;             /* 0: none yet */
    struct { char name[MAX_SECTION + 1]; int line; } *header;
    int n_headers;
};

static void *grow(void *p, int n, size_t size)
{
    p = n & (n - 1) ? p : realloc(p, (n ? 2 * (size_t)n : 1) * size);     /* doubles at powers of two */
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory for an experiment file");
    return p;
}

static char *copy(const char *text, size_t n)
{
    return file_text("%.*s", (int)n, text);
}

static bool refuse(struct reading *r, int line, const char *what)
{
    r->why = as_say("%s:%d: %s", r->file, line, what);
    return false;
}

/* The length of the UTF-8 sequence at s, 0 when it is none (overlong forms and surrogates included). */
static int utf8_length(const unsigned char *s)
{
    int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3
          : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90)
        || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static bool check_characters(struct reading *r, int line, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (int n; *s; s += n) {
        n = utf8_length(s);
        if (n == 0)
            return refuse(r, line, as_say("byte %d is not UTF-8; save the file as UTF-8",
                                          (int)(s - (const unsigned char *)text) + 1));
        if ((*s < 0x20 && *s != '\t') || *s == 0x7f)
            return refuse(r, line, as_say("byte %d is a control character (code %d); remove it",
                                          (int)(s - (const unsigned char *)text) + 1, *s));
    }
    return true;
}

static bool is_name(const char *s, size_t n, const char *extra)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]) && !strchr(extra, s[i]))
            return false;
    return n > 0;
}

static bool scan_section(struct reading *r, int line, const char *text)
{
    const char *end = strchr(text, ']');
    if (!end)
        return refuse(r, line, "a section without its closing bracket");
    size_t n = (size_t)(end - text - 1), rest = 1 + strspn(end + 1, " \t");
    if (end[rest] && end[rest] != ';')
        return refuse(r, line, "text behind the closing bracket; give it a line of its own");
    if (n > MAX_SECTION)
        return refuse(r, line, as_say("the section name has %zu bytes, %d are the most; shorten it", n, MAX_SECTION));
    if (!is_name(text + 1, n, " ") || text[1] == ' ' || end[-1] == ' ' || strstr(text, "  "))
        return refuse(r, line, "a section is a word, or two with one blank: letters, digits, '.', '_' and '-'");
    snprintf(r->section, sizeof r->section, "%.*s", (int)n, text + 1);
    r->section_line = line;
    for (int i = 0; i < r->n_headers; i++)
        if (!strcmp(r->header[i].name, r->section))
            return refuse(r, line, as_say("[%s] stands here a second time, first in line %d; join the two", r->section,
                                          r->header[i].line));
    r->header = grow(r->header, r->n_headers, sizeof *r->header);
    snprintf(r->header[r->n_headers].name, sizeof r->header->name, "%s", r->section);
    r->header[r->n_headers++].line = line;
    struct ini *ini = r->ini;
    ini->section = grow(ini->section, ini->n_sections, sizeof *ini->section);
    ini->section[ini->n_sections++] = (struct ini_section){ copy(r->section, strlen(r->section)), r->file, line };
    return true;
}

/* Cuts a comment ("; ..." behind a blank) and blanks at the end. Returns the length that is left. */
static size_t value_length(const char *v)
{
    size_t n = 0;
    while (v[n] && !(v[n] == ';' && n > 0 && isspace((unsigned char)v[n - 1])))
        n++;
    while (n > 0 && isspace((unsigned char)v[n - 1]))
        n--;
    return n;
}

static bool scan_entry(struct reading *r, int line, const char *text)
{
    const char *equals = strchr(text, '='), *colon = strchr(text, ':');
    if (!equals || (colon && colon < equals))
        return refuse(r, line, "neither a section, nor key = value, nor a comment");
    size_t n = (size_t)(equals - text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    if (!is_name(text, n, ""))
        return refuse(r, line, "a key is one word: letters, digits, '.', '_' and '-'");
    const char *value = equals + 1 + strspn(equals + 1, " \t");
    size_t m = *value == ';' ? 0 : value_length(value);
    if (m == 0)
        return refuse(r, line, as_say("%.*s has no value; give one or remove the line", (int)n, text));
    for (size_t i = 0; i + 1 < m; i++)
        if (isspace((unsigned char)value[i]) && value[i + 1] == '#')
            return refuse(r, line, "a comment behind a value begins with ';', not with '#'");
    struct ini *ini = r->ini;
    for (int i = r->first; i < ini->n; i++)
        if (!strcmp(ini->entry[i].section, r->section) && strlen(ini->entry[i].key) == n
            && !strncmp(ini->entry[i].key, text, n))
            return refuse(r, line, as_say("%s stands here a second time, first in line %d; remove one",
                                          ini->entry[i].key, ini->entry[i].line));
    ini->entry = grow(ini->entry, ini->n, sizeof *ini->entry);
    ini->entry[ini->n++] = (struct ini_entry){ copy(r->section, strlen(r->section)), copy(text, n), copy(value, m),
                                               r->file, line };
    return true;
}

static bool scan_line(struct reading *r, int line, const char *text)
{
    size_t blanks = strspn(text, " \t");
    if (!check_characters(r, line, text))
        return false;
    if (strlen(text) > MAX_LINE)
        return refuse(r, line, as_say("the line has %zu bytes, %d are the most; shorten it", strlen(text), MAX_LINE));
    if (!text[blanks] || text[blanks] == ';' || text[blanks] == '#')
        return true;
    if (blanks)
        return refuse(r, line, "the line begins with a blank; begin it in the first column");
    return *text == '[' ? scan_section(r, line, text) : scan_entry(r, line, text);
}

/* Walks over the lines; carriage returns before a line feed are taken out, for inih as well. */
static bool scan(struct reading *r, char *text, size_t n)
{
    if (strlen(text) != n)
        return refuse(r, 1, "the file holds a zero byte: it is no text file");
    if (n > MAX_BYTES)
        return refuse(r, 1, "the file is larger than 1 MiB: it is no experiment file");
    if (!strncmp(text, "\xef\xbb\xbf", 3))
        memmove(text, text + 3, n - 2);
    char *to = text;
    for (const char *from = text; *from; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = '\0';
    int line = 1;
    for (char *at = text; *at; line++) {
        char *end = strchr(at, '\n');
        if (end)
            *end = '\0';
        bool good = scan_line(r, line, at);
        if (!end)
            return good;
        *end = '\n';
        at = end + 1;
        if (!good)
            return false;
    }
    return true;
}

/* inih's answer to each entry; it must be what the scan saw. */
static int on_entry(void *user, const char *section, const char *key, const char *value)
{
    struct reading *r = user;
    const struct ini_entry *e = &r->ini->entry[r->first + r->seen];
    if (r->first + r->seen >= r->ini->n || strcmp(e->section, section) || strcmp(e->key, key)
        || strcmp(e->value, value ? value : ""))
        return 0;
    r->seen++;
    return 1;
}

static const char *read_file(struct ini *ini, const char *path, int depth);

/* Entries of an included file that ours repeat are dropped. */
static void drop_repeated(struct ini *ini, int first, int included)
{
    int kept = included;
    for (int i = included; i < ini->n; i++) {
        struct ini_entry *e = &ini->entry[i];
        bool repeated = false;
        for (int j = first; j < included && !repeated; j++)
            repeated = !strcmp(ini->entry[j].section, e->section) && !strcmp(ini->entry[j].key, e->key);
        if (repeated) {
            free(e->section);
            free(e->key);
            free(e->value);
        } else {
            ini->entry[kept++] = *e;
        }
    }
    ini->n = kept;
}

static const char *include(struct ini *ini, const char *path, int first, int depth)
{
    for (int i = first, own = ini->n; i < own; i++) {
        struct ini_entry e = ini->entry[i];
        if (strcmp(e.key, "include") || (*e.section && strcmp(e.section, "experiment")))
            continue;
        if (depth == MAX_DEPTH)
            return as_say("%s:%d: includes are nested more than %d deep; is one going in a circle?", e.file, e.line,
                          MAX_DEPTH);
        const char *slash = strrchr(path, '/');
        char *other = *e.value == '/' || !slash ? file_text("%s", e.value)
                                                : file_text("%.*s/%s", (int)(slash - path), path, e.value);
        int before = ini->n;
        const char *why = read_file(ini, other, depth + 1);
        free(other);
        if (why)
            return as_say("%s:%d: included here: %s", e.file, e.line, why);
        drop_repeated(ini, first, before);
    }
    return NULL;
}

static const char *read_file(struct ini *ini, const char *path, int depth)
{
    const char *why;
    size_t n;
    char *text = file_read(path, &n, &why);
    if (!text)
        return why;
    ini->file = grow(ini->file, ini->n_files, sizeof *ini->file);
    ini->file[ini->n_files++] = file_text("%s", path);
    struct reading r = { .ini = ini, .file = ini->file[ini->n_files - 1], .first = ini->n };
    if (scan(&r, text, n)) {
        int bad = ini_parse_string(text, on_entry, &r);
        if (bad || r.first + r.seen != ini->n)
            refuse(&r, bad > 0 ? bad : 1, "the line is read in two ways; write it as plain key = value");
    }
    free(r.header);
    free(text);
    return r.why ? r.why : include(ini, path, r.first, depth);
}

struct ini *ini_read(const char *path, const char **why)
{
    struct ini *ini = calloc(1, sizeof *ini);
    if (!ini)
        as_fail(AS_NO_MEMORY, "out of memory for an experiment file");
    *why = read_file(ini, path, 0);
    if (!*why)
        return ini;
    *why = as_say("%s", *why);        /* its parts may be borrowed from the files' names */
    ini_free(ini);
    return NULL;
}

void ini_free(struct ini *ini)
{
    if (!ini)
        return;
    for (int i = 0; i < ini->n; i++) {
        free(ini->entry[i].section);
        free(ini->entry[i].key);
        free(ini->entry[i].value);
    }
    for (int i = 0; i < ini->n_files; i++)
        free(ini->file[i]);
    for (int i = 0; i < ini->n_sections; i++)
        free(ini->section[i].name);
    free(ini->section);
    free(ini->entry);
    free(ini->file);
    free(ini);
}
