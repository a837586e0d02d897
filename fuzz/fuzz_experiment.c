/* The reader of experiment files: the scan before inih, inih, and what makes an experiment of the entries.
 * Input: the file up to the first zero byte, then overrides (--set KEY=VALUE), each ended by a zero byte.
 * Covers: driver/ini.c driver/experiment.c driver/experiment_take.c driver/experiment_value.c driver/experiment_override.c
 */
#include "fuzz.h"

#include <assay/error.h>
#include <driver/experiment.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OVERRIDES = 8 };

struct reading { char path[64]; const char *set[OVERRIDES]; int n_set; bool quick; };

static void look_at(const struct experiment *e)
{
    fuzz_promise(e->name && e->path && e->base);
    for (int i = 0; i < e->n_vary; i++)
        fuzz_promise(e->vary[i].n > 0 && e->vary[i].value[0]);
    for (int i = 0; i < e->n_evals; i++)
        for (int k = 0, n = eval_points(&e->eval[i]); k < n && k < 64; k++) {
            const char **keys = calloc((size_t)eval_keys(&e->eval[i]) + 1, sizeof *keys);
            const char **texts = calloc((size_t)eval_keys(&e->eval[i]) + 1, sizeof *texts);
            eval_point(&e->eval[i], k, keys, texts);
            for (int j = 0; j < eval_keys(&e->eval[i]); j++)
                fuzz_promise(keys[j] && texts[j]);
            free(keys);
            free(texts);
        }
    char *text = as_config_text(e->base);
    free(text);
}

static void read_it(void *ctx)
{
    struct reading *r = ctx;
    const char *why = NULL;
    struct experiment *e = experiment_read(r->path, r->set, r->n_set, r->quick, &why);
    fuzz_promise(e ? true : why && *why && !strchr(why, '\n'));
    if (e)
        look_at(e);
    experiment_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading r = { .quick = size % 2 };
    char *file = fuzz_take(&data, &size, 0), *set[OVERRIDES];
    if (strstr(file, "include") && strchr(file, '/')) {     /* could name any file of this machine */
        free(file);
        return -1;
    }
    int fd = memfd_create("experiment.ini", 0);
    if (fd < 0 || write(fd, file, strlen(file)) < 0)
        abort();
    snprintf(r.path, sizeof r.path, "/proc/self/fd/%d", fd);
    for (; size && r.n_set < OVERRIDES; r.n_set++)
        r.set[r.n_set] = set[r.n_set] = fuzz_take(&data, &size, 0);
    if (as_try(read_it, &r))
        fuzz_promise(*as_failure_text());
    close(fd);
    for (int i = 0; i < r.n_set; i++)
        free(set[i]);
    free(file);
    return 0;
}
