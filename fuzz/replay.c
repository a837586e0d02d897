/* replay.c: main() of a target without libFuzzer: runs it over the files that are named, or over its kept corpus.
 *
 *     fuzz/fuzz_claim.t [FILE...]
 */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static long inputs;

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    if (!f || fstat(fileno(f), &s)) {
        perror(path);
        return 1;
    }
    size_t n = (size_t)s.st_size;
    uint8_t *bytes = malloc(n ? n : 1);                 /* no zero behind them */
    if (!bytes || fread(bytes, 1, n, f) != n) {
        perror(path);
        return 1;
    }
    fclose(f);
    printf("# %s\n", path);                             /* before, so that the last one named is the one that failed */
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    inputs++;
    return 0;
}

static int is_input(const struct dirent *d) { return d->d_name[0] != '.'; }

/* "…/fuzz_claim.t" -> $ASSAY_HOME/fuzz/corpus/claim, all files in it. */
static int replay_corpus(const char *program)
{
    const char *home = getenv("ASSAY_HOME"), *at = strstr(program, "fuzz_");
    for (const char *next = at; next; next = strstr(next + 1, "fuzz_"))
        at = next;
    if (!at)
        return fprintf(stderr, "%s: a target's program is called fuzz_NAME.t\n", program), 1;
    char folder[1024], path[1400];
    snprintf(folder, sizeof folder, "%s/fuzz/corpus/%.*s", home && *home ? home : ".", (int)strcspn(at + 5, "."), at + 5);
    struct dirent **file;
    int n = scandir(folder, &file, is_input, alphasort), bad = n <= 0;
    if (bad)
        fprintf(stderr, "%s: no inputs there; set ASSAY_HOME to the source tree\n", folder);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, file[i]->d_name);
        bad |= replay(path);
        free(file[i]);
    }
    if (n >= 0)
        free(file);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = argc < 2 ? replay_corpus(argv[0]) : 0;
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%s 1 - %ld kept inputs\n1..1\n", bad ? "not ok" : "ok", inputs);
    return bad;
}
