/* composition: a layer with slots gives the same whatever its children are run by. */
#include "layer.h"

#include <assay/error.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One child run by one implementation, the others by their defaults; against the truth, all children by graph. */
static void one_choice(struct check_run *r, const struct check_case *truth_case, const struct check_noise *noise,
                       const struct form_result *truth, int child, const char *impl, bool forward, double tolerance)
{
    static struct check_case c;
    struct form_result got;
    const char *key = truth_case->child[child].key;
    char how[128];

    snprintf(how, sizeof how, "%s.impl = %s", key, impl);
    c = *truth_case;
    c.n_options = 0;
    for (; c.n_options < truth_case->n_options && !strstr(truth_case->option[c.n_options], ".impl=graph"); )
        c.n_options++;
    check_case_option(&c, as_say("%s.impl", key), impl);
    c.extreme = truth_case->extreme;
    c.form.forward = forward;
    got = form_run(&c.form);
    if (!strstr(got.why, "cannot be used here")) {
        if (got.why[0])
            check_fail(r, "%s does not run by %s: %s (%s)", key, impl, got.why, check_where(&c, &c.form));
        else
            check_compare(r, &c, &c.form, how, truth, &got, noise, forward, tolerance);
    }
    free(got.value);
}

static void one_case(struct check_run *r, struct check_case *c)
{
    struct as_choice choice[32];
    struct form_result truth;
    struct check_noise noise;
    bool extreme = c->extreme;

    for (int i = 0; i < c->n_children; i++)
        if (c->child[i].entry->plugin->variant->graph && as_registry_impls(c->child[i].entry, choice, 32) > 0)
            check_case_option(c, as_say("%s.impl", c->child[i].key), "graph");
    c->extreme = extreme;
    if (!check_run_form_d(r, c, &c->form, &truth))
        return;
    noise = check_noise(r, c, &c->form, &truth);
    for (int i = 0; i < c->n_children; i++) {
        int n = as_registry_impls(c->child[i].entry, choice, 32);

        for (int k = 0; k < 2 * n && k < 64; k++)       /* with gradients, and without */
            one_choice(r, c, &noise, &truth, i, choice[k / 2].impl->name, k % 2,
                       fmax(choice[k / 2].impl->tolerance, CHECK_TOLERANCE));
    }
    free(noise.element);
    free(truth.value);
}

static void run(struct check_run *r)
{
    static struct check_case c;

    if (!check_variant(r)->slots || !check_variant(r)->slots->name) {
        check_no_matter(r, "it has no slots");
        return;
    }
    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++)
        if (!c.why[0])
            one_case(r, &c);
}

const struct as_check AS_CHECK(composition) = {
    .name = "composition", .of = CHECK_LAYER, .run = run,
    .proves = "with each implementation of each child, outputs and gradients agree with the double build in which "
              "all children run by their graphs",
    .cannot = "fillers other than the defaults; open slots get the first simple layer of the registry",
};
