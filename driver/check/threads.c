/* threads: the same bits with 1, 2 and 4 threads, on sizes that are cut into pieces. */
#include "layer.h"

#include <assay/parallel.h>

#include <stdlib.h>

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    static const int teams[] = { 2, 4 };
    struct form g = *f;
    struct form_result one;

    g.batch = 5;
    g.time = 131;
    if (check_run_form(r, c, &g, &one))
        for (int i = 0; i < 2; i++) {
            static const char *const what[] = { "two threads against one", "four threads against one" };
            struct form_result got;

            as_threads_set(teams[i]);
            if (check_run_form(r, c, &g, &got))
                check_differ(r, c, &g, what[i], &one, &got, 0);
            free(got.value);
            as_threads_set(1);
        }
    free(one.value);
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    static struct check_case c;

    if (check_case(r, CHECK_FEW, 0, &c) && !c.why[0])
        for (int i = 0; i < forms.n; i++) {
            struct form f = c.form;

            f.impl = forms.form[i].name;
            one_form(r, &c, &f);
            f.forward = true;
            one_form(r, &c, &f);
        }
}

const struct as_check AS_CHECK(threads) = {
    .name = "threads", .of = CHECK_LAYER, .run = run,
    .proves = "outputs and gradients of every form have the same bits with 1, 2 and 4 threads (batch 5, time 131)",
    .cannot = "other sizes, where work is cut elsewhere, and races that did not happen in this run",
};
