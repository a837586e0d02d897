/* results_unchecked.c: whether numbers that are about to be shown come from plug-ins that fail `assay check`. */
#include "results.h"

#include "file.h"

#include <stdlib.h>
#include <string.h>

char *results_unchecked(const struct results *r)
{
    char *all = file_text("%s", "");
    for (int i = 0; i < r->plan->n_cells; i++) {
        const char *text = r->record[i] ? record_text_of(r->record[i], "unchecked") : NULL;
        if (!text || !*text || strstr(all, text))
            continue;
        char *more = file_text("%s%s%s", all, *all ? ", " : "", text);
        free(all);
        all = more;
    }
    char *sentence = *all ? file_text("NOT CHECKED: run with --unchecked although these fail `assay check`: %s", all) : NULL;
    free(all);
    return sentence;
}
