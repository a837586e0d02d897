/* ini.h: an INI file as a list of entries with the places they come from. inih reads it; a scan before that
 * refuses what inih would silently cut, join or overwrite. */
#ifndef ASSAY_DRIVER_INI_H
#define ASSAY_DRIVER_INI_H

struct ini_entry {
    char *section, *key, *value;
    const char *file;             /* as given; borrowed from the struct ini */
    int line;
};
struct ini_section {              /* a header, whether or not anything stands below it */
    char *name;
    const char *file;             /* borrowed likewise */
    int line;
};
struct ini {
    struct ini_entry *entry; int n;
    struct ini_section *section; int n_sections;
    char **file; int n_files;     /* this one first, then the included ones */
};

/* Reads a file and those that it includes (`include = other.ini`, before any section or in [experiment]; relative
 * to the file's folder). A key that stands in both is the including file's. NULL and *why: "FILE:LINE: what;
 * remedy". */
struct ini *ini_read(const char *path, const char **why);
void ini_free(struct ini *ini);

#endif
